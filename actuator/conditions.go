package actuator

import (
	"strings"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/decider"
)

// maxMessage is the API's limit on a condition's message, in bytes.
const maxMessage = 32768

// Turn is what one turn of the loop came to for one autoscaler.
type Turn struct {
	Autoscaler *v1alpha1.PodAutoscaler // as last read; not changed
	At         time.Time

	Invalid  field.ErrorList    // what is wrong with the spec, or with its queries; empty: nothing
	Warnings []v1alpha1.Warning // what is questionable in spec, annotations and labels

	// TargetReason says why the target's scale could not be read: FailedGetScale, NoScaleSubresource, NoSelector or
	// TargetNotFound; empty when it could. TargetMessage says it to people, with what to do.
	TargetReason, TargetMessage string

	Contested   *Contested // who else has the target; nil: nobody
	DelegatedTo string     // the ScaledObject that asks for decisions and writes them itself; empty: none
	HPA         *HPAResult // what became of the native HorizontalPodAutoscaler; nil: there is none to care for

	Policy   decider.Policy   // what was decided by; the zero value when Invalid
	Input    decider.Input    // what was decided from, with its history
	Decision decider.Decision // with its Outcome; without Reasons when there is none
	Err      error            // why there is no decision, or why it was not acted on; nil with Invalid and TargetReason

	DecisionID string // how events name the decision; empty: not at all
}

// decided says whether there is a decision.
func (t Turn) decided() bool { return len(t.Decision.Reasons) > 0 }

// conditions are prev's brought up to date. Those of types that are not ours go: the status has one writer, and what another
// controller left behind would stay for ever. Times move only when a status does.
func conditions(prev []metav1.Condition, t Turn) []metav1.Condition {
	var out []metav1.Condition
	set := func(c metav1.Condition) {
		if old := apimeta.FindStatusCondition(prev, c.Type); old != nil {
			out = append(out, *old)
		}
		c.ObservedGeneration = t.Autoscaler.Generation
		c.LastTransitionTime = seconds(t.At)
		c.Message = truncate(c.Message, maxMessage)
		apimeta.SetStatusCondition(&out, c)
	}
	set(validSpec(t))
	set(ableToScale(find(prev, AbleToScale), t))
	set(signalsFresh(find(prev, SignalsFresh), t))
	set(scalingActive(find(prev, ScalingActive), t))
	set(scalingLimited(find(prev, ScalingLimited), t))
	set(conflict(t))
	set(paused(t))
	set(delegated(find(prev, Delegated), t))
	set(ready(out))
	return out
}

// find is the condition of that type, or one that says that nothing is known.
func find(all []metav1.Condition, kind string) metav1.Condition {
	if c := apimeta.FindStatusCondition(all, kind); c != nil {
		return *c
	}
	return metav1.Condition{Type: kind, Status: metav1.ConditionUnknown, Reason: Pending, Message: "nothing is known yet"}
}

func validSpec(t Turn) metav1.Condition {
	if len(t.Invalid) == 0 {
		return misplaced(t.Warnings)
	}
	all := make([]string, len(t.Invalid))
	for i, err := range t.Invalid {
		all[i] = err.Error()
	}
	return metav1.Condition{Type: ValidSpec, Status: metav1.ConditionFalse, Reason: InvalidSpec, Message: strings.Join(all, "; ")}
}

// misplaced is a valid spec's condition: settings that stand where nothing reads them are named. What else is questionable,
// flyball lint says; most of it comes with manifests written for AIBrix, and is meant so.
func misplaced(warnings []v1alpha1.Warning) metav1.Condition {
	c := metav1.Condition{Type: ValidSpec, Status: metav1.ConditionTrue, Reason: AsExpected, Message: "the spec and the annotations are valid"}
	var all []string
	for _, w := range warnings {
		if w.Misplaced {
			all = append(all, w.String())
		}
	}
	if len(all) > 0 {
		c.Reason, c.Message = MisplacedSetting, strings.Join(all, "; ")
	}
	return c
}

// unlooked is the condition's state while the spec is invalid or the target can't be found: nobody looked.
func unlooked(kind string, t Turn) (metav1.Condition, bool) {
	switch {
	case len(t.Invalid) > 0:
		return metav1.Condition{Type: kind, Status: metav1.ConditionUnknown, Reason: InvalidSpec, Message: "not looked at, since the spec is not valid"}, true
	case t.TargetReason != "":
		return metav1.Condition{Type: kind, Status: metav1.ConditionUnknown, Reason: t.TargetReason, Message: "not looked at, since the target's scale can't be read"}, true
	}
	return metav1.Condition{}, false
}

func ableToScale(prev metav1.Condition, t Turn) metav1.Condition {
	c := metav1.Condition{Type: AbleToScale, Status: metav1.ConditionFalse}
	out := t.Decision.Entry.Outcome
	switch {
	case len(t.Invalid) == 0 && t.TargetReason != "":
		c.Reason, c.Message = t.TargetReason, t.TargetMessage
		return c
	case len(t.Invalid) > 0:
		c, _ = unlooked(AbleToScale, t)
		return c
	case t.contested() != nil:
		c.Reason, c.Message = t.contested().Reason, t.contested().Message
		return c
	case t.HPA.ableToScale() != nil:
		return *t.HPA.ableToScale()
	case !t.decided():
		return prev
	case out.Applied:
		c.Status, c.Reason = metav1.ConditionTrue, SucceededRescale
		c.Message = "the target was scaled from " + count(out.Was) + " to " + count(out.Now)
		return c
	case out.Why == decider.TargetGone:
		c.Reason, c.Message = TargetNotFound, out.Detail
		return c
	case failed(out):
		c.Reason, c.Message = out.Why, out.Detail
		return c
	case prev.Reason == SucceededRescale:
		return prev
	}
	c.Status, c.Reason, c.Message = metav1.ConditionTrue, SucceededGetScale, "the target's scale was read"
	return c
}

func scalingActive(prev metav1.Condition, t Turn) metav1.Condition {
	if c, ok := unlooked(ScalingActive, t); ok {
		return c
	}
	c := metav1.Condition{Type: ScalingActive, Status: metav1.ConditionTrue, Reason: ValidMetricFound, Message: Because(t.Decision)}
	switch {
	case t.HPA.involved():
		return t.HPA.scalingActive()
	case t.Err != nil:
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, FailedComputeScale, t.Err.Error()
		return c
	case !t.decided():
		return prev
	}
	switch t.Decision.Reasons[0].Rule {
	case decider.RuleNoData:
		c.Status, c.Reason = metav1.ConditionFalse, FailedGetMetric
	case decider.RuleZero:
		c.Status, c.Reason = metav1.ConditionFalse, ScalingDisabled
	case decider.RuleDelegated: // to a native HorizontalPodAutoscaler that nobody has looked for yet: whether it does its work is not known
		return prev
	default:
		switch {
		case t.DelegatedTo != "":
			c.Reason = Delegated
		case t.Policy.Mode == decider.Advise:
			c.Reason = Advised
		}
	}
	return c
}

// paused says what people have stopped, by annotation. It is no failure: Ready stays as it is.
func paused(t Turn) metav1.Condition {
	if c, ok := unlooked(Paused, t); ok {
		return c
	}
	c := metav1.Condition{Type: Paused, Status: metav1.ConditionTrue}
	switch p := t.Policy.Pause; {
	case p.Replicas != nil:
		c.Reason, c.Message = PausedReplicas, "held at "+count(*p.Replicas)+" by annotation flyball.dev/paused-replicas"
	case p.All, p.ScaleIn && p.ScaleOut:
		c.Reason, c.Message = Paused, "nothing changes, by annotation flyball.dev/paused or by both paused-scale-in and paused-scale-out"
	case p.ScaleIn:
		c.Reason, c.Message = PausedScaleIn, "nothing is lowered, by annotation flyball.dev/paused-scale-in"
	case p.ScaleOut:
		c.Reason, c.Message = PausedScaleOut, "nothing is raised, by annotation flyball.dev/paused-scale-out"
	default:
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, NotPaused, "nothing is paused"
	}
	return c
}

// delegated says who writes the target's scale in flyball's place. A native HorizontalPodAutoscaler does so even where the
// spec is not valid any more, or another strategy's; after a start it is looked for within a second.
func delegated(prev metav1.Condition, t Turn) metav1.Condition {
	c := metav1.Condition{Type: Delegated, Status: metav1.ConditionTrue}
	unknown, notLooked := unlooked(Delegated, t)
	switch {
	case t.DelegatedTo != "":
		c.Reason, c.Message = ToScaledObject, "KEDA scales the target as flyball decides, by ScaledObject "+t.DelegatedTo
	case t.HPA.stands():
		c.Reason, c.Message = ToNativeHPA, t.HPA.Message
		if t.HPA.Reason != ToNativeHPA {
			c.Message = "HorizontalPodAutoscaler " + t.HPA.Native.Name + " goes on as it was made: " + t.HPA.Message
		}
	case t.unsearched() && prev.Reason == ToNativeHPA:
		return prev
	case notLooked:
		return unknown
	case t.unsearched():
		c.Status, c.Reason, c.Message = metav1.ConditionUnknown, Pending, "a native HorizontalPodAutoscaler has not been looked for yet"
	case t.HPA.involved():
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, t.HPA.Reason, t.HPA.Message
	case t.contested() != nil:
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, NotDelegated, "flyball hands the target to nobody; who else has it, Conflict says"
	default:
		c.Status, c.Reason, c.Message = metav1.ConditionFalse, NotDelegated, "flyball decides, and nobody writes in its place"
	}
	return c
}

// unsearched says that nobody has looked yet for the native HorizontalPodAutoscaler that strategy HPA wants.
func (t Turn) unsearched() bool {
	return t.HPA == nil && t.Autoscaler.Spec.ScalingStrategy == decider.HPA
}

// ready sums three of the others up: it has the reason and the message of the first that fails.
func ready(all []metav1.Condition) metav1.Condition {
	for _, kind := range []string{ValidSpec, AbleToScale, ScalingActive} {
		if c := find(all, kind); c.Status != metav1.ConditionTrue {
			return metav1.Condition{Type: Ready, Status: c.Status, Reason: c.Reason, Message: c.Message}
		}
	}
	return metav1.Condition{Type: Ready, Status: metav1.ConditionTrue, Reason: AsExpected, Message: "the target is looked after"}
}

// seconds is t as the API keeps times.
func seconds(t time.Time) metav1.Time { return metav1.NewTime(t.Truncate(time.Second)) }
