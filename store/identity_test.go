package store

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A store keeps its identity over restarts; another directory has another; one that can't be read is not replaced in silence.
func TestIdentity(t *testing.T) {
	id := func(dir string) string {
		s, err := Open(Options{Dir: dir})
		require.NoError(t, err)
		defer s.Close()
		return s.ID()
	}
	dir := t.TempDir()
	first := id(dir)
	require.Len(t, first, 36)
	require.Equal(t, first, id(dir))
	require.NotEqual(t, first, id(t.TempDir()))

	require.NoError(t, os.WriteFile(filepath.Join(dir, identityFile), []byte("half a uu"), 0o644))
	_, err := Open(Options{Dir: dir})
	require.ErrorContains(t, err, "remove the file")
}
