package lint

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// Every name of the packs is known, and no other.
func TestKnownMetricsAreThoseOfThePacks(t *testing.T) {
	files, err := filepath.Glob("../../collector/packs/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	var names []string
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		var pack struct {
			Metrics []struct {
				Name           string
				Aliases, Short []string
			}
		}
		require.NoError(t, yaml.Unmarshal(data, &pack))
		for _, m := range pack.Metrics {
			names = append(append(append(names, m.Name), m.Aliases...), m.Short...)
		}
	}
	require.ElementsMatch(t, names, knownMetrics)
	for name := range remarks {
		require.Contains(t, knownMetrics, name)
	}
	for name := range highest {
		require.Contains(t, knownMetrics, name)
	}
}
