package demo

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flyball/flyball/internal/sim"
)

func TestTheSceneIsWhole(t *testing.T) {
	require.Contains(t, manifests, "TIME-COMPRESSED")
	pas, err := Autoscalers("127.0.0.1:1")
	require.NoError(t, err)
	workloads := map[string]bool{}
	for _, w := range Workloads(nil) {
		workloads[w.Namespace+"/"+w.Name] = true
	}
	for _, pa := range pas {
		_, warnings, errs := pa.Policy()
		require.Empty(t, errs)
		require.Empty(t, warnings)
		require.True(t, workloads[pa.Namespace+"/"+pa.Spec.ScaleTargetRef.Name], pa.Name)
	}
	require.Len(t, pas, len(workloads))
	require.False(t, strings.Contains(Manifests("127.0.0.1:1"), gateway), "the real gateway's address is put in")
	_, err = sim.New(sim.Config{Seed: 1, Start: time.Unix(0, 1), Nodes: Nodes(), Workloads: Workloads(nil)})
	require.NoError(t, err)
}
