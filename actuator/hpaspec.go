package actuator

import (
	"fmt"
	"math"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	autoscalingv2ac "k8s.io/client-go/applyconfigurations/autoscaling/v2"
	metav1ac "k8s.io/client-go/applyconfigurations/meta/v1"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/decider"
)

// Labels of the objects that flyball makes.
const (
	managedBy   = "app.kubernetes.io/managed-by"
	managedByUs = "flyball"
)

// ratePeriod is what a rate of change is per, in seconds, of a native HorizontalPodAutoscaler: a minute, as in AIBrix.
const ratePeriod = 60

// mebibyte is the unit of a memory target, as in AIBrix.
const mebibyte = 1 << 20

// Unservable says that a native HorizontalPodAutoscaler can't do what an autoscaler asks for.
type Unservable struct {
	Reason  string // of the condition: InvalidSpec, InvalidTargetValue, CustomMetricsAPIMissing or ExternalMetricsAPIMissing
	Message string // the field, what is the matter, and what to do
}

func (e *Unservable) Error() string { return e.Message }

// MetricsAPIs are those of Kubernetes' metrics APIs that something in the cluster answers for. metrics.k8s.io is not asked
// about: an HPA without it says so itself, and works once it is there.
type MetricsAPIs struct {
	Custom   bool // custom.metrics.k8s.io
	External bool // external.metrics.k8s.io
}

// NativeHPAName is the name of an autoscaler's native HorizontalPodAutoscaler: AIBrix's, so that one it made goes on.
func NativeHPAName(pa *v1alpha1.PodAutoscaler) string { return pa.Name + "-hpa" }

// NativeHPA is the HorizontalPodAutoscaler for an autoscaler of strategy HPA, with the bounds that its schedules have at
// that time. The warnings name what can't be expressed and is left out or rounded; the error is an *Unservable, also where
// no API answers for a source.
//
// Targets are AIBrix's: cpu in percent of what the pods request, memory in MiB per pod, everything else per pod in its own
// unit, with fractions down to a thousandth; a source of type pod is asked of the custom metrics API by its name. A rate r
// becomes a change of at most (r−1)·100 % up and (1−1/r)·100 % down per minute, in whole percent; a delay becomes the
// stabilization window of its direction, a tolerance above 0 its tolerance. Every field that the API would default is set,
// so that what stands can be compared with what is wanted.
func NativeHPA(pa *v1alpha1.PodAutoscaler, at time.Time, served MetricsAPIs) (
	*autoscalingv2ac.HorizontalPodAutoscalerApplyConfiguration, []v1alpha1.Warning, error,
) {
	p, _, errs := pa.Policy()
	if len(errs) > 0 {
		return nil, nil, &Unservable{InvalidSpec, errs.ToAggregate().Error()}
	}
	n := native{pa: pa, policy: p, served: served}
	least, most, _, _ := p.BoundsAt(at)
	if least == 0 && !n.hasExternal() { // Policy warns of it
		least = 1
	}
	target := pa.Target()
	spec := autoscalingv2ac.HorizontalPodAutoscalerSpec().
		WithScaleTargetRef(autoscalingv2ac.CrossVersionObjectReference().
			WithAPIVersion(target.APIVersion).WithKind(target.Kind).WithName(target.Name)).
		WithMinReplicas(least).WithMaxReplicas(most).
		WithBehavior(n.behavior(least == 0))
	for i := range p.Sources {
		m, err := n.metric(i)
		if err != nil {
			return nil, nil, err
		}
		spec.WithMetrics(m)
	}
	if pa.Spec.ObserveWindowSeconds != nil {
		n.warn(field.NewPath("spec", "observeWindowSeconds"), "a native HorizontalPodAutoscaler has no window: the metrics API's adapter averages")
	}
	return autoscalingv2ac.HorizontalPodAutoscaler(NativeHPAName(pa), pa.Namespace).
		WithLabels(map[string]string{managedBy: managedByUs}).
		WithOwnerReferences(metav1ac.OwnerReference().
			WithAPIVersion(v1alpha1.GroupVersion.String()).WithKind(v1alpha1.Kind).
			WithName(pa.Name).WithUID(pa.UID).WithController(true).WithBlockOwnerDeletion(true)). // foreground deletion waits for it
		WithSpec(spec), n.warnings, nil
}

// native is one conversion.
type native struct {
	pa       *v1alpha1.PodAutoscaler
	policy   decider.Policy
	served   MetricsAPIs
	warnings []v1alpha1.Warning
}

func (n *native) warn(at *field.Path, format string, args ...any) {
	n.warnings = append(n.warnings, v1alpha1.Warning{Field: at.String(), Text: fmt.Sprintf(format, args...)})
}

func (n *native) hasExternal() bool {
	for _, s := range n.pa.Spec.MetricsSources {
		if s.Kind() == v1alpha1.ExternalMetricSource {
			return true
		}
	}
	return false
}

// metric is the source of that index, whose target value the policy has.
func (n *native) metric(i int) (*autoscalingv2ac.MetricSpecApplyConfiguration, error) {
	s, value := n.pa.Spec.MetricsSources[i], n.policy.Sources[i].Target
	at := field.NewPath("spec", "metricsSources").Index(i)
	kind := s.Kind()
	switch {
	case kind == v1alpha1.ExternalMetricSource:
		return n.external(s, value, at)
	case s.TargetMetric == string(corev1.ResourceCPU) && kind != v1alpha1.CustomMetricSource:
		return n.cpu(value, at.Child("targetValue"))
	case s.TargetMetric == string(corev1.ResourceMemory) && kind != v1alpha1.CustomMetricSource:
		target, err := n.quantity(value*mebibyte, at.Child("targetValue"))
		if err != nil {
			return nil, err
		}
		return autoscalingv2ac.MetricSpec().WithType(autoscalingv2.ResourceMetricSourceType).
			WithResource(autoscalingv2ac.ResourceMetricSource().WithName(corev1.ResourceMemory).WithTarget(averageValue(target))), nil
	}
	return n.pods(s, kind, value, at)
}

// pods is a source of type pod, as long as something else than flyball measures it, or of type custom.
func (n *native) pods(s v1alpha1.MetricSource, kind v1alpha1.SourceKind, value float64, at *field.Path) (*autoscalingv2ac.MetricSpecApplyConfiguration, error) {
	if !n.served.Custom {
		return nil, &Unservable{CustomMetricsAPIMissing, fmt.Sprintf(
			"%s: nothing in the cluster serves custom.metrics.k8s.io, which a native HorizontalPodAutoscaler asks for %s; install an adapter, "+
				"or use type pod and strategy KPA or APA, with which flyball reads it from the pods",
			at, s.TargetMetric)}
	}
	if kind == v1alpha1.PodSource {
		n.warn(at, "a native HorizontalPodAutoscaler does not scrape: it asks the custom metrics API for %s", s.TargetMetric)
	}
	target, err := n.quantity(value, at.Child("targetValue"))
	if err != nil {
		return nil, err
	}
	return autoscalingv2ac.MetricSpec().WithType(autoscalingv2.PodsMetricSourceType).
		WithPods(autoscalingv2ac.PodsMetricSource().WithMetric(identifier(s)).WithTarget(averageValue(target))), nil
}

func (n *native) external(s v1alpha1.MetricSource, value float64, at *field.Path) (*autoscalingv2ac.MetricSpecApplyConfiguration, error) {
	if !n.served.External {
		return nil, &Unservable{ExternalMetricsAPIMissing, fmt.Sprintf(
			"%s: nothing in the cluster serves external.metrics.k8s.io, which %s comes from; install an adapter, or give an endpoint and strategy KPA or APA",
			at, s.TargetMetric)}
	}
	q, err := n.quantity(value, at.Child("targetValue"))
	if err != nil {
		return nil, err
	}
	target := averageValue(q)
	if s.TargetType == decider.Value {
		target = autoscalingv2ac.MetricTarget().WithType(autoscalingv2.ValueMetricType).WithValue(q)
	}
	return autoscalingv2ac.MetricSpec().WithType(autoscalingv2.ExternalMetricSourceType).
		WithExternal(autoscalingv2ac.ExternalMetricSource().WithMetric(identifier(s)).WithTarget(target)), nil
}

// cpu is in whole percent, rounded up as AIBrix does it.
func (n *native) cpu(value float64, at *field.Path) (*autoscalingv2ac.MetricSpecApplyConfiguration, error) {
	percent := math.Ceil(value)
	switch {
	case value < 1:
		return nil, &Unservable{InvalidTargetValue, fmt.Sprintf(
			"%s: %v is in percent of the cpu that the pods request, and less than one; for %v %% write \"%v\"", at, value, value*100, value*100)}
	case percent > math.MaxInt32:
		return nil, &Unservable{InvalidTargetValue, fmt.Sprintf("%s: %v is in percent of the cpu that the pods request; write a number up to %d", at, value, math.MaxInt32)}
	case percent != value:
		n.warn(at, "a native HorizontalPodAutoscaler has whole percent of the cpu that the pods request: %v acts as %v", value, percent)
	}
	return autoscalingv2ac.MetricSpec().WithType(autoscalingv2.ResourceMetricSourceType).
		WithResource(autoscalingv2ac.ResourceMetricSource().WithName(corev1.ResourceCPU).
			WithTarget(autoscalingv2ac.MetricTarget().WithType(autoscalingv2.UtilizationMetricType).WithAverageUtilization(int32(percent)))), nil
}

// maxMilli is the greatest target in thousandths: every whole number up to it is a float64.
const maxMilli = 1 << 53

// quantity is the value in thousandths, which is how finely a native HorizontalPodAutoscaler counts.
func (n *native) quantity(value float64, at *field.Path) (resource.Quantity, error) {
	milli := math.Round(value * 1000)
	switch {
	case value < 0.001:
		return resource.Quantity{}, &Unservable{InvalidTargetValue, fmt.Sprintf(
			"%s: %v is less than a thousandth, which is the least that a native HorizontalPodAutoscaler can tell from 0; write 0.001 or more, or use strategy KPA or APA", at, value)}
	case milli > maxMilli:
		return resource.Quantity{}, &Unservable{InvalidTargetValue, fmt.Sprintf(
			"%s: %v is more than a native HorizontalPodAutoscaler can count to; write %v or less, or use strategy KPA or APA", at, value, maxMilli/1000)}
	case math.Abs(milli-value*1000) > 1e-6*milli:
		n.warn(at, "a native HorizontalPodAutoscaler counts in thousandths: %v acts as %v", value, milli/1000)
	}
	return *resource.NewMilliQuantity(int64(milli), resource.DecimalSI), nil
}

func averageValue(q resource.Quantity) *autoscalingv2ac.MetricTargetApplyConfiguration {
	return autoscalingv2ac.MetricTarget().WithType(autoscalingv2.AverageValueMetricType).WithAverageValue(q)
}

func identifier(s v1alpha1.MetricSource) *autoscalingv2ac.MetricIdentifierApplyConfiguration {
	out := autoscalingv2ac.MetricIdentifier().WithName(s.TargetMetric)
	if s.MetricSelector != nil {
		out.WithSelector(selector(s.MetricSelector))
	}
	return out
}

func selector(s *metav1.LabelSelector) *metav1ac.LabelSelectorApplyConfiguration {
	out := metav1ac.LabelSelector().WithMatchLabels(s.MatchLabels)
	for _, e := range s.MatchExpressions {
		out.WithMatchExpressions(metav1ac.LabelSelectorRequirement().WithKey(e.Key).WithOperator(e.Operator).WithValues(e.Values...))
	}
	return out
}

// behavior is the delays and the rates. From zero no percentage leads up, so there one pod more is allowed as well.
func (n *native) behavior(fromZero bool) *autoscalingv2ac.HorizontalPodAutoscalerBehaviorApplyConfiguration {
	p := n.policy
	up := rules(p.ScaleUpDelay, n.percent(p.MaxScaleUpRate-1, "max-scale-up-rate"), p.ToleranceUp).
		WithSelectPolicy(autoscalingv2.MaxChangePolicySelect)
	if fromZero {
		up.WithPolicies(autoscalingv2ac.HPAScalingPolicy().WithType(autoscalingv2.PodsScalingPolicy).WithValue(1).WithPeriodSeconds(ratePeriod))
	}
	down := rules(p.ScaleDownDelay, n.percent(1-1/p.MaxScaleDownRate, "max-scale-down-rate"), p.ToleranceDown).
		WithSelectPolicy(autoscalingv2.MinChangePolicySelect)
	return autoscalingv2ac.HorizontalPodAutoscalerBehavior().WithScaleUp(up).WithScaleDown(down)
}

// percent is the part in whole percent, rounded down, since a rate is a limit, but at least one.
func (n *native) percent(part float64, key string) int32 {
	percent := math.Floor(part*100 + 1e-6)
	if percent < 1 {
		n.warn(field.NewPath("metadata", "annotations").Key("autoscaling.aibrix.ai/"+key),
			"a native HorizontalPodAutoscaler has whole percent: it may change by 1 %% per minute")
		return 1
	}
	return int32(min(percent, math.MaxInt32))
}

// rules are one direction's: the stabilization window in whole seconds, rounded up. A tolerance of 0 leaves the cluster's.
func rules(delay time.Duration, percent int32, tolerance float64) *autoscalingv2ac.HPAScalingRulesApplyConfiguration {
	out := autoscalingv2ac.HPAScalingRules().
		WithStabilizationWindowSeconds(int32(math.Ceil(delay.Seconds()))).
		WithPolicies(autoscalingv2ac.HPAScalingPolicy().
			WithType(autoscalingv2.PercentScalingPolicy).WithValue(percent).WithPeriodSeconds(ratePeriod))
	if tolerance > 0 {
		out.WithTolerance(*resource.NewMilliQuantity(int64(math.Round(tolerance*1000)), resource.DecimalSI))
	}
	return out
}
