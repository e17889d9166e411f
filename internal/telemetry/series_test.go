package telemetry

import (
	"context"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/internal/loop"
	"github.com/flyball/flyball/query"
	"github.com/flyball/flyball/store"
)

// What is shown of an autoscaler is stored too, and both end with it: what was can be asked for, and what is gone is not there.
func TestOwnMetricsAreStoredAndEndWithTheirAutoscaler(t *testing.T) {
	now := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	s, err := store.Open(store.Options{Dir: t.TempDir(), Clock: func() time.Time { return now }})
	require.NoError(t, err)
	defer s.Close()
	reg := prometheus.NewRegistry()
	rec := NewRecorder(zap.NewNop(), reg)
	own := NewSeries(reg, s, zap.NewNop())
	engine := query.New(query.Options{Lookback: 6 * time.Second})
	ask := func(expr string) string {
		t.Helper()
		res, err := engine.Instant(context.Background(), s, expr, now)
		require.NoError(t, err)
		return res.Value.String()
	}
	policy := decider.Policy{
		Strategy: decider.APA, MinReplicas: 1, MaxReplicas: 4, ObserveWindow: time.Minute, MaxScaleUpRate: 1000, MaxScaleDownRate: 2,
		Sources: []decider.Source{{Key: "q", Name: "queue", Target: 10, TargetType: decider.AverageValue}},
	}
	turn := func(value float64) {
		in := decider.Input{At: now, Replicas: 3, StatusReplicas: 3, Ready: 3, Windows: []decider.SourceWindows{{Key: "q", Stable: decider.Window{
			Range: time.Minute, At: now, Value: value, State: decider.Fresh, Coverage: 1, Expected: 3, Reporting: 3, Answering: 3, MeanReady: 3,
		}}}}
		a := loop.Autoscaler{UID: "u", Namespace: "a", Name: "llm", Policy: policy}
		rec.Record(loop.Result{Autoscaler: a, At: now, Input: in, Decision: decider.Decide(policy, in)})
		require.NoError(t, own.keep())
	}
	turn(95)
	require.Equal(t, `{__name__="flyball_autoscaler_recommended_replicas", job="flyball", name="llm", namespace="a"} => 10 @[1767268800000]`, ask("flyball_autoscaler_recommended_replicas"))
	require.Contains(t, ask("flyball_autoscaler_wanted_replicas"), "=> 4 @")
	require.Contains(t, ask("flyball_source_value / ignoring(window) flyball_source_target"), "=> 9.5 @")
	require.Contains(t, ask("flyball_autoscaler_binding_rule"), `rule="bounds"`)

	now = now.Add(2 * time.Second)
	turn(30)
	require.Contains(t, ask("flyball_autoscaler_binding_rule"), `rule="steady"`)
	require.NotContains(t, ask("flyball_autoscaler_binding_rule"), `rule="bounds"`, "one rule has the last word")

	now = now.Add(2 * time.Second)
	rec.Present(nil)
	require.NoError(t, own.keep())
	require.Empty(t, ask(`{__name__=~"flyball_.*", name="llm"}`), "the autoscaler is gone")
	require.Contains(t, ask("max_over_time(flyball_autoscaler_wanted_replicas[10s])"), "=> 4 @", "and what it did is known")
	families, err := reg.Gather()
	require.NoError(t, err)
	for _, f := range families {
		require.Empty(t, f.GetMetric(), f.GetName())
	}
}
