package controlplane

import (
	"os"
	"testing"
)

// ForTest starts a control plane that ends with the test. A start takes seconds, so use subtests to share one.
// Where the programs cannot be built the test is skipped by name, or fails if CI=true; once they are there, every error fails it.
func ForTest(t testing.TB, o Options) *ControlPlane {
	t.Helper()
	if o.Log == nil {
		o.Log = os.Stderr // visible while the test runs: a first build takes minutes
	}
	if _, err := Build(t.Context(), o.Log); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("no control plane: %v", err)
		}
		t.Skipf("no control plane: %v", err)
	}
	cp, err := Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := cp.Stop(); err != nil {
			t.Error(err)
		}
	})
	return cp
}
