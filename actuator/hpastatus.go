package actuator

import (
	"slices"
	"strconv"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// HPAResult is what became of an autoscaler's native HorizontalPodAutoscaler. The zero value: it has none, and needs none.
type HPAResult struct {
	Stands  bool   // one of ours is there; it acts even if it is not as wanted
	Reason  string // ToNativeHPA when it is as wanted, else why not; empty when none is wanted
	Message string // the same, for people; where one stands that is not wanted, why it is still there
	// Native is the one that stands, as last read; nil when there is none. Its conditions and its metrics become the
	// autoscaler's.
	Native *autoscalingv2.HorizontalPodAutoscaler
	// Contested is set when a HorizontalPodAutoscaler would act against the policy: one of that name that is not ours,
	// or one of ours that could not be removed. Nothing may be written then.
	Contested *Contested
}

// acting is the result with the one that acts; nil: none does.
func (r HPAResult) acting(ours *autoscalingv2.HorizontalPodAutoscaler) HPAResult {
	r.Stands, r.Native = ours != nil, ours
	return r
}

// stands says whether a native HorizontalPodAutoscaler of ours acts, wanted or not.
func (r *HPAResult) stands() bool { return r != nil && r.Stands }

// involved says whether a native HorizontalPodAutoscaler is or should be at work.
func (r *HPAResult) involved() bool { return r != nil && r.Reason != "" }

// native is the native one's condition of that type, in our form; nil when it has none.
func (r *HPAResult) native(kind string) *metav1.Condition {
	if r == nil || r.Native == nil {
		return nil
	}
	at := slices.IndexFunc(r.Native.Status.Conditions, func(c autoscalingv2.HorizontalPodAutoscalerCondition) bool { return string(c.Type) == kind })
	if at < 0 {
		return nil
	}
	c := r.Native.Status.Conditions[at]
	out := &metav1.Condition{Type: kind, Status: metav1.ConditionStatus(c.Status), Reason: c.Reason, Message: c.Message}
	if out.Reason == "" {
		out.Reason = ToNativeHPA
	}
	return out
}

// ableToScale is what keeps the native one from its work: that it could not be written, else its own condition; nil when
// there is nothing.
func (r *HPAResult) ableToScale() *metav1.Condition {
	if !r.involved() {
		return nil
	}
	if r.Reason == Refused || r.Reason == Unreachable {
		return &metav1.Condition{Type: AbleToScale, Status: metav1.ConditionFalse, Reason: r.Reason, Message: r.Message}
	}
	if c := r.native(AbleToScale); c != nil && c.Status != metav1.ConditionTrue {
		return c
	}
	return nil
}

// scalingActive is the native one's. Of its reasons for True, which tell one metric or another, only the message is kept.
func (r *HPAResult) scalingActive() metav1.Condition {
	c := metav1.Condition{Type: ScalingActive, Status: metav1.ConditionFalse, Reason: r.Reason, Message: r.Message}
	switch {
	case !r.Stands && r.Reason == Pending, r.Stands && r.Reason == ToNativeHPA && r.native(ScalingActive) == nil:
		c.Status, c.Reason = metav1.ConditionUnknown, Pending
		if r.Stands {
			c.Message = "Kubernetes has not looked at the HorizontalPodAutoscaler yet"
		}
	case !r.Stands && r.Reason == Advised:
		c.Reason = ScalingDisabled
	case !r.Stands:
	case r.Reason != ToNativeHPA: // it stands, but not as wanted
	default:
		if native := *r.native(ScalingActive); native.Status != metav1.ConditionTrue {
			return native
		}
		c.Status, c.Reason, c.Message = metav1.ConditionTrue, Delegated, r.native(ScalingActive).Message
	}
	return c
}

// scalingLimited is the native one's.
func (r *HPAResult) scalingLimited() metav1.Condition {
	if c := r.native(ScalingLimited); c != nil {
		return *c
	}
	return metav1.Condition{Type: ScalingLimited, Status: metav1.ConditionUnknown, Reason: Pending, Message: "Kubernetes has not looked yet"}
}

// targets is each metric's value over its target as the native one reads it: a utilization in percent of what the pods
// request, everything else in the metric's own unit.
func (r *HPAResult) targets() string {
	if r.Native == nil {
		return ""
	}
	metrics, now := r.Native.Spec.Metrics, r.Native.Status.CurrentMetrics
	out := make([]string, len(metrics))
	for i, m := range metrics {
		target := measured(m)
		value := "<unknown>"
		if i < len(now) && now[i].Type == m.Type {
			value = current(now[i], target)
		}
		out[i] = value + "/" + wanted(target)
	}
	return strings.Join(out, ", ")
}

// measured is a metric's target, of the kinds that NativeHPA makes.
func measured(m autoscalingv2.MetricSpec) autoscalingv2.MetricTarget {
	switch {
	case m.Resource != nil:
		return m.Resource.Target
	case m.Pods != nil:
		return m.Pods.Target
	case m.External != nil:
		return m.External.Target
	}
	return autoscalingv2.MetricTarget{}
}

func wanted(t autoscalingv2.MetricTarget) string {
	switch {
	case t.AverageUtilization != nil:
		return count(*t.AverageUtilization) + "%"
	case t.AverageValue != nil:
		return plain(t.AverageValue)
	case t.Value != nil:
		return plain(t.Value)
	}
	return "<unknown>"
}

// current is the value that is compared with the target.
func current(s autoscalingv2.MetricStatus, t autoscalingv2.MetricTarget) string {
	var v autoscalingv2.MetricValueStatus
	switch {
	case s.Resource != nil:
		v = s.Resource.Current
	case s.Pods != nil:
		v = s.Pods.Current
	case s.External != nil:
		v = s.External.Current
	}
	switch {
	case t.AverageUtilization != nil && v.AverageUtilization != nil:
		return rounded(float64(*v.AverageUtilization)) + "%"
	case t.AverageValue != nil && v.AverageValue != nil:
		return rounded(v.AverageValue.AsApproximateFloat64())
	case t.Value != nil && v.Value != nil:
		return rounded(v.Value.AsApproximateFloat64())
	}
	return "<unknown>"
}

func plain(q *resource.Quantity) string {
	return strconv.FormatFloat(q.AsApproximateFloat64(), 'f', -1, 64)
}
