package simkube

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/flyball/flyball/internal/sim"
)

// The stories run one after the other against one API server with its real controllers. Each has a namespace of its own and leaves the two
// GPUs free for the next.
func TestOnARealAPI(t *testing.T) {
	c := newCluster(t)
	t.Run("a Deployment becomes ready after its cold start", c.deploymentBecomesReady)
	t.Run("a fleet that rests costs no writes", c.restCostsNothing)
	t.Run("what finds no GPU is unschedulable until one is free", c.unschedulableUntilFree)
	t.Run("a scale-down drains before it removes", c.scaleDownDrains)
	t.Run("a StatefulSet's pod comes back under its name", c.ordinalComesBack)
	t.Run("a pod deleted by force leaves the plant at once", c.forceDeleted)
	t.Run("a pod that the plant loses has failed and is replaced", c.lostIsReplaced)
	t.Run("a pod that cannot join the plant says why", c.cannotJoin)
	t.Run("a pod with an undeclared port is told its address", c.undeclaredPort)
	t.Run("a deleted GPU exporter comes back", c.exporterComesBack)
	t.Run("an outage of the API stops nothing", c.outage)
}

func (c *cluster) deploymentBecomesReady(t *testing.T) {
	s := c.story(t, "ready")
	s.deploy(2)
	pods := s.until("both pods are ready", func(pods []*corev1.Pod) bool { return count(pods, isReady) == 2 })
	for _, pod := range pods {
		require.Equal(t, []string{"Pending", "Pending on gpu-0", "Running on gpu-0", "Running on gpu-0, ready"}, s.history[pod.UID])
		code, body := get(t, fmt.Sprintf("http://%s:%d/metrics", pod.Status.PodIP, pod.Spec.Containers[0].Ports[0].ContainerPort))
		require.Equal(t, 200, code)
		require.Contains(t, body, "vllm:num_requests_running")
		d := c.inPlant(s.namespace)[pod.UID]
		require.GreaterOrEqual(t, d.ReadyAt.Sub(d.CreatedAt), coldStart)
		require.False(t, condition(pod, corev1.PodReady).LastTransitionTime.Time.Before(d.ReadyAt.Truncate(time.Second)), "ready before the plant was")
		require.NotContains(t, pod.Annotations, AddressAnnotation, "its address is podIP and the port it declares")
		// A status that holds is not sent again, so three writes bring a pod up.
		require.Equal(t, []string{"create binding", "patch status", "patch status"}, c.writes(t, s.namespace, pod.Name))
	}
	require.Eventually(t, func() bool {
		d, err := c.client.AppsV1().Deployments(s.namespace).Get(t.Context(), workloadName, metav1.GetOptions{})
		return err == nil && d.Status.AvailableReplicas == 2
	}, deadline, tick, "the deployment controller sees both")

	node, err := c.client.CoreV1().Nodes().Get(t.Context(), "gpu-0", metav1.GetOptions{})
	require.NoError(t, err)
	gpus := node.Status.Allocatable[gpuResource]
	require.Equal(t, int64(2), gpus.Value())
	require.Equal(t, "NVIDIA-A100-SXM4-80GB", node.Labels["nvidia.com/gpu.product"])
	require.Equal(t, corev1.NodeReady, node.Status.Conditions[0].Type)
	require.Equal(t, corev1.ConditionTrue, node.Status.Conditions[0].Status)

	exporters, err := c.client.CoreV1().Pods(ExporterNamespace).List(t.Context(), metav1.ListOptions{LabelSelector: "app.kubernetes.io/name=dcgm-exporter"})
	require.NoError(t, err)
	require.Len(t, exporters.Items, len(c.plant.Snapshot().Nodes))
	for _, pod := range exporters.Items {
		require.True(t, isReady(&pod), pod.Name)
		port := pod.Spec.Containers[0].Ports[0]
		require.Equal(t, "metrics", port.Name)
		code, body := get(t, fmt.Sprintf("http://%s:%d/metrics", pod.Status.PodIP, port.ContainerPort))
		require.Equal(t, 200, code)
		require.Contains(t, body, `hostname="`+pod.Spec.NodeName+`"`)
	}
}

func (c *cluster) restCostsNothing(t *testing.T) {
	before, from := len(c.writes(t, "", "")), c.plant.Now()
	require.Eventually(t, func() bool { return c.plant.Now().Sub(from) >= time.Second }, deadline, tick)
	require.Len(t, c.writes(t, "", ""), before)
}

func (c *cluster) unschedulableUntilFree(t *testing.T) {
	s := c.story(t, "full")
	s.deploy(3)
	pods := s.until("two pods are ready and one is unschedulable", func(pods []*corev1.Pod) bool {
		return count(pods, isReady) == 2 && count(pods, isUnschedulable) == 1
	})
	var waiting *corev1.Pod
	for _, pod := range pods {
		if isUnschedulable(pod) {
			waiting = pod
		}
	}
	nodes := len(c.plant.Snapshot().Nodes)
	require.Equal(t, fmt.Sprintf("0/%d nodes are available: %[1]d Insufficient nvidia.com/gpu.", nodes), condition(waiting, corev1.PodScheduled).Message)
	s.scale(2) // the controller removes the unschedulable pod first
	s.until("it is gone", func(pods []*corev1.Pod) bool { return len(pods) == 2 })
	s.scale(3)
	s.until("another waits", func(pods []*corev1.Pod) bool { return len(pods) == 3 && count(pods, isUnschedulable) == 1 })
	for _, pod := range s.pods {
		if isReady(pod) {
			s.delete(pod, nil)
			break
		}
	}
	s.until("it got the free GPU, and the deleted pod's replacement waits", func(pods []*corev1.Pod) bool {
		return len(pods) == 3 && count(pods, isReady) == 2 && count(pods, isUnschedulable) == 1
	})
}

func (c *cluster) scaleDownDrains(t *testing.T) {
	s := c.story(t, "drain")
	s.deploy(2)
	s.until("both pods are ready", func(pods []*corev1.Pod) bool { return count(pods, isReady) == 2 })
	stop := s.scrape()
	s.scale(1)
	s.until("one is left", func(pods []*corev1.Pod) bool { return len(pods) == 1 && isReady(pods[0]) })
	require.Positive(t, stop(), "pages scraped")
	var removed types.UID
	for uid := range s.history {
		if s.pods[uid] == nil {
			removed = uid
		}
	}
	require.Equal(t, []string{
		"Running on gpu-0, ready", "Running on gpu-0, ready, deleted", "Running on gpu-0, deleted", "gone",
	}, s.history[removed][3:])
	require.Len(t, c.inPlant(s.namespace), 1)
}

func (c *cluster) ordinalComesBack(t *testing.T) {
	s := c.story(t, "ordinal")
	one := int32(1)
	_, err := c.client.AppsV1().StatefulSets(s.namespace).Create(t.Context(), &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: workloadName},
		Spec:       appsv1.StatefulSetSpec{Replicas: &one, Selector: selector(), Template: template()},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	first := s.until("it is ready", func(pods []*corev1.Pod) bool { return count(pods, isReady) == 1 })[0]
	s.delete(first, nil)
	second := s.until("another is ready", func(pods []*corev1.Pod) bool {
		return count(pods, isReady) == 1 && pods[0].UID != first.UID
	})[0]
	require.Equal(t, first.Name, second.Name)
	require.NotEqual(t, first.Status.PodIP, second.Status.PodIP)
}

func (c *cluster) forceDeleted(t *testing.T) {
	s := c.story(t, "force")
	s.deploy(2)
	pods := s.until("both pods are ready", func(pods []*corev1.Pod) bool { return count(pods, isReady) == 2 })
	now := int64(0)
	s.delete(pods[0], &now)
	s.until("its replacement is ready on its GPU", func(now []*corev1.Pod) bool {
		return count(now, isReady) == 2 && s.pods[pods[0].UID] == nil
	})
	require.NotContains(t, c.inPlant(s.namespace), pods[0].UID)
	require.NotContains(t, c.writes(t, s.namespace, pods[0].Name), "delete", "the API had done that")
}

func (c *cluster) lostIsReplaced(t *testing.T) {
	s := c.story(t, "lost")
	s.deploy(2)
	pods := s.until("both pods are ready", func(pods []*corev1.Pod) bool { return count(pods, isReady) == 2 })
	require.NoError(t, c.plant.KillPod(string(pods[0].UID)))
	s.until("another pod takes its place", func(now []*corev1.Pod) bool {
		return len(now) == 3 && count(now, isReady) == 2
	})
	require.Equal(t, corev1.PodFailed, s.pods[pods[0].UID].Status.Phase)
	require.Equal(t, "NodeLost", s.pods[pods[0].UID].Status.Reason)
}

func (c *cluster) cannotJoin(t *testing.T) {
	s := c.story(t, "unknown")
	pod := &corev1.Pod{ObjectMeta: template().ObjectMeta, Spec: template().Spec}
	pod.Name, pod.Labels[WorkloadLabel] = "stray", "nobody"
	_, err := c.client.CoreV1().Pods(s.namespace).Create(t.Context(), pod, metav1.CreateOptions{})
	require.NoError(t, err)
	pod.Name, pod.Labels[WorkloadLabel] = "made-by-the-plant", "own"
	_, err = c.client.CoreV1().Pods(s.namespace).Create(t.Context(), pod, metav1.CreateOptions{})
	require.NoError(t, err)
	s.until("each condition says what is wrong", func(pods []*corev1.Pod) bool {
		says := func(message string) func(*corev1.Pod) bool {
			return func(pod *corev1.Pod) bool {
				return strings.Contains(condition(pod, corev1.PodScheduled).Message, message)
			}
		}
		return count(pods, says("the plant has no workload unknown/nobody")) == 1 && count(pods, says("makes its own pods")) == 1
	})
}

func (c *cluster) undeclaredPort(t *testing.T) {
	s := c.story(t, "port")
	pod := &corev1.Pod{ObjectMeta: template().ObjectMeta, Spec: template().Spec}
	pod.Name, pod.Spec.Containers[0].Ports = "bare", nil
	_, err := c.client.CoreV1().Pods(s.namespace).Create(t.Context(), pod, metav1.CreateOptions{})
	require.NoError(t, err)
	pods := s.until("it is ready", func(pods []*corev1.Pod) bool { return count(pods, isReady) == 1 })
	require.Equal(t, c.inPlant(s.namespace)[pods[0].UID].Address, pods[0].Annotations[AddressAnnotation])
}

func (c *cluster) exporterComesBack(t *testing.T) {
	s := c.watched(t, ExporterNamespace)
	pods := s.until("all exporters are ready", func(pods []*corev1.Pod) bool { return count(pods, isReady) == len(c.plant.Snapshot().Nodes) })
	s.delete(pods[0], nil)
	s.until("another of its name is ready", func(now []*corev1.Pod) bool {
		return count(now, isReady) == len(pods) && s.pods[pods[0].UID] == nil
	})
}

func (c *cluster) outage(t *testing.T) {
	s := c.story(t, "outage")
	s.deploy(2)
	pods := s.until("both pods are ready", func(pods []*corev1.Pod) bool { return count(pods, isReady) == 2 })
	killed, kept := pods[0], pods[1]

	require.NoError(t, c.api.StopAPI())
	from := c.plant.Now()
	require.NoError(t, c.plant.KillPod(string(killed.UID)))
	require.Eventually(t, func() bool { return c.plant.Now().Sub(from) >= 2*time.Second }, deadline, tick, "the plant goes on")
	code, _ := get(t, fmt.Sprintf("http://%s:8000/metrics", kept.Status.PodIP))
	require.Equal(t, 200, code, "and so do its pages")
	require.NoError(t, c.api.StartAPI(t.Context()))

	s = c.watched(t, s.namespace)
	s.until("the API knows that one was lost, and another is ready", func(now []*corev1.Pod) bool {
		return len(now) == 3 && s.pods[killed.UID].Status.Phase == corev1.PodFailed && count(now, isReady) == 2
	})
	require.True(t, isReady(s.pods[kept.UID]), "the other never noticed")
	const again = "has been told of the plant's state again"
	require.Eventually(t, func() bool { return c.log.FilterMessageSnippet(again).Len() >= 1 }, deadline, tick)
	// An API server that has just started may stumble once more; a line for every step would be hundreds.
	require.LessOrEqual(t, c.log.Len(), 6, "an outage is logged when it begins and ends: %v", c.log.All())
}

// writes are the kubelet's writes to pods, in order, from the API server's audit log: verb and subresource. Empty arguments mean any.
func (c *cluster) writes(t *testing.T, namespace, name string) []string {
	t.Helper()
	f, err := os.Open(c.api.AuditLog())
	require.NoError(t, err)
	defer f.Close()
	var out []string
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		var e struct {
			Verb, UserAgent string
			ObjectRef       struct{ Resource, Namespace, Name, Subresource string }
		}
		require.NoError(t, json.Unmarshal(lines.Bytes(), &e))
		o := e.ObjectRef
		if e.UserAgent != fieldManager || o.Resource != "pods" || e.Verb == "list" || e.Verb == "watch" ||
			namespace != "" && o.Namespace != namespace || name != "" && o.Name != name {
			continue
		}
		out = append(out, strings.TrimSpace(e.Verb+" "+o.Subresource))
	}
	require.NoError(t, lines.Err())
	return out
}

func (c *cluster) inPlant(namespace string) map[types.UID]sim.PodState {
	out := map[types.UID]sim.PodState{}
	for _, d := range c.plant.Snapshot().Pods {
		if d.Namespace == namespace {
			out[types.UID(d.UID)] = d
		}
	}
	return out
}
