package actuator

import (
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/events"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/decider"
)

// quiet is how long an unchanged failure is not announced again. A decision every 2 s would make 150 events of it.
const quiet = 5 * time.Minute

// maxNote is the API's limit on an event's note, in bytes.
const maxNote = 1024

// announcer makes events of outcomes: one for each change of state, none for each turn of the loop.
type announcer struct {
	recorder events.EventRecorder

	mu     sync.Mutex
	failed map[types.UID]announced // by autoscaler; gone after a success
}

type announced struct {
	why string
	at  time.Time
}

func newAnnouncer(r events.EventRecorder) *announcer {
	return &announcer{recorder: r, failed: map[types.UID]announced{}}
}

// tell announces the outcome and gives it back.
func (a *Actuator) tell(t Target, pa *v1alpha1.PodAutoscaler, d decider.Decision, out decider.Outcome) decider.Outcome {
	if a.news.recorder == nil || !out.Applied && !failed(out) {
		return out
	}
	if !a.news.isNew(pa.UID, out, a.now()) {
		return out
	}
	// The recorder merges events that differ in the note alone, and shows the first one's note for all of them. Two rescales
	// are told apart by the target's resourceVersion, two failures by the action.
	kind, reason, action := corev1.EventTypeNormal, EventRescaled, "Rescale"
	text := "New size: " + count(d.To) + "; reason: " + Because(d)
	if !out.Applied {
		kind, reason, action = corev1.EventTypeWarning, EventFailed, "Rescale"+out.Why
		text = "New size: " + count(d.To) + "; reason: " + Because(d) + "; error: " + failureText(out)
	}
	a.news.recorder.Eventf(reference(pa), &corev1.ObjectReference{
		APIVersion: t.Resource.GroupVersion().String(), Kind: t.Kind, Namespace: t.Namespace, Name: t.Name, UID: t.UID,
		ResourceVersion: t.ResourceVersion,
	}, kind, reason, action, "%s", note(text, t.DecisionID))
	return out
}

// isNew says whether the outcome is another one than the last, or a failure that was last announced long ago.
func (n *announcer) isNew(uid types.UID, out decider.Outcome, now time.Time) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	for other, f := range n.failed {
		if now.Sub(f.at) >= quiet {
			delete(n.failed, other)
		}
	}
	if out.Applied {
		delete(n.failed, uid)
		return true
	}
	if n.failed[uid].why == out.Why {
		return false
	}
	n.failed[uid] = announced{out.Why, now}
	return true
}

// failed says whether a write was wanted and went wrong.
func failed(out decider.Outcome) bool {
	switch out.Why {
	case "", decider.Unchanged, decider.Advised, decider.NotLeader, decider.Delegated, decider.Contested:
		return false
	}
	return !out.Applied
}

// failureText is why a write went wrong, for people.
func failureText(out decider.Outcome) string {
	if out.Detail == "" {
		return out.Why
	}
	return out.Why + ": " + out.Detail
}

// reference names the autoscaler without needing its kind, which lists leave out.
func reference(pa *v1alpha1.PodAutoscaler) *corev1.ObjectReference {
	return &corev1.ObjectReference{
		APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.Kind, Namespace: pa.Namespace, Name: pa.Name, UID: pa.UID,
		ResourceVersion: pa.ResourceVersion,
	}
}
