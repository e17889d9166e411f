package actuator

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/tools/events"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/decider"
)

// told is one day in an autoscaler's life, as its events tell it: turn after turn, each written.
func told(t *testing.T, turns ...Turn) [][]string {
	t.Helper()
	var away error
	writer := offline(t, &away)
	recorder := events.NewFakeRecorder(100)
	writer.events = recorder
	var out [][]string
	for i, turn := range turns {
		turn.At = noon.Add(time.Duration(i) * time.Minute)
		turn.DecisionID = "d" + string(rune('0'+i))
		writer.Observe(turn)
		drain(t.Context(), writer)
		var all []string
		for len(recorder.Events) > 0 {
			e := <-recorder.Events
			require.Contains(t, e, "; decision "+turn.DecisionID, "people find the decision")
			all = append(all, strings.Join(strings.Fields(e)[:2], " "))
		}
		out = append(out, all)
	}
	return out
}

func TestEventsTellChangesOfState(t *testing.T) {
	hold := decider.Outcome{Why: decider.Unchanged}
	well := turnOf(waiting(), load(3, 25), hold)
	rival := with(turnOf(waiting(), load(3, 25), decider.Outcome{Why: decider.Contested}), func(t *Turn) {
		t.Contested = ContestedBy(v1alpha1.Kind, "llm", "older")
	})
	stopped := turnOf(with(waiting(), func(p *decider.Policy) { p.Pause.ScaleIn = true }), load(3, 25), hold)
	held := turnOf(with(waiting(), func(p *decider.Policy) { p.Pause.All = true }), load(3, 25), hold)
	keda := with(turnOf(waiting(), load(3, 25), decider.Outcome{Why: decider.Delegated}), func(t *Turn) { t.DelegatedTo = "chat" })
	full, rationed := load(3, 48), load(3, 48)
	full.Unschedulable = 2
	rationed.Quota = decider.Quota{Name: "gpus", Resource: "requests.nvidia.com/gpu", Most: 3}
	blind := load(3, 25)
	blind.Windows[0].Stable.State = decider.Missing
	crowded, poor, deaf := turnOf(waiting(), full, hold), turnOf(waiting(), rationed, hold), turnOf(waiting(), blind, hold)

	require.Equal(t, [][]string{
		{"Normal Ready"},
		nil,
		{"Warning AnotherPodAutoscaler"},
		nil,
		{"Normal ConflictResolved", "Normal Ready"},
		{"Normal PausedScaleIn"},
		{"Normal Paused"},
		nil,
		{"Normal Resumed"},
	}, told(t, well, well, rival, rival, well, stopped, held, held, well))
	require.Equal(t, [][]string{
		{"Normal ScaledObject", "Normal Ready"},
		{"Normal DelegationEnded"},
		{"Warning PodsUnschedulable"},
		nil,
		{"Warning QuotaExhausted"},
		nil,
		{"Warning FailedGetMetric"},
		nil,
		{"Normal Ready"},
	}, told(t, keda, well, crowded, crowded, poor, well, deaf, deaf, well))
}

func TestANoteKeepsItsDecision(t *testing.T) {
	require.Equal(t, "all is well", note("all is well", ""))
	long := note(strings.Repeat("é", 2000), "4711-abc")
	require.LessOrEqual(t, len(long), maxNote)
	require.True(t, strings.HasSuffix(long, "…; decision 4711-abc"))
}
