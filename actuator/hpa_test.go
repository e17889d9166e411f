package actuator

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/events"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/decider"
)

// hpas is ours over the wire, as the leader, with what it announces.
func (w *world) hpas(t *testing.T) (*HPAs, *events.FakeRecorder) {
	t.Helper()
	return hpasFor(t, w.config)
}

func hpasFor(t *testing.T, config *rest.Config) (*HPAs, *events.FakeRecorder) {
	t.Helper()
	client, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	told := events.NewFakeRecorder(100)
	return NewHPAs(HPAOptions{Client: client.AutoscalingV2(), Leader: always, Events: told}), told
}

// heard is the reasons of the events so far.
func heard(r *events.FakeRecorder) []string {
	var out []string
	for {
		select {
		case e := <-r.Events:
			out = append(out, strings.Fields(e)[1])
		default:
			return out
		}
	}
}

// delegating makes an autoscaler of strategy HPA in the cluster.
func (w *world) delegating(t *testing.T, name string, sources ...v1alpha1.MetricSource) *v1alpha1.PodAutoscaler {
	t.Helper()
	pa := delegating(sources...)
	pa.TypeMeta = metav1.TypeMeta{APIVersion: v1alpha1.GroupVersion.String(), Kind: v1alpha1.Kind}
	pa.ObjectMeta = metav1.ObjectMeta{Name: name}
	o, err := runtime.DefaultUnstructuredConverter.ToUnstructured(pa)
	require.NoError(t, err)
	delete(o, "status")
	_, err = w.dynamic.Resource(v1alpha1.Resource).Namespace(w.namespace).Create(t.Context(), &unstructured.Unstructured{Object: o}, metav1.CreateOptions{})
	require.NoError(t, err)
	return w.readAutoscaler(t, name)
}

// stand is the autoscaler's HorizontalPodAutoscaler as it stands; nil when there is none.
func (w *world) stand(t *testing.T, pa *v1alpha1.PodAutoscaler) *autoscalingv2.HorizontalPodAutoscaler {
	t.Helper()
	hpa, err := w.typed.AutoscalingV2().HorizontalPodAutoscalers(w.namespace).Get(t.Context(), NativeHPAName(pa), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil
	}
	require.NoError(t, err)
	return hpa
}

// hpaTurn is a turn that many seconds past noon, with a cache that is up to date.
func (w *world) hpaTurn(t *testing.T, pa *v1alpha1.PodAutoscaler, second int) HPATurn {
	t.Helper()
	turn := HPATurn{Autoscaler: pa, At: noon.Add(time.Duration(second) * time.Second), Served: MetricsAPIs{Custom: true, External: true}, Standing: w.stand(t, pa)}
	if turn.Standing != nil && metav1.IsControlledBy(turn.Standing, pa) {
		turn.Owned = append(turn.Owned, turn.Standing)
	}
	return turn
}

func nativeAtRest(t *testing.T, w *world) {
	pa := w.delegating(t, "chat", everySource()...)
	h, told := w.hpas(t)
	got := h.Sync(t.Context(), w.hpaTurn(t, pa, 0))
	require.Equal(t, ToNativeHPA, got.Reason, got.Message)
	require.True(t, got.Stands)
	require.Equal(t, []string{EventHPACreated}, heard(told))
	require.Equal(t, 1, w.ours.count("PATCH "))

	w.ours.forget()
	behind := w.hpaTurn(t, pa, 2)
	behind.Standing, behind.Owned = nil, nil
	require.True(t, h.Sync(t.Context(), behind).Stands, "the cache does not show it yet")
	fresh, _ := w.hpas(t) // a restart remembers nothing
	for second := 4; second < 30; second += 2 {
		require.Equal(t, ToNativeHPA, h.Sync(t.Context(), w.hpaTurn(t, pa, second)).Reason)
		require.Equal(t, ToNativeHPA, fresh.Sync(t.Context(), w.hpaTurn(t, pa, second)).Reason)
	}
	require.Zero(t, w.ours.count(""), "what the API server made of it is what was asked for: %v", w.ours.sent)

	// minReplicas 0 is expressible with an external metric, and fewer metrics replace more.
	pa.Spec.MinReplicas, pa.Spec.MetricsSources = new(int32(0)), pa.Spec.MetricsSources[4:]
	require.Equal(t, ToNativeHPA, h.Sync(t.Context(), w.hpaTurn(t, pa, 30)).Reason)
	now := w.stand(t, pa)
	require.Zero(t, *now.Spec.MinReplicas)
	require.Len(t, now.Spec.Metrics, 2)
	require.Equal(t, 1, w.ours.count("PATCH "))

	// What we leave open, others may set: one attempt, then rest. What we set, they may not.
	for patch, tries := range map[string]int{
		`{"spec":{"behavior":{"scaleUp":{"tolerance":"50m"}}}}`: 1,
		`{"spec":{"maxReplicas":3}}`:                            1,
	} {
		_, err := w.typed.AutoscalingV2().HorizontalPodAutoscalers(w.namespace).
			Patch(t.Context(), now.Name, types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "somebody"})
		require.NoError(t, err)
		w.ours.forget()
		for second := 32; second < 60; second += 2 {
			require.Equal(t, ToNativeHPA, h.Sync(t.Context(), w.hpaTurn(t, pa, second)).Reason)
		}
		require.Equal(t, tries, w.ours.count(""), "%s: %v", patch, w.ours.sent)
	}
	// One that an earlier flyball made would be let go of too soon.
	_, err := w.typed.AutoscalingV2().HorizontalPodAutoscalers(w.namespace).Patch(t.Context(), now.Name, types.JSONPatchType,
		[]byte(`[{"op":"replace","path":"/metadata/ownerReferences/0/blockOwnerDeletion","value":false}]`), metav1.PatchOptions{FieldManager: "somebody"})
	require.NoError(t, err)
	w.ours.forget()
	for second := 60; second < 80; second += 2 {
		require.Equal(t, ToNativeHPA, h.Sync(t.Context(), w.hpaTurn(t, pa, second)).Reason)
	}
	require.Equal(t, 1, w.ours.count(""), "%v", w.ours.sent)
	now = w.stand(t, pa)
	require.True(t, *now.OwnerReferences[0].BlockOwnerDeletion)
	require.Equal(t, "50m", now.Spec.Behavior.ScaleUp.Tolerance.String())
	require.EqualValues(t, 10, now.Spec.MaxReplicas)
	require.Empty(t, heard(told))
}

func nativeTakesOver(t *testing.T, w *world) {
	// What AIBrix made of the same autoscaler before it was stopped.
	pa := w.delegating(t, "chat", source(v1alpha1.TypeResource, "cpu", "50"))
	aibrix := func(name, target string, change func(*autoscalingv2.HorizontalPodAutoscaler)) {
		hpa := &autoscalingv2.HorizontalPodAutoscaler{
			ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: map[string]string{"autoscaling.aibrix.ai/max-scale-up-rate": "2"}},
			Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
				ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: target}, MaxReplicas: 7,
				Metrics: []autoscalingv2.MetricSpec{{Type: autoscalingv2.ResourceMetricSourceType, Resource: &autoscalingv2.ResourceMetricSource{
					Name: corev1.ResourceMemory, Target: autoscalingv2.MetricTarget{Type: autoscalingv2.UtilizationMetricType, AverageUtilization: new(int32(9))},
				}}},
			},
		}
		change(hpa)
		_, err := w.typed.AutoscalingV2().HorizontalPodAutoscalers(w.namespace).Create(t.Context(), hpa, metav1.CreateOptions{FieldManager: "manager"})
		require.NoError(t, err)
	}
	controlled := func(hpa *autoscalingv2.HorizontalPodAutoscaler) {
		hpa.OwnerReferences = []metav1.OwnerReference{*metav1.NewControllerRef(pa, v1alpha1.GroupVersion.WithKind(v1alpha1.Kind))}
	}
	aibrix("chat-hpa", "chat", controlled)
	h, told := w.hpas(t)
	require.Equal(t, ToNativeHPA, h.Sync(t.Context(), w.hpaTurn(t, pa, 0)).Reason)
	now := w.stand(t, pa)
	require.Len(t, now.Spec.Metrics, 1)
	require.Equal(t, corev1.ResourceCPU, now.Spec.Metrics[0].Resource.Name)
	require.EqualValues(t, 10, now.Spec.MaxReplicas)
	require.Len(t, now.OwnerReferences, 1)
	require.Empty(t, heard(told), "it was this autoscaler's before")
	w.ours.forget()
	require.Equal(t, ToNativeHPA, h.Sync(t.Context(), w.hpaTurn(t, pa, 20)).Reason)
	require.Zero(t, w.ours.count(""))

	// What is left of one that was deleted with its dependents orphaned.
	orphan := w.delegating(t, "orphan", source(v1alpha1.TypeResource, "cpu", "50"))
	aibrix("orphan-hpa", "chat", func(*autoscalingv2.HorizontalPodAutoscaler) {})
	left := w.hpaTurn(t, orphan, 0)
	left.Contested = ContestedBy("HorizontalPodAutoscaler", w.namespace, "orphan-hpa") // it looks like a rival
	require.Equal(t, ToNativeHPA, h.Sync(t.Context(), left).Reason)
	require.True(t, metav1.IsControlledBy(w.stand(t, orphan), orphan))
	require.Equal(t, []string{EventHPAAdopted}, heard(told))

	// What the cache has may be gone, and another one in its place.
	stale := w.hpaTurn(t, orphan, 20)
	stale.Standing = stale.Standing.DeepCopy()
	stale.Standing.UID, stale.Standing.Spec.MaxReplicas = "another", 3
	w.ours.forget()
	for second := 20; second < 30; second += 2 {
		stale.At = noon.Add(time.Duration(second) * time.Second)
		got := h.Sync(t.Context(), stale)
		require.Equal(t, Refused, got.Reason, got.Message)
	}
	require.Equal(t, 1, w.ours.count(""), "not sent at every tick")

	for name, change := range map[string]func(*autoscalingv2.HorizontalPodAutoscaler){
		"by-hand": func(hpa *autoscalingv2.HorizontalPodAutoscaler) { hpa.Annotations = nil },
		"another-target": func(hpa *autoscalingv2.HorizontalPodAutoscaler) {
			hpa.Spec.ScaleTargetRef.Name = "embed"
		},
		"anothers": func(hpa *autoscalingv2.HorizontalPodAutoscaler) {
			hpa.OwnerReferences = []metav1.OwnerReference{{APIVersion: "keda.sh/v1alpha1", Kind: "ScaledObject", Name: "chat", UID: "1", Controller: new(true)}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			pa := w.delegating(t, name, source(v1alpha1.TypeResource, "cpu", "50"))
			aibrix(name+"-hpa", "chat", change)
			w.ours.forget()
			turn := w.hpaTurn(t, pa, 0)
			got := h.Sync(t.Context(), turn)
			require.Equal(t, ForeignHPA, got.Reason, got.Message)
			require.NotNil(t, got.Contested)
			require.Zero(t, w.ours.count(""), "%v", w.ours.sent)
			turn.Standing = nil // a cache that can't see it
			require.Equal(t, ForeignHPA, h.Sync(t.Context(), turn).Reason)
			turn.At = turn.At.Add(2 * time.Second)
			require.Equal(t, ForeignHPA, h.Sync(t.Context(), turn).Reason)
			require.Equal(t, 1, w.ours.count(""), "looked once, and wrote nothing")
			require.EqualValues(t, 7, w.stand(t, pa).Spec.MaxReplicas)
		})
	}
}

func nativeGoes(t *testing.T, w *world) {
	pa := w.delegating(t, "chat", source(v1alpha1.TypeResource, "cpu", "50"))
	h, told := w.hpas(t)
	begin := func() HPATurn {
		pa.Spec.ScalingStrategy, pa.Spec.Mode = decider.HPA, decider.Enforce
		require.Equal(t, ToNativeHPA, h.Sync(t.Context(), w.hpaTurn(t, pa, 0)).Reason)
		return w.hpaTurn(t, pa, 20)
	}
	for name, change := range map[string]func(*HPATurn){
		"strategy":        func(*HPATurn) { pa.Spec.ScalingStrategy = decider.KPA },
		"mode":            func(*HPATurn) { pa.Spec.Mode = decider.Advise },
		"a rival":         func(turn *HPATurn) { turn.Contested = ContestedBy("ScaledObject", "llm", "chat") },
		"it was a rename": func(turn *HPATurn) { pa.Spec.ScalingStrategy, turn.Standing = decider.APA, nil },
	} {
		turn := begin()
		heard(told)
		w.ours.forget()
		change(&turn)
		got := h.Sync(t.Context(), turn)
		require.Nil(t, got.Contested, name)
		require.False(t, got.Stands, name)
		require.Nil(t, w.stand(t, pa), name)
		h.Sync(t.Context(), turn)
		require.Equal(t, 1, w.ours.count("DELETE "), "%s: the cache may show it for a while", name)
		require.Equal(t, []string{EventHPARemoved}, heard(told), name)
	}
	// A mistake in what is another strategy's by now is no reason to let it go on.
	turn := begin()
	pa.Spec.ScalingStrategy, pa.Annotations = decider.KPA, map[string]string{"autoscaling.aibrix.ai/scale-down-delay": "soon"}
	require.Equal(t, HPAResult{}, h.Sync(t.Context(), turn))
	require.Nil(t, w.stand(t, pa))
	pa.Annotations = nil
	nativeLingers(t, w, h, begin())
	nativeStays(t, w, h, begin())

	turn = begin()
	w.ours.forget()
	turn.Served = MetricsAPIs{}
	for kind, reason := range map[v1alpha1.MetricSourceType]string{
		v1alpha1.TypeExternal: ExternalMetricsAPIMissing, v1alpha1.TypeCustom: CustomMetricsAPIMissing, v1alpha1.TypePod: CustomMetricsAPIMissing,
	} {
		pa.Spec.MetricsSources[0] = source(kind, "backlog", "1")
		got := h.Sync(t.Context(), turn)
		require.Equal(t, reason, got.Reason)
		require.True(t, got.Stands)
	}
	require.Zero(t, w.ours.count(""))

	stranger, _ := hpasFor(t, w.cp.As("stranger"))
	pa.Spec.ScalingStrategy = decider.KPA
	got := stranger.Sync(t.Context(), turn)
	require.Equal(t, ForeignHPA, got.Contested.Reason, "two would scale at once")
	require.Contains(t, got.Contested.Message, "forbidden")
	require.True(t, got.Stands)
	pa.Spec.ScalingStrategy, pa.Spec.MetricsSources[0] = decider.HPA, source(v1alpha1.TypeResource, "cpu", "60")
	got = stranger.Sync(t.Context(), turn)
	require.Equal(t, Refused, got.Reason, got.Message)
	require.True(t, got.Stands, "the one from before goes on")
	standby, _ := w.hpas(t)
	standby.leader = func() bool { return false }
	w.ours.forget()
	require.Equal(t, ToNativeHPA, standby.Sync(t.Context(), turn).Reason)
	require.Zero(t, w.ours.count(""))
}

// nativeLingers has another strategy wait for one that is being deleted: Kubernetes lets it scale until it is gone.
func nativeLingers(t *testing.T, w *world, h *HPAs, turn HPATurn) {
	t.Helper()
	letGo := w.hold(t, turn.Standing.Name)
	turn.Autoscaler.Spec.ScalingStrategy = decider.KPA
	require.Nil(t, h.Sync(t.Context(), turn).Contested)
	for second := 22; second < 26; second += 2 {
		got := h.Sync(t.Context(), w.hpaTurn(t, turn.Autoscaler, second))
		require.True(t, got.Stands)
		require.Contains(t, got.Contested.Message, "what holds it up is example.com/held")
	}
	letGo()
	require.Equal(t, HPAResult{}, h.Sync(t.Context(), w.hpaTurn(t, turn.Autoscaler, 28)))
}

// nativeStays has nothing touched while another controller handles the autoscalers, the CRD is an older one, or the garbage
// collector has its turn; that it acts is said all the same.
func nativeStays(t *testing.T, w *world, h *HPAs, turn HPATurn) {
	t.Helper()
	w.ours.forget()
	for _, who := range []*Contested{ContestedByController("aibrix-controller-manager"), ContestedByOlderCRD([]string{"spec.mode"})} {
		turn.Contested = who
		want := HPAResult{Stands: true, Native: turn.Standing, Reason: who.Reason, Message: who.Message}
		require.Equal(t, want, h.Sync(t.Context(), turn))
		turn.Autoscaler.Spec.ScalingStrategy, want.Reason = decider.KPA, ""
		require.Equal(t, want, h.Sync(t.Context(), turn), "not wanted any more")
		none := turn
		none.Standing, none.Owned = nil, nil
		require.False(t, h.Sync(t.Context(), none).Stands)
		turn.Autoscaler.Spec.ScalingStrategy = decider.HPA
		require.Equal(t, who.Reason, h.Sync(t.Context(), none).Reason, "none is made")
	}
	turn.Contested = nil
	leaving := turn
	leaving.Autoscaler = turn.Autoscaler.DeepCopy()
	leaving.Autoscaler.DeletionTimestamp = &metav1.Time{Time: noon}
	require.Equal(t, ToNativeHPA, h.Sync(t.Context(), leaving).Reason)
	leaving.Autoscaler.Spec.ScalingStrategy = decider.KPA
	require.True(t, h.Sync(t.Context(), leaving).Stands)
	leaving.Autoscaler.Spec.ScalingStrategy = decider.HPA
	leaving.Standing, leaving.Owned = nil, nil
	require.Equal(t, Pending, h.Sync(t.Context(), leaving).Reason, "none is made")
	require.Zero(t, w.ours.count(""))
}

// hold has somebody's finalizer keep a HorizontalPodAutoscaler, until letGo is called.
func (w *world) hold(t *testing.T, name string) (letGo func()) {
	t.Helper()
	finalizers := func(all string) {
		_, err := w.typed.AutoscalingV2().HorizontalPodAutoscalers(w.namespace).
			Patch(t.Context(), name, types.MergePatchType, []byte(`{"metadata":{"finalizers":`+all+`}}`), metav1.PatchOptions{FieldManager: "somebody"})
		require.NoError(t, err)
	}
	finalizers(`["example.com/held"]`)
	return func() { finalizers("null") }
}

// Deleting an autoscaler means for its HorizontalPodAutoscaler what Kubernetes says. No finalizer is in the way.
func nativeIsCollected(t *testing.T, w *world) {
	h, _ := w.hpas(t)
	objects := w.dynamic.Resource(v1alpha1.Resource).Namespace(w.namespace)
	for _, policy := range []metav1.DeletionPropagation{metav1.DeletePropagationBackground, metav1.DeletePropagationForeground, metav1.DeletePropagationOrphan} {
		pa := w.delegating(t, strings.ToLower(string(policy)), source(v1alpha1.TypeResource, "cpu", "50"))
		require.Equal(t, ToNativeHPA, h.Sync(t.Context(), w.hpaTurn(t, pa, 0)).Reason)
		require.Empty(t, w.readAutoscaler(t, pa.Name).Finalizers)
		letGo := func() {}
		if policy == metav1.DeletePropagationForeground {
			letGo = w.hold(t, NativeHPAName(pa))
		}
		require.NoError(t, objects.Delete(t.Context(), pa.Name, metav1.DeleteOptions{PropagationPolicy: &policy}))
		if policy == metav1.DeletePropagationForeground {
			require.Eventually(t, func() bool { return w.stand(t, pa).DeletionTimestamp != nil }, patience, glance)
			require.Never(t, func() bool {
				_, err := objects.Get(t.Context(), pa.Name, metav1.GetOptions{})
				return err != nil
			}, 2*time.Second, glance, "the autoscaler waits for its own")
		}
		letGo()
		require.Eventually(t, func() bool {
			_, err := objects.Get(t.Context(), pa.Name, metav1.GetOptions{})
			return apierrors.IsNotFound(err)
		}, patience, glance, policy)
		if policy == metav1.DeletePropagationOrphan {
			left := w.stand(t, pa)
			require.NotNil(t, left)
			require.Empty(t, left.OwnerReferences)
			again := w.delegating(t, pa.Name, source(v1alpha1.TypeResource, "cpu", "50"))
			require.Equal(t, ToNativeHPA, h.Sync(t.Context(), w.hpaTurn(t, again, 1)).Reason, "the next one takes it up")
			require.Equal(t, left.UID, w.stand(t, again).UID)
			continue
		}
		require.Eventually(t, func() bool { return w.stand(t, pa) == nil }, patience, glance, policy)
	}
}

// takenUp is a HorizontalPodAutoscaler of ours in the hands of Kubernetes' own controller.
type takenUp struct {
	w  *world
	pa *v1alpha1.PodAutoscaler
	h  *HPAs
}

func (u *takenUp) begin(t *testing.T, w *world) {
	_, err := w.typed.AppsV1().Deployments(w.namespace).Create(t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: "chat"},
		Spec: appsv1.DeploymentSpec{
			Replicas: new(int32(1)), Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": "chat"}},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": "chat"}},
				Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "engine", Image: "none"}}},
			},
		},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	pa := w.delegating(t, "chat", source(v1alpha1.TypeResource, "cpu", "50"))
	pa.Spec.MinReplicas = new(int32(3))
	u.w, u.pa = w, pa
	u.h, _ = w.hpas(t)
	require.Equal(t, ToNativeHPA, u.h.Sync(t.Context(), w.hpaTurn(t, pa, 0)).Reason)
}

// Its controller scales the target, and says in its conditions what ours then say.
func (u *takenUp) end(t *testing.T, _ *world) {
	w := u.w
	require.Eventually(t, func() bool {
		d, err := w.typed.AppsV1().Deployments(w.namespace).Get(t.Context(), "chat", metav1.GetOptions{})
		return err == nil && *d.Spec.Replicas == 3
	}, patience, glance, "minReplicas is 3")
	var s v1alpha1.PodAutoscalerStatus
	require.Eventually(t, func() bool {
		got := u.h.Sync(t.Context(), w.hpaTurn(t, u.pa, 20))
		turn := turnOf(decider.Policy{Strategy: decider.HPA, MinReplicas: 3, MaxReplicas: 10}, load(3, 0), decider.Outcome{Why: decider.Unchanged})
		turn.HPA = &got
		s = Status(v1alpha1.PodAutoscalerStatus{}, turn)
		return says(s, ScalingActive) != "Unknown Pending"
	}, patience, glance)
	require.Equal(t, "True NativeHPA", says(s, Delegated))
	require.Equal(t, "True SucceededGetScale", says(s, AbleToScale))
	require.Equal(t, "False FailedGetResourceMetric", says(s, ScalingActive), "nothing serves metrics.k8s.io here")
	require.Equal(t, "<unknown>/50%", s.Targets)
}
