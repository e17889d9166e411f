package actuator

import (
	"slices"
	"strings"
	"time"

	apimeta "k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/decider"
)

// Types of a PodAutoscaler's conditions. The first status sets them all.
const (
	AbleToScale    = "AbleToScale"    // the target's scale can be read and written
	ScalingActive  = "ScalingActive"  // decisions are made from metrics; the message is the explanation of the last one
	ScalingLimited = "ScalingLimited" // something other than the metrics had the last word
	ValidSpec      = "ValidSpec"      // spec and annotations make a policy
	Ready          = "Ready"          // the first three that must be True are: ValidSpec, AbleToScale, ScalingActive
)

// Reasons of the conditions. Where Kubernetes' HorizontalPodAutoscaler has one, it is that one. A failed write's reason
// in AbleToScale is its Outcome.Why.
const (
	AsExpected  = "AsExpected"
	InvalidSpec = "InvalidSpec"

	SucceededGetScale  = "SucceededGetScale"
	SucceededRescale   = "SucceededRescale" // stays until something else is known
	FailedGetScale     = "FailedGetScale"
	NoScaleSubresource = "NoScaleSubresource"
	NoSelector         = "NoSelector"
	TargetNotFound     = "TargetNotFound"

	ValidMetricFound   = "ValidMetricFound"
	FailedGetMetric    = "FailedGetMetric"
	FailedComputeScale = "FailedComputeScale"
	ScalingDisabled    = "ScalingDisabled"
	Advised            = "Advised"
	Delegated          = "Delegated"

	DesiredWithinRange = "DesiredWithinRange"
	TooFewReplicas     = "TooFewReplicas"
	TooManyReplicas    = "TooManyReplicas"
	RateLimited        = "RateLimited"
	ScaleUpDelayed     = "ScaleUpDelayed"
	ScaleDownDelayed   = "ScaleDownDelayed"
	Panicking          = "Panicking"
	ActivationScale    = "ActivationScale"
	IncompleteMetrics  = "IncompleteMetrics"
	PodsStarting       = "PodsStarting"
	PodsUnschedulable  = "PodsUnschedulable"
	Paused             = "Paused"

	Pending = "Pending" // nothing is known yet
)

// maxMessage is the API's limit on a condition's message, in bytes.
const maxMessage = 32768

// Turn is what one turn of the loop came to for one autoscaler.
type Turn struct {
	Autoscaler *v1alpha1.PodAutoscaler // as last read; not changed
	At         time.Time

	Invalid field.ErrorList // what is wrong with the spec, or with its queries; empty: nothing

	// TargetReason says why the target's scale could not be read: FailedGetScale, NoScaleSubresource, NoSelector or
	// TargetNotFound; empty when it could. TargetMessage says it to people, with what to do.
	TargetReason, TargetMessage string

	Policy   decider.Policy   // what was decided by; the zero value when Invalid
	Input    decider.Input    // what was decided from
	Decision decider.Decision // with its Outcome; without Reasons when there is none
	Err      error            // why there is no decision, or why it was not acted on; nil with Invalid and TargetReason
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
	set(scalingActive(find(prev, ScalingActive), t))
	set(scalingLimited(find(prev, ScalingLimited), t))
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
		return metav1.Condition{Type: ValidSpec, Status: metav1.ConditionTrue, Reason: AsExpected, Message: "the spec and the annotations are valid"}
	}
	all := make([]string, len(t.Invalid))
	for i, err := range t.Invalid {
		all[i] = err.Error()
	}
	return metav1.Condition{Type: ValidSpec, Status: metav1.ConditionFalse, Reason: InvalidSpec, Message: strings.Join(all, "; ")}
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
	case decider.RuleDelegated:
		c.Reason = Delegated
	default:
		if t.Policy.Mode == decider.Advise {
			c.Reason = Advised
		}
	}
	return c
}

// scalingLimited names the last rule of the chain that put a limit in place of what the metrics ask for.
func scalingLimited(prev metav1.Condition, t Turn) metav1.Condition {
	if c, ok := unlooked(ScalingLimited, t); ok {
		return c
	}
	if !t.decided() {
		return prev
	}
	for _, r := range slices.Backward(t.Decision.Reasons) {
		if reason := limit(r); reason != "" {
			return metav1.Condition{Type: ScalingLimited, Status: metav1.ConditionTrue, Reason: reason, Message: r.String()}
		}
	}
	return metav1.Condition{Type: ScalingLimited, Status: metav1.ConditionFalse, Reason: DesiredWithinRange, Message: "the count is what the metrics ask for"}
}

// limit is how a condition names the limit that the reason speaks of; empty when it is none.
func limit(r decider.Reason) string {
	switch r.Rule {
	case decider.RuleBounds, decider.RuleSchedule:
		switch r.Case {
		case decider.CaseMax:
			return TooManyReplicas
		case decider.CaseOpen:
			return ""
		}
		return TooFewReplicas
	case decider.RulePause:
		return Paused
	case decider.RuleCapacity:
		return PodsUnschedulable
	case decider.RuleStarting:
		return PodsStarting
	case decider.RuleRate:
		return RateLimited
	case decider.RuleUpDelay:
		return ScaleUpDelayed
	case decider.RuleDownDelay:
		return ScaleDownDelayed
	case decider.RulePanic:
		if r.From != r.To {
			return Panicking
		}
	case decider.RuleActivation:
		return ActivationScale
	case decider.RuleIncomplete:
		return IncompleteMetrics
	}
	return ""
}

// ready sums the others up: it has the reason and the message of the first that fails.
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
