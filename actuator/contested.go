package actuator

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Contested says who else has the target. Nothing is written while it lasts.
type Contested struct {
	Reason                string // AnotherPodAutoscaler, ForeignHPA, ForeignScaledObject, OtherController or OlderCRD
	Kind, Namespace, Name string // the other object; empty where it is none
	Message               string // what is the matter, and what to do; without numbers that change
}

// ContestedBy is the conflict with another object that scales the same target: a PodAutoscaler, a HorizontalPodAutoscaler
// or a ScaledObject.
func ContestedBy(kind, namespace, name string) *Contested {
	c := &Contested{Kind: kind, Namespace: namespace, Name: name}
	what := fmt.Sprintf("%s %s/%s", kind, namespace, name)
	switch kind {
	case hpaKind:
		c.Reason, c.Message = ForeignHPA, what+" scales the same target; delete it to let flyball scale, or delete this autoscaler"
	case "ScaledObject":
		c.Reason = ForeignScaledObject
		c.Message = what + " scales the same target and does not ask flyball; delete it, or give it flyball as its external trigger"
	default:
		c.Reason = AnotherPodAutoscaler
		c.Message = what + " scales the same target and keeps it, as the oldest that is not being deleted; delete one of the two, or give them different targets"
	}
	return c
}

// handles is what the message of a conflict with another controller says between its name and what to do.
const handles = " handles the PodAutoscalers of this cluster too"

// ContestedByController is the conflict with another controller that handles the PodAutoscalers, such as AIBrix's. It lasts
// until it is acknowledged: a controller that is content writes nothing, so that it is silent does not say that it is gone.
func ContestedByController(who string) *Contested {
	return &Contested{
		Reason: OtherController,
		Message: who + handles + "; stop it, then start flyball with --acknowledge other-controller, which the chart calls acknowledge; " +
			"if it is no autoscaler, the latter is enough (flyball scales nothing until then)",
	}
}

// ControllerOf is the name in the condition of such a conflict; empty when the conditions tell of none.
func ControllerOf(status []metav1.Condition) string {
	c := find(status, Conflict)
	if c.Status != metav1.ConditionTrue || c.Reason != OtherController {
		return ""
	}
	who, _, _ := strings.Cut(c.Message, handles)
	return who
}

// ContestedByOlderCRD is the conflict with a CustomResourceDefinition that drops fields, which are given as paths such as
// spec.mode: what the user asked for can't be known.
func ContestedByOlderCRD(missing []string) *Contested {
	return &Contested{
		Reason: OlderCRD,
		Message: "the cluster's CustomResourceDefinition of PodAutoscalers drops " + strings.Join(missing, ", ") +
			"; apply the one that comes with this version of flyball",
	}
}

// object says whether the other is an object that scales the target, not a controller or a schema.
func (c *Contested) object() bool { return c.Reason != OtherController && c.Reason != OlderCRD }

// contested is who else has the target, as the caller or the native HPA's name says it; nil for nobody.
func (t Turn) contested() *Contested {
	if t.Contested == nil && t.HPA != nil {
		return t.HPA.Contested
	}
	return t.Contested
}

func conflict(t Turn) metav1.Condition {
	if c := t.contested(); c != nil {
		return metav1.Condition{Type: Conflict, Status: metav1.ConditionTrue, Reason: c.Reason, Message: c.Message}
	}
	if c, ok := unlooked(Conflict, t); ok {
		return c
	}
	return metav1.Condition{Type: Conflict, Status: metav1.ConditionFalse, Reason: NoConflict, Message: "nothing else scales the target"}
}
