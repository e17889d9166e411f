package actuator

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/events"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/decider"
)

// scaler is the autoscaler of the namespace.
func (w *world) scaler() *v1alpha1.PodAutoscaler {
	pa := chat()
	pa.Namespace = w.namespace
	return pa
}

func aWriteIsSeen(t *testing.T, w *world) {
	w.worker(t, "chat", 1)
	target := w.target(t, workers, "chat")
	others, err := w.dynamic.Resource(workers).Namespace(w.namespace).Watch(t.Context(), metav1.ListOptions{ResourceVersion: target.ResourceVersion})
	require.NoError(t, err)
	defer others.Stop()

	before := time.Now()
	out := w.actuator(t, Options{}).Apply(t.Context(), target, w.scaler(), decide(target, 3))
	require.True(t, out.Applied, "%+v", out)
	require.Equal(t, []int32{1, 3}, []int32{out.Was, out.Now})
	require.WithinRange(t, out.At, before, time.Now())

	seen := (<-others.ResultChan()).Object.(*unstructured.Unstructured)
	replicas, _, err := unstructured.NestedInt64(seen.Object, "spec", "replicas")
	require.NoError(t, err)
	require.EqualValues(t, 3, replicas)
	var ours []string
	for _, f := range seen.GetManagedFields() {
		if f.Manager == FieldManager {
			ours = append(ours, f.Subresource)
		}
	}
	require.Equal(t, []string{"scale"}, ours, "nothing but the scale subresource")
}

func aDeploymentIsScaled(t *testing.T, w *world) {
	labels := map[string]string{"app": "chat"}
	one := int32(1)
	_, err := w.typed.AppsV1().Deployments(w.namespace).Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "chat"},
		Spec: appsv1.DeploymentSpec{
			Replicas: &one, Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{ObjectMeta: metav1.ObjectMeta{Labels: labels}, Spec: corev1.PodSpec{Containers: []corev1.Container{{Name: "engine", Image: "none"}}}},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	a := w.actuator(t, Options{})
	target := w.target(t, deployments, "chat") // its controller has hardly begun
	for _, to := range []int32{3, 5, 2} {
		out := a.Apply(t.Context(), target, w.scaler(), decide(target, to))
		require.True(t, out.Applied, "%+v", out)
		// The target that the next decision is made from, so that the controller may write in between.
		next := w.target(t, deployments, "chat")
		require.Equal(t, target.Generation+1, next.Generation)
		require.Equal(t, to, next.Replicas)
		target = next
	}
	require.Eventually(t, func() bool {
		d, err := w.typed.AppsV1().Deployments(w.namespace).Get(t.Context(), "chat", metav1.GetOptions{})
		return err == nil && d.Status.Replicas == 2
	}, patience, glance, "the deployment controller follows")

	// Unlike other kinds', a Deployment's annotations move its generation: a decision from before is dropped and made anew.
	_, err = w.dynamic.Resource(deployments).Namespace(w.namespace).
		Patch(t.Context(), "chat", types.MergePatchType, []byte(`{"metadata":{"annotations":{"note":"looked at"}}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	out := a.Apply(t.Context(), target, w.scaler(), decide(target, 4))
	require.Equal(t, decider.Conflict, out.Why)
	require.Contains(t, out.Detail, "metadata.generation")
}

func harmlessChanges(t *testing.T, w *world) {
	a := w.actuator(t, Options{})
	for name, change := range map[string]struct {
		patch        string
		subresources []string
	}{
		"status":     {`{"status":{"replicas":1}}`, []string{"status"}},
		"annotation": {`{"metadata":{"annotations":{"note":"looked at"}}}`, nil},
		"label":      {`{"metadata":{"labels":{"team":"search"}}}`, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w.worker(t, name, 1)
			target := w.target(t, workers, name)
			d := decide(target, 3)
			w.patch(t.Context(), t, name, change.patch, change.subresources...)
			require.NotEqual(t, target.ResourceVersion, w.get(t, workers, name).GetResourceVersion(), "the write will conflict")
			w.ours.forget()
			out := a.Apply(t.Context(), target, w.scaler(), d)
			require.True(t, out.Applied, "%+v", out)
			require.EqualValues(t, 3, w.target(t, workers, name).Replicas)
			require.Equal(t, 2, w.ours.count("PUT "), "once in vain, then again")
		})
	}
}

func foreignWrites(t *testing.T, w *world) {
	a := w.actuator(t, Options{})
	for name, tc := range map[string]struct {
		patches []string
		says    string
		left    int32
	}{
		"count":          {[]string{`{"spec":{"replicas":4}}`}, "spec.replicas is 4 now and was 1", 4},
		"count-and-back": {[]string{`{"spec":{"replicas":4}}`, `{"spec":{"replicas":1}}`}, "metadata.generation is 3 now and was 1", 1},
		"template":       {[]string{`{"spec":{"image":"v2"}}`}, "metadata.generation is 2 now and was 1", 1},
	} {
		t.Run(name, func(t *testing.T) {
			w.worker(t, name, 1)
			target := w.target(t, workers, name)
			d := decide(target, 3)
			for _, p := range tc.patches {
				w.patch(t.Context(), t, name, p)
			}
			out := a.Apply(t.Context(), target, w.scaler(), d)
			require.Equal(t, decider.Conflict, out.Why)
			require.Contains(t, out.Detail, tc.says)
			require.False(t, out.Applied)
			require.Zero(t, out.At)
			require.Equal(t, tc.left, w.target(t, workers, name).Replicas)

			// A target that was read again for an old decision is no way around that.
			target = w.target(t, workers, name)
			w.ours.forget()
			if target.Replicas != d.From {
				out = a.Apply(t.Context(), target, w.scaler(), d)
				require.Equal(t, decider.Conflict, out.Why)
				require.Zero(t, w.ours.count(""))
			}
		})
	}
}

func recreated(t *testing.T, w *world) {
	a := w.actuator(t, Options{})
	w.worker(t, "chat", 1)
	target := w.target(t, workers, "chat")
	d := decide(target, 3)
	require.NoError(t, w.dynamic.Resource(workers).Namespace(w.namespace).Delete(t.Context(), "chat", metav1.DeleteOptions{}))
	out := a.Apply(t.Context(), target, w.scaler(), d)
	require.Equal(t, decider.TargetGone, out.Why, "%+v", out)

	w.worker(t, "chat", 1)
	out = a.Apply(t.Context(), target, w.scaler(), d)
	require.Equal(t, decider.TargetGone, out.Why, "%+v", out)
	require.Contains(t, out.Detail, "metadata.uid")
	require.EqualValues(t, 1, w.target(t, workers, "chat").Replicas)

	// Not even if the resourceVersion is right.
	target.ResourceVersion = w.get(t, workers, "chat").GetResourceVersion()
	out = a.Apply(t.Context(), target, w.scaler(), d)
	require.Equal(t, decider.TargetGone, out.Why, "%+v", out)
	require.EqualValues(t, 1, w.target(t, workers, "chat").Replicas)
}

func notLeader(t *testing.T, w *world) {
	w.worker(t, "chat", 1)
	target := w.target(t, workers, "chat")
	standby := w.actuator(t, Options{Leader: func() bool { return false }})
	w.ours.forget()
	out := standby.Apply(t.Context(), target, w.scaler(), decide(target, 3))
	require.Equal(t, decider.Outcome{Was: 1, Now: 1, Why: decider.NotLeader}, out)
	require.Zero(t, w.ours.count(""), "not one request")

	// It was the leader when the first request was sent, and is not when that has conflicted.
	var looks atomic.Int32
	loses := w.actuator(t, Options{Leader: func() bool { return looks.Add(1) == 1 }})
	w.patch(t.Context(), t, "chat", `{"metadata":{"labels":{"team":"search"}}}`)
	w.ours.forget()
	out = loses.Apply(t.Context(), target, w.scaler(), decide(target, 3))
	require.Equal(t, decider.NotLeader, out.Why)
	require.Equal(t, 1, w.ours.count(""))

	leader := w.actuator(t, Options{})
	w.ours.forget()
	away := w.scaler()
	away.Namespace = "elsewhere"
	out = leader.Apply(t.Context(), target, away, decide(target, 3))
	require.Equal(t, decider.Refused, out.Why, "never in another namespace")
	advised := w.scaler()
	advised.Spec.Mode = decider.Advise
	require.Equal(t, decider.Advised, leader.Apply(t.Context(), target, advised, decide(target, 3)).Why)
	require.Equal(t, decider.Unchanged, leader.Apply(t.Context(), target, w.scaler(), decide(target, 1)).Why)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.Equal(t, decider.Unreachable, leader.Apply(ended, target, w.scaler(), decide(target, 3)).Why)
	require.Zero(t, w.ours.count(""))
	require.EqualValues(t, 1, w.target(t, workers, "chat").Replicas)
}

func contended(t *testing.T, w *world) {
	w.worker(t, "chat", 1)
	target := w.target(t, workers, "chat")
	a := w.actuator(t, Options{})
	w.ours.forget()
	n := 0
	w.ours.hook(func(r *http.Request) {
		if r.Method == http.MethodPut {
			n++
			w.patch(t.Context(), t, "chat", fmt.Sprintf(`{"metadata":{"labels":{"n":"%d"}}}`, n))
		}
	}, nil)
	out := a.Apply(t.Context(), target, w.scaler(), decide(target, 3))
	require.Equal(t, decider.Conflict, out.Why)
	require.Contains(t, out.Detail, "4 times")
	require.Equal(t, attempts, w.ours.count("PUT "))
	require.EqualValues(t, 1, w.target(t, workers, "chat").Replicas)
}

func twoWriters(t *testing.T, w *world) {
	w.worker(t, "chat", 1)
	target := w.target(t, workers, "chat")
	a, d := w.actuator(t, Options{}), decide(target, 3)
	var both sync.WaitGroup
	var applied, conflicts atomic.Int32
	for range 2 {
		both.Go(func() {
			switch out := a.Apply(t.Context(), target, w.scaler(), d); {
			case out.Applied:
				applied.Add(1)
			case out.Why == decider.Conflict:
				conflicts.Add(1)
			}
		})
	}
	both.Wait()
	require.Equal(t, []int32{1, 1}, []int32{applied.Load(), conflicts.Load()})
	require.Equal(t, target.Generation+1, w.target(t, workers, "chat").Generation)
}

func refusals(t *testing.T, w *world) {
	w.worker(t, "chat", 1)
	target := w.target(t, workers, "chat")
	stranger := actuatorFor(t, w.cp.As("stranger"), Options{})
	out := stranger.Apply(t.Context(), target, w.scaler(), decide(target, 3))
	require.Equal(t, decider.Refused, out.Why)
	require.Contains(t, out.Detail, `"stranger" cannot update resource "workers/scale"`)

	many := decide(target, 10)
	many.To = 51
	out = w.actuator(t, Options{}).Apply(t.Context(), target, w.scaler(), many)
	require.Equal(t, decider.Refused, out.Why, "the schema's maximum holds for /scale too: %+v", out)
	require.Contains(t, out.Detail, "50")
	require.EqualValues(t, 1, w.target(t, workers, "chat").Replicas)
}

func lostAnswer(t *testing.T, w *world) {
	w.worker(t, "chat", 1)
	target := w.target(t, workers, "chat")
	a := w.actuator(t, Options{})
	w.ours.forget()
	w.ours.hook(nil, func(r *http.Request) error {
		if r.Method == http.MethodPut {
			return errors.New("connection reset by peer")
		}
		return nil
	})
	out := a.Apply(t.Context(), target, w.scaler(), decide(target, 3))
	require.Equal(t, decider.Unreachable, out.Why)
	require.Contains(t, out.Detail, "unknown")
	require.False(t, out.Applied)
	require.Equal(t, 1, w.ours.count("PUT "), "not sent again")
	now := w.target(t, workers, "chat")
	require.EqualValues(t, 3, now.Replicas, "it was done")
	require.Equal(t, target.Generation+1, now.Generation, "once")

	// One that never comes is not waited for longer than the tick.
	w.ours.hook(func(r *http.Request) { <-r.Context().Done() }, nil)
	tick, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	out = a.Apply(tick, now, w.scaler(), decide(now, 4))
	require.Equal(t, decider.Unreachable, out.Why)
	require.Contains(t, out.Detail, "deadline")
	require.EqualValues(t, 3, w.target(t, workers, "chat").Replicas)
}

func eventsAreNews(t *testing.T, w *world) {
	w.worker(t, "chat", 1)
	broadcaster := events.NewBroadcaster(&events.EventSinkImpl{Interface: w.typed.EventsV1()})
	defer broadcaster.Shutdown()
	require.NoError(t, broadcaster.StartRecordingToSinkWithContext(t.Context()))
	recorder := broadcaster.NewRecorder(scheme.Scheme, "flyball")
	a := w.actuator(t, Options{Events: recorder})
	for _, to := range []int32{3, 5} {
		target := w.target(t, workers, "chat")
		target.DecisionID = "4711"
		require.True(t, a.Apply(t.Context(), target, w.scaler(), decide(target, to)).Applied)
	}
	stranger := actuatorFor(t, w.cp.As("stranger"), Options{Events: recorder})
	for range 3 {
		target := w.target(t, workers, "chat")
		require.Equal(t, decider.Refused, stranger.Apply(t.Context(), target, w.scaler(), decide(target, 8)).Why)
	}
	var all []eventsv1.Event
	require.Eventually(t, func() bool {
		list, err := w.typed.EventsV1().Events(w.namespace).List(t.Context(), metav1.ListOptions{})
		require.NoError(t, err)
		all = list.Items
		return len(all) >= 3
	}, patience, glance)
	notes := map[string]string{}
	for _, e := range all {
		size, _, _ := strings.Cut(e.Note, ";")
		notes[e.Reason+" "+size] = e.Note
		require.Nil(t, e.Series, e.Note)
		require.Equal(t, "chat", e.Related.Name)
		require.Equal(t, v1alpha1.Kind, e.Regarding.Kind)
		require.Equal(t, w.scaler().UID, e.Regarding.UID)
	}
	require.Len(t, all, 3, "%v", notes)
	require.Contains(t, notes["SuccessfulRescale New size: 3"], "New size: 3; reason: need: waiting asks for 3")
	require.Contains(t, notes["SuccessfulRescale New size: 5"], "waiting asks for 5")
	require.True(t, strings.HasSuffix(notes["SuccessfulRescale New size: 5"], "; decision 4711"))
	require.Contains(t, notes["FailedRescale New size: 8"], `error: Refused: write of its scale: workers.example.com "chat" is forbidden`)
}
