package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/internal/lint"
	"github.com/flyball/flyball/internal/loop"
)

func TestWhileTargetsAreUnreadOnlyTheSpecIsJudged(t *testing.T) {
	pas, err := v1alpha1.Read(strings.NewReader(`
apiVersion: autoscaling.aibrix.ai/v1alpha1
kind: PodAutoscaler
metadata: {namespace: a, name: right}
spec:
  scaleTargetRef: {kind: Deployment, name: llm}
  scalingStrategy: APA
  maxReplicas: 1
  metricsSources:
  - {metricSourceType: pod, targetMetric: queue, targetValue: "1"}
---
apiVersion: autoscaling.aibrix.ai/v1alpha1
kind: PodAutoscaler
metadata: {namespace: a, name: wrong}
spec:
  scaleTargetRef: {kind: Deployment, name: other}
  scalingStrategy: APA
  maxReplicas: 1
  metricsSources:
  - {metricSourceType: pod, query: 'sum(queue{namespace="b"})', targetValue: "1"}
`))
	require.NoError(t, err)
	core, logged := observer.New(zapcore.InfoLevel)
	b := newBindings(loop.Binder{}, zap.New(core))
	b.set(pas)
	said := func() []string {
		var out []string
		for _, e := range logged.TakeAll() {
			out = append(out, e.Level.String()+" "+e.ContextMap()["name"].(string)+": "+e.Message)
			if err, ok := e.ContextMap()["error"].(string); ok {
				require.Contains(t, err, "contradicts its owner")
				require.NotContains(t, err, "the owner has no")
			}
		}
		return out
	}

	nowhere := func(string, string) (loop.Target, bool) { return loop.Target{}, false }
	require.Empty(t, b.autoscalers(nowhere))
	require.Equal(t, []string{"info right: autoscaler waits for its target", "error wrong: autoscaler is not run"}, said())
	require.ErrorIs(t, b.bound[v1alpha1.UID(pas[0])].err, errNoTarget)
	require.Empty(t, b.autoscalers(nowhere))
	require.Empty(t, said(), "it is said once")

	there := func(_, name string) (loop.Target, bool) {
		if name != "llm" {
			return loop.Target{}, false
		}
		return loop.Target{Name: name, UID: "t-llm"}, true
	}
	all := b.autoscalers(there)
	require.Len(t, all, 1)
	require.Equal(t, "t-llm", all[0].Target.UID)
	require.Contains(t, all[0].Sources[0].String(), `workload_uid="t-llm"`)
	require.Empty(t, said())
}

// Where KEDA finds flyball is one address for the service and for lint, unless flags say otherwise.
func TestLintKnowsTheAddressThatRunHas(t *testing.T) {
	address := newRun().Flags().Lookup("scaler-addresses").DefValue
	report := lint.Check([]lint.File{{Name: "f", Data: []byte(`
apiVersion: keda.sh/v1alpha1
kind: ScaledObject
metadata: {name: llm}
spec: {scaleTargetRef: {name: llm}, triggers: [{type: external, metadata: {scalerAddress: "` + strings.Trim(address, "[]") + `"}}]}
---
apiVersion: autoscaling.aibrix.ai/v1alpha1
kind: PodAutoscaler
metadata: {name: llm}
spec:
  scaleTargetRef: {kind: Deployment, name: llm}
  scalingStrategy: APA
  maxReplicas: 2
  metricsSources:
  - {metricSourceType: pod, targetMetric: queue, targetValue: "1"}
`)}}, loop.Binder{})
	require.Zero(t, report.Errors())
	require.Contains(t, report.Findings[len(report.Findings)-1].Text, "asks flyball: KEDA acts on what this autoscaler advises")
}
