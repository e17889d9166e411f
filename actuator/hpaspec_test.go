package actuator

import (
	"encoding/json"
	"errors"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/decider"
)

// delegating is an autoscaler of strategy HPA over the Deployment chat.
func delegating(sources ...v1alpha1.MetricSource) *v1alpha1.PodAutoscaler {
	pa := chat()
	pa.Spec.ScalingStrategy, pa.Spec.MaxReplicas, pa.Spec.MetricsSources = decider.HPA, 10, sources
	pa.Spec.ScaleTargetRef.Kind, pa.Spec.ScaleTargetRef.Name = "Deployment", "chat"
	return pa
}

func source(kind v1alpha1.MetricSourceType, metric, value string) v1alpha1.MetricSource {
	return v1alpha1.MetricSource{MetricSourceType: kind, TargetMetric: metric, TargetValue: value}
}

// everySource is one of each kind that a native HorizontalPodAutoscaler can have.
func everySource() []v1alpha1.MetricSource {
	tokens, jobs := source(v1alpha1.TypeCustom, "tokens", "1.25"), source(v1alpha1.TypeExternal, "jobs", "30")
	tokens.MetricSelector = &metav1.LabelSelector{MatchLabels: map[string]string{"kind": "output"}}
	jobs.TargetType = decider.Value
	jobs.MetricSelector = &metav1.LabelSelector{MatchExpressions: []metav1.LabelSelectorRequirement{
		{Key: "queue", Operator: metav1.LabelSelectorOpIn, Values: []string{"chat", "batch"}},
	}}
	return []v1alpha1.MetricSource{
		source(v1alpha1.TypeResource, "cpu", "50"), source(v1alpha1.TypeResource, "memory", "512.5"),
		source(v1alpha1.TypePod, "waiting", "0.5"), tokens, source(v1alpha1.TypeExternal, "backlog", "100"), jobs,
	}
}

func TestANativeHPASaysWhatTheAutoscalerAsksFor(t *testing.T) {
	pa := delegating(everySource()...)
	pa.Spec.MinReplicas = new(int32(2))
	pa.Annotations = map[string]string{
		"autoscaling.aibrix.ai/max-scale-up-rate": "3", "autoscaling.aibrix.ai/max-scale-down-rate": "3",
		"autoscaling.aibrix.ai/scale-up-delay": "1500ms", "autoscaling.aibrix.ai/scale-down-delay": "1h",
	}
	got, warnings, err := NativeHPA(pa, noon, MetricsAPIs{Custom: true, External: true})
	require.NoError(t, err)
	require.Len(t, warnings, 1)
	require.Contains(t, warnings[0].String(), "spec.metricsSources[2]: a native HorizontalPodAutoscaler does not scrape")

	data, err := json.Marshal(got)
	require.NoError(t, err)
	text, err := yaml.JSONToYAML(data)
	require.NoError(t, err)
	require.Equal(t, `apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  labels:
    app.kubernetes.io/managed-by: flyball
  name: chat-hpa
  namespace: llm
  ownerReferences:
  - apiVersion: autoscaling.aibrix.ai/v1alpha1
    blockOwnerDeletion: true
    controller: true
    kind: PodAutoscaler
    name: chat
    uid: autoscaler-1
spec:
  behavior:
    scaleDown:
      policies:
      - periodSeconds: 60
        type: Percent
        value: 66
      selectPolicy: Min
      stabilizationWindowSeconds: 3600
    scaleUp:
      policies:
      - periodSeconds: 60
        type: Percent
        value: 200
      selectPolicy: Max
      stabilizationWindowSeconds: 2
  maxReplicas: 10
  metrics:
  - resource:
      name: cpu
      target:
        averageUtilization: 50
        type: Utilization
    type: Resource
  - resource:
      name: memory
      target:
        averageValue: "537395200"
        type: AverageValue
    type: Resource
  - pods:
      metric:
        name: waiting
      target:
        averageValue: 500m
        type: AverageValue
    type: Pods
  - pods:
      metric:
        name: tokens
        selector:
          matchLabels:
            kind: output
      target:
        averageValue: 1250m
        type: AverageValue
    type: Pods
  - external:
      metric:
        name: backlog
      target:
        averageValue: "100"
        type: AverageValue
    type: External
  - external:
      metric:
        name: jobs
        selector:
          matchExpressions:
          - key: queue
            operator: In
            values:
            - chat
            - batch
      target:
        type: Value
        value: "30"
    type: External
  minReplicas: 2
  scaleTargetRef:
    apiVersion: apps/v1
    kind: Deployment
    name: chat
`, string(text))
}

func TestANativeHPAHasTheBoundsOfTheHour(t *testing.T) {
	pa := delegating(source(v1alpha1.TypeResource, "cpu", "50"))
	pa.Spec.Schedules = []v1alpha1.Schedule{{Name: "noon", StartTime: "11:00", EndTime: "13:00", MinReplicas: new(int32(4)), MaxReplicas: new(int32(20))}}
	bounds := func(at time.Time) []int32 {
		got, _, err := NativeHPA(pa, at, MetricsAPIs{})
		require.NoError(t, err)
		return []int32{*got.Spec.MinReplicas, *got.Spec.MaxReplicas}
	}
	require.Equal(t, []int32{4, 20}, bounds(noon))
	require.Equal(t, []int32{1, 10}, bounds(noon.Add(time.Hour)))

	pa.Spec.MinReplicas = new(int32(0))
	require.Equal(t, []int32{1, 10}, bounds(noon.Add(time.Hour)), "cpu can't wake a target at zero, and the API refuses it")
	pa.Spec.MetricsSources = append(pa.Spec.MetricsSources, source(v1alpha1.TypeExternal, "backlog", "100"))
	got, _, err := NativeHPA(pa, noon.Add(time.Hour), MetricsAPIs{External: true})
	require.NoError(t, err)
	require.Zero(t, *got.Spec.MinReplicas)
	up := got.Spec.Behavior.ScaleUp.Policies
	require.Len(t, up, 2)
	require.EqualValues(t, "Pods", *up[1].Type, "a percentage of nothing is nothing")
}

func TestWhatANativeHPACanNotDoIsSaid(t *testing.T) {
	for _, tc := range []struct {
		name     string
		source   v1alpha1.MetricSource
		served   MetricsAPIs
		reason   string // empty: only a warning
		contains string
	}{
		{"too fine", source(v1alpha1.TypeCustom, "ratio", "0.0009"), MetricsAPIs{Custom: true}, InvalidTargetValue, "spec.metricsSources[0].targetValue: 0.0009 is less than a thousandth"},
		{"too great", source(v1alpha1.TypeCustom, "tokens", "1e16"), MetricsAPIs{Custom: true}, InvalidTargetValue, "spec.metricsSources[0].targetValue"},
		{"half a thousandth", source(v1alpha1.TypeCustom, "ratio", "0.0015"), MetricsAPIs{Custom: true}, "", "0.0015 acts as 0.002"},
		{"half a percent", source(v1alpha1.TypeResource, "cpu", "0.5"), MetricsAPIs{}, InvalidTargetValue, `for 50 % write "50"`},
		{"62.5 percent", source(v1alpha1.TypeResource, "cpu", "62.5"), MetricsAPIs{}, "", "62.5 acts as 63"},
		{"no adapter", source(v1alpha1.TypeExternal, "backlog", "100"), MetricsAPIs{}, ExternalMetricsAPIMissing, "nothing in the cluster serves external.metrics.k8s.io"},
		{"an adapter for something else", source(v1alpha1.TypeExternal, "backlog", "100"), MetricsAPIs{Custom: true}, ExternalMetricsAPIMissing, "external.metrics.k8s.io"},
		{"no custom metrics", source(v1alpha1.TypeCustom, "tokens", "1"), MetricsAPIs{External: true}, CustomMetricsAPIMissing, "nothing in the cluster serves custom.metrics.k8s.io, which a native HorizontalPodAutoscaler asks for tokens"},
		{"no custom metrics for what is scraped", source(v1alpha1.TypePod, "waiting", "1"), MetricsAPIs{}, CustomMetricsAPIMissing, "spec.metricsSources[0]: nothing in the cluster serves custom.metrics.k8s.io"},
		{"not a policy", source(v1alpha1.TypeResource, "disk", "1"), MetricsAPIs{}, InvalidSpec, `"disk"`},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, warnings, err := NativeHPA(delegating(tc.source), noon, tc.served)
			if tc.reason == "" {
				require.NoError(t, err)
				require.Len(t, warnings, 1)
				require.Contains(t, warnings[0].String(), tc.contains)
				return
			}
			var u *Unservable
			require.True(t, errors.As(err, &u), "%v", err)
			require.Equal(t, tc.reason, u.Reason)
			require.Contains(t, u.Message, tc.contains)
		})
	}
	pa := delegating(source(v1alpha1.TypeResource, "cpu", "50"))
	pa.Annotations = map[string]string{"autoscaling.aibrix.ai/max-scale-up-rate": "1.001"}
	pa.Spec.ObserveWindowSeconds = new(int64(30))
	got, warnings, err := NativeHPA(pa, noon, MetricsAPIs{})
	require.NoError(t, err)
	require.Len(t, warnings, 2)
	require.EqualValues(t, 1, *got.Spec.Behavior.ScaleUp.Policies[0].Value)
}

func FuzzNativeHPA(f *testing.F) {
	for _, seed := range []string{"0.5", "50", "1e300", "5e-324", "0.0005", "9007199254740.993"} {
		f.Add(seed, "1.5", "300s")
	}
	f.Fuzz(func(t *testing.T, value, rate, delay string) {
		pa := delegating(everySource()...)
		for i := range pa.Spec.MetricsSources {
			pa.Spec.MetricsSources[i].TargetValue = value
		}
		pa.Annotations = map[string]string{"autoscaling.aibrix.ai/max-scale-down-rate": rate, "autoscaling.aibrix.ai/scale-down-delay": delay}
		got, _, err := NativeHPA(pa, noon, MetricsAPIs{Custom: true, External: true})
		if err != nil {
			return
		}
		p, _, _ := pa.Policy()
		spec, _ := typed(got)
		down := spec.Behavior.ScaleDown
		if s, v := *down.StabilizationWindowSeconds, down.Policies[0].Value; s < 0 || s > 3600 || v < 1 || v > 100 {
			t.Fatalf("the API refuses a window of %d s and %d %%", s, v)
		}
		if got := spec.Metrics[2].Pods.Target.AverageValue.AsApproximateFloat64(); math.Abs(got-p.Sources[2].Target) > 0.0005+1e-9*got {
			t.Fatalf("%s became %v", value, got)
		}
	})
}
