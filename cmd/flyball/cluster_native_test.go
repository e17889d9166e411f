package main

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func nativeManifest(namespace, name string) string {
	return strings.NewReplacer("NS", namespace, "NAME", name).Replace(`
apiVersion: autoscaling.aibrix.ai/v1alpha1
kind: PodAutoscaler
metadata: {namespace: NS, name: NAME}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: NAME}
  scalingStrategy: HPA
  minReplicas: 1
  maxReplicas: 6
  metricsSources: [{metricSourceType: resource, targetMetric: cpu, targetValue: "70"}]
---
`)
}

// Strategy HPA owns a native HorizontalPodAutoscaler: it is gone with its autoscaler as Kubernetes means each way of deleting, and
// when the strategy changes. No log line complains of a cache or a lookup, and at rest nothing is asked or written.
func TestStrategyHPALeavesNoOrphan(t *testing.T) {
	c := startCluster(t)
	d := newDial(t)
	c.kubectl("", "create", "namespace", "native")
	d.set("/x", 25)
	for _, name := range []string{"foreground", "background", "orphan", "switch", "stays"} {
		c.apply(idleDeployment("native", name) + nativeManifest("native", name))
	}
	log, logged := observer.New(zap.DebugLevel)
	_, stop := c.flyballUntil(t.TempDir(), zap.New(log))
	defer stop()
	hpas := func() string { return c.kubectl("", "get", "hpa", "-n", "native", "-o", "name") }
	stands := func(name string) bool { return strings.Contains(hpas(), "/"+name+"-hpa") }
	for _, name := range []string{"foreground", "background", "orphan", "switch", "stays"} {
		c.eventually(name+" has its own", func() bool { return stands(name) })
		c.eventually("the condition says who decides", func() bool {
			return strings.HasPrefix(c.condition("native", name, "Delegated"), "True NativeHPA")
		})
	}
	// The garbage collector looks for new kinds every 30 s, and this one was there before it started.
	c.kubectl("", "delete", "fpa", "-n", "native", "foreground", "--cascade=foreground", "--timeout=50s")
	require.False(t, stands("foreground"), "gone before its owner was")
	c.kubectl("", "delete", "fpa", "-n", "native", "background")
	c.eventually("background: gone after its owner", func() bool { return !stands("background") })
	c.kubectl("", "delete", "fpa", "-n", "native", "orphan", "--cascade=orphan")
	c.apply(autoscalerManifest("native", "switch", "Deployment", "0s", d.source("/x")))
	c.eventually("switch: gone with the strategy", func() bool { return !stands("switch") })
	c.eventually("and KPA decides", func() bool { return *c.deployment("native", "switch").Spec.Replicas == 3 })
	require.True(t, stands("orphan"), "that is what orphan means")
	c.apply(nativeManifest("native", "orphan"))
	c.eventually("the orphan is adopted by an autoscaler of its old name", func() bool {
		owner := c.kubectl("", "get", "hpa", "-n", "native", "orphan-hpa", "-o", "jsonpath={.metadata.ownerReferences[0].uid}")
		return owner != "" && owner == c.kubectl("", "get", "fpa", "-n", "native", "orphan", "-o", "jsonpath={.metadata.uid}")
	})
	c.eventually("all is settled", func() bool {
		return strings.Contains(c.condition("native", "orphan", "Delegated"), "True") && strings.Contains(c.condition("native", "switch", "Ready"), "True")
	})

	<-time.After(5 * time.Second) // what was on its way has arrived
	rest := time.Now()
	<-time.After(20 * time.Second)
	asked := tally(c.requests(rest, flyballUser))
	for what := range asked {
		require.True(t, strings.HasPrefix(what, "watch "), "at rest: %s", describe(asked))
	}
	for _, entry := range logged.FilterLevelExact(zap.ErrorLevel).All() {
		t.Errorf("logged: %s %v", entry.Message, entry.ContextMap())
	}
	for _, entry := range logged.All() {
		require.NotContains(t, strings.ToLower(entry.Message), "cache")
		require.NotContains(t, strings.ToLower(entry.Message), "index")
	}
	t.Logf("in 20 s at rest: %s", describe(asked))
}
