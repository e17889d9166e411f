package kube_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/internal/kube"
)

// rivals waits until the autoscaler's rivals are those, in short.
func rivals(t *testing.T, k *kube.Kube, pa *v1alpha1.PodAutoscaler, want ...string) {
	t.Helper()
	eventually(t, func() error {
		var got []string
		for _, r := range k.Rivals(pa) {
			s := r.Kind + " " + r.Name
			if r.Delegates {
				s += " delegates"
			}
			got = append(got, s)
		}
		if !slices.Equal(got, want) {
			return fmt.Errorf("rivals %q, want %q", got, want)
		}
		return nil
	})
}

// An HPA and, once KEDA is installed, a ScaledObject appear beside an autoscaler, and go.
func (w *world) rivals(t *testing.T) {
	k, namespace := w.follow(t)
	w.deployment(t, namespace, "chat", 1)
	pa := w.autoscaler(t, k, namespace, "chat", "apps/v1", "Deployment", "chat")
	target(t, k, pa, any1)
	rivals(t, k, pa)
	drain(k)

	hpa := native(t, "theirs", "apps/v1", "chat")
	hpa.ObjectMeta = metav1.ObjectMeta{Name: "theirs"}
	_, err := w.AutoscalingV2().HorizontalPodAutoscalers(namespace).Create(t.Context(), hpa, metav1.CreateOptions{})
	require.NoError(t, err)
	<-k.Changed()
	rivals(t, k, pa, "HorizontalPodAutoscaler theirs")
	require.NoError(t, w.AutoscalingV2().HorizontalPodAutoscalers(namespace).Delete(t.Context(), "theirs", metav1.DeleteOptions{}))
	rivals(t, k, pa)

	w.apply(t, crdResource, "testdata/keda.yaml")
	scaledObjects := schema.GroupVersionResource{Group: "keda.sh", Version: "v1alpha1", Resource: "scaledobjects"}
	so := func(name, scaler string) map[string]any {
		return map[string]any{
			"apiVersion": "keda.sh/v1alpha1", "kind": "ScaledObject", "metadata": map[string]any{"name": name},
			"spec": map[string]any{
				"scaleTargetRef": map[string]any{"name": "chat"},
				"triggers":       []any{map[string]any{"type": "external", "metadata": map[string]any{"scalerAddress": scaler}}},
			},
		}
	}
	eventually(t, func() error { // a CRD is served a moment after it was made
		_, err := w.dynamic.Resource(scaledObjects).Namespace(namespace).List(t.Context(), metav1.ListOptions{})
		return err
	})
	w.create(t, scaledObjects, namespace, so("chat", "flyball.flyball-system.svc:8091"))
	w.create(t, scaledObjects, namespace, so("queue", "other:9000"))
	rivals(t, k, pa, "ScaledObject chat delegates", "ScaledObject queue")

	drain(k)
	require.NoError(t, w.dynamic.Resource(crdResource).Delete(t.Context(), "scaledobjects.keda.sh", metav1.DeleteOptions{}))
	<-k.Changed()
	rivals(t, k, pa)
}

// The quota controller counts; the deployment controller runs into the quota; somebody grants more.
func (w *world) quota(t *testing.T) {
	k, namespace := w.follow(t)
	q := &corev1.ResourceQuota{ObjectMeta: metav1.ObjectMeta{Name: "gpus"}}
	q.Spec.Hard = corev1.ResourceList{"requests.nvidia.com/gpu": resource.MustParse("5"), "pods": resource.MustParse("100")}
	_, err := w.CoreV1().ResourceQuotas(namespace).Create(t.Context(), q, metav1.CreateOptions{})
	require.NoError(t, err)
	eventually(t, func() error { // else the first pods would be made before anything is counted
		got, err := w.CoreV1().ResourceQuotas(namespace).Get(t.Context(), "gpus", metav1.GetOptions{})
		if err == nil && len(got.Status.Hard) != 2 {
			err = fmt.Errorf("%+v", got.Status)
		}
		return err
	})
	d := w.deploymentOf(t, namespace, "chat", 1, corev1.ResourceList{"nvidia.com/gpu": resource.MustParse("2")})
	pa := w.autoscaler(t, k, namespace, "chat", "apps/v1", "Deployment", "chat")
	most := func(want int32) {
		t.Helper()
		at := target(t, k, pa, any1)
		eventually(t, func() error {
			if got := k.Quota(at); got.Most != want || got.Name != "gpus" || got.Resource != "requests.nvidia.com/gpu" {
				return fmt.Errorf("%+v, want at most %d", got, want)
			}
			return nil
		})
	}
	most(2)
	_, err = w.AppsV1().Deployments(namespace).Patch(t.Context(), d.Name, types.MergePatchType, []byte(`{"spec":{"replicas":4}}`), metav1.PatchOptions{}, "scale")
	require.NoError(t, err)
	pods(t, k, target(t, k, pa, any1), 2)
	most(2)
	_, err = w.CoreV1().ResourceQuotas(namespace).Patch(t.Context(), "gpus", types.MergePatchType, []byte(`{"spec":{"hard":{"requests.nvidia.com/gpu":"7"}}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	most(3)
	require.NoError(t, w.CoreV1().ResourceQuotas(namespace).Delete(t.Context(), "gpus", metav1.DeleteOptions{}))
	eventually(t, func() error {
		if got := k.Quota(target(t, k, pa, any1)); got.Name != "" {
			return fmt.Errorf("%+v", got)
		}
		return nil
	})
}

// Whoever may read autoscalers, pods and workloads and nothing else can run; each of the rest is asked for once.
func (w *world) without(t *testing.T) {
	const user = "flyball-of-a-wary-admin"
	_, namespace := w.follow(t)
	watch := []string{"get", "list", "watch"}
	role := &rbacv1.ClusterRole{ObjectMeta: metav1.ObjectMeta{Name: user}, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{v1alpha1.GroupVersion.Group}, Resources: []string{"podautoscalers"}, Verbs: watch},
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: watch},
		{APIGroups: []string{"apps"}, Resources: []string{"replicasets", "deployments"}, Verbs: watch},
		{APIGroups: []string{"apps"}, Resources: []string{"deployments/scale"}, Verbs: []string{"get"}},
	}}
	role, err := w.RbacV1().ClusterRoles().Create(t.Context(), role, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = w.RbacV1().ClusterRoleBindings().Create(t.Context(), &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: user},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: user},
		Subjects:   []rbacv1.Subject{{Kind: "User", APIGroup: rbacv1.GroupName, Name: user}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	core, logs := observer.New(zap.WarnLevel)
	k, err := kube.New(kube.Options{Config: w.As(user), Namespaces: []string{namespace}, Logger: zap.New(core)})
	require.NoError(t, err)
	run(t, k)
	eventually(t, k.Unsynced)

	w.deployment(t, namespace, "chat", 1)
	pa := w.autoscaler(t, k, namespace, "chat", "apps/v1", "Deployment", "chat")
	at := target(t, k, pa, any1)
	pods(t, k, at, 1)
	require.Empty(t, k.GPUs())
	require.Empty(t, k.Rivals(pa))
	require.Zero(t, k.Quota(at))
	asked := func(resource string) (n int) {
		for _, entry := range logs.All() {
			text := fmt.Sprint(entry.ContextMap())
			if strings.Contains(text, "grant get, list and watch on "+resource) && strings.Contains(text, "without it ") {
				n++
			}
		}
		return n
	}
	for _, resource := range []string{"nodes", "resourcequotas", "horizontalpodautoscalers.autoscaling"} {
		require.Equal(t, 1, asked(resource), resource)
	}

	// Granted later, it is seen without a restart: within 30 s in the worst case, as informers wait longer and longer.
	_, err = w.CoreV1().Nodes().Create(t.Context(), &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: "gpu-node", Labels: map[string]string{"nvidia.com/gpu.product": "NVIDIA-L4"}},
		Status: corev1.NodeStatus{
			Allocatable: corev1.ResourceList{"nvidia.com/gpu": resource.MustParse("4")}, Capacity: corev1.ResourceList{"nvidia.com/gpu": resource.MustParse("4")},
			Conditions: []corev1.NodeCondition{{Type: corev1.NodeReady, Status: corev1.ConditionTrue, LastHeartbeatTime: metav1.NewTime(time.Now())}},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	role.Rules = append(role.Rules, rbacv1.PolicyRule{APIGroups: []string{""}, Resources: []string{"nodes"}, Verbs: watch})
	_, err = w.RbacV1().ClusterRoles().Update(t.Context(), role, metav1.UpdateOptions{})
	require.NoError(t, err)
	eventually(t, func() error {
		if got := k.GPUs(); len(got) != 1 || got[0] != (kube.GPUModel{Resource: "nvidia.com/gpu", Model: "NVIDIA-L4", Nodes: 1, Allocatable: 4}) {
			return fmt.Errorf("%+v", got)
		}
		return nil
	})
	require.Equal(t, 1, asked("nodes"))
	require.NoError(t, w.CoreV1().Nodes().Delete(t.Context(), "gpu-node", metav1.DeleteOptions{}))
}

// Another controller writes a status; and then the CRD is replaced by one with fewer fields.
func (w *world) foreign(t *testing.T) {
	k, namespace := w.follow(t)
	w.autoscaler(t, k, namespace, "chat", "apps/v1", "Deployment", "chat")
	eventually(t, k.Unsynced)
	require.Empty(t, k.MissingFields())
	write := func(manager string, replicas int) {
		_, err := w.dynamic.Resource(v1alpha1.Resource).Namespace(namespace).Patch(t.Context(), "chat", types.MergePatchType,
			[]byte(fmt.Sprintf(`{"status":{"desiredScale":3,"actualScale":%d}}`, replicas)), metav1.PatchOptions{FieldManager: manager}, "status")
		require.NoError(t, err)
	}
	write("flyball", 1)
	write("manager", 2)
	eventually(t, func() error {
		if who, ok := k.OtherController(); !ok || who != "manager" {
			return fmt.Errorf("%q, %v", who, ok)
		}
		return nil
	})

	crds := w.dynamic.Resource(crdResource)
	name := v1alpha1.Resource.GroupResource().String()
	ours, err := crds.Get(t.Context(), name, metav1.GetOptions{})
	require.NoError(t, err)
	fewer := ours.DeepCopy()
	withoutField(fewer.Object, "query")
	_, err = crds.Update(t.Context(), fewer, metav1.UpdateOptions{})
	require.NoError(t, err)
	missing := func(want ...string) {
		t.Helper()
		eventually(t, func() error {
			if got := k.MissingFields(); !slices.Equal(got, want) {
				return fmt.Errorf("missing %q, want %q", got, want)
			}
			return nil
		})
	}
	missing("spec.metricsSources[].query")
	back, err := crds.Get(t.Context(), name, metav1.GetOptions{})
	require.NoError(t, err)
	ours.SetResourceVersion(back.GetResourceVersion())
	_, err = crds.Update(t.Context(), ours, metav1.UpdateOptions{})
	require.NoError(t, err)
	missing()
}

// withoutField takes a field out of a CRD, and the rules, which may speak of it.
func withoutField(at any, name string) {
	switch at := at.(type) {
	case map[string]any:
		delete(at, "x-kubernetes-validations")
		if properties, ok := at["properties"].(map[string]any); ok {
			delete(properties, name)
		}
		for _, inside := range at {
			withoutField(inside, name)
		}
	case []any:
		for _, inside := range at {
			withoutField(inside, name)
		}
	}
}
