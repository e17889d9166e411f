package main

import (
	"context"
	"errors"
	"io"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/collector"
	"github.com/flyball/flyball/internal/kube"
	"github.com/flyball/flyball/internal/loop"
)

func apiScaled(autoscaler, target string, sources ...v1alpha1.MetricSource) scaled {
	pa := &v1alpha1.PodAutoscaler{Spec: v1alpha1.PodAutoscalerSpec{MetricsSources: sources}}
	return scaled{kubeTurn{pa: pa}, loop.Autoscaler{UID: autoscaler, Namespace: "a", Target: loop.Target{UID: target}}}
}

func apiPod(uid string) podState {
	return podState{Pod: &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: uid}}, ready: true, identity: collector.Identity{Namespace: "a", Pod: uid, PodUID: uid}}
}

func get(t *testing.T, p *kubePages, url string) (string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, url, nil)
	require.NoError(t, err)
	resp, err := p.RoundTrip(req)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return string(body), nil
}

func TestOneAnswerOfAMetricsAPIServesAllPods(t *testing.T) {
	now := time.Unix(1000, 0)
	var asked atomic.Int32
	var fail error
	p := newKubePages(func(context.Context, scaled, v1alpha1.MetricSource) ([]kube.MetricValue, error) {
		asked.Add(1)
		return []kube.MetricValue{
			{PodName: "p0", PodUID: "p0", Value: 250, At: now.Add(-time.Minute)},
			{PodName: "p1", PodUID: "p1", Value: 100, At: now.Add(-3 * time.Minute)}, // measured by something that has stopped
		}, fail
	})
	p.now = func() time.Time { return now }
	cpu := v1alpha1.MetricSource{MetricSourceType: v1alpha1.TypeResource, TargetMetric: "cpu", TargetValue: "500"}
	pods := []podState{apiPod("p0"), apiPod("p1"), apiPod("p2")}
	es := p.endpoints(apiScaled("x", "target", cpu), pods)
	require.Len(t, es, 3)
	require.Equal(t, loop.APIEndpoint(cpu), es[0].Name(), "what is stored is what is bound to")
	require.Equal(t, es, p.endpoints(apiScaled("y", "target", cpu), pods), "two autoscalers of one workload read one page")

	body, err := get(t, p, es[0].URL)
	require.NoError(t, err)
	require.Equal(t, "# TYPE cpu gauge\ncpu 250\n", body)
	for _, e := range es[1:] { // too old, and none: they answer, and export nothing
		body, err := get(t, p, e.URL)
		require.NoError(t, err)
		require.Empty(t, body)
	}
	require.EqualValues(t, 1, asked.Load())

	now, fail = now.Add(time.Second), errors.New("metrics-server is away")
	_, err = get(t, p, es[0].URL)
	require.ErrorContains(t, err, "metrics-server is away")
	require.EqualValues(t, 2, asked.Load())

	p.keep(map[string]bool{})
	_, err = get(t, p, es[0].URL)
	require.ErrorIs(t, err, errNoSource)
}

func TestAnExternalMetricIsTheAutoscalersOwn(t *testing.T) {
	p := newKubePages(func(context.Context, scaled, v1alpha1.MetricSource) ([]kube.MetricValue, error) {
		return []kube.MetricValue{{Value: 7, At: time.Now()}}, nil
	})
	queue := v1alpha1.MetricSource{MetricSourceType: v1alpha1.TypeExternal, TargetMetric: "queue-length", TargetValue: "5"}
	es := p.endpoints(apiScaled("x", "target", queue), []podState{apiPod("p0")})
	require.Len(t, es, 1)
	require.Equal(t, collector.Identity{Namespace: "a", AutoscalerUID: "x", Source: queue.Key(), Job: "external.metrics.k8s.io"}, es[0].Identity)
	body, err := get(t, p, es[0].URL)
	require.NoError(t, err)
	require.Equal(t, "# TYPE queue_length gauge\nqueue_length 7\n", body, "a name that is none in Prometheus is escaped")
}
