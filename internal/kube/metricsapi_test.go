package kube_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/internal/kube"
)

func TestQuantitiesAreTheNearestFloat(t *testing.T) {
	for _, c := range []struct {
		quantity string
		power    int
		want     float64
	}{
		{"0", 0, 0},
		{"250m", 0, 0.25},
		{"1001m", 0, 1.001},
		{"-3m", 0, -0.003},
		{"12345678n", 3, 12.345678},
		{"1500m", 3, 1500},
		{"2", 3, 2000},
		{"16Gi", 0, 17179869184},
		{"9007199254740993", 0, 9007199254740992}, // 2^53+1 has no float64; it is rounded to even
		{"1e18", 0, 1e18},
		{"123456789012345678901234567890", 0, 123456789012345678901234567890},
	} {
		q := resource.MustParse(c.quantity)
		require.Equal(t, c.want, kube.Number(q, c.power), c.quantity)
		require.Equal(t, resource.MustParse(c.quantity), q, "the quantity has changed")
	}
}

// adapter serves metrics.k8s.io, custom.metrics.k8s.io and external.metrics.k8s.io, as metrics-server and adapters do.
type adapter struct {
	answer atomic.Pointer[func(*http.Request) any] // what a GET of metrics gets; nil is 404
	asked  atomic.Int64
	last   atomic.Pointer[url.URL]
}

func (a *adapter) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	parts := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	w.Header().Set("Content-Type", "application/json")
	if len(parts) <= 3 { // discovery, by which the API server tells whether it is there
		if len(parts) == 3 {
			fmt.Fprintf(w, `{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"%s/%s","resources":[]}`, parts[1], parts[2])
		} else {
			http.NotFound(w, r)
		}
		return
	}
	a.asked.Add(1)
	a.last.Store(r.URL)
	var body any
	if answer := *a.answer.Load(); answer != nil {
		body = answer(r)
	}
	if body == nil {
		w.WriteHeader(http.StatusNotFound)
		body = metav1.Status{
			TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: metav1.StatusFailure, Code: http.StatusNotFound,
			Reason: metav1.StatusReasonNotFound, Message: "the server could not find the metric",
		}
	}
	if err := json.NewEncoder(w).Encode(body); err != nil {
		panic(err)
	}
}

// serve registers the group with the API server and waits until it is Available. The Service names this machine.
func (w *world) serve(t *testing.T, a http.Handler, version, group string) {
	t.Helper()
	s := httptest.NewTLSServer(a)
	t.Cleanup(s.Close)
	at, err := url.Parse(s.URL)
	require.NoError(t, err)
	port, err := strconv.Atoi(at.Port())
	require.NoError(t, err)
	service := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{GenerateName: "adapter-"},
		Spec:       corev1.ServiceSpec{Type: corev1.ServiceTypeExternalName, ExternalName: "localhost", Ports: []corev1.ServicePort{{Port: int32(port)}}},
	}
	service, err = w.CoreV1().Services("default").Create(t.Context(), service, metav1.CreateOptions{})
	require.NoError(t, err)
	services := schema.GroupVersionResource{Group: "apiregistration.k8s.io", Version: "v1", Resource: "apiservices"}
	name := version + "." + group
	w.create(t, services, "", map[string]any{
		"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": map[string]any{"name": name},
		"spec": map[string]any{
			"group": group, "version": version, "insecureSkipTLSVerify": true, "groupPriorityMinimum": int64(100), "versionPriority": int64(100),
			"service": map[string]any{"namespace": "default", "name": service.Name, "port": int64(port)},
		},
	})
	t.Cleanup(func() {
		require.NoError(t, w.dynamic.Resource(services).Delete(context.Background(), name, metav1.DeleteOptions{}))
	})
	eventually(t, func() error {
		u, err := w.dynamic.Resource(services).Get(t.Context(), name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		conditions, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
		for _, c := range conditions {
			if c := c.(map[string]any); c["type"] == "Available" && c["status"] == "True" {
				return nil
			}
		}
		return fmt.Errorf("%s is not available: %v", name, conditions)
	})
}

type object = map[string]any

func (w *world) metricsAPIs(t *testing.T) {
	k, namespace := w.follow(t)
	w.statefulSet(t, namespace, "web", 3)
	pa := w.autoscaler(t, k, namespace, "web", "apps/v1", "StatefulSet", "web")
	at := target(t, k, pa, any1)
	for _, p := range pods(t, k, at, 3)[:2] {
		w.makeReady(t, p)
	}
	eventually(t, func() error {
		if p := k.Pods(at); !kube.Ready(p[0]) || !kube.Ready(p[1]) {
			return errors.New("not ready yet")
		}
		return nil
	})
	a := &metricsWorld{world: w, Kube: k, namespace: namespace, pa: pa, at: at, pods: k.Pods(at)}
	a.measured = metav1.NewTime(a.pods[0].CreationTimestamp.Add(time.Minute))
	t.Run("AbsentAPIs", a.absent)
	t.Run("Resource", a.resource)
	t.Run("Custom", a.custom)
	t.Run("External", a.external)
	t.Run("Down", a.down)
}

// metricsWorld is a StatefulSet whose pods web-0 and web-1 are ready, and web-2 is not.
type metricsWorld struct {
	*world
	*kube.Kube
	namespace string
	pa        *v1alpha1.PodAutoscaler
	at        kube.Target
	pods      []*corev1.Pod
	measured  metav1.Time
	adapter   adapter
}

func (a *metricsWorld) read(ofType v1alpha1.MetricSourceType, metric string, answer func(*http.Request) any) ([]kube.MetricValue, error) {
	a.adapter.answer.Store(&answer)
	source := v1alpha1.MetricSource{MetricSourceType: ofType, TargetMetric: metric, TargetValue: "1"}
	return a.ReadMetric(context.Background(), a.pa, source, a.at, a.pods)
}

func (a *metricsWorld) want(values ...float64) []kube.MetricValue {
	var out []kube.MetricValue
	for i, v := range values {
		out = append(out, kube.MetricValue{PodName: a.pods[i].Name, PodUID: a.pods[i].UID, Value: v, At: a.measured.Local()})
	}
	return out
}

func (a *metricsWorld) absent(t *testing.T) {
	for ofType, service := range map[v1alpha1.MetricSourceType]string{
		v1alpha1.TypeResource: "v1beta1.metrics.k8s.io", v1alpha1.TypeCustom: "v1beta2.custom.metrics.k8s.io", v1alpha1.TypeExternal: "v1beta1.external.metrics.k8s.io",
	} {
		values, err := a.read(ofType, "cpu", nil)
		require.ErrorContains(t, err, "there is no APIService "+service+": install")
		require.Empty(t, values)
	}
}

func (a *metricsWorld) usage(pod string, at metav1.Time, containers ...object) object {
	list := []object{}
	for _, c := range containers {
		list = append(list, object{"name": "c", "usage": c})
	}
	return object{"metadata": object{"name": pod, "namespace": a.namespace}, "timestamp": at, "window": "15s", "containers": list}
}

func (a *metricsWorld) resource(t *testing.T) {
	a.serve(t, &a.adapter, "v1beta1", "metrics.k8s.io")
	before := metav1.NewTime(a.pods[1].CreationTimestamp.Add(-time.Second))
	all := func(items ...object) func(*http.Request) any {
		return func(*http.Request) any {
			return object{"kind": "PodMetricsList", "apiVersion": "metrics.k8s.io/v1beta1", "items": items}
		}
	}
	answer := all(
		a.usage("web-0", a.measured, object{"cpu": "250m", "memory": "1Gi"}, object{"cpu": "12345678n", "memory": "1"}),
		a.usage("web-1", a.measured, object{"cpu": "3", "memory": "2Gi"}),
		a.usage("web-2", a.measured, object{"cpu": "9", "memory": "9Gi"}), // not ready
		a.usage("web-9", a.measured, object{"cpu": "9", "memory": "9Gi"}), // not the target's
	)
	values, err := a.read(v1alpha1.TypeResource, "cpu", answer)
	require.NoError(t, err)
	require.Equal(t, a.want(262.345678, 3000), values)
	require.EqualValues(t, 1, a.adapter.asked.Load(), "one request for all pods")
	require.Equal(t, "app=web", a.adapter.last.Load().Query().Get("labelSelector"))
	values, err = a.read(v1alpha1.TypeResource, "memory", answer)
	require.NoError(t, err)
	require.Equal(t, a.want(1<<30+1, 2<<30), values)

	// A container without a value, and a value from before the pod was made, are no value; not zero.
	values, err = a.read(v1alpha1.TypeResource, "cpu", all(
		a.usage("web-0", a.measured, object{"cpu": "1"}),
		a.usage("web-1", before, object{"cpu": "1"}),
	))
	require.NoError(t, err)
	require.Equal(t, a.want(1000), values)
	values, err = a.read(v1alpha1.TypeResource, "cpu", all(a.usage("web-0", a.measured, object{"memory": "1"})))
	require.ErrorIs(t, err, kube.ErrNoMetric)
	require.Empty(t, values)

	// No pod that could have a value: no question, and no error.
	asked := a.adapter.asked.Load()
	values, err = a.ReadMetric(t.Context(), a.pa, v1alpha1.MetricSource{MetricSourceType: v1alpha1.TypeResource, TargetMetric: "cpu"}, a.at, a.pods[2:])
	require.NoError(t, err)
	require.Empty(t, values)
	require.Equal(t, asked, a.adapter.asked.Load())
}

func (a *metricsWorld) custom(t *testing.T) {
	for _, version := range []string{"v1beta1", "v1beta2"} { // an adapter that is updated meanwhile
		a.serve(t, &a.adapter, version, "custom.metrics.k8s.io")
		answer := func(r *http.Request) any {
			if r.URL.Path != "/apis/custom.metrics.k8s.io/"+version+"/namespaces/"+a.namespace+"/pods/*/queue_depth" {
				return nil
			}
			item := func(pod, uid, value string) object {
				return object{
					"describedObject": object{"kind": "Pod", "namespace": a.namespace, "name": pod, "uid": uid, "apiVersion": "/v1"},
					"metricName":      "queue_depth", "metric": object{"name": "queue_depth"}, "timestamp": a.measured, "value": value,
				}
			}
			return object{"kind": "MetricValueList", "items": []object{
				item("web-0", "", "1500m"), item("web-1", string(a.pods[1].UID), "7"), item("web-2", "", "9"),
			}}
		}
		eventually(t, func() error { // the API server takes a moment to list the new version
			values, err := a.read(v1alpha1.TypeCustom, "queue_depth", answer)
			if err == nil {
				require.Equal(t, a.want(1.5, 7), values)
			}
			return err
		})
		_, err := a.read(v1alpha1.TypeCustom, "typo", answer)
		require.ErrorIs(t, err, kube.ErrNoMetric)
		require.ErrorContains(t, err, "check the metric's name")
	}
	values, err := a.read(v1alpha1.TypeCustom, "queue_depth", func(*http.Request) any {
		return object{"items": []object{{"describedObject": object{"kind": "Pod", "name": "web-0", "uid": "before"}, "timestamp": a.measured, "value": "1"}}}
	})
	require.ErrorIs(t, err, kube.ErrNoMetric, "that is the value of an earlier pod of the name")
	require.Empty(t, values)
	for _, name := range []string{"..", ".", "a/b", "../../../../api/v1/secrets", "%2e%2e", ""} {
		asked := a.adapter.asked.Load()
		_, err := a.read(v1alpha1.TypeCustom, name, nil)
		require.ErrorContains(t, err, "targetMetric", name)
		require.Equal(t, asked, a.adapter.asked.Load())
	}
}

func (a *metricsWorld) external(t *testing.T) {
	a.serve(t, &a.adapter, "v1beta1", "external.metrics.k8s.io")
	items := func(items ...object) func(*http.Request) any {
		return func(*http.Request) any {
			return object{"kind": "ExternalMetricValueList", "apiVersion": "external.metrics.k8s.io/v1beta1", "items": items}
		}
	}
	older := metav1.NewTime(a.measured.Add(-30 * time.Second))
	values, err := a.read(v1alpha1.TypeExternal, "queue", items(
		object{"metricName": "queue", "metricLabels": object{"q": "a"}, "timestamp": a.measured, "value": "100m"},
		object{"metricName": "queue", "metricLabels": object{"q": "b"}, "timestamp": older, "value": "200m"},
	))
	require.NoError(t, err)
	require.Equal(t, []kube.MetricValue{{Value: 0.3, At: older.Local()}}, values)
	_, err = a.read(v1alpha1.TypeExternal, "queue", items())
	require.ErrorIs(t, err, kube.ErrNoMetric)

	// The series that count are chosen by their labels; for custom metrics beside the pods' own selector.
	chosen := v1alpha1.MetricSource{
		MetricSourceType: v1alpha1.TypeExternal, TargetMetric: "queue",
		MetricSelector: &metav1.LabelSelector{MatchLabels: map[string]string{"q": "a"}},
	}
	answer := items(object{"metricName": "queue", "timestamp": a.measured, "value": "1"})
	a.adapter.answer.Store(&answer)
	_, err = a.ReadMetric(t.Context(), a.pa, chosen, a.at, a.pods)
	require.NoError(t, err)
	require.Equal(t, "q=a", a.adapter.last.Load().Query().Get("labelSelector"))
	require.NotErrorIs(t, err, context.Canceled)
}

// down: the APIService is there, and what serves it is not.
func (a *metricsWorld) down(t *testing.T) {
	gone := make(chan struct{})
	a.serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-gone:
			http.Error(w, "down", http.StatusServiceUnavailable)
		default:
			a.adapter.ServeHTTP(w, r)
		}
	}), "v1beta1", "metrics.k8s.io")
	close(gone)
	values, err := a.read(v1alpha1.TypeResource, "cpu", nil)
	require.ErrorContains(t, err, "kubectl get apiservice v1beta1.metrics.k8s.io")
	require.Empty(t, values)
}
