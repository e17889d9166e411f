package telemetry

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/internal/loop"
)

// shown is what the registry has of a metric of a/llm, by the value of its last label where it has more than the two.
func shown(t *testing.T, reg *prometheus.Registry, name string) map[string]float64 {
	t.Helper()
	families, err := reg.Gather()
	require.NoError(t, err)
	out := map[string]float64{}
	for _, f := range families {
		if f.GetName() != name {
			continue
		}
		for _, m := range f.GetMetric() {
			key := ""
			for _, l := range m.GetLabel() {
				if l.GetName() != "name" && l.GetName() != "namespace" {
					key = l.GetValue()
				}
			}
			out[key] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
		}
	}
	return out
}

// story records turns of a/llm.
type story struct {
	rec    *Recorder
	reg    *prometheus.Registry
	policy decider.Policy
	now    time.Time
}

func newStory() *story {
	reg := prometheus.NewRegistry()
	return &story{
		rec: NewRecorder(zap.NewNop(), reg), reg: reg, now: time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC),
		policy: decider.Policy{
			Strategy: decider.APA, MinReplicas: 1, MaxReplicas: 8, ObserveWindow: time.Minute, MaxScaleUpRate: 1000, MaxScaleDownRate: 1000,
			Sources: []decider.Source{{Key: "q", Name: "queue", Target: 10, TargetType: decider.AverageValue}},
		},
	}
}

// turn decides for a load and says what became of it.
func (s *story) turn(load float64, ready int32, outcome decider.Outcome, change ...func(*decider.Input)) {
	s.now = s.now.Add(2 * time.Second)
	in := decider.Input{At: s.now, Replicas: ready, StatusReplicas: ready + 1, Ready: ready, Starting: 1, Windows: []decider.SourceWindows{{Key: "q", Stable: decider.Window{
		Range: time.Minute, At: s.now, Value: load, State: decider.Fresh, NewestAge: 1500 * time.Millisecond, Coverage: 1, Expected: 3, Reporting: 3, Answering: 3, MeanReady: float64(ready),
	}}}}
	for _, c := range change {
		c(&in)
	}
	d := decider.Decide(s.policy, in)
	d.Entry.Outcome = outcome
	s.rec.Record(loop.Result{Autoscaler: loop.Autoscaler{UID: "u", Namespace: "a", Name: "llm", Policy: s.policy}, At: s.now, Input: in, Decision: d})
}

func TestChangesAreCountedByWhatBecameOfThem(t *testing.T) {
	s := newStory()
	s.turn(30, 3, decider.Outcome{Why: decider.Unchanged})
	require.Equal(t, map[string]float64{"Applied": 0}, shown(t, s.reg, "flyball_decision_outcomes_total"), "it is there before the first change, and no change is none")
	s.turn(50, 3, decider.Outcome{Applied: true, Was: 3, Now: 5})
	s.turn(60, 5, decider.Outcome{Why: decider.Refused})
	s.turn(60, 5, decider.Outcome{Why: decider.Refused})
	require.Equal(t, map[string]float64{"Applied": 1, "Refused": 2}, shown(t, s.reg, "flyball_decision_outcomes_total"))
}

func TestOnlyAWriteInTheOtherDirectionIsAReversal(t *testing.T) {
	s := newStory()
	applied := decider.Outcome{Applied: true}
	reversals := func() float64 { return shown(t, s.reg, "flyball_autoscaler_reversals_total")[""] }
	s.turn(50, 3, applied)
	s.turn(60, 5, applied)
	require.Zero(t, reversals(), "up and up again")
	s.turn(10, 6, decider.Outcome{Why: decider.NotLeader})
	require.Zero(t, reversals(), "what was not written turned nothing")
	s.turn(10, 6, applied)
	s.turn(50, 1, applied)
	require.InDelta(t, 2, reversals(), 0, "down, and up again")
}

func TestASourceIsShownAgainstWhatItsReadyPodsCarry(t *testing.T) {
	s := newStory()
	s.turn(45, 3, decider.Outcome{Why: decider.Advised})
	require.InDelta(t, 30, shown(t, s.reg, "flyball_source_capacity")["queue"], 0, "ten for each of three")
	require.InDelta(t, 1.5, shown(t, s.reg, "flyball_source_newest_age_seconds")["queue"], 0)
	require.InDelta(t, 1, shown(t, s.reg, "flyball_autoscaler_starting_replicas")[""], 0)
	s.policy.Sources[0].TargetType = decider.Value
	s.turn(45, 3, decider.Outcome{Why: decider.Advised})
	require.InDelta(t, 10, shown(t, s.reg, "flyball_source_capacity")["queue"], 0, "an average is compared with the target itself")
}

func TestWhatTheClusterDoesNotTakeIsShort(t *testing.T) {
	s := newStory()
	waiting := func(in *decider.Input) { in.Replicas, in.Starting, in.Unschedulable = 7, 0, 4 }
	rationed := func(in *decider.Input) {
		in.Replicas, in.Starting, in.Quota = 7, 0, decider.Quota{Name: "gpus", Most: 5}
	}
	for _, c := range []struct {
		why    string
		load   float64
		change []func(*decider.Input)
		short  float64
	}{
		{"all run", 30, nil, 0},
		{"the count stays, and four of seven wait", 70, []func(*decider.Input){waiting}, 4},
		{"an eighth is not asked for", 80, []func(*decider.Input){waiting}, 5},
		{"nor a ninth, which maxReplicas forbids", 90, []func(*decider.Input){waiting}, 5},
		{"the count stays, and the quota admits five of seven", 70, []func(*decider.Input){rationed}, 2},
		{"the load is what three carry", 30, []func(*decider.Input){waiting}, 0},
	} {
		s.turn(c.load, 3, decider.Outcome{Why: decider.Unchanged}, c.change...)
		require.InDelta(t, c.short, shown(t, s.reg, "flyball_autoscaler_short_replicas")[""], 0, c.why)
	}
}

func TestAPauseIsShownWhileItLasts(t *testing.T) {
	s := newStory()
	s.policy.Pause.ScaleIn = true
	s.turn(30, 3, decider.Outcome{Why: decider.Unchanged})
	require.InDelta(t, 1, shown(t, s.reg, "flyball_autoscaler_paused")[""], 0)
	s.policy.Pause = decider.Pause{}
	s.turn(30, 3, decider.Outcome{Why: decider.Unchanged})
	require.Zero(t, shown(t, s.reg, "flyball_autoscaler_paused")[""])
}
