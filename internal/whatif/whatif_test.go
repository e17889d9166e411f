package whatif_test

import (
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/internal/whatif"
)

const manifest = `apiVersion: autoscaling.aibrix.ai/v1alpha1
kind: PodAutoscaler
metadata: {name: llm}
spec:
  scaleTargetRef: {kind: Deployment, name: llm}
  scalingStrategy: KPA
  minReplicas: 1
  maxReplicas: 20
  metricsSources:
  - {metricSourceType: pod, targetMetric: queue, targetValue: "10"}
`

func value(v float64) *float64 { return &v }

func queue(stable, panicking float64) []whatif.Window {
	return []whatif.Window{{Stable: value(stable), Panic: value(panicking)}}
}

func TestALoadIsDecidedForAndRemembered(t *testing.T) {
	decisions, warnings, err := whatif.Decide([]byte(manifest), []whatif.Step{
		{T: 0, Replicas: 2, Ready: 2, Windows: queue(90, 90)},
		{T: 2, Replicas: 9, Ready: 2, Pending: 7, Windows: queue(90, 90)},
		{T: 4, Replicas: 9, Ready: 9, Windows: queue(20, 20)},
		{T: 6, Replicas: 9, Ready: 9},
	})
	require.NoError(t, err)
	require.Empty(t, warnings)
	require.Len(t, decisions, 4)
	require.EqualValues(t, 9, decisions[0].To)
	require.Equal(t, decider.ScaleUp, decisions[0].Verdict)
	require.EqualValues(t, 9, decisions[2].To, "the panic of the first step holds")
	require.Equal(t, decider.RuleNoData, decisions[3].Reasons[0].Rule, "a window that is not given is missing, not zero")
	require.EqualValues(t, 9, decisions[3].To)
}

func TestPodsThatNoNodeTakesAreNotAddedTo(t *testing.T) {
	decisions, _, err := whatif.Decide([]byte(manifest), []whatif.Step{
		{T: 0, Replicas: 4, Ready: 2, Pending: 1, Unschedulable: 1, Windows: queue(90, 90)},
	})
	require.NoError(t, err)
	require.EqualValues(t, 4, decisions[0].To)
	require.Contains(t, decisions[0].Explain(), "1 pod is unschedulable")
}

func TestWhatIsWrongIsNamedByItsField(t *testing.T) {
	fine := whatif.Step{T: 1, Replicas: 1, Ready: 1}
	with := func(change func(*whatif.Step)) []whatif.Step {
		wrong := fine
		change(&wrong)
		return []whatif.Step{fine, wrong}
	}
	for field, question := range map[string]struct {
		manifest string
		steps    []whatif.Step
		problem  string
	}{
		"autoscaler":       {"", []whatif.Step{fine}, "missing; give a PodAutoscaler"},
		"autoscaler ":      {manifest + "---\n" + strings.Replace(manifest, "llm", "other", 1), []whatif.Step{fine}, "these are 2; give one"},
		"autoscaler  ":     {strings.Replace(manifest, "maxReplicas", "maxReplica", 1), []whatif.Step{fine}, "did you mean maxReplicas?"},
		"steps":            {manifest, nil, "missing; give at least one"},
		"steps ":           {manifest, make([]whatif.Step, whatif.MaxSteps+1), "20001 are too many; give at most 20000"},
		"steps[1].t":       {manifest, with(func(s *whatif.Step) { s.T = math.NaN() }), "NaN is out of range"},
		"steps[1].t ":      {manifest, with(func(s *whatif.Step) { s.T = math.Inf(1) }), "+Inf is out of range"},
		"steps[1].t  ":     {manifest, with(func(s *whatif.Step) { s.T = 0.5 }), "0.5 is before the step before it"},
		"steps[1].ready":   {manifest, with(func(s *whatif.Step) { s.Ready = -1 }), "-1 is negative"},
		"steps[1].pending": {manifest, with(func(s *whatif.Step) { s.Pending = -2 }), "-2 is negative"},
		"steps[1].windows[0].source": {
			manifest, with(func(s *whatif.Step) { s.Windows = []whatif.Window{{Source: -1}} }),
			"there is no metricsSources[-1]; give 0 to 0",
		},
		"steps[1].windows[1].source": {
			manifest, with(func(s *whatif.Step) { s.Windows = []whatif.Window{{}, {}} }), "0 is there twice; remove one",
		},
		"steps[1].windows[0].panic": {
			strings.Replace(manifest, "KPA", "APA", 1), with(func(s *whatif.Step) { s.Windows = queue(1, 1) }),
			"strategy APA has no panic window; remove it",
		},
	} {
		field := strings.TrimSpace(field)
		decisions, _, err := whatif.Decide([]byte(question.manifest), question.steps)
		var wrong *whatif.Error
		require.ErrorAs(t, err, &wrong, field)
		require.Equal(t, field, wrong.Field)
		require.Contains(t, wrong.Problem, question.problem)
		require.EqualError(t, err, field+": "+wrong.Problem)
		require.Nil(t, decisions)
	}
}

// A value that is no number, which JSON can not say but a caller can, holds.
func TestAValueThatIsNoNumberHolds(t *testing.T) {
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		decisions, _, err := whatif.Decide([]byte(manifest), []whatif.Step{{T: 1, Replicas: 3, Ready: 3, Windows: queue(v, v)}})
		require.NoError(t, err)
		require.EqualValues(t, 3, decisions[0].To)
		require.Equal(t, decider.CaseNotNumber, decisions[0].Reasons[0].Case)
	}
}

// The longest question, with all its steps within what the decider looks back on.
func BenchmarkTheLongestQuestion(b *testing.B) {
	steps := make([]whatif.Step, whatif.MaxSteps)
	for i := range steps {
		steps[i] = whatif.Step{T: 1, Replicas: 9, Ready: 9, Windows: queue(20, 90)}
	}
	for b.Loop() {
		if _, _, err := whatif.Decide([]byte(manifest), steps); err != nil {
			b.Fatal(err)
		}
	}
}
