package actuator

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/decider"
)

// autoscaler applies a PodAutoscaler and gives it back as the API server has it.
func (w *world) autoscaler(t *testing.T, name string) *v1alpha1.PodAutoscaler {
	t.Helper()
	pa := &v1alpha1.PodAutoscaler{
		TypeMeta:   metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.Kind},
		ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{"note": "ours to keep"}},
		Spec: v1alpha1.PodAutoscalerSpec{
			MaxReplicas: 10, ScalingStrategy: decider.APA,
			MetricsSources: []v1alpha1.MetricSource{{MetricSourceType: v1alpha1.TypePod, TargetMetric: "waiting", TargetValue: "10"}},
		},
	}
	pa.Spec.ScaleTargetRef.Kind, pa.Spec.ScaleTargetRef.Name = "Deployment", "chat"
	o, err := runtime.DefaultUnstructuredConverter.ToUnstructured(pa)
	require.NoError(t, err)
	delete(o, "status")
	_, err = w.dynamic.Resource(v1alpha1.Resource).Namespace(w.namespace).Create(t.Context(), &unstructured.Unstructured{Object: o}, metav1.CreateOptions{})
	require.NoError(t, err)
	return w.readAutoscaler(t, name)
}

func (w *world) readAutoscaler(t *testing.T, name string) *v1alpha1.PodAutoscaler {
	t.Helper()
	var pa v1alpha1.PodAutoscaler
	require.NoError(t, runtime.DefaultUnstructuredConverter.FromUnstructured(w.get(t, v1alpha1.Resource, name).Object, &pa))
	return &pa
}

func (w *world) statusWriter(t *testing.T, leader func() bool) *StatusWriter {
	t.Helper()
	client, err := dynamic.NewForConfig(w.config)
	require.NoError(t, err)
	return NewStatusWriter(StatusOptions{Client: client, Leader: leader})
}

func always() bool { return true }

// drain does the work of Run for what is queued, and says how much it was.
func drain(ctx context.Context, w *StatusWriter) int {
	for n := 0; ; n++ {
		select {
		case uid := <-w.queue:
			w.write(ctx, uid)
		default:
			return n
		}
	}
}

// holdAt is a turn without a change, that many seconds past noon.
func holdAt(pa *v1alpha1.PodAutoscaler, second int, value float64) Turn {
	in := load(3, value)
	in.At = noon.Add(time.Duration(second) * time.Second)
	turn := turnOf(waiting(), in, decider.Outcome{Why: decider.Unchanged})
	turn.Autoscaler = pa
	return turn
}

func statusIsWritten(t *testing.T, w *world) {
	pa := w.autoscaler(t, "chat")
	writer := w.statusWriter(t, always)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- writer.Run(ctx) }()

	turn := turnOf(waiting(), load(3, 48), decider.Outcome{Applied: true})
	turn.Autoscaler = pa
	writer.Observe(turn)
	var got *v1alpha1.PodAutoscaler
	require.Eventually(t, func() bool {
		got = w.readAutoscaler(t, "chat")
		return len(got.Status.Conditions) > 0
	}, patience, glance)
	stop()
	require.NoError(t, <-ended)

	require.Equal(t, pa.Spec, got.Spec)
	require.Equal(t, pa.Annotations, got.Annotations)
	require.Equal(t, pa.Generation, got.Generation)
	require.Equal(t, noNews, news(got.Status, Status(pa.Status, turn)), "%+v", got.Status)
	require.Equal(t, "True AsExpected", says(got.Status, Ready))
	require.Equal(t, "16/10", got.Status.Targets)
	require.Zero(t, w.ours.count("PUT "))
	require.Equal(t, 1, w.ours.count("PATCH "))
	require.Equal(t, 1, w.ours.count("/status"))
}

func statusYields(t *testing.T, w *world) {
	pa := w.autoscaler(t, "chat")
	writer := w.statusWriter(t, always)
	writer.Observe(holdAt(pa, 0, 25))
	require.Equal(t, 1, drain(t.Context(), writer))

	// Somebody edits the spec, and an earlier leader's last status was not in our cache.
	objects := w.dynamic.Resource(v1alpha1.Resource).Namespace(w.namespace)
	_, err := objects.Patch(t.Context(), "chat", types.MergePatchType, []byte(`{"spec":{"maxReplicas":20}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	_, err = objects.Patch(t.Context(), "chat", types.MergePatchType,
		[]byte(`{"status":{"scalingHistory":[{"timestamp":"2026-11-22T11:59:00Z","previousScale":1,"newScale":3,"reason":"need","success":true}]}}`),
		metav1.PatchOptions{}, "status")
	require.NoError(t, err)

	up := turnOf(waiting(), load(3, 48), decider.Outcome{Applied: true})
	up.Autoscaler = pa
	writer.Observe(up)
	require.Equal(t, 1, drain(t.Context(), writer))
	got := w.readAutoscaler(t, "chat")
	require.EqualValues(t, 20, got.Spec.MaxReplicas)
	require.EqualValues(t, 5, got.Status.DesiredScale)
	require.Len(t, got.Status.ScalingHistory, 2)
	require.EqualValues(t, 3, got.Status.ScalingHistory[0].NewScale)

	// What is gone from the status is gone from the object.
	writer.Observe(Turn{Autoscaler: got, At: noon.Add(4 * time.Second), TargetReason: TargetNotFound, TargetMessage: "there is no Deployment chat"})
	require.Equal(t, 1, drain(t.Context(), writer))
	got = w.readAutoscaler(t, "chat")
	require.Empty(t, got.Status.Targets)
	require.Equal(t, "False TargetNotFound", says(got.Status, Ready))
	require.Len(t, got.Status.ScalingHistory, 2)
}

func statusOfANamesake(t *testing.T, w *world) {
	pa := w.autoscaler(t, "chat")
	writer := w.statusWriter(t, always)
	objects := w.dynamic.Resource(v1alpha1.Resource).Namespace(w.namespace)
	require.NoError(t, objects.Delete(t.Context(), "chat", metav1.DeleteOptions{}))
	writer.Observe(holdAt(pa, 0, 25))
	require.Equal(t, 1, drain(t.Context(), writer))
	require.Empty(t, writer.states, "it is gone")

	namesake := w.autoscaler(t, "chat")
	writer.Observe(holdAt(pa, 2, 25))
	require.Equal(t, 1, drain(t.Context(), writer))
	require.Empty(t, w.readAutoscaler(t, "chat").Status.Conditions)

	writer.Observe(holdAt(namesake, 4, 25))
	require.Equal(t, 1, drain(t.Context(), writer))
	require.NotEmpty(t, w.readAutoscaler(t, "chat").Status.Conditions)
}

// offline is a StatusWriter whose API server takes every patch, or is away.
func offline(t *testing.T, away *error) *StatusWriter {
	t.Helper()
	server := roundTripper(func(r *http.Request) (*http.Response, error) {
		if *away != nil {
			return nil, *away
		}
		return &http.Response{
			StatusCode: http.StatusOK, Request: r, Header: http.Header{"Content-Type": {"application/json"}},
			Body: io.NopCloser(strings.NewReader(`{"apiVersion":"autoscaling.aibrix.ai/v1alpha1","kind":"PodAutoscaler","metadata":{"name":"chat","resourceVersion":"101"}}`)),
		}, nil
	})
	client, err := dynamic.NewForConfigAndClient(&rest.Config{Host: "http://127.0.0.1", QPS: -1}, &http.Client{Transport: server})
	require.NoError(t, err)
	return NewStatusWriter(StatusOptions{Client: client, Leader: always})
}

func TestAStatusIsWrittenAtOnceOrEvery30Seconds(t *testing.T) {
	var failure error
	writer := offline(t, &failure)
	written := func(turn Turn) int {
		writer.Observe(turn)
		return drain(t.Context(), writer)
	}
	pa := chat()
	require.Equal(t, 1, written(holdAt(pa, 0, 25)), "the first")
	for s := 2; s < 30; s += 2 {
		require.Zero(t, written(holdAt(pa, s, 25+float64(s)/7)), "the values move, %d s after the last write", s)
	}
	require.Equal(t, 1, written(holdAt(pa, 30, 28)))
	require.Zero(t, written(holdAt(pa, 62, 28)), "nothing to tell")
	require.Equal(t, 1, written(Turn{Autoscaler: pa, At: noon.Add(64 * time.Second), TargetReason: NoSelector, TargetMessage: "no selector"}), "a condition")

	failure = errors.New("connection refused")
	require.Equal(t, 1, written(holdAt(pa, 66, 28)), "another, but the API server is away")
	require.Zero(t, written(holdAt(pa, 68, 28)), "not tried at every tick")
	failure = nil
	require.Equal(t, 1, written(holdAt(pa, 76, 28)))
	require.Zero(t, written(holdAt(pa, 78, 28)))

	writer.Observe(holdAt(pa, 120, 10))
	writer.Observe(holdAt(pa, 122, 25))
	require.Len(t, writer.queue, 1, "the latest of two wins")

	leader := true
	writer.leader = func() bool { return leader }
	leader = false
	require.Equal(t, 1, written(holdAt(pa, 200, 99)), "what was queued is not written")
	require.Empty(t, writer.states, "the standby remembers nothing: the leader moves the status on")
	require.Zero(t, written(holdAt(pa, 202, 99)))

	leader = true
	for _, uid := range []types.UID{"2", "3", "4"} {
		other := chat()
		other.UID = uid
		written(holdAt(other, 300, 25))
	}
	require.Len(t, writer.states, 3)
	written(holdAt(pa, 300+301, 25))
	require.Len(t, writer.states, 1, "autoscalers without turns are forgotten")
}
