package telemetry

import (
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/stretchr/testify/require"

	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/internal/loop"
	"github.com/flyball/flyball/store"
)

// observed is how often each histogram was, by name and by stage where there is one.
func observed(t *testing.T, reg *prometheus.Registry) map[string]uint64 {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	out := map[string]uint64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetType() == dto.MetricType_HISTOGRAM {
				name := f.GetName()
				for _, l := range m.GetLabel() {
					name += " " + l.GetValue()
				}
				out[name] = m.GetHistogram().GetSampleCount()
			}
		}
	}
	return out
}

// Each stage has its series before it was ever gone through, so that its first time shows in a rate.
func TestStagesAreThereBeforeTheyAreGoneThrough(t *testing.T) {
	reg := prometheus.NewRegistry()
	timing := NewTiming(reg)
	for _, stage := range loop.Stages() {
		require.Contains(t, observed(t, reg), "flyball_decision_stage_seconds "+stage)
	}
	done := false
	timing.Stage("act", func() { done = true })
	require.True(t, done)
	require.EqualValues(t, 1, observed(t, reg)["flyball_decision_stage_seconds act"])
	require.EqualValues(t, 0, observed(t, reg)["flyball_decision_stage_seconds scale"])
}

// A turn that came to nothing has no delay: it would be the best of all.
func TestOnlyDecisionsHaveADelay(t *testing.T) {
	reg := prometheus.NewRegistry()
	timing := NewTiming(reg)
	timing.Decided(loop.Result{At: time.Now(), Err: errors.New("the target is gone")})
	require.EqualValues(t, 0, observed(t, reg)["flyball_decision_delay_seconds"])
	timing.Decided(loop.Result{At: time.Now(), Decision: decider.Decision{Reasons: []decider.Reason{{Rule: decider.RuleSteady}}}})
	require.EqualValues(t, 1, observed(t, reg)["flyball_decision_delay_seconds"])
}

type failing struct{ err error }

func (f failing) Append([]store.Sample) (time.Time, error) { return time.Time{}, f.err }

func TestAnAppendThatFailsIsMeasuredAndSaysWhy(t *testing.T) {
	reg := prometheus.NewRegistry()
	full := errors.New("no space left")
	_, err := NewTiming(reg).Appends(failing{full}).Append(nil)
	require.ErrorIs(t, err, full)
	require.EqualValues(t, 1, observed(t, reg)["flyball_store_append_seconds"])
}

func TestWhatRunsIsAMetric(t *testing.T) {
	reg := prometheus.NewRegistry()
	BuildInfo(reg, "v1.2.3", "go1.26")
	families, err := reg.Gather()
	require.NoError(t, err)
	require.Len(t, families, 1)
	require.Contains(t, families[0].GetMetric()[0].String(), `value:"v1.2.3"`)
}
