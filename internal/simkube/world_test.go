package simkube

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/flyball/flyball/internal/controlplane"
	"github.com/flyball/flyball/internal/sim"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	coldStart    = 3 * time.Second
	deadline     = 2 * time.Minute
	tick         = 20 * time.Millisecond
	workloadName = "llama"
)

// cluster is an API server with its controllers, a plant of two GPUs, and the kubelet between them.
type cluster struct {
	api    *controlplane.ControlPlane
	client kubernetes.Interface
	plant  *sim.Plant
	log    *observer.ObservedLogs
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{api: controlplane.ForTest(t, controlplane.Options{AuditLog: true})}
	config := rest.CopyConfig(c.api.Config())
	config.QPS = -1
	hc, err := rest.HTTPClientFor(config)
	require.NoError(t, err)
	t.Cleanup(func() { utilnet.CloseIdleConnectionsFor(hc.Transport) })
	c.client, err = kubernetes.NewForConfigAndClient(config, hc)
	require.NoError(t, err)

	world := sim.Config{Start: time.Now(), Nodes: []sim.NodeSpec{{Name: "gpu-0", GPU: sim.A100, GPUs: 2}, {Name: "gpu-1", GPU: sim.H100, GPUs: 1}}}
	for _, namespace := range []string{"ready", "full", "drain", "ordinal", "force", "lost", "port", "outage"} {
		world.Workloads = append(world.Workloads, sim.WorkloadSpec{
			Namespace: namespace, Name: workloadName, GPU: sim.A100, GPUsPerPod: 1, PodNames: sim.Given, ColdStart: coldStart, DrainGrace: 10 * time.Second,
			Load: sim.LoadSpec{Shape: sim.Constant{Rate: 4}, Prompt: sim.Tokens{Mean: 200, Max: 200}, Output: sim.Tokens{Mean: 100, Max: 100}},
		})
	}
	world.Workloads = append(world.Workloads, sim.WorkloadSpec{Namespace: "unknown", Name: "own", GPU: sim.A100, GPUsPerPod: 1, Load: sim.LoadSpec{Shape: sim.Constant{}}})
	c.plant, err = sim.New(world)
	require.NoError(t, err)
	core, log := observer.New(zapcore.InfoLevel)
	c.log = log
	k, err := New(Options{Config: c.api.Config(), Plant: c.plant, Server: sim.NewServer(c.plant), Now: time.Now, Step: tick, Logger: zap.New(core)})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- k.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	return c
}

// story is one test's namespace as a watch shows it.
type story struct {
	*cluster
	t         *testing.T
	namespace string
	watch     watch.Interface
	pods      map[types.UID]*corev1.Pod
	history   map[types.UID][]string // what looked different from the state before
}

// story makes a namespace, and empties it again at the test's end.
func (c *cluster) story(t *testing.T, namespace string) *story {
	t.Helper()
	_, err := c.client.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		ctx, now := context.Background(), int64(0) // the test's has ended
		force, all := metav1.DeleteOptions{GracePeriodSeconds: &now}, metav1.ListOptions{}
		apps := c.client.AppsV1()
		require.NoError(t, apps.Deployments(namespace).DeleteCollection(ctx, force, all))
		require.NoError(t, apps.StatefulSets(namespace).DeleteCollection(ctx, force, all))
		require.NoError(t, apps.ReplicaSets(namespace).DeleteCollection(ctx, force, all))
		require.Eventually(t, func() bool {
			err := c.client.CoreV1().Pods(namespace).DeleteCollection(ctx, force, all)
			return err == nil && len(c.inPlant(namespace)) == 0
		}, deadline, 5*tick, "the plant is empty again")
	})
	return c.watched(t, namespace)
}

func (c *cluster) watched(t *testing.T, namespace string) *story {
	t.Helper()
	// Without a resourceVersion a watch begins with the objects there are.
	w, err := c.client.CoreV1().Pods(namespace).Watch(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	t.Cleanup(w.Stop)
	return &story{cluster: c, t: t, namespace: namespace, watch: w, pods: map[types.UID]*corev1.Pod{}, history: map[types.UID][]string{}}
}

// until follows the watch until the condition holds, and returns the pods.
func (s *story) until(what string, holds func([]*corev1.Pod) bool) []*corev1.Pod {
	s.t.Helper()
	timeout := time.After(deadline)
	for {
		var pods []*corev1.Pod
		for _, pod := range s.pods {
			pods = append(pods, pod)
		}
		if holds(pods) {
			return pods
		}
		select {
		case <-timeout:
			s.t.Fatalf("not within %s: %s\nhistory: %v\nplant: %+v\nlog: %v", deadline, what, s.history, s.plant.Snapshot(), s.log.All())
		case e, ok := <-s.watch.ResultChan():
			require.True(s.t, ok, "the watch ended before %s", what)
			pod, ok := e.Object.(*corev1.Pod)
			require.True(s.t, ok, "watch: %v", e)
			s.see(e.Type, pod)
		}
	}
}

func (s *story) see(event watch.EventType, pod *corev1.Pod) {
	state := summary(pod)
	s.pods[pod.UID] = pod
	if event == watch.Deleted {
		delete(s.pods, pod.UID)
		state = "gone"
	}
	if h := s.history[pod.UID]; len(h) == 0 || h[len(h)-1] != state {
		s.history[pod.UID] = append(h, state)
	}
}

// summary is a pod's state in words: Running on gpu-0, ready, deleted.
func summary(pod *corev1.Pod) string {
	out := string(pod.Status.Phase)
	if pod.Spec.NodeName != "" {
		out += " on " + pod.Spec.NodeName
	}
	if isReady(pod) {
		out += ", ready"
	}
	if isUnschedulable(pod) {
		out += ", unschedulable"
	}
	if pod.DeletionTimestamp != nil {
		out += ", deleted"
	}
	return out
}

func condition(pod *corev1.Pod, t corev1.PodConditionType) corev1.PodCondition {
	for _, c := range pod.Status.Conditions {
		if c.Type == t {
			return c
		}
	}
	return corev1.PodCondition{}
}

func isReady(pod *corev1.Pod) bool {
	return condition(pod, corev1.PodReady).Status == corev1.ConditionTrue
}

func isUnschedulable(pod *corev1.Pod) bool {
	c := condition(pod, corev1.PodScheduled)
	return c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable
}

func count(pods []*corev1.Pod, is func(*corev1.Pod) bool) int {
	n := 0
	for _, pod := range pods {
		if is(pod) {
			n++
		}
	}
	return n
}

func selector() *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{WorkloadLabel: workloadName}}
}

func template() corev1.PodTemplateSpec {
	grace := int64(20)
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{WorkloadLabel: workloadName}},
		Spec: corev1.PodSpec{
			TerminationGracePeriodSeconds: &grace,
			Containers: []corev1.Container{{
				Name: "vllm", Image: "vllm", Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8000}},
				Resources: corev1.ResourceRequirements{Limits: corev1.ResourceList{gpuResource: resource.MustParse("1")}},
			}},
		},
	}
}

func (s *story) deploy(replicas int32) {
	s.t.Helper()
	_, err := s.client.AppsV1().Deployments(s.namespace).Create(s.t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: workloadName},
		Spec:       appsv1.DeploymentSpec{Replicas: &replicas, Selector: selector(), Template: template()},
	}, metav1.CreateOptions{})
	require.NoError(s.t, err)
}

func (s *story) scale(replicas int32) {
	s.t.Helper()
	_, err := s.client.AppsV1().Deployments(s.namespace).UpdateScale(s.t.Context(), workloadName, &autoscalingv1.Scale{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.namespace, Name: workloadName}, Spec: autoscalingv1.ScaleSpec{Replicas: replicas},
	}, metav1.UpdateOptions{})
	require.NoError(s.t, err)
}

// delete deletes a pod with its own grace, or another.
func (s *story) delete(pod *corev1.Pod, grace *int64) {
	s.t.Helper()
	require.NoError(s.t, s.client.CoreV1().Pods(s.namespace).Delete(s.t.Context(), pod.Name, metav1.DeleteOptions{GracePeriodSeconds: grace}))
}

// scrape scrapes every pod that the API says is ready, over and over, until the function it returns is called, which gives the number of
// pages. A page that fails is an error if the API says afterwards that its pod is ready still.
func (s *story) scrape() (stop func() int) {
	ctx, cancel := context.WithCancel(s.t.Context())
	pages := make(chan int, 1)
	go func() {
		n := 0
		for ctx.Err() == nil {
			n += s.scrapeOnce(ctx)
		}
		pages <- n
	}()
	return func() int {
		cancel()
		return <-pages
	}
}

func (s *story) scrapeOnce(ctx context.Context) (pages int) {
	list, err := s.client.CoreV1().Pods(s.namespace).List(ctx, metav1.ListOptions{})
	if err != nil {
		return 0
	}
	for _, pod := range list.Items {
		if !isReady(&pod) {
			continue
		}
		code, _, err := fetch(ctx, "http://"+pod.Status.PodIP+":8000/metrics")
		if err == nil && code == http.StatusOK {
			pages++
			continue
		}
		now, getErr := s.client.CoreV1().Pods(s.namespace).Get(ctx, pod.Name, metav1.GetOptions{})
		if getErr == nil && isReady(now) {
			s.t.Errorf("pod %s is ready and its page answers %d, %v", pod.Name, code, err)
		}
	}
	return pages
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	code, body, err := fetch(t.Context(), url)
	require.NoError(t, err)
	return code, body
}

func fetch(ctx context.Context, url string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, "", err
	}
	tr := &http.Transport{DisableKeepAlives: true}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, "", fmt.Errorf("read %s: %w", url, err)
	}
	return resp.StatusCode, string(body), nil
}
