package actuator

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
)

// announcement is an event that a change of the conditions makes.
type announcement struct {
	kind, reason, note string
}

// announcements are the events for what changed from one written status to the next: none for what stayed the same, and
// none twice under one reason. Ready comes last, since what makes an autoscaler cease to be ready may be told already.
func announcements(before, after []metav1.Condition) []announcement {
	var out []announcement
	add := func(kind, reason, note string) {
		for _, a := range out {
			if a.reason == reason {
				return
			}
		}
		out = append(out, announcement{kind, reason, note})
	}
	for _, exception := range []struct{ condition, kind, over string }{
		{Conflict, corev1.EventTypeWarning, EventConflictResolved},
		{Paused, corev1.EventTypeNormal, EventResumed},
		{Delegated, corev1.EventTypeNormal, EventDelegationEnded},
	} {
		was, is := find(before, exception.condition), find(after, exception.condition)
		switch {
		case is.Status == metav1.ConditionTrue && (was.Status != is.Status || was.Reason != is.Reason):
			add(exception.kind, is.Reason, is.Message)
		case is.Status == metav1.ConditionFalse && was.Status == metav1.ConditionTrue:
			add(corev1.EventTypeNormal, exception.over, is.Message)
		}
	}
	if was, is := find(before, ValidSpec), find(after, ValidSpec); is.Reason == MisplacedSetting && was.Message != is.Message {
		add(corev1.EventTypeWarning, is.Reason, is.Message)
	}
	if was, is := find(before, ScalingLimited), find(after, ScalingLimited); is.Reason != was.Reason && outOfCapacity(is.Reason) {
		add(corev1.EventTypeWarning, is.Reason, is.Message)
	}
	switch was, is := find(before, Ready), find(after, Ready); {
	case was.Status == is.Status && was.Reason == is.Reason:
	case is.Status == metav1.ConditionTrue:
		add(corev1.EventTypeNormal, Ready, is.Message)
	default:
		add(corev1.EventTypeWarning, is.Reason, is.Message)
	}
	return out
}

// outOfCapacity says whether more pods are wanted than the cluster takes.
func outOfCapacity(reason string) bool {
	return reason == PodsUnschedulable || reason == QuotaExhausted
}

// tell makes the events for what was written, where kubectl describe and whoever collects events find them. w.mu is held;
// the recorder does not wait, and makes one series of what comes again within minutes.
func (w *StatusWriter) tell(uid types.UID, before v1alpha1.PodAutoscalerStatus, job statusState) {
	if w.events == nil {
		return
	}
	for _, a := range announcements(before.Conditions, job.status.Conditions) {
		w.events.Eventf(&corev1.ObjectReference{
			APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.Kind, Namespace: job.namespace, Name: job.name, UID: uid,
		}, nil, a.kind, a.reason, "Decide", "%s", note(a.note, job.decision))
	}
}

// note is an event's text with the decision that it speaks of, which must not be cut off.
func note(text, decision string) string {
	if decision != "" {
		decision = "; decision " + decision
	}
	return truncate(text, maxNote-len(decision)) + decision
}
