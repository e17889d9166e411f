package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flyball/flyball/internal/sim"
)

// adapter serves the three Kubernetes metrics APIs, as metrics-server and its like do: one number, for every pod that is
// asked for or for the external metric.
type adapter struct {
	c     *cluster
	value atomic.Int64
	down  atomic.Bool
}

func (a *adapter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/") // apis/GROUP/VERSION/namespaces/NS/…
	w.Header().Set("Content-Type", "application/json")
	switch {
	case len(parts) == 3: // by discovery the API server tells whether the API is there
		fmt.Fprintf(w, `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"%s/%s","resources":[]}`, parts[1], parts[2])
		return
	case a.down.Load():
		http.Error(w, "down for maintenance", http.StatusServiceUnavailable)
		return
	case len(parts) < 6:
		http.NotFound(w, r)
		return
	}
	namespace, items := parts[4], []map[string]any{}
	now := time.Now().UTC().Format(time.RFC3339)
	pods := strings.Fields(a.c.kubectl("", "get", "pods", "-n", namespace, "-l", r.URL.Query().Get("labelSelector"), "-o", "jsonpath={.items[*].metadata.name}"))
	for _, pod := range pods {
		switch parts[1] {
		case "metrics.k8s.io":
			items = append(items, map[string]any{
				"metadata": map[string]any{"name": pod, "namespace": namespace}, "timestamp": now, "window": "15s",
				"containers": []map[string]any{{"name": "vllm", "usage": map[string]any{"cpu": fmt.Sprintf("%dm", a.value.Load())}}},
			})
		case "custom.metrics.k8s.io":
			items = append(items, map[string]any{
				"describedObject": map[string]any{"kind": "Pod", "name": pod, "namespace": namespace},
				"metric":          map[string]any{"name": parts[7]}, "timestamp": now, "value": fmt.Sprint(a.value.Load()),
			})
		}
	}
	kind := map[string]string{"metrics.k8s.io": "PodMetricsList", "custom.metrics.k8s.io": "MetricValueList", "external.metrics.k8s.io": "ExternalMetricValueList"}[parts[1]]
	if parts[1] == "external.metrics.k8s.io" {
		items = []map[string]any{{"metricName": parts[5], "timestamp": now, "value": fmt.Sprint(a.value.Load())}}
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"kind": kind, "apiVersion": parts[1] + "/" + parts[2], "items": items})
}

// serveMetrics registers the adapter with the API server for all three APIs.
func (c *cluster) serveMetrics() *adapter {
	a := &adapter{c: c}
	srv := httptest.NewTLSServer(a)
	c.t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	port := srv.URL[strings.LastIndex(srv.URL, ":")+1:]
	c.apply("apiVersion: v1\nkind: Service\nmetadata: {namespace: default, name: adapter}\nspec: {type: ExternalName, externalName: localhost, ports: [{port: " + port + "}]}\n")
	for group, version := range map[string]string{"metrics.k8s.io": "v1beta1", "custom.metrics.k8s.io": "v1beta2", "external.metrics.k8s.io": "v1beta1"} {
		c.apply(fmt.Sprintf(`
apiVersion: apiregistration.k8s.io/v1
kind: APIService
metadata: {name: %[2]s.%[1]s}
spec:
  group: %[1]s
  version: %[2]s
  insecureSkipTLSVerify: true
  groupPriorityMinimum: 100
  versionPriority: 100
  service: {namespace: default, name: adapter, port: %[3]s}
`, group, version, port))
		c.kubectl("", "wait", "--for=condition=Available", "--timeout=60s", "apiservice/"+version+"."+group)
	}
	return a
}

// The Kubernetes metrics APIs scale targets like any other source, and when they are down, replicas hold.
func TestMetricsAPIsScaleAndTheirOutageHolds(t *testing.T) {
	names := []string{"resource", "custom", "external"}
	var workloads []sim.WorkloadSpec
	for _, name := range names {
		workloads = append(workloads, sim.WorkloadSpec{Namespace: "apis", Name: name})
	}
	c := startCluster(t, workloads...)
	a := c.serveMetrics()
	a.value.Store(5)
	sources := map[string]string{
		"resource": `{metricSourceType: resource, targetMetric: cpu, targetValue: "10"}`,
		"custom":   `{metricSourceType: custom, targetMetric: requests-per-second, targetValue: "10"}`,
		"external": `{metricSourceType: external, targetMetric: queue-length, targetValue: "10", metricSelector: {matchLabels: {queue: a}}}`,
	}
	for name, source := range sources {
		c.apply(workloadManifest("Deployment", "apis", name, 1) + autoscalerManifest("apis", name, "Deployment", "0s", source))
	}
	c.flyball(t.TempDir())
	each := func(what string, ok func(name string) bool) {
		c.eventually(what, func() bool {
			for _, name := range names {
				if !ok(name) {
					return false
				}
			}
			return true
		})
	}
	each("one pod is enough, by its metrics", func(name string) bool {
		return strings.HasPrefix(c.condition("apis", name, "Ready"), "True") && c.deployment("apis", name).Status.ReadyReplicas == 1
	})

	a.value.Store(15) // every pod's, so that pods beget pods, up to the bound of 6; the external one's total asks for 2
	want := map[string]int32{"resource": 6, "custom": 6, "external": 2}
	each("scaled up by what the APIs say", func(name string) bool { return *c.deployment("apis", name).Spec.Replicas == want[name] })

	a.down.Store(true)
	each("the outage is in the status", func(name string) bool {
		return strings.HasPrefix(c.condition("apis", name, "ScalingActive"), "False FailedGetMetric")
	})
	for _, name := range names {
		require.Equal(t, want[name], *c.deployment("apis", name).Spec.Replicas, "%s holds", name)
	}
	a.value.Store(1)
	a.down.Store(false)
	each("scaled down when they answer again", func(name string) bool { return *c.deployment("apis", name).Spec.Replicas == 1 })
}
