package kube_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/internal/kube"
)

func offline(t testing.TB, scalers ...string) *kube.Kube {
	k, end := kube.Offline(scalers...)
	t.Cleanup(end)
	return k
}

// read makes an object of YAML.
func read[T any](t testing.TB, text string) *T {
	t.Helper()
	out := new(T)
	require.NoError(t, yaml.UnmarshalStrict([]byte(text), out))
	return out
}

func ownedBy(uid types.UID, apiVersion, kind, name string) []metav1.OwnerReference {
	o := controller(&metav1.ObjectMeta{UID: uid, Name: name}, apiVersion, kind)
	return []metav1.OwnerReference{o}
}

var deployments = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}

// chat is a target of that UID in namespace llm, whose pods it controls itself and are labelled app=chat.
var chat = kube.Target{
	UID: "chat-uid", Namespace: "llm", Name: "chat", GVR: deployments, Selector: kube.Selector("chat"),
}

var start = time.Date(2026, 11, 2, 9, 0, 0, 0, time.UTC)

// podsOfChat feeds n pods that are alike but for their names and ages; the last is the newest.
func podsOfChat(k *kube.Kube, like *corev1.Pod, n int) {
	for i := range n {
		p := like.DeepCopy()
		p.Namespace, p.Name = "llm", fmt.Sprintf("chat-%s-%d", like.Name, i)
		p.UID = types.UID(p.Name)
		p.Labels = map[string]string{"app": "chat"}
		p.OwnerReferences = ownedBy(chat.UID, "apps/v1", "ReplicaSet", "chat")
		p.CreationTimestamp = metav1.NewTime(like.CreationTimestamp.Add(time.Duration(i) * time.Second))
		k.Feed(nil, p)
	}
}

const gpuPod = `
spec:
  containers:
  - name: vllm
    resources: {requests: {cpu: "4", memory: 20Gi, nvidia.com/gpu: "2"}, limits: {memory: 30Gi, nvidia.com/gpu: "2"}}
status: {phase: Running, qosClass: Burstable}
`

func quota(name, used, hard string) string {
	return fmt.Sprintf("metadata: {name: %s, namespace: llm}\nstatus: {used: {%s}, hard: {%s}}\n", name, used, hard)
}

func TestQuota(t *testing.T) {
	for name, c := range map[string]struct {
		pod    string // three of them run, unless it says otherwise
		quotas []string
		want   decider.Quota
	}{
		"none":          {gpuPod, nil, decider.Quota{}},
		"GPUs run out":  {gpuPod, []string{quota("gpus", "requests.nvidia.com/gpu: 6", "requests.nvidia.com/gpu: 11")}, decider.Quota{Name: "gpus", Resource: "requests.nvidia.com/gpu", Most: 5}},
		"others use it": {gpuPod, []string{quota("gpus", "requests.nvidia.com/gpu: 10", "requests.nvidia.com/gpu: 11")}, decider.Quota{Name: "gpus", Resource: "requests.nvidia.com/gpu", Most: 3}},
		"tightened since: what runs, runs": {
			gpuPod,
			[]string{quota("gpus", "requests.nvidia.com/gpu: 6", "requests.nvidia.com/gpu: 2")},
			decider.Quota{Name: "gpus", Resource: "requests.nvidia.com/gpu", Most: 3},
		},
		"the scarcest resource of the strictest quota": {
			gpuPod,
			[]string{
				quota("a", "requests.cpu: 12, limits.memory: 90Gi", "requests.cpu: 40, limits.memory: 200Gi"),
				quota("b", "pods: 3, memory: 60Gi", "pods: 100, memory: 119Gi"),
			},
			decider.Quota{Name: "b", Resource: "memory", Most: 5},
		},
		"the first of two that admit as many": {
			gpuPod,
			[]string{quota("b", "", "pods: 2"), quota("a", "", "count/pods: 2, cpu: 8")},
			decider.Quota{Name: "a", Resource: "count/pods", Most: 5},
		},
		"millicores": {
			"spec: {containers: [{name: a, resources: {requests: {cpu: 300m}}}]}",
			[]string{quota("cpu", "cpu: 900m", "cpu: 1600m")},
			decider.Quota{Name: "cpu", Resource: "cpu", Most: 5},
		},
		"a tenth of a core left and no more": {
			"spec: {containers: [{name: a, resources: {requests: {cpu: 100m}}}]}",
			[]string{quota("cpu", "cpu: 300m", "cpu: 400m")},
			decider.Quota{Name: "cpu", Resource: "cpu", Most: 4},
		},
		"what pods have no part in": {
			gpuPod,
			[]string{quota("rest", "services: 1, requests.storage: 1Gi, count/deployments.apps: 1, nvidia.com/gpu: 6", "services: 1, requests.storage: 1Gi, count/deployments.apps: 1, nvidia.com/gpu: 6")},
			decider.Quota{},
		},
		"what this pod does not ask for": {gpuPod, []string{quota("amd", "", "requests.amd.com/gpu: 0, limits.cpu: 0")}, decider.Quota{}},
		"a limit of zero pods":           {gpuPod, []string{quota("none", "pods: 3", "pods: 0")}, decider.Quota{Name: "none", Resource: "pods", Most: 3}},
		"more than fits a number":        {gpuPod, []string{quota("vast", "", "memory: 8Ei, pods: 4e9")}, decider.Quota{Name: "vast", Resource: "memory", Most: 429496732}},
		"more pods than there are numbers": {
			gpuPod,
			[]string{quota("vast", "", "pods: 4e9")},
			decider.Quota{Name: "vast", Resource: "pods", Most: math.MaxInt32},
		},
		"huge pages and local disk": {
			"spec: {containers: [{name: a, resources: {requests: {hugepages-2Mi: 4Mi, ephemeral-storage: 1Gi}, limits: {ephemeral-storage: 2Gi}}}]}",
			[]string{quota("pages", "", "hugepages-2Mi: 8Mi, requests.hugepages-2Mi: 16Mi, ephemeral-storage: 9Gi, limits.ephemeral-storage: 100Gi")},
			decider.Quota{Name: "pages", Resource: "hugepages-2Mi", Most: 5},
		},
		"pods that have ended do not count": {
			"spec: {containers: [{name: a, resources: {requests: {cpu: 1}}}]}\nstatus: {phase: Failed}",
			[]string{quota("cpu", "cpu: 0", "cpu: 2")},
			decider.Quota{Name: "cpu", Resource: "cpu", Most: 2},
		},
		"sidecars run beside the containers": {
			`{spec: {initContainers: [{name: proxy, restartPolicy: Always, resources: {requests: {cpu: 1}}}], containers: [{name: a, resources: {requests: {cpu: 2}}}]}}`,
			[]string{quota("cpu", "cpu: 9", "cpu: 14")},
			decider.Quota{Name: "cpu", Resource: "cpu", Most: 4},
		},
		"an init container may need more than all that follows": {
			`{spec: {initContainers: [{name: proxy, restartPolicy: Always, resources: {requests: {cpu: 1}}}, {name: fetch, resources: {requests: {cpu: 6}}}],
			  containers: [{name: a, resources: {requests: {cpu: 2}}}], overhead: {cpu: 1}}}`,
			[]string{quota("cpu", "cpu: 24", "cpu: 40")},
			decider.Quota{Name: "cpu", Resource: "cpu", Most: 5}, // 1 + 6 + 1
		},
		"overhead makes no limit of its own": {
			`{spec: {containers: [{name: a, resources: {limits: {memory: 1Gi}}}], overhead: {cpu: 1, memory: 1Gi}}}`,
			[]string{quota("limits", "", "limits.cpu: 0, limits.memory: 5Gi")},
			decider.Quota{Name: "limits", Resource: "limits.memory", Most: 5},
		},
		"resources of the pod as a whole": {
			`{spec: {resources: {requests: {cpu: 8}}, containers: [{name: a, resources: {requests: {cpu: 2}}}]}}`,
			[]string{quota("cpu", "", "cpu: 16")},
			decider.Quota{Name: "cpu", Resource: "cpu", Most: 5},
		},
	} {
		t.Run(name, func(t *testing.T) {
			k := offline(t)
			podsOfChat(k, read[corev1.Pod](t, c.pod), 3)
			for _, q := range c.quotas {
				k.Feed(nil, read[corev1.ResourceQuota](t, q))
			}
			require.Equal(t, c.want, k.Quota(chat))
		})
	}
}

// In a rollout, what comes next is like the newest pod. And there has to be one.
func TestQuotaGoesByTheNewestPod(t *testing.T) {
	k := offline(t)
	k.Feed(nil, read[corev1.ResourceQuota](t, quota("cpu", "cpu: 4", "cpu: 20")))
	require.Equal(t, decider.Quota{}, k.Quota(chat), "no pod to learn from")
	podsOfChat(k, read[corev1.Pod](t, "{metadata: {name: old}, spec: {containers: [{name: a, resources: {requests: {cpu: 2}}}]}}"), 2)
	require.EqualValues(t, 2+8, k.Quota(chat).Most)
	podsOfChat(k, read[corev1.Pod](t, "{metadata: {name: new, creationTimestamp: 2026-11-02T09:00:00Z}, spec: {containers: [{name: a, resources: {requests: {cpu: 4}}}]}}"), 3)
	require.EqualValues(t, 5+4, k.Quota(chat).Most)

	other := chat
	other.Namespace = "elsewhere"
	require.Equal(t, decider.Quota{}, k.Quota(other))
}

func TestQuotaScopes(t *testing.T) {
	pod := func(text string) *corev1.Pod {
		return read[corev1.Pod](t, "spec: {"+text+" containers: [{name: a}]}\nstatus: {qosClass: Burstable}")
	}
	plain, batch, urgent := pod(""), pod("activeDeadlineSeconds: 60,"), pod("priorityClassName: urgent,")
	best := plain.DeepCopy()
	best.Status.QOSClass = corev1.PodQOSBestEffort
	class := func(operator string, values string) string {
		return "scopeSelector: {matchExpressions: [{scopeName: PriorityClass, operator: " + operator + ", values: [" + values + "]}]}"
	}
	for _, c := range []struct {
		scope string
		pod   *corev1.Pod
		want  bool
	}{
		{"", plain, true},
		{"scopes: [Terminating]", plain, false},
		{"scopes: [Terminating]", batch, true},
		{"scopes: [NotTerminating]", plain, true},
		{"scopes: [NotTerminating]", batch, false},
		{"scopes: [BestEffort]", plain, false},
		{"scopes: [BestEffort]", best, true},
		{"scopes: [NotBestEffort]", plain, true},
		{"scopes: [NotBestEffort]", best, false},
		{"scopes: [NotTerminating, BestEffort]", plain, false},
		{"scopes: [PriorityClass]", plain, false},
		{"scopes: [PriorityClass]", urgent, true},
		{class("In", "urgent, high"), urgent, true},
		{class("In", "high"), urgent, false},
		{class("In", "high"), plain, false},
		{class("NotIn", "high"), urgent, true},
		{class("NotIn", "urgent"), urgent, false},
		{class("NotIn", "urgent"), plain, true},
		{class("Exists", ""), urgent, true},
		{class("DoesNotExist", ""), urgent, false},
		{class("DoesNotExist", ""), plain, true},
		{class("Near", ""), urgent, false},
		{"scopes: [VolumeAttributesClass]", plain, false},
	} {
		k := offline(t)
		podsOfChat(k, c.pod, 1)
		k.Feed(nil, read[corev1.ResourceQuota](t, quota("q", "", "pods: 7")+"spec: {"+c.scope+"}\n"))
		want := decider.Quota{}
		if c.want {
			want = decider.Quota{Name: "q", Resource: "pods", Most: 8}
		}
		require.Equal(t, want, k.Quota(chat), "%s: %+v", c.scope, c.pod.Spec)
	}
}
