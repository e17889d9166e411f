package kube

import (
	"strings"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// ownManager is the field manager under which flyball writes statuses.
const ownManager = "flyball"

// foreignFor is how long after its last write of a status another controller is taken to be at work. AIBrix's looks at
// each autoscaler every 10 s.
const foreignFor = 2 * time.Minute

// foreign is the last that was seen of another controller of PodAutoscalers.
type foreign struct {
	mu          sync.Mutex
	who         string
	first, last time.Time // writes, with less than foreignFor from one to the next
}

// OtherController names another controller that writes statuses of PodAutoscalers, AIBrix's own most likely: its field
// manager, and since when it has been seen. ok is false when none has written one within the two minutes before now. The
// times are the API server's, to the second.
func (k *Kube) OtherController(now time.Time) (who string, since time.Time, ok bool) {
	k.foreign.mu.Lock()
	defer k.foreign.mu.Unlock()
	f := &k.foreign
	if f.who == "" || now.Sub(f.last) >= foreignFor {
		return "", time.Time{}, false
	}
	return f.who, f.first, true
}

// note looks for a status that another controller wrote, in an autoscaler as it was just seen. Of all autoscalers, the
// newest write counts.
func (f *foreign) note(o metav1.Object) {
	for _, m := range o.GetManagedFields() {
		f.mu.Lock()
		if at := m.Time.Time; at.After(f.last) {
			if m.Manager != f.who || at.Sub(f.last) >= foreignFor {
				f.first = at
			}
			f.who, f.last = m.Manager, at
		}
		f.mu.Unlock()
	}
}

// statusWriters leaves of managedFields who else wrote the status and when. A person with kubectl is no controller.
func statusWriters(all []metav1.ManagedFieldsEntry) []metav1.ManagedFieldsEntry {
	var out []metav1.ManagedFieldsEntry
	for _, m := range all {
		if m.Subresource == "status" && m.Manager != ownManager && !strings.HasPrefix(m.Manager, "kubectl") && m.Time != nil {
			out = append(out, metav1.ManagedFieldsEntry{Manager: m.Manager, Subresource: m.Subresource, Time: m.Time})
		}
	}
	return out
}
