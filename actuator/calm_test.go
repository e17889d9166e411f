package actuator

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/types"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/decider"
)

// member is one autoscaler of a simulated fleet, whose target follows its decisions at once.
type member struct {
	pa     *v1alpha1.PodAutoscaler
	policy decider.Policy
	load   float64 // waiting requests
	in     decider.Input
}

// turn decides from a load that moves by up to that part of itself, and remembers.
func (m *member) turn(at time.Time, noise float64, random *rand.Rand) Turn {
	moved := func(v float64) float64 { return v * (1 + noise*(2*random.Float64()-1)) }
	window := func(v float64) decider.Window {
		w := fresh(v, int(m.in.Ready))
		w.At, w.NewestAge = at, time.Duration(random.IntN(2000))*time.Millisecond
		return w
	}
	m.in.At, m.in.StatusReplicas, m.in.Ready = at, m.in.Replicas, m.in.Replicas
	m.in.Windows = []decider.SourceWindows{
		{Key: "k", Stable: window(moved(m.load)), Panic: window(moved(m.load))},
		{Key: "q", Stable: window(moved(m.load * 10)), Panic: window(moved(m.load * 10))},
	}
	turn := turnOf(m.policy, m.in, decider.Outcome{Why: decider.Unchanged})
	if d := turn.Decision; d.To != d.From {
		turn = turnOf(m.policy, m.in, decider.Outcome{Applied: true})
	}
	turn.Autoscaler = m.pa
	m.in.Replicas = turn.Decision.To
	m.in.History = append(m.in.History, turn.Decision.Entry)
	if n := len(m.in.History); n > 200 {
		m.in.History = m.in.History[n-200:]
	}
	return turn
}

// A hundred autoscalers under a steady load, for two minutes after they have settled: the values, their ages and the source
// that asks loudest change at every tick, and nothing is written but changes of a condition, of which there are next to none.
func TestAtRestNothingIsWritten(t *testing.T) {
	var away error
	writer := offline(t, &away)
	random := rand.New(rand.NewPCG(1, 2))
	var fleet []*member
	for i := range 100 {
		m := &member{pa: chat(), policy: waiting(), load: 3 + 2.31*float64(i)}
		m.pa.UID = types.UID(fmt.Sprint(i))
		m.policy.Sources = append(m.policy.Sources, decider.Source{Key: "q", Name: "queue", Target: 100, TargetType: decider.AverageValue})
		m.policy.MaxReplicas, m.policy.ScaleDownDelay = 20, 5*time.Minute // the greatest loads ask for more
		if i%2 == 0 {
			m.policy.Strategy, m.policy.PanicWindow, m.policy.PanicThreshold = decider.KPA, 10*time.Second, 2
		}
		m.in = load(1, 0)
		fleet = append(fleet, m)
	}
	const start, end = 240, 360 // s
	messages, written, idle := map[string]bool{}, 0, 0
	for second := 0; second < end; second += 2 {
		for _, m := range fleet {
			turn := m.turn(noon.Add(time.Duration(second)*time.Second), 0.03, random)
			writer.Observe(turn)
			before := writer.states[m.pa.UID].written
			n := drain(t.Context(), writer)
			if second < start {
				continue
			}
			messages[Because(turn.Decision)] = true
			written += n
			if n > 0 && news(before, writer.states[m.pa.UID].written) != atOnce {
				idle++
			}
		}
	}
	require.Greater(t, len(messages), 1000, "there would have been much to write")
	require.Zero(t, idle, "nothing was written for numbers alone")
	require.LessOrEqual(t, written, 5, "of 6000 turns, those where a limit came or went")
}

// A limit that has passed makes room for the one that has come after it, once that has held for some seconds; it does not
// linger for the minute that keeps a condition from coming and going.
func TestOneLimitFollowsAnother(t *testing.T) {
	m := &member{pa: chat(), policy: waiting(), load: 50}
	m.policy.Sources = m.policy.Sources[:1]
	m.policy.MaxReplicas, m.policy.ScaleDownDelay = 40, 5*time.Minute
	m.in = load(1, 0)
	random := rand.New(rand.NewPCG(1, 2))
	var status v1alpha1.PodAutoscalerStatus
	reasons := []string{}
	for second := 0; second < 60; second += 2 {
		if second == 20 {
			m.load = 5
		}
		turn := m.turn(noon.Add(time.Duration(second)*time.Second), 0, random)
		if second >= 20 && second < 30 { // the scrape was late: the fall is not even proposed
			entry := &m.in.History[len(m.in.History)-1]
			entry.Rule = decider.RuleIncomplete
			turn.Decision.Reasons = append(turn.Decision.Reasons, decider.Reason{Rule: decider.RuleIncomplete, From: turn.Decision.To, To: turn.Decision.To})
		}
		status = Status(status, turn)
		if r := find(status.Conditions, ScalingLimited).Reason; len(reasons) == 0 || reasons[len(reasons)-1] != r {
			reasons = append(reasons, r)
		}
	}
	require.Equal(t, []string{DesiredWithinRange, IncompleteMetrics, ScaleDownDelayed}, reasons)
}
