package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// react is where `make react` puts a version of React.
func react(t *testing.T, version string) string {
	t.Helper()
	dir, err := filepath.Abs(filepath.Join(root, "bin", "react"+version))
	require.NoError(t, err)
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "react-dom")); err != nil {
		absent(t, "React "+version+" is not there; make react fetches it")
	}
	return dir
}

// absent skips a test, but not in CI.
func absent(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

func TestTheFrontendInNodeWithReact18(t *testing.T) { inNode(t, "18") }
func TestTheFrontendInNodeWithReact19(t *testing.T) { inNode(t, "19") }

func inNode(t *testing.T, version string) {
	t.Parallel()
	node, err := exec.LookPath("node")
	if err != nil {
		absent(t, "node is not there")
	}
	cmd := exec.CommandContext(t.Context(), node, "--test", "frontend/test/module.test.mjs")
	cmd.Env = append(os.Environ(), "REACT="+react(t, version))
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "# pass 7", "%s", out)
}
