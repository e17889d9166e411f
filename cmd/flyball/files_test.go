package main

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/flyball/flyball/collector"
	"github.com/flyball/flyball/internal/loop"
)

// Targets and manifests are read side by side at the start. Whoever is told of the first is slow: what it is told last is
// all the same what was read last.
func TestWhatIsScrapedIsWhatWasReadLast(t *testing.T) {
	dir := t.TempDir()
	targets, manifest := filepath.Join(dir, "targets.json"), filepath.Join(dir, "pa.yaml")
	require.NoError(t, os.WriteFile(targets, []byte(`[{"targets": ["127.0.0.1:1"], "labels": {"namespace": "a", "workload": "llm", "pod": "llm-0"}}]`), 0o644))
	require.NoError(t, os.WriteFile(manifest, nil, 0o644))
	f := newFiles([]string{manifest}, []string{targets}, loop.Binder{}, zap.NewNop())
	ctx, stop := context.WithCancel(t.Context())
	told := make(chan int, 16)
	slow := make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- f.Run(ctx, func(c collector.Config) error {
			if len(c.Endpoints) == 0 { // the manifests were first: hold it up until the targets are read, too
				select {
				case <-slow:
				case <-ctx.Done():
				}
			}
			told <- len(c.Endpoints)
			return nil
		})
	}()
	require.Eventually(t, func() bool { f.mu.Lock(); defer f.mu.Unlock(); return len(f.endpoints) == 1 }, time.Minute, time.Millisecond)
	close(slow)
	last := 0
	for n := range 2 {
		select {
		case last = <-told:
		case <-time.After(time.Minute):
			t.Fatalf("told %d times", n)
		}
	}
	require.Equal(t, 1, last)
	stop()
	require.NoError(t, <-done)
}
