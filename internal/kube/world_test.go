package kube_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap/zaptest"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"

	"github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/internal/controlplane"
	"github.com/flyball/flyball/internal/kube"
)

const ourCRD = "../../deploy/crd/autoscaling.aibrix.ai_podautoscalers.yaml"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a control plane and clients that play everybody else.
type world struct {
	*controlplane.ControlPlane
	kubernetes.Interface
	dynamic *dynamic.DynamicClient
}

func newWorld(t *testing.T, crds ...string) *world {
	t.Helper()
	cp := controlplane.ForTest(t, controlplane.Options{CRDs: crds, AuditLog: true})
	clients, err := kubernetes.NewForConfig(cp.Config())
	require.NoError(t, err)
	dyn, err := dynamic.NewForConfig(cp.Config())
	require.NoError(t, err)
	return &world{ControlPlane: cp, Interface: clients, dynamic: dyn}
}

// follow runs a Kube over one fresh namespace, named for people only. It ends with the test.
func (w *world) follow(t *testing.T, more ...string) (*kube.Kube, string) {
	t.Helper()
	ns, err := w.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "llm-"}}, metav1.CreateOptions{})
	require.NoError(t, err)
	config := w.Config()
	config.UserAgent = ns.Name // the audit log tells Kubes apart by it
	k, err := kube.New(kube.Options{
		Config: config, Namespaces: append(more, ns.Name), GPUSelector: "app.kubernetes.io/name=dcgm-exporter",
		ScalerAddresses: []string{"flyball.flyball-system:8091"}, Logger: zaptest.NewLogger(t),
	})
	require.NoError(t, err)
	run(t, k)
	return k, ns.Name
}

func run(t *testing.T, k *kube.Kube) {
	t.Helper()
	k.Rediscover(200 * time.Millisecond)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- k.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
}

// eventually waits until check returns nil.
func eventually(t *testing.T, check func() error) {
	t.Helper()
	deadline := time.After(90 * time.Second)
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		select {
		case <-poll.C:
		case <-deadline:
			t.Fatal(err)
		}
	}
}

// autoscaler makes a PodAutoscaler and returns it as k has it.
func (w *world) autoscaler(t *testing.T, k *kube.Kube, namespace, name, apiVersion, kind, target string) *v1alpha1.PodAutoscaler {
	t.Helper()
	pa := &v1alpha1.PodAutoscaler{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.Kind},
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name},
		Spec: v1alpha1.PodAutoscalerSpec{
			ScaleTargetRef: corev1.ObjectReference{APIVersion: apiVersion, Kind: kind, Name: target},
			MaxReplicas:    8, ScalingStrategy: "KPA", Mode: "Enforce",
			MetricsSources: []v1alpha1.MetricSource{{MetricSourceType: v1alpha1.TypePod, TargetMetric: "vllm:num_requests_waiting", TargetValue: "4"}},
		},
	}
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(pa)
	require.NoError(t, err)
	unstructured.RemoveNestedField(object, "status")
	w.create(t, v1alpha1.Resource, namespace, object)
	var found *v1alpha1.PodAutoscaler
	eventually(t, func() error {
		for _, pa := range k.Autoscalers() {
			if pa.Namespace == namespace && pa.Name == name {
				found = pa
				return nil
			}
		}
		return fmt.Errorf("no autoscaler %s; %w", name, k.Unsynced())
	})
	return found
}

func (w *world) create(t *testing.T, resource schema.GroupVersionResource, namespace string, object map[string]any) *unstructured.Unstructured {
	t.Helper()
	out, err := w.dynamic.Resource(resource).Namespace(namespace).Create(t.Context(), &unstructured.Unstructured{Object: object}, metav1.CreateOptions{})
	require.NoError(t, err)
	return out
}

// apply creates the objects of a YAML file that belong to no namespace.
func (w *world) apply(t *testing.T, resource schema.GroupVersionResource, file string) {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	object := map[string]any{}
	require.NoError(t, utilyaml.Unmarshal(data, &object))
	w.create(t, resource, "", object)
}

var crdResource = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

func testResource(plural string) schema.GroupVersionResource {
	return schema.GroupVersionResource{Group: "test.flyball.dev", Version: "v1", Resource: plural}
}

// owned makes an object of a kind in test.flyball.dev, controlled by another one where given.
func (w *world) owned(t *testing.T, plural, kind, namespace, name string, by metav1.Object, byKind string, fields map[string]any) *unstructured.Unstructured {
	t.Helper()
	object := map[string]any{
		"apiVersion": "test.flyball.dev/v1", "kind": kind, "metadata": map[string]any{"namespace": namespace, "name": name},
	}
	for name, v := range fields {
		object[name] = v
	}
	u := &unstructured.Unstructured{Object: object}
	if by != nil {
		u.SetOwnerReferences([]metav1.OwnerReference{controller(by, "test.flyball.dev/v1", byKind)})
	}
	return w.create(t, testResource(plural), namespace, u.Object)
}

func controller(o metav1.Object, apiVersion, kind string) metav1.OwnerReference {
	yes := true
	return metav1.OwnerReference{APIVersion: apiVersion, Kind: kind, Name: o.GetName(), UID: o.GetUID(), Controller: &yes}
}

func template(app string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": app}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "vllm", Image: "vllm:1"}}},
	}
}

func selector(app string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{"app": app}}
}

func (w *world) deployment(t *testing.T, namespace, name string, replicas int32) *appsv1.Deployment {
	t.Helper()
	return w.deploymentOf(t, namespace, name, replicas, nil)
}

// deploymentOf makes a Deployment whose pods have those limits.
func (w *world) deploymentOf(t *testing.T, namespace, name string, replicas int32, limits corev1.ResourceList) *appsv1.Deployment {
	t.Helper()
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       appsv1.DeploymentSpec{Replicas: &replicas, Selector: selector(name), Template: template(name)},
	}
	d.Spec.Template.Spec.Containers[0].Resources.Limits = limits
	d, err := w.AppsV1().Deployments(namespace).Create(t.Context(), d, metav1.CreateOptions{})
	require.NoError(t, err)
	return d
}

func (w *world) statefulSet(t *testing.T, namespace, name string, replicas int32) *appsv1.StatefulSet {
	t.Helper()
	s := &appsv1.StatefulSet{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.StatefulSetSpec{
			Replicas: &replicas, Selector: selector(name), Template: template(name), PodManagementPolicy: appsv1.ParallelPodManagement,
		},
	}
	s, err := w.AppsV1().StatefulSets(namespace).Create(t.Context(), s, metav1.CreateOptions{})
	require.NoError(t, err)
	return s
}

func (w *world) pod(t *testing.T, namespace, name, app string, owner ...metav1.OwnerReference) *corev1.Pod {
	t.Helper()
	p := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, OwnerReferences: owner}}
	p.Labels, p.Spec = template(app).Labels, template(app).Spec
	p, err := w.CoreV1().Pods(namespace).Create(t.Context(), p, metav1.CreateOptions{})
	require.NoError(t, err)
	return p
}

func (w *world) makeReady(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	patch := `{"status":{"phase":"Running","conditions":[{"type":"Ready","status":"True"}]}}`
	_, err := w.CoreV1().Pods(pod.Namespace).Patch(t.Context(), pod.Name, "application/strategic-merge-patch+json", []byte(patch), metav1.PatchOptions{}, "status")
	require.NoError(t, err)
}

// target waits until the autoscaler's target is as check wants it.
func target(t *testing.T, k *kube.Kube, pa *v1alpha1.PodAutoscaler, check func(kube.Target) bool) kube.Target {
	t.Helper()
	var out kube.Target
	eventually(t, func() (err error) {
		if out, err = k.Target(pa); err == nil && !check(out) {
			err = fmt.Errorf("%+v", out)
		}
		return err
	})
	return out
}

// fails waits until Target fails with the error, and a hint that has the words.
func fails(t *testing.T, k *kube.Kube, pa *v1alpha1.PodAutoscaler, want error, words string) kube.Target {
	t.Helper()
	var out kube.Target
	eventually(t, func() (err error) {
		out, err = k.Target(pa)
		if err == nil || !strings.Contains(err.Error(), want.Error()) {
			return fmt.Errorf("%+v, %v", out, err)
		}
		require.ErrorIs(t, err, want)
		require.ErrorContains(t, err, words)
		return nil
	})
	return out
}

// pods waits until the target has n pods.
func pods(t *testing.T, k *kube.Kube, at kube.Target, n int) []*corev1.Pod {
	t.Helper()
	var out []*corev1.Pod
	eventually(t, func() error {
		if out = k.Pods(at); len(out) != n {
			return fmt.Errorf("%d pods %v, want %d", len(out), names(out), n)
		}
		return nil
	})
	return out
}

func names(pods []*corev1.Pod) []string {
	var out []string
	for _, p := range pods {
		out = append(out, p.Name)
	}
	slices.Sort(out)
	return out
}

// requests are what a Kube has sent that has ended, watches included, as "verb path".
func (w *world) requests(t *testing.T, agent string) []string {
	t.Helper()
	data, err := os.ReadFile(w.AuditLog())
	require.NoError(t, err)
	var out []string
	for lines := bufio.NewScanner(bytes.NewReader(data)); lines.Scan(); {
		var event struct{ Verb, UserAgent, RequestURI, Stage string }
		if json.Unmarshal(lines.Bytes(), &event) == nil && event.UserAgent == agent {
			out = append(out, event.Verb+" "+event.RequestURI)
		}
	}
	return out
}
