package main

import (
	"io"
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flyball/flyball/internal/sim"
)

// From a load step on simulated pods to a write of /scale, to pods that the real Deployment controller makes; and back
// down after the delay, not before.
func TestLoadScalesRealPodsUpAndDown(t *testing.T) {
	c := startCluster(t, sim.WorkloadSpec{Namespace: "a", Name: "chat"})
	c.apply(workloadManifest("Deployment", "a", "chat", 1) + autoscalerManifest("a", "chat", "Deployment", "12s", inFlight))
	c.eventually("one pod ready", func() bool { return c.deployment("a", "chat").Status.ReadyReplicas == 1 })
	writes := c.watchWrites()
	s := c.flyball(t.TempDir())
	c.load("a", "chat", 1)
	c.eventually("decisions are made from metrics", func() bool {
		return c.condition("a", "chat", "ScalingActive") != "" && c.condition("a", "chat", "Ready")[:4] == "True"
	})

	c.load("a", "chat", 6)
	var first int32
	select {
	case w := <-writes:
		first = w.to
		require.Equal(t, "a/chat", w.name)
		require.Greater(t, w.to, int32(1))
	case <-time.After(patience):
		t.Fatal("no write after the load step")
	}
	c.eventually("three pods and more are ready", func() bool { return c.deployment("a", "chat").Status.ReadyReplicas >= 3 })

	c.load("a", "chat", 0)
	ended := time.Now()
	c.eventually("back at one", func() bool { return *c.deployment("a", "chat").Spec.Replicas == 1 })
	for before := first; ; {
		w := <-writes
		if w.to < before && w.at.After(ended) { // the load of the last seconds may still raise it
			require.Greater(t, w.at.Sub(ended), 12*time.Second, "a fall from %d to %d before the delay was over", before, w.to)
		}
		if before = w.to; before == 1 {
			break
		}
	}
	require.Contains(t, c.kubectl("", "get", "fpa", "-n", "a"), "TARGETS")
	described := c.kubectl("", "describe", "fpa", "-n", "a", "chat")
	require.Contains(t, described, "SuccessfulRescale")

	// Whoever reads the event is led to the decision.
	link := regexp.MustCompile(`SuccessfulRescale .*; decision (\S+), https://flyball\.example\.com(/decisions/\S+)`).FindStringSubmatch(described)
	require.NotNil(t, link, described)
	require.Equal(t, "/decisions/"+link[1], link[2])
	resp, err := http.Get("http://" + s.listener.Addr().String() + "/api/decision/v1" + link[2])
	require.NoError(t, err)
	defer resp.Body.Close()
	why, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, string(why))
	require.Contains(t, string(why), "applied at ")
}
