package simkube

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"

	"github.com/flyball/flyball/internal/sim"
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// created is a pod as the API has it when its controller has just made it.
func created(with ...func(*corev1.Pod)) *corev1.Pod {
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: "chat", Name: "llama-x", UID: "u1", Generation: 1, Labels: map[string]string{WorkloadLabel: "llama"},
		},
		Spec: corev1.PodSpec{Containers: []corev1.Container{{
			Name: "vllm", Image: "vllm", Ports: []corev1.ContainerPort{{Name: "http", ContainerPort: 8000}},
		}}},
		Status: corev1.PodStatus{Phase: corev1.PodPending},
	}
	for _, f := range with {
		f(pod)
	}
	return pod
}

func boundTo(node string) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		pod.Spec.NodeName = node
		setCondition(&pod.Status, corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}, noon)
	}
}

// told is a pod on gpu-0 that the API knows to run.
func told(ready bool) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		boundTo("gpu-0")(pod)
		pod.Status = running(pod, ready, "127.64.0.1", "127.32.0.1", noon)
	}
}

// deleted is a pod whose grace of 30 s ends then.
func deleted(then time.Time) func(*corev1.Pod) {
	return func(pod *corev1.Pod) {
		grace := int64(30)
		pod.DeletionTimestamp, pod.DeletionGracePeriodSeconds = &metav1.Time{Time: then}, &grace
	}
}

func finalized(pod *corev1.Pod) {
	grace := int64(0)
	pod.DeletionGracePeriodSeconds, pod.Finalizers = &grace, []string{"example.com/keep"}
}

func failed(pod *corev1.Pod) { pod.Status.Phase = corev1.PodFailed }

func TestThePlanFollowsFromThePodAndThePlant(t *testing.T) {
	const nowhere = sim.Phase("")
	later, over := noon.Add(30*time.Second), noon
	for _, tt := range []struct {
		name string
		pod  *corev1.Pod
		in   sim.Phase // of the plant's pod; nowhere: the plant does not have it
		want verb
	}{
		{"a new pod joins the plant", created(), nowhere, add},
		{"a new pod of an unknown workload is told so", created(func(p *corev1.Pod) { p.Labels[WorkloadLabel] = "nobody" }), nowhere, patch},
		{"a pod without a GPU is unschedulable", created(), sim.Pending, patch},
		{"which is said once", created(func(p *corev1.Pod) { p.Status = unschedulable(p, 1, noon) }), sim.Pending, nothing},
		{"a pod that got its GPU is bound", created(), sim.Starting, bind},
		{"a bound pod runs", created(boundTo("gpu-0")), sim.Starting, patch},
		{"a starting pod stays as it is", created(told(false)), sim.Starting, nothing},
		{"a ready pod is reported", created(told(false)), sim.Ready, patch},
		{"a ready pod stays as it is", created(told(true)), sim.Ready, nothing},
		{"a deleted pod is unready first", created(told(true), deleted(later)), sim.Ready, patch},
		{"even when its grace is over", created(told(true), deleted(over)), sim.Ready, patch},
		{"then it drains", created(told(false), deleted(later)), sim.Ready, drain},
		{"a deleted pod that was starting goes", created(told(false), deleted(later)), sim.Starting, drain},
		{"a draining pod is waited for", created(told(false), deleted(later)), sim.Draining, nothing},
		{"until its grace is over", created(told(false), deleted(over)), sim.Draining, kill},
		{"a drained pod is deleted", created(told(false), deleted(later)), nowhere, remove},
		{"a finalizer may keep it", created(told(false), deleted(over), finalized), nowhere, nothing},
		{"a pod deleted while it waits, kept by a finalizer, leaves the queue", created(deleted(over), finalized), sim.Pending, kill},
		{"a pod that the plant lost has failed", created(told(true)), nowhere, patch},
		{"a failed pod is left alone", created(told(false), failed), nowhere, nothing},
		{"until it is deleted", created(told(false), failed, deleted(later)), nowhere, remove},
		{"a pod failed by somebody else gives its GPU back", created(told(true), failed), sim.Ready, kill},
		{"so does a pod bound elsewhere by somebody else", created(boundTo("gpu-9")), sim.Starting, kill},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := sim.Snapshot{
				Workloads: []sim.WorkloadState{{Namespace: "chat", Name: "llama"}},
				Nodes:     []sim.NodeState{{Name: "gpu-0", Address: "127.32.0.1:9400"}},
			}
			if tt.in != nowhere {
				d := sim.PodState{Namespace: "chat", Name: "llama-x", UID: "u1", Phase: tt.in}
				if tt.in != sim.Pending {
					d.Node, d.Address = "gpu-0", "127.64.0.1:8000"
				}
				s.Pods = append(s.Pods, d)
			}
			require.Equal(t, tt.want, newWorld(s, noon).plan(tt.pod).verb)
		})
	}
}

func TestASuccessorWaitsUntilItsNameIsFree(t *testing.T) {
	s := sim.Snapshot{
		Workloads: []sim.WorkloadState{{Namespace: "chat", Name: "llama"}},
		Pods:      []sim.PodState{{Namespace: "chat", Name: "llama-x", UID: "u0", Phase: sim.Draining}},
	}
	require.Equal(t, nothing, newWorld(s, noon).plan(created()).verb)
	s.Pods[0].Namespace = "other"
	require.Equal(t, add, newWorld(s, noon).plan(created()).verb)
}

func TestABindingCarriesTheAddressWhereThePortIsNotDeclared(t *testing.T) {
	s := sim.Snapshot{
		Pods:  []sim.PodState{{UID: "u1", Phase: sim.Starting, Node: "gpu-0", Address: "127.64.0.1:8000"}},
		Nodes: []sim.NodeState{{Name: "gpu-0", Address: "127.32.0.1:9400"}},
	}
	require.Equal(t, action{verb: bind, node: "gpu-0"}, newWorld(s, noon).plan(created()))
	s.Pods[0].Address = "127.0.0.1:40123"
	require.Equal(t, action{verb: bind, node: "gpu-0", address: "127.0.0.1:40123"}, newWorld(s, noon).plan(created()))
}

// patched is the pod after the API has applied the patch between its status and another.
func patched(t *testing.T, pod *corev1.Pod, status corev1.PodStatus) *corev1.Pod {
	t.Helper()
	data, err := statusPatch(pod, status)
	require.NoError(t, err)
	before, err := json.Marshal(pod)
	require.NoError(t, err)
	after, err := strategicpatch.StrategicMergePatch(before, data, corev1.Pod{})
	require.NoError(t, err)
	out := &corev1.Pod{}
	require.NoError(t, json.Unmarshal(after, out))
	return out
}

func TestAStatusThatHasBeenPatchedIsNotPatchedAgain(t *testing.T) {
	const half = 500 * time.Millisecond // the API keeps whole seconds
	for name, status := range map[string]func(*corev1.Pod, time.Time) corev1.PodStatus{
		"unschedulable": func(p *corev1.Pod, at time.Time) corev1.PodStatus { return unschedulable(p, 2, at) },
		"homeless":      homeless,
		"starting": func(p *corev1.Pod, at time.Time) corev1.PodStatus {
			return running(p, false, "127.64.0.1", "127.32.0.1", at)
		},
		"ready": func(p *corev1.Pod, at time.Time) corev1.PodStatus {
			return running(p, true, "127.64.0.1", "127.32.0.1", at)
		},
	} {
		t.Run(name, func(t *testing.T) {
			pod := created(boundTo("gpu-0"))
			once := patched(t, pod, status(pod, noon.Add(half)))
			w := &world{}
			require.Equal(t, patch, w.to(pod, status(pod, noon.Add(half))).verb)
			require.Equal(t, nothing, w.to(once, status(once, noon.Add(time.Minute))).verb)
		})
	}
}

func TestTheStatusesOfAPodsLife(t *testing.T) {
	pod := created()
	condition := func(c corev1.PodConditionType) corev1.PodCondition {
		t.Helper()
		for _, have := range pod.Status.Conditions {
			if have.Type == c {
				return have
			}
		}
		t.Fatalf("no condition %s in %v", c, pod.Status.Conditions)
		return corev1.PodCondition{}
	}
	pod = patched(t, pod, unschedulable(pod, 2, noon))
	require.Equal(t, corev1.PodCondition{
		Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: "Unschedulable",
		Message: "0/2 nodes are available: 2 Insufficient nvidia.com/gpu.", LastTransitionTime: metav1.NewTime(noon.Local()),
	}, condition(corev1.PodScheduled))

	boundTo("gpu-0")(pod)
	pod = patched(t, pod, running(pod, false, "127.64.0.1", "127.32.0.1", noon.Add(time.Second)))
	require.Equal(t, corev1.PodRunning, pod.Status.Phase)
	require.Equal(t, "127.64.0.1", pod.Status.PodIP)
	require.Equal(t, "127.32.0.1", pod.Status.HostIP)
	require.Equal(t, "containers with unready status: [vllm]", condition(corev1.PodReady).Message)
	require.False(t, pod.Status.ContainerStatuses[0].Ready)

	pod = patched(t, pod, running(pod, true, "127.64.0.1", "127.32.0.1", noon.Add(time.Minute)))
	require.Equal(t, corev1.ConditionTrue, condition(corev1.PodReady).Status)
	require.Empty(t, condition(corev1.PodReady).Reason)
	require.True(t, condition(corev1.PodReady).LastTransitionTime.Time.Equal(noon.Add(time.Minute)))
	require.True(t, pod.Status.StartTime.Equal(&metav1.Time{Time: noon.Add(time.Second)}), "started when it got its node")
	require.True(t, pod.Status.ContainerStatuses[0].Ready)

	pod = patched(t, pod, lost(pod, noon.Add(2*time.Minute)))
	require.Equal(t, corev1.PodFailed, pod.Status.Phase)
	require.Equal(t, "NodeLost", pod.Status.Reason)
	require.Equal(t, corev1.ConditionFalse, condition(corev1.PodReady).Status)
	require.Equal(t, int32(137), pod.Status.ContainerStatuses[0].State.Terminated.ExitCode)
	require.True(t, pod.Status.ContainerStatuses[0].State.Terminated.StartedAt.Equal(pod.Status.StartTime))
}

// A whole life against a real plant, the pod in hand being the API: each round's plan is carried out on it.
func TestAPodsLifeInSteps(t *testing.T) {
	plant, err := sim.New(sim.Config{
		Start: noon, Nodes: []sim.NodeSpec{{Name: "gpu-0", GPU: sim.A100, GPUs: 1}},
		Workloads: []sim.WorkloadSpec{{
			Namespace: "chat", Name: "llama", GPU: sim.A100, GPUsPerPod: 1, ColdStart: 20 * time.Second, DrainGrace: time.Minute,
			PodNames: sim.Given, Load: sim.LoadSpec{Shape: sim.Constant{Rate: 2}, Prompt: sim.Tokens{Mean: 500, Max: 500}, Output: sim.Tokens{Mean: 8000, Max: 8000}},
		}},
	})
	require.NoError(t, err)
	pod, now := created(), noon
	var verbs []verb
	round := func() verb {
		a := newWorld(plant.Snapshot(), now).plan(pod)
		switch a.verb {
		case add:
			require.NoError(t, plant.AddPod("chat", "llama", pod.Name, string(pod.UID)))
		case drain:
			require.NoError(t, plant.RemovePod(string(pod.UID)))
		case kill:
			require.NoError(t, plant.KillPod(string(pod.UID)))
		case bind:
			boundTo(a.node)(pod)
		case patch:
			pod = patched(t, pod, a.status)
		}
		if a.verb != nothing {
			verbs = append(verbs, a.verb)
		}
		return a.verb
	}
	settle := func(at time.Duration) {
		now = noon.Add(at)
		plant.Advance(now)
		for v := round(); v != nothing && v != remove; v = round() {
		}
	}
	require.NoError(t, plant.AddPod("chat", "llama", "before", "u0"))
	settle(0)
	settle(10 * time.Second)
	require.Equal(t, []verb{add, patch}, verbs, "no GPU: unschedulable")
	verbs = nil
	require.NoError(t, plant.KillPod("u0"))
	settle(11 * time.Second)
	require.Equal(t, []verb{bind, patch}, verbs, "starting")
	verbs = nil
	settle(60 * time.Second)
	require.Equal(t, []verb{patch}, verbs, "ready")
	verbs = nil
	deleted(noon.Add(90 * time.Second))(pod)
	settle(61 * time.Second)
	require.Equal(t, []verb{patch, drain}, verbs, "unready, then draining")
	require.Equal(t, sim.Draining, newWorld(plant.Snapshot(), now).pods[types.UID("u1")].Phase)
	verbs = nil
	settle(89 * time.Second)
	require.Empty(t, verbs, "its requests take longer than that")
	settle(90 * time.Second)
	require.Equal(t, []verb{kill, remove}, verbs, "the grace is over")
}
