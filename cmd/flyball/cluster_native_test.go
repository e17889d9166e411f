package main

import (
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
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
	c.foregroundWaits("native", "foreground")
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

// foregroundWaits deletes an autoscaler in the foreground, while somebody's finalizer keeps its HorizontalPodAutoscaler: it waits
// for that.
func (c *cluster) foregroundWaits(namespace, name string) {
	c.t.Helper()
	hold := func(finalizers string) {
		c.kubectl("", "patch", "hpa", "-n", namespace, name+"-hpa", "--type=merge", "-p", `{"metadata":{"finalizers":`+finalizers+`}}`)
	}
	deleted := func(object string) bool {
		return c.kubectl("", "get", "-n", namespace, object, "-o", "jsonpath={.metadata.deletionTimestamp}") != ""
	}
	hold(`["example.com/held"]`)
	c.kubectl("", "delete", "fpa", "-n", namespace, name, "--cascade=foreground", "--wait=false")
	// The garbage collector looks for new kinds every 30 s, and this one was there before it started.
	c.eventually("foreground: its own is deleted first", func() bool { return deleted("hpa/" + name + "-hpa") })
	<-time.After(5 * time.Second) // it would be gone at once
	require.True(c.t, deleted("fpa/"+name))
	require.True(c.t, strings.HasPrefix(c.condition(namespace, name, "Delegated"), "True NativeHPA"), "it acts until it is gone")
	hold("null")
	c.eventually("foreground: both are gone", func() bool {
		left := c.kubectl("", "get", "fpa,hpa", "-n", namespace, "-o", "name")
		return !strings.Contains(left, "/"+name)
	})
}

// What is wrong with an autoscaler is no reason for a native HorizontalPodAutoscaler to scale by what it was before; where one goes
// on, the status says so. None is made that nothing could answer. A namespace where writes hang holds up no other.
func TestStrategyHPAIsNeverSilent(t *testing.T) {
	c := startCluster(t)
	c.kubectl("", "create", "namespace", "truth")
	hangs := c.slowNamespace("hangs")
	names := []string{"mistyped", "targetless", "kept"}
	for _, name := range names {
		c.apply(idleDeployment("truth", name) + nativeManifest("truth", name))
	}
	c.apply(idleDeployment("truth", "scraped") + strings.ReplaceAll(nativeManifest("truth", "scraped"), "resource, targetMetric: cpu", "pod, targetMetric: load"))
	c.flyball(t.TempDir())
	begun := time.Now()
	hpas := func() string { return c.kubectl("", "get", "hpa", "-n", "truth", "-o", "name") }
	stands := func(name string) bool { return strings.Contains(hpas(), "/"+name+"-hpa") }
	says := func(name, kind, prefix string) {
		t.Helper()
		c.eventually(name+": "+kind+" is "+prefix, func() bool { return strings.HasPrefix(c.condition("truth", name, kind), prefix) })
	}
	for _, name := range names {
		c.eventually(name+" has its own", func() bool { return stands(name) })
	}
	c.eventually("writes hang", hangs)
	t.Logf("all had theirs after %s", time.Since(begun).Round(time.Second))
	require.Less(t, time.Since(begun), 20*time.Second, "the other namespace takes 5 s for each of 10")

	says("scraped", "ScalingActive", "False CustomMetricsAPIMissing: spec.metricsSources[0]: nothing in the cluster serves custom.metrics.k8s.io")
	says("scraped", "Delegated", "False CustomMetricsAPIMissing")
	require.False(t, stands("scraped"))

	source := `{metricSourceType: resource, targetMetric: cpu, targetValue: "70"}`
	c.apply(autoscalerManifest("truth", "mistyped", "Deployment", "soon", source))
	c.apply(strings.Replace(autoscalerManifest("truth", "targetless", "Deployment", "0s", source), "kind: Deployment, name: targetless", "kind: Deployment, name: nobody", 1))
	for name, reason := range map[string]string{"mistyped": "InvalidSpec", "targetless": "TargetNotFound"} {
		c.eventually(name+": gone with the strategy", func() bool { return !stands(name) })
		says(name, "Delegated", "Unknown "+reason)
	}
	c.kubectl("", "annotate", "fpa", "-n", "truth", "kept", "autoscaling.aibrix.ai/scale-down-delay=soon")
	says("kept", "ValidSpec", "False InvalidSpec")
	says("kept", "Delegated", "True NativeHPA: HorizontalPodAutoscaler kept-hpa goes on as it was made: ")
	require.True(t, stands("kept"))
}

// slowNamespace is one where no HorizontalPodAutoscaler can be written, since a webhook does not answer, with ten autoscalers that
// want one. It comes first by name. The answer says whether the webhook was asked.
func (c *cluster) slowNamespace(namespace string) (asked func() bool) {
	c.t.Helper()
	release, calls := make(chan struct{}), make(chan struct{}, 1)
	srv := httptest.NewTLSServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case calls <- struct{}{}:
		default:
		}
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	c.t.Cleanup(func() { close(release); srv.CloseClientConnections(); srv.Close() })
	ca := base64.StdEncoding.EncodeToString(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw}))
	c.kubectl("", "create", "namespace", namespace)
	c.apply(fmt.Sprintf(`
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {name: hangs}
webhooks:
- name: hangs.example.com
  clientConfig: {url: %q, caBundle: %s}
  rules: [{apiGroups: [autoscaling], apiVersions: [v2], operations: [CREATE, UPDATE], resources: [horizontalpodautoscalers]}]
  namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: %s}}
  failurePolicy: Fail
  sideEffects: None
  timeoutSeconds: 30
  admissionReviewVersions: [v1]
`, srv.URL, ca, namespace))
	for i := range 10 {
		name := fmt.Sprintf("x%d", i)
		c.apply(idleDeployment(namespace, name) + nativeManifest(namespace, name))
	}
	return func() bool {
		select {
		case <-calls:
			return true
		default:
			return false
		}
	}
}
