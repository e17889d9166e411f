package kube_test

import (
	"encoding/json"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/internal/kube"
)

const node = `
metadata: {name: %s, labels: {%s, zone: a}}
spec: {unschedulable: %v}
status:
  allocatable: {cpu: "64", pods: "110", %s}
  conditions: [{type: MemoryPressure, status: "False"}, {type: Ready, status: %q}]
`

func TestGPUs(t *testing.T) {
	k := offline(t)
	require.Nil(t, k.GPUs())
	const h100 = "nvidia.com/gpu.product: NVIDIA-H100-80GB-HBM3"
	for _, n := range []string{
		fmt.Sprintf(node, "a", h100, false, `nvidia.com/gpu: "8", nvidia.com/mig-1g.10gb: "7"`, "True"),
		fmt.Sprintf(node, "b", h100, false, `nvidia.com/gpu: "4", nvidia.com/mig-1g.10gb: "0"`, "True"),
		fmt.Sprintf(node, "c", h100, true, `nvidia.com/gpu: "8"`, "True"),
		fmt.Sprintf(node, "d", h100, false, `nvidia.com/gpu: "8"`, "Unknown"),
		fmt.Sprintf(node, "e", "x: y", false, `nvidia.com/gpu: "2"`, "True"),
		fmt.Sprintf(node, "f", "amd.com/gpu.product-name: MI300X", false, `amd.com/gpu: "8"`, "True"),
		fmt.Sprintf(node, "g", "x: y", false, `memory: 1Gi`, "True"),
	} {
		k.Feed(nil, read[corev1.Node](t, n))
	}
	pod := func(name, node, gpus, phase string) *corev1.Pod {
		return read[corev1.Pod](t, fmt.Sprintf(
			"{metadata: {namespace: llm, name: %s}, spec: {nodeName: %s, containers: [{name: a, resources: {requests: {%s}}}]}, status: {phase: %s}}", name, node, gpus, phase))
	}
	for _, p := range []*corev1.Pod{
		pod("1", "a", `nvidia.com/gpu: "2"`, "Running"), pod("2", "a", `nvidia.com/gpu: "1", nvidia.com/mig-1g.10gb: "3"`, "Pending"),
		pod("3", "b", `nvidia.com/gpu: "4"`, "Running"), pod("4", "c", `nvidia.com/gpu: "8"`, "Running"),
		pod("5", "b", `nvidia.com/gpu: "4"`, "Succeeded"), pod("6", `""`, `nvidia.com/gpu: "1"`, "Pending"), pod("7", "a", `cpu: "1"`, "Running"),
	} {
		k.Feed(nil, p)
	}
	const model = "NVIDIA-H100-80GB-HBM3"
	require.Equal(t, []kube.GPUModel{
		{Resource: "amd.com/gpu", Model: "MI300X", Nodes: 1, Allocatable: 8},
		{Resource: "nvidia.com/gpu", Model: model, Nodes: 2, Allocatable: 12, Requested: 7},
		{Resource: "nvidia.com/gpu", Model: "unknown", Nodes: 1, Allocatable: 2},
		{Resource: "nvidia.com/mig-1g.10gb", Model: model, Nodes: 1, Allocatable: 7, Requested: 3},
	}, k.GPUs())

	before := read[corev1.Node](t, fmt.Sprintf(node, "b", h100, false, `nvidia.com/gpu: "4"`, "True"))
	beat := before.DeepCopy()
	beat.Status.Conditions[1].LastHeartbeatTime = metav1.NewTime(start)
	beat.Status.Images = []corev1.ContainerImage{{Names: []string{"vllm"}}}
	quiet(t, k)
	k.Feed(before, beat)
	require.True(t, quiet(t, k), "a heartbeat")
	gone := beat.DeepCopy()
	gone.Status.Conditions[1].Status = corev1.ConditionUnknown
	k.Feed(beat, gone)
	require.False(t, quiet(t, k))
	require.Equal(t, 8, k.GPUs()[1].Allocatable)
}

// quiet says whether nothing was signalled since it was last called.
func quiet(t *testing.T, k *kube.Kube) bool {
	t.Helper()
	select {
	case <-k.Changed():
		return false
	default:
		return true
	}
}

// What is worth a signal, and what is not.
func TestWhatIsNews(t *testing.T) {
	k := offline(t)
	pa := scaling("chat", "1", time.Hour)
	pa.Labels = map[string]string{"team": "search"}
	k.Feed(nil, pa)
	require.False(t, quiet(t, k))
	require.Equal(t, []string{"chat"}, k.Noted())

	wrote := pa.DeepCopy()
	wrote.Status.DesiredScale, wrote.ResourceVersion = 7, "2"
	wrote.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "flyball", Subresource: "status", Time: &pa.CreationTimestamp}}
	k.Feed(pa, wrote)
	require.True(t, quiet(t, k), "a status")
	require.Empty(t, k.Noted())

	for name, set := range map[string]func(){
		"an annotation": func() { wrote.Annotations = map[string]string{"flyball.dev/paused": "true"} },
		"a label":       func() { wrote.Labels["team"] = "chat" },
		"the spec":      func() { wrote.Generation++ },
	} {
		before := wrote.DeepCopy()
		set()
		k.Feed(before, wrote.DeepCopy())
		require.False(t, quiet(t, k), name)
	}

	// Of a change of target, both the old and the new one are looked at.
	k.Noted()
	moved := wrote.DeepCopy()
	moved.Spec.ScaleTargetRef.Name, moved.Generation = "search", 9
	k.Feed(wrote, moved)
	require.Equal(t, []string{"chat", "search"}, k.Noted())
	quiet(t, k)

	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "llm", Name: "chat-0", UID: "p", Labels: map[string]string{"app": "chat"}}}
	k.Feed(nil, pod)
	require.False(t, quiet(t, k))
	for name, c := range map[string]struct {
		change func(*corev1.Pod)
		news   bool
	}{
		"an annotation of a pod": {func(p *corev1.Pod) { p.Annotations = map[string]string{"seen": "1"} }, false},
		"a container restarts":   {func(p *corev1.Pod) { p.Status.ContainerStatuses = []corev1.ContainerStatus{{RestartCount: 1}} }, false},
		"a pod has an address":   {func(p *corev1.Pod) { p.Status.PodIP = "10.0.0.7" }, true},
		"a pod runs":             {func(p *corev1.Pod) { p.Status.Phase = corev1.PodRunning }, true},
		"a pod is ready": {func(p *corev1.Pod) {
			p.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
		}, true},
		"a pod leaves":       {func(p *corev1.Pod) { p.DeletionTimestamp = &metav1.Time{Time: start} }, true},
		"a pod has a node":   {func(p *corev1.Pod) { p.Spec.NodeName = "gpu-1" }, true},
		"a pod's labels":     {func(p *corev1.Pod) { p.Labels = map[string]string{"app": "other"} }, true},
		"a pod is made anew": {func(p *corev1.Pod) { p.UID = "q" }, true},
		"a pod's other owner": {func(p *corev1.Pod) {
			yes := true
			p.OwnerReferences = []metav1.OwnerReference{{UID: "o", Controller: &yes}}
		}, true},
	} {
		after := pod.DeepCopy()
		c.change(after)
		k.Feed(pod, after)
		require.Equal(t, c.news, !quiet(t, k), name)
	}

	own := native(t, "chat-hpa", "apps/v1", "chat")
	k.Feed(nil, own)
	require.False(t, quiet(t, k))
	measured := own.DeepCopy()
	measured.Status.CurrentReplicas = 3
	k.Feed(own, measured)
	require.True(t, quiet(t, k), "the status of an HPA")
	edited := measured.DeepCopy()
	edited.Spec.MaxReplicas++
	k.Feed(measured, edited)
	require.False(t, quiet(t, k), "the spec of an HPA")

	so := keda(t, "chat", "{scaleTargetRef: {name: chat}}")
	k.Feed(nil, so)
	require.False(t, quiet(t, k))
	active := so.DeepCopy()
	active.Object["status"] = map[string]any{"lastActiveTime": "2026-11-02T09:00:00Z"}
	k.Feed(so, active)
	require.True(t, quiet(t, k), "the status of a ScaledObject")
	k.Feed(active, keda(t, "chat", "{scaleTargetRef: {name: search}}"))
	require.False(t, quiet(t, k))

	q := read[corev1.ResourceQuota](t, quota("q", "pods: 1", "pods: 7"))
	k.Feed(nil, q)
	require.False(t, quiet(t, k))
	k.Feed(q, q.DeepCopy())
	require.True(t, quiet(t, k))
	k.Feed(q, read[corev1.ResourceQuota](t, quota("q", "pods: 2", "pods: 7")))
	require.False(t, quiet(t, k))

	rs := &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{Name: "chat-1", UID: "rs", OwnerReferences: ownedBy(chat.UID, "apps/v1", "Deployment", "chat")}}
	k.Feed(nil, rs)
	require.False(t, quiet(t, k))
	counted := rs.DeepCopy()
	counted.ResourceVersion = "2"
	k.Feed(rs, counted)
	require.True(t, quiet(t, k), "the status of a ReplicaSet")
}

// An event of a target's object has that target read, and none beside it.
func TestAnEventConcernsItsOwnTarget(t *testing.T) {
	k := offline(t)
	for _, name := range []string{"chat", "search", "embed"} {
		pa := scaling(name, name, time.Hour)
		pa.Spec.ScaleTargetRef.Name = name
		k.Feed(nil, pa)
		k.Follow(pa, kube.Target{UID: types.UID(name), Namespace: "llm", Name: name, GVR: deployments})
	}
	d := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{Kind: "Deployment"}, ObjectMeta: metav1.ObjectMeta{Namespace: "llm", Name: "search"}}
	k.Feed(nil, d)
	require.Equal(t, []string{"search"}, k.Tasks())
	d.Namespace = "elsewhere"
	k.Feed(nil, d)
	require.Empty(t, k.Tasks())
}

// One trace of another controller is enough, however old: one at rest repeats itself, which moves no time.
func TestOtherController(t *testing.T) {
	k := offline(t)
	wrote := func(name, manager, subresource string) *v1alpha1.PodAutoscaler {
		pa := scaling(name, name, time.Hour)
		long := metav1.NewTime(start.Add(-365 * 24 * time.Hour))
		pa.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: manager, Subresource: subresource, Time: &long, FieldsV1: &metav1.FieldsV1{}}}
		k.Feed(nil, pa)
		return pa
	}
	wrote("a", "flyball", "status")
	wrote("b", "kubectl-edit", "status")
	wrote("c", "argocd", "")
	_, ok := k.OtherController()
	require.False(t, ok, "our own status, a person, a spec")
	require.Empty(t, k.Autoscalers()[0].ManagedFields, "they take memory, and nobody reads them again")

	is := func(want string) {
		t.Helper()
		who, ok := k.OtherController()
		require.True(t, ok)
		require.Equal(t, want, who)
	}
	traced := wrote("d", "manager", "status")
	is("manager")
	wrote("d", "flyball", "status")
	is("manager")
	wrote("a", "aibrix", "status")
	is("manager")
	k.Feed(traced, nil)
	is("manager")
}

// Where flyball has written the fields that the other one wrote, its entry is gone. The status tells of it all the same.
func TestOtherControllerIsRememberedInTheStatus(t *testing.T) {
	k, end := kube.OfflineWith(kube.Options{ControllerOf: func(status []metav1.Condition) string {
		if len(status) == 0 {
			return ""
		}
		return status[0].Message
	}})
	t.Cleanup(end)
	pa := scaling("a", "a", time.Hour)
	k.Feed(nil, pa)
	_, ok := k.OtherController()
	require.False(t, ok)
	pa.Status.Conditions = []metav1.Condition{{Message: "manager"}}
	k.Feed(nil, pa)
	who, ok := k.OtherController()
	require.True(t, ok)
	require.Equal(t, "manager", who)
}

// crd makes the OpenAPI document that the API server serves for a CRD: its schema and the kind.
func crd(t testing.TB, file string, change func(spec map[string]any)) []byte {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	var object struct {
		Spec struct {
			Names    struct{ Kind string }
			Versions []struct {
				Schema struct {
					OpenAPIV3Schema map[string]any
				}
			}
		}
	}
	require.NoError(t, yaml.Unmarshal(data, &object))
	schema := object.Spec.Versions[0].Schema.OpenAPIV3Schema
	schema["x-kubernetes-group-version-kind"] = []any{map[string]any{"kind": object.Spec.Names.Kind}}
	if change != nil {
		change(schema["properties"].(map[string]any)["spec"].(map[string]any)["properties"].(map[string]any))
	}
	out, err := json.Marshal(map[string]any{"components": map[string]any{"schemas": map[string]any{
		"dev.flyball.PodAutoscaler": schema, "dev.flyball.PodAutoscalerList": map[string]any{"properties": map[string]any{}},
	}}})
	require.NoError(t, err)
	return out
}

func TestMissingFields(t *testing.T) {
	for name, c := range map[string]struct {
		document []byte
		want     []string
	}{
		"our own": {crd(t, ourCRD, nil), nil},
		"one like AIBrix's": {crd(t, ourCRD, func(spec map[string]any) {
			delete(spec, "mode")
			delete(spec, "predictive")
			source := spec["metricsSources"].(map[string]any)["items"].(map[string]any)["properties"].(map[string]any)
			for _, field := range []string{"query", "dialect", "metricSelector"} {
				delete(source, field)
			}
		}), []string{"spec.metricsSources[].dialect", "spec.metricsSources[].metricSelector", "spec.metricsSources[].query", "spec.mode", "spec.predictive"}},
		"one that keeps what it does not know": {crd(t, "testdata/loose.yaml", nil), nil},
		"one that keeps it in one place": {crd(t, ourCRD, func(spec map[string]any) {
			spec["metricsSources"].(map[string]any)["items"] = map[string]any{"x-kubernetes-preserve-unknown-fields": true}
		}), nil},
		"another kind's": {[]byte(`{"components": {"schemas": {"x": {"x-kubernetes-group-version-kind": [{"kind": "RayClusterFleet"}], "properties": {"spec": {}}}}}}`), nil},
		"nothing":        {[]byte(`{}`), nil},
	} {
		got, err := kube.MissingFields(c.document)
		require.NoError(t, err, name)
		require.Equal(t, c.want, got, name)
	}
	_, err := kube.MissingFields([]byte(`[`))
	require.ErrorContains(t, err, "OpenAPI schema of autoscaling.aibrix.ai/v1alpha1")
}

func FuzzMissingFields(f *testing.F) {
	f.Add(crd(f, ourCRD, nil))
	f.Add([]byte(`{"components": {"schemas": {"x": null}}}`))
	f.Add([]byte(`{"components": {"schemas": {"x": {"x-kubernetes-group-version-kind": [{"kind": "PodAutoscaler"}], "properties": {"spec": {"properties": {"schedules": null}}}}}}}`))
	f.Fuzz(func(_ *testing.T, document []byte) { _, _ = kube.MissingFields(document) })
}

// Sorting selectors by a label changes nothing about what they match.
func TestSelectorsSortedByALabelMatchAsBefore(t *testing.T) {
	pods := []labels.Set{
		nil, {"app": "a"}, {"app": "b", "index": "0"}, {"app": "c", "index": "1"}, {"team": "x"}, {"app": "a", "team": "y", "gpu": "1"}, {"gpu": "8"},
	}
	all := []string{
		"", "app=a", "app==b,index=0", "app=c,index=0", "app in (a)", "app in (a,c)", "app notin (a)", "app!=a", "app", "!app", "app=a,team=y",
		"index=0,app!=b", "gpu>4", "gpu<4", "index in (0,1),app=c",
	}
	for _, text := range all {
		s, err := labels.Parse(text)
		require.NoError(t, err)
		none, err := labels.Parse("app=nobody,index=0")
		require.NoError(t, err)
		sorted := kube.ByLabel(map[types.UID]labels.Selector{"1": s, "2": none})
		for _, pod := range pods {
			require.Equal(t, s.Matches(pod), kube.AnyMatches(sorted, pod), "%q and %v", text, pod)
		}
	}
}
