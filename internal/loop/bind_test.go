package loop

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
)

func TestASourceIsBoundWhateverIsWrongElsewhere(t *testing.T) {
	pas, err := v1alpha1.Read(strings.NewReader(`
apiVersion: autoscaling.aibrix.ai/v1alpha1
kind: PodAutoscaler
metadata: {namespace: a, name: llm, annotations: {autoscaling.aibrix.ai/max-scale-up-rate: "0"}}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: llm, namespace: b}
  maxReplicas: 10
  scalingStrategy: KPA
  metricsSources:
  - {metricSourceType: pod, query: 'sum(queue{namespace="b"})', targetValue: "10"}
  - {metricSourceType: podd, query: 'sum({job="x"})', targetValue: "10"}
  - {metricSourceType: pod, query: 'sum({job="x"})', targetValue: "10"}
  - {metricSourceType: pod, query: 'sum({job="y"})', targetValue: "-1"}
  - {metricSourceType: pod, query: 'sum(queue{namespace="a"})', targetValue: "10"}
  - {metricSourceType: resource, targetMetric: cpu, targetValue: "10"}
`))
	require.NoError(t, err)
	a, _, errs := Binder{}.Bind(pas[0], Target{UID: "t"})
	require.Zero(t, a, "what has errors is not run")
	var fields []string
	for _, err := range errs {
		fields = append(fields, err.Field)
	}
	require.Equal(t, []string{
		"spec.scaleTargetRef.namespace",
		"spec.metricsSources[1].metricSourceType",
		"spec.metricsSources[3].targetValue",
		"metadata.annotations[autoscaling.aibrix.ai/max-scale-up-rate]",
		"spec.metricsSources[0].query",            // of b, and the autoscaler is in a
		"spec.metricsSources[2].query",            // without a name; 1 and 3 have errors of their own
		"spec.metricsSources[5].metricSourceType", // no Kubernetes metrics API is there
	}, fields)
}
