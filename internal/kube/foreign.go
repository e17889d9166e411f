package kube

import (
	"strings"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flyball/flyball/api/v1alpha1"
)

// ownManager is the field manager under which flyball writes statuses.
const ownManager = "flyball"

// foreign is what was seen of another controller of PodAutoscalers.
type foreign struct {
	mu  sync.Mutex
	who string
}

// OtherController names another controller that writes statuses of PodAutoscalers, AIBrix's own most likely: its field
// manager. ok is false when no autoscaler bears a trace of one.
//
// Nothing that can be seen says that it is gone. A controller at rest repeats what it wrote before, which the API server takes
// for no write and notes nowhere; and its entry among the managed fields goes when flyball writes the same fields. So what was
// once seen holds for as long as the process runs, and the next one finds it in the autoscalers' statuses.
func (k *Kube) OtherController() (who string, ok bool) {
	k.foreign.mu.Lock()
	defer k.foreign.mu.Unlock()
	return k.foreign.who, k.foreign.who != ""
}

// note takes the first that it is told of; empty is none.
func (f *foreign) note(who string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.who == "" {
		f.who = who
	}
}

// statusWriter is who else wrote the object's status; empty for nobody. A person with kubectl is no controller.
func statusWriter(o metav1.Object) string {
	for _, m := range o.GetManagedFields() {
		if m.Subresource == "status" && m.Manager != "" && m.Manager != ownManager && !strings.HasPrefix(m.Manager, "kubectl") {
			return m.Manager
		}
	}
	return ""
}

// remembered is whom the autoscaler's status tells of; empty for nobody.
func (k *Kube) remembered(pa *v1alpha1.PodAutoscaler) string {
	if k.controllerOf == nil {
		return ""
	}
	return k.controllerOf(pa.Status.Conditions)
}
