package actuator

import (
	"slices"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flyball/flyball/decider"
)

// A load between two counts asks now for one, now for the other, and would change the condition every 2 s. So a limit counts
// once it has applied for the time of settled, and until it has not applied for the time of lately, as long as the count is the same.
// Where the count has just changed, or nothing is known of before, it counts at once; so does a pause.
const (
	settled = 5 * time.Second
	lately  = time.Minute
)

// scalingLimited names the last rule of the chain that puts a limit in place of what the metrics ask for.
func scalingLimited(prev metav1.Condition, t Turn) metav1.Condition {
	if c, ok := unlooked(ScalingLimited, t); ok {
		return c
	}
	if t.HPA.involved() {
		return t.HPA.scalingLimited()
	}
	if !t.decided() {
		return prev
	}
	c := metav1.Condition{Type: ScalingLimited, Status: metav1.ConditionFalse, Reason: DesiredWithinRange, Message: "the count is what the metrics ask for"}
	for _, r := range slices.Backward(t.Decision.Reasons) {
		if reason := limit(r); reason != "" && (reason == Paused || hasSettled(t)) {
			c.Status, c.Reason, c.Message = metav1.ConditionTrue, reason, r.String()
			break
		}
	}
	if (c.Status == metav1.ConditionFalse || momentary(c.Reason) && !alone(c.Reason, t)) && stillLimited(prev, t) {
		return prev
	}
	return c
}

// alone says whether no limit but this one has had the last word for the time of settled.
func alone(reason string, t Turn) bool {
	for _, e := range slices.Backward(t.Input.History) {
		if t.At.Sub(e.At) > settled {
			return true
		}
		if !slices.Contains(limiting(e.Rule), reason) {
			return false
		}
	}
	return false
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
		if r.Case == decider.CaseQuota {
			return QuotaExhausted
		}
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

// momentary says that the limit passes by itself; the others wait for somebody to change something.
func momentary(reason string) bool {
	switch reason {
	case RateLimited, ScaleUpDelayed, ScaleDownDelayed, Panicking, ActivationScale, IncompleteMetrics, PodsStarting:
		return true
	}
	return false
}

// hasSettled says whether some limit has had the last word all the time, as far as the count has been the same.
func hasSettled(t Turn) bool {
	for _, e := range slices.Backward(t.Input.History) {
		if t.At.Sub(e.At) > settled || e.To != t.Decision.To {
			return true
		}
		if slices.Contains(limiting(e.Rule), "") {
			return false
		}
	}
	return true
}

// stillLimited says whether the limit that prev names had the last word lately, over the count that there still is.
func stillLimited(prev metav1.Condition, t Turn) bool {
	if prev.Status != metav1.ConditionTrue || prev.Reason == Paused || prev.ObservedGeneration != t.Autoscaler.Generation {
		return false
	}
	for _, e := range slices.Backward(t.Input.History) {
		if t.At.Sub(e.At) >= lately || e.To != t.Decision.To {
			return false
		}
		if slices.Contains(limiting(e.Rule), prev.Reason) {
			return true
		}
	}
	return false
}

// limiting are the limits that a rule which had the last word may have set.
func limiting(rule decider.Rule) []string {
	switch rule {
	case decider.RuleBounds, decider.RuleSchedule:
		return []string{TooManyReplicas, TooFewReplicas}
	case decider.RuleCapacity:
		return []string{PodsUnschedulable, QuotaExhausted}
	case decider.RulePanic:
		return []string{Panicking}
	}
	return []string{limit(decider.Reason{Rule: rule})}
}
