package loop

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flyball/flyball/decider"
)

// Each stage of a turn goes through Timed, in the order that Stages gives; one that is not gone through is not timed.
func TestEveryStageIsTimedInItsOrder(t *testing.T) {
	w := newWorld(t, t.TempDir(), 0)
	var stages []string
	w.loop.Timed = func(stage string, do func()) {
		stages = append(stages, stage)
		do()
	}
	a := w.autoscaler(Target{Kind: "Deployment", Name: "llm", UID: "t"}, manifest("a", "llm"))
	w.fleet["t"] = Scale{Replicas: 1, Ready: 1}
	w.clock(1.9)
	w.pod("a", "t", "llm-0", "p", 90)
	w.step(2)
	w.step(3)
	require.True(t, w.last(a).Decision.Entry.Outcome.Applied)
	require.Equal(t, Stages(), stages, "a change goes through all of them")

	stages = nil
	w.scalers[0].Policy.Mode = decider.Advise
	w.clock(3.9)
	w.pod("a", "t", "llm-0", "p", 900)
	w.step(4)
	w.step(5)
	require.Equal(t, Stages()[:5], stages, "advice ends with being written down")
}
