package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/flyball/flyball/internal/controlplane"
	"github.com/flyball/flyball/internal/sim"
	"github.com/flyball/flyball/internal/simkube"
)

// cluster is a real Kubernetes API with a simulated kubelet over simulated GPUs.
type cluster struct {
	t      *testing.T
	cp     *controlplane.ControlPlane
	client kubernetes.Interface
	plant  *sim.Plant
	away   bool // the API server was: when it is back, it refuses everybody until it has read its roles
}

// flyballUser is who flyball is in the cluster: deploy/rbac.yaml says what it may do.
const flyballUser = "system:serviceaccount:flyball-system:flyball"

// startCluster starts a control plane with CRD and RBAC applied, and a kubelet over workloads whose load is none until
// it is set.
//
// Tests without workloads run side by side: most of their time is waiting. Simulated pods have addresses of their own on this
// machine, so there is one kubelet at a time.
func startCluster(t *testing.T, workloads ...sim.WorkloadSpec) *cluster {
	t.Helper()
	if len(workloads) == 0 {
		t.Parallel()
	}
	c := &cluster{t: t, cp: controlplane.ForTest(t, controlplane.Options{
		CRDs: []string{"../../deploy/crd/autoscaling.aibrix.ai_podautoscalers.yaml", "testdata/cluster/crds.yaml"}, AuditLog: true,
	})}
	c.client = kubernetes.NewForConfigOrDie(c.cp.Config())
	t.Cleanup(c.nothingWasRefused)
	c.kubectl("", "apply", "-f", "../../deploy/rbac.yaml")
	namespaces := map[string]bool{}
	for i := range workloads {
		w := &workloads[i]
		w.GPU, w.GPUsPerPod, w.PodNames = cmp.Or(w.GPU, sim.A100), 1, sim.Given
		w.ColdStart, w.DrainGrace = 2*time.Second, 3*time.Second
		w.Load = sim.LoadSpec{Shape: sim.Constant{}}
		namespaces[w.Namespace] = true
	}
	for ns := range namespaces {
		c.kubectl("", "create", "namespace", ns)
	}
	if len(workloads) == 0 {
		return c
	}
	var err error
	c.plant, err = sim.New(sim.Config{
		Seed: 1, Start: time.Now(), Workloads: workloads,
		Nodes: []sim.NodeSpec{{Name: "gpu-0", GPU: sim.A100, GPUs: 16}, {Name: "gpu-1", GPU: sim.A100, GPUs: 16}, {Name: "gpu-2", GPU: sim.H100, GPUs: 3}},
	})
	require.NoError(t, err)
	kubelet, err := simkube.New(simkube.Options{Config: c.cp.Config(), Plant: c.plant, Server: sim.NewServer(c.plant), Now: time.Now})
	require.NoError(t, err)
	c.background(kubelet.Run)
	return c
}

// background runs something until the test ends.
func (c *cluster) background(run func(context.Context) error) {
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	c.t.Cleanup(func() {
		stop()
		require.NoError(c.t, <-done)
	})
}

// kubectl runs the real kubectl, as an operator would, and gives what it prints.
func (c *cluster) kubectl(stdin string, args ...string) string {
	c.t.Helper()
	cmd := c.cp.Kubectl(args...)
	cmd.Stdin = strings.NewReader(stdin)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	require.NoError(c.t, cmd.Run(), "kubectl %s: %s", strings.Join(args, " "), &out)
	return out.String()
}

func (c *cluster) apply(manifest string) { c.t.Helper(); c.kubectl(manifest, "apply", "-f", "-") }

// workload is a Deployment or StatefulSet of vLLM pods that the plant simulates.
func workloadManifest(kind, namespace, name string, replicas int) string {
	return fmt.Sprintf(`
apiVersion: apps/v1
kind: %[1]s
metadata: {namespace: %[2]s, name: %[3]s}
spec:
  replicas: %[4]d
  selector: {matchLabels: {app: %[3]s}}
  template:
    metadata: {labels: {app: %[3]s, flyball.dev/sim-workload: %[3]s}}
    spec:
      terminationGracePeriodSeconds: 5
      containers:
      - name: vllm
        image: vllm
        ports: [{containerPort: 8000, name: http}]
        resources: {limits: {nvidia.com/gpu: 1}}
---
`, kind, namespace, name, replicas)
}

// autoscalerManifest has short windows: observe 6 s, panic 2 s; the delay is an annotation.
func autoscalerManifest(namespace, name, kind, delay, source string) string {
	return fmt.Sprintf(`
apiVersion: autoscaling.aibrix.ai/v1alpha1
kind: PodAutoscaler
metadata:
  namespace: %[1]s
  name: %[2]s
  annotations: {autoscaling.aibrix.ai/scale-down-delay: %[4]s}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: %[3]s, name: %[2]s}
  scalingStrategy: KPA
  minReplicas: 1
  maxReplicas: 6
  observeWindowSeconds: 6
  panicWindowSeconds: 2
  metricsSources:
  - %[5]s
---
`, namespace, name, kind, delay, source)
}

// inFlight counts the requests in flight, ten per pod.
const inFlight = `{metricSourceType: pod, query: "sum(vllm:num_requests_running) + sum(vllm:num_requests_waiting)", targetValue: "10"}`

// dial is an endpoint of its own whose number a test sets, by path.
type dial struct {
	address string
	mu      sync.Mutex
	values  map[string]float64
}

func newDial(t *testing.T) *dial {
	d := &dial{values: map[string]float64{}}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.mu.Lock()
		defer d.mu.Unlock()
		fmt.Fprintf(w, "# TYPE load gauge\nload %g\n", d.values[r.URL.Path])
	}))
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	d.address = strings.TrimPrefix(srv.URL, "http://")
	return d
}

func (d *dial) set(path string, v float64) time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.values[path] = v
	return time.Now()
}

// source reads the number; the target is 10.
func (d *dial) source(path string) string {
	return fmt.Sprintf(`{metricSourceType: external, endpoint: %q, path: %s, targetMetric: load, targetValue: "10"}`, d.address, path)
}

// flyball is the service in the cluster, with the rights of deploy/rbac.yaml, until the test ends.
func (c *cluster) flyball(dir string, acknowledged ...string) *service {
	c.t.Helper()
	s, stop := c.flyballUntil(dir, zap.NewNop(), acknowledged...)
	c.t.Cleanup(stop)
	return s
}

// flyballUntil is the same with a log, until stop is called.
func (c *cluster) flyballUntil(dir string, log *zap.Logger, acknowledged ...string) (_ *service, stop func()) {
	c.t.Helper()
	config := c.cp.As(flyballUser)
	f, err := newKubeFleet(config, clusterOptions{
		gpuExporters: "app.kubernetes.io/name=dcgm-exporter", leaseNamespace: "flyball-system",
		scalers: []string{"flyball.flyball-system:8091"}, acknowledged: acknowledged, externalURL: "https://flyball.example.com",
	}, log)
	require.NoError(c.t, err)
	s, err := newService(serviceOptions{
		Dir: dir, Listen: "127.0.0.1:0", GRPC: grpcOptions{Listen: "127.0.0.1:0"}, Scrape: scrapeInterval, Log: log, Publish: f.publish,
		Pages: map[string]http.RoundTripper{kubeScheme: f.pages},
	})
	require.NoError(c.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, f) }()
	return s, func() {
		cancel()
		require.NoError(c.t, <-done)
		require.NoError(c.t, s.close())
	}
}

// write is a change of a Deployment's replica count, as an independent watch sees it.
type write struct {
	name string // namespace/name
	to   int32
	at   time.Time
}

// watchWrites watches all Deployments from now on, on a connection of its own.
func (c *cluster) watchWrites() <-chan write {
	c.t.Helper()
	out := make(chan write, 1024)
	w, err := c.client.AppsV1().Deployments("").Watch(context.Background(), metav1.ListOptions{})
	require.NoError(c.t, err)
	c.t.Cleanup(w.Stop)
	go func() {
		last := map[string]int32{}
		for e := range w.ResultChan() {
			d, ok := e.Object.(*appsv1.Deployment)
			if !ok {
				continue
			}
			name := d.Namespace + "/" + d.Name
			before, known := last[name]
			last[name] = *d.Spec.Replicas
			if known && before != *d.Spec.Replicas {
				out <- write{name, *d.Spec.Replicas, time.Now()}
			}
		}
	}()
	return out
}

const patience = 60 * time.Second

// eventually waits for a condition that the cluster brings about.
func (c *cluster) eventually(what string, ok func() bool) {
	c.t.Helper()
	deadline := time.After(patience)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-deadline:
			c.t.Fatalf("not in %s: %s\n%s", patience, what, c.kubectl("", "get", "fpa,deploy,sts,pods", "-A", "-o", "wide"))
		case <-tick.C:
		}
	}
}

func (c *cluster) deployment(namespace, name string) *appsv1.Deployment {
	c.t.Helper()
	d, err := c.client.AppsV1().Deployments(namespace).Get(context.Background(), name, metav1.GetOptions{})
	require.NoError(c.t, err)
	return d
}

// condition gives "Status Reason: message" of an autoscaler's condition.
func (c *cluster) condition(namespace, name, kind string) string {
	c.t.Helper()
	return strings.TrimSpace(c.kubectl("", "get", "fpa", "-n", namespace, name, "-o",
		fmt.Sprintf(`jsonpath={range .status.conditions[?(@.type==%q)]}{.status} {.reason}: {.message}{end}`, kind)))
}

// load gives a workload a constant rate of requests of some 5 s each on an A100.
func (c *cluster) load(namespace, name string, rate float64) {
	c.t.Helper()
	require.NoError(c.t, c.plant.SetLoad(namespace, name, sim.LoadSpec{
		Shape: sim.Constant{Rate: rate}, Arrivals: sim.Even, Prompt: sim.Tokens{Mean: 200, Max: 200}, Output: sim.Tokens{Mean: 400, Max: 400},
	}))
}
