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

// How a target stood at each decision is read back from what is stored, second by second, and what was not stored is not made up.
func TestHowATargetStoodIsReadBack(t *testing.T) {
	noon := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	now := noon
	s, err := store.Open(store.Options{Dir: t.TempDir(), Clock: func() time.Time { return now }})
	require.NoError(t, err)
	defer s.Close()
	reg := prometheus.NewRegistry()
	rec := NewRecorder(zap.NewNop(), reg)
	own := NewSeries(reg, s, zap.NewNop())
	engine := query.New(query.Options{Lookback: 6 * time.Second})
	policy := decider.Policy{
		Strategy: decider.APA, MinReplicas: 1, MaxReplicas: 9, ObserveWindow: time.Minute, MaxScaleUpRate: 1000, MaxScaleDownRate: 2,
		Sources: []decider.Source{{Key: "q", Name: "queue", Target: 10, TargetType: decider.AverageValue}},
	}
	a := loop.Autoscaler{UID: "u", Namespace: "a", Name: "llm", Policy: policy}
	other := loop.Autoscaler{UID: "v", Namespace: "b", Name: "llm", Policy: policy}
	stood := map[int]loop.Scale{}
	for second := 2; second <= 20; second += 2 {
		at := noon.Add(time.Duration(second) * time.Second)
		n := int32(1 + second/6)
		stood[second] = loop.Scale{Replicas: n, StatusReplicas: n, Ready: n - 1, Starting: 1}
		in := decider.Input{At: at, Replicas: n, StatusReplicas: n, Ready: n - 1, Starting: 1, Windows: make([]decider.SourceWindows, 1)}
		rec.Record(loop.Result{Autoscaler: a, At: at, Input: in, Decision: decider.Decide(policy, in)})
		in.Replicas = 9
		rec.Record(loop.Result{Autoscaler: other, At: at, Input: in, Decision: decider.Decide(policy, in)})
		now = at.Add(700 * time.Millisecond) // the metrics are kept at a phase of their own
		require.NoError(t, own.keep())
	}
	rec.Present([]loop.Autoscaler{other})
	now = now.Add(2 * time.Second)
	require.NoError(t, own.keep())

	counts, err := Counts(context.Background(), engine.PromQL(), s, "a", "llm", noon.Add(-time.Minute), noon.Add(time.Minute), 2*time.Second)
	require.NoError(t, err)
	for second, want := range stood {
		got, ok := counts(noon.Add(time.Duration(second) * time.Second))
		require.True(t, ok, "second %d", second)
		require.Equal(t, want, got, "second %d", second)
	}
	for _, second := range []int{-60, -1, 22, 40, 60, 61, -61} {
		_, ok := counts(noon.Add(time.Duration(second) * time.Second))
		require.False(t, ok, "second %d: before the first, and after it was gone", second)
	}
}
