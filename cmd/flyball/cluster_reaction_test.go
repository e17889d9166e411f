package main

import (
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// How long it takes from a step at an exporter to the write of /scale, as an independent watch sees it, with the default
// windows, tick and scrape interval. Fifty autoscalers, each stepping once at a moment of its own. The figures are logged; the
// test fails only if a step has no write.
func TestReactionToFiftySteps(t *testing.T) {
	steps := 50
	if os.Getenv("FLYBALL_STEPS") == "" {
		steps = 5 // the whole measurement is for release notes
	}
	c := startCluster(t)
	d := newDial(t)
	c.kubectl("", "create", "namespace", "fast")
	manifest := ""
	for i := range steps {
		name := fmt.Sprintf("x%d", i)
		d.set("/"+name, 5)
		manifest += idleDeployment("fast", name) + fmt.Sprintf(`
apiVersion: autoscaling.aibrix.ai/v1alpha1
kind: PodAutoscaler
metadata: {namespace: fast, name: %[1]s}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: %[1]s}
  scalingStrategy: KPA
  maxReplicas: 20
  metricsSources:
  - %[2]s
---
`, name, d.source("/"+name))
	}
	c.apply(manifest)
	writes := c.watchWrites()
	c.flyball(t.TempDir())
	last := fmt.Sprintf("x%d", steps-1)
	c.eventually("all are decided for", func() bool {
		for i := range steps {
			if c.condition("fast", fmt.Sprintf("x%d", i), "ScalingActive") == "" {
				return false
			}
		}
		return c.condition("fast", last, "Ready")[:4] == "True"
	})
	for len(writes) > 0 {
		<-writes
	}

	var took []time.Duration
	stepped := map[string]time.Time{}
	next := time.NewTicker(137 * time.Millisecond) // no divisor of the tick, so that the steps fall on all of its phases
	defer next.Stop()
	deadline := time.After(3 * time.Minute)
	for i := 0; len(took) < steps; {
		select {
		case <-next.C:
			if i < steps {
				name := fmt.Sprintf("x%d", i)
				stepped["fast/"+name] = d.set("/"+name, 100)
				i++
			}
		case w := <-writes:
			if at, ok := stepped[w.name]; ok && w.to > 1 {
				took = append(took, w.at.Sub(at))
				delete(stepped, w.name)
			}
		case <-deadline:
			t.Fatalf("%d of %d steps had no write: %v", steps-len(took), steps, stepped)
		}
	}
	slices.Sort(took)
	require.Len(t, took, steps)
	t.Logf("%d steps, exporter to /scale: p50 %s p99 %s max %s", steps, quantile(took, 0.5).Round(time.Millisecond),
		quantile(took, 0.99).Round(time.Millisecond), took[len(took)-1].Round(time.Millisecond))
}
