package actuator

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/decider"
)

// A load between two counts: what limits comes and goes, and the condition does not follow every turn.
func TestALimitThatComesAndGoes(t *testing.T) {
	p := with(waiting(), func(p *decider.Policy) { p.ScaleDownDelay = 5 * time.Minute })
	var history decider.History
	var s v1alpha1.PodAutoscalerStatus
	at := noon
	turns := func(n int, value float64) string {
		for range n {
			at = at.Add(2 * time.Second)
			in := load(3, value)
			in.At, in.History = at, history
			turn := turnOf(p, in, decider.Outcome{Why: decider.Unchanged})
			history = append(history, turn.Decision.Entry)
			s = Status(s, turn)
		}
		return says(s, ScalingLimited)
	}
	require.Equal(t, "False DesiredWithinRange", turns(30, 25))
	require.Equal(t, "False DesiredWithinRange", turns(1, 19), "2 would do, for a moment")
	require.Equal(t, "False DesiredWithinRange", turns(1, 25))
	require.Equal(t, "False DesiredWithinRange", turns(2, 19))
	require.Equal(t, "True ScaleDownDelayed", turns(1, 19), "it has settled")
	require.Equal(t, "True ScaleDownDelayed", turns(29, 25), "less than a minute ago")
	require.Equal(t, "False DesiredWithinRange", turns(1, 25))

	require.Equal(t, "True ScaleDownDelayed", turns(5, 19))
	p.MaxReplicas = 3
	require.Equal(t, "True TooManyReplicas", turns(1, 99), "what does not pass by itself comes first")
	require.Equal(t, "True TooManyReplicas", turns(2, 19), "and stays until another limit has settled")
	require.Equal(t, "True ScaleDownDelayed", turns(2, 19), "or for a minute without one")
	p.Pause.All = true
	require.Equal(t, "True Paused", turns(1, 19), "a pause is no matter of the load")
	p.Pause.All = false
	require.Equal(t, "True ScaleDownDelayed", turns(1, 19), "nor is its end")

	prev := find(s.Conditions, ScalingLimited)
	turn := turnOf(p, with(load(3, 25), func(in *decider.Input) { in.At, in.History = at.Add(2*time.Second), history }), decider.Outcome{Why: decider.Unchanged})
	require.Equal(t, metav1.ConditionTrue, scalingLimited(prev, turn).Status)
	turn.Autoscaler.Generation = 8
	require.Equal(t, metav1.ConditionFalse, scalingLimited(prev, turn).Status, "the spec is another one")
}
