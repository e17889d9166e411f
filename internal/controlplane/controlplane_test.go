package controlplane

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
)

const namespace = "llm"

var (
	podAutoscalers = schema.GroupVersionResource{Group: "autoscaling.aibrix.ai", Version: "v1alpha1", Resource: "podautoscalers"}
	apiServices    = schema.GroupVersionResource{Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"}
)

// One control plane for all that needs no fresh one: a start takes seconds.
func TestControlPlane(t *testing.T) {
	tmp := t.TempDir()
	t.Setenv("TMPDIR", tmp)
	cp := ForTest(t, Options{CRDs: []string{"../../deploy/crd/autoscaling.aibrix.ai_podautoscalers.yaml"}, AuditLog: true})
	kube, err := kubernetes.NewForConfig(cp.Config())
	require.NoError(t, err)
	_, err = kube.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}}, metav1.CreateOptions{})
	require.NoError(t, err)

	t.Run("a Deployment makes pods and can be scaled", func(t *testing.T) { deploymentScales(t, cp, kube) })
	t.Run("our CRD is established and its rules hold", func(t *testing.T) { podAutoscalerRules(t, cp) })
	t.Run("kubectl works", func(t *testing.T) {
		out, err := cp.Kubectl("get", "fpa", "-n", namespace).CombinedOutput()
		require.NoError(t, err, string(out))
		require.Regexp(t, `(?s)NAME +MIN +MAX .*\nqwen +1 +4 `, string(out))
		out, err = cp.Kubectl("version").CombinedOutput()
		require.NoError(t, err, string(out))
		require.Regexp(t, `(?s)Client Version: v1\.\d+\.\d+\n.*Server Version: v1\.\d+\.\d+\n`, string(out))
	})
	t.Run("other users have the rights that RBAC gives them", func(t *testing.T) { otherUsers(t, cp, kube) })
	t.Run("an aggregated API is served", func(t *testing.T) { aggregatedAPI(t, cp, kube) })
	t.Run("the audit log has every request", func(t *testing.T) { auditLog(t, cp) })
	t.Run("the API server goes away and returns with the same data", func(t *testing.T) { outage(t, cp, kube) })

	t.Run("Stop leaves no process, no files and no port", func(t *testing.T) {
		pids, port := cp.pids(), cp.port
		require.Len(t, pids, 3)
		require.NoError(t, cp.Stop())
		for _, pid := range pids {
			require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH)
		}
		left, err := os.ReadDir(tmp)
		require.NoError(t, err)
		require.Empty(t, left)
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		require.NoError(t, err)
		require.NoError(t, l.Close())
		require.NoError(t, cp.Stop(), "a second Stop does nothing")
		require.ErrorContains(t, cp.StartAPI(t.Context()), "was stopped")
	})
}

func (cp *ControlPlane) pids() []int {
	cp.mu.Lock()
	defer cp.mu.Unlock()
	var pids []int
	for _, p := range []*process{cp.etcd, cp.apiServer, cp.controllers} {
		if p != nil {
			pids = append(pids, p.pid)
		}
	}
	return pids
}

func deploymentScales(t *testing.T, cp *ControlPlane, kube kubernetes.Interface) {
	deployments := kube.AppsV1().Deployments(namespace)
	labels := map[string]string{"app": "vllm"}
	_, err := deployments.Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "vllm"},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(2)),
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "vllm", Image: "vllm"}}},
			},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	pods := requirePods(t, kube, 2)
	for _, p := range pods {
		require.Equal(t, corev1.PodPending, p.Status.Phase)
		require.Empty(t, p.Spec.NodeName, "nobody schedules")
		require.Equal(t, "ReplicaSet", metav1.GetControllerOf(&p).Kind)
	}
	scale, err := deployments.GetScale(t.Context(), "vllm", metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, "app=vllm", scale.Status.Selector)
	_, err = deployments.UpdateScale(t.Context(), "vllm", &autoscalingv1.Scale{
		ObjectMeta: metav1.ObjectMeta{Name: "vllm", Namespace: namespace}, Spec: autoscalingv1.ScaleSpec{Replicas: 5},
	}, metav1.UpdateOptions{})
	require.NoError(t, err)
	requirePods(t, kube, 5)
}

func requirePods(t *testing.T, kube kubernetes.Interface, want int) []corev1.Pod {
	t.Helper()
	var pods []corev1.Pod
	require.Eventually(t, func() bool {
		list, err := kube.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{LabelSelector: "app=vllm"})
		if err != nil {
			return false
		}
		pods = list.Items
		return len(pods) == want
	}, 20*time.Second, 20*time.Millisecond, "want %d pods", want)
	return pods
}

func podAutoscalerRules(t *testing.T, cp *ControlPlane) {
	kube, err := dynamic.NewForConfig(cp.Config())
	require.NoError(t, err)
	create := func(name string, minReplicas int64) error {
		_, err := kube.Resource(podAutoscalers).Namespace(namespace).Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "autoscaling.aibrix.ai/v1alpha1", "kind": "PodAutoscaler", "metadata": map[string]any{"name": name},
			"spec": map[string]any{
				"scaleTargetRef": map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "name": "vllm"},
				"minReplicas":    minReplicas, "maxReplicas": int64(4), "scalingStrategy": "KPA",
				"metricsSources": []any{map[string]any{
					"metricSourceType": "pod", "protocolType": "http", "port": "8000", "path": "/metrics",
					"targetMetric": "vllm:num_requests_waiting", "targetValue": "10",
				}},
			},
		}}, metav1.CreateOptions{})
		return err
	}
	require.NoError(t, create("qwen", 1))
	err = create("wrong", 5)
	require.True(t, apierrors.IsInvalid(err), "%v", err)
	require.ErrorContains(t, err, "minReplicas must not be greater than maxReplicas")
}

func otherUsers(t *testing.T, cp *ControlPlane, kube kubernetes.Interface) {
	const user = "system:serviceaccount:llm:flyball"
	asUser, err := kubernetes.NewForConfig(cp.As(user))
	require.NoError(t, err)
	_, err = asUser.CoreV1().Pods(namespace).List(t.Context(), metav1.ListOptions{})
	require.True(t, apierrors.IsForbidden(err), "%v", err)

	_, err = kube.RbacV1().RoleBindings(namespace).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "flyball-view"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: "view"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Name: "flyball", Namespace: namespace}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	kubeconfig, err := cp.KubeconfigAs(user)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		return cp.Kubectl("--kubeconfig="+kubeconfig, "get", "pods", "-n", namespace).Run() == nil
	}, 10*time.Second, 100*time.Millisecond, "the binding gives the right to list pods")
	require.Error(t, cp.Kubectl("--kubeconfig="+kubeconfig, "delete", "pods", "--all", "-n", namespace).Run())
}

// An aggregated API server needs no Service address: its Service is a name, localhost.
func aggregatedAPI(t *testing.T, cp *ControlPlane, kube kubernetes.Interface) {
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.URL.Path == "/apis/external.metrics.k8s.io/v1beta1/queue" {
			_ = json.NewEncoder(w).Encode(map[string]string{"user": r.Header.Get("X-Remote-User")})
			return
		}
		_ = json.NewEncoder(w).Encode(metav1.APIResourceList{GroupVersion: "external.metrics.k8s.io/v1beta1"})
	}))
	defer server.Close()
	address, err := url.Parse(server.URL)
	require.NoError(t, err)
	port, err := strconv.Atoi(address.Port())
	require.NoError(t, err)
	_, err = kube.CoreV1().Services(namespace).Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "metrics"},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost", Ports: []corev1.ServicePort{{Port: int32(port)}}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	anything, err := dynamic.NewForConfig(cp.Config())
	require.NoError(t, err)
	const name = "v1beta1.external.metrics.k8s.io"
	_, err = anything.Resource(apiServices).Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": map[string]any{"name": name},
		"spec": map[string]any{
			"group": "external.metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": int64(100), "versionPriority": int64(100),
			"insecureSkipTLSVerify": true,
			"service":               map[string]any{"namespace": namespace, "name": "metrics", "port": int64(port)},
		},
	}}, metav1.CreateOptions{})
	require.NoError(t, err)
	var body []byte
	require.Eventually(t, func() bool {
		body, err = kube.Discovery().RESTClient().Get().AbsPath("/apis/external.metrics.k8s.io/v1beta1/queue").DoRaw(t.Context())
		return err == nil
	}, 20*time.Second, 50*time.Millisecond)
	require.JSONEq(t, `{"user": "admin"}`, string(body), "the API server vouches for the user")
	require.NoError(t, anything.Resource(apiServices).Delete(t.Context(), name, metav1.DeleteOptions{}))
}

func auditLog(t *testing.T, cp *ControlPlane) {
	type event struct {
		Verb string
		User struct{ Username string }
		Ref  struct{ Resource, Subresource, Namespace, Name string } `json:"objectRef"`
		Body struct{ Spec struct{ Replicas int } }                   `json:"requestObject"`
	}
	f, err := os.Open(cp.AuditLog())
	require.NoError(t, err)
	defer f.Close()
	var scales []event
	users := map[string]bool{}
	lines := bufio.NewScanner(f)
	for lines.Buffer(nil, 1<<24); lines.Scan(); {
		var e event
		require.NoError(t, json.Unmarshal(lines.Bytes(), &e))
		users[e.User.Username] = true
		if e.Ref.Subresource == "scale" && e.Verb == "update" {
			scales = append(scales, e)
		}
	}
	require.NoError(t, lines.Err())
	require.Len(t, scales, 1)
	require.Equal(t, "admin", scales[0].User.Username)
	require.Equal(t, "vllm", scales[0].Ref.Name)
	require.Equal(t, 5, scales[0].Body.Spec.Replicas)
	require.True(t, users[controllerManagerUser])
}

func outage(t *testing.T, cp *ControlPlane, kube kubernetes.Interface) {
	pods := kube.CoreV1().Pods(namespace)
	watch, err := pods.Watch(t.Context(), metav1.ListOptions{})
	require.NoError(t, err)
	defer watch.Stop()
	require.NoError(t, cp.StopAPI())
	require.NoError(t, cp.StopAPI(), "stopped already")
	for range watch.ResultChan() { // ends, since the watch breaks
	}
	_, err = pods.List(t.Context(), metav1.ListOptions{})
	require.ErrorIs(t, err, syscall.ECONNREFUSED)

	tooShort, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	require.ErrorIs(t, cp.StartAPI(tooShort), context.DeadlineExceeded)
	require.Len(t, cp.pids(), 2, "one that did not get ready is not left half-started")
	require.NoError(t, cp.StartAPI(t.Context()))
	require.NoError(t, cp.StartAPI(t.Context()), "runs already")
	requirePods(t, kube, 5)
	_, err = kube.AppsV1().Deployments(namespace).UpdateScale(t.Context(), "vllm", &autoscalingv1.Scale{
		ObjectMeta: metav1.ObjectMeta{Name: "vllm", Namespace: namespace}, Spec: autoscalingv1.ScaleSpec{Replicas: 1},
	}, metav1.UpdateOptions{})
	require.NoError(t, err)
	requirePods(t, kube, 1) // the controllers have found it again
}
