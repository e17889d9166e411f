package kube_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/yaml"

	"github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/internal/kube"
)

// scaling makes a PodAutoscaler of Deployment chat in namespace llm, that old.
func scaling(name, uid string, age time.Duration) *v1alpha1.PodAutoscaler {
	pa := &v1alpha1.PodAutoscaler{}
	pa.APIVersion, pa.Kind = v1alpha1.GroupVersion.String(), v1alpha1.Kind
	pa.Namespace, pa.Name, pa.UID, pa.Generation = "llm", name, types.UID(uid), 1
	pa.CreationTimestamp = metav1.NewTime(start.Add(-age).Local())
	pa.Spec.ScaleTargetRef.Kind, pa.Spec.ScaleTargetRef.Name = "Deployment", "chat"
	return pa
}

func native(t testing.TB, name, apiVersion, target string, owner ...metav1.OwnerReference) *autoscalingv2.HorizontalPodAutoscaler {
	h := read[autoscalingv2.HorizontalPodAutoscaler](t, fmt.Sprintf(
		"metadata: {namespace: llm, name: %s, uid: hpa-%s}\nspec: {maxReplicas: 3, scaleTargetRef: {apiVersion: %s, kind: Deployment, name: %s}}",
		name, name, apiVersion, target))
	h.OwnerReferences = owner
	return h
}

// keda makes a ScaledObject in namespace llm with the rest of its spec as YAML.
func keda(t *testing.T, name, spec string) *unstructured.Unstructured {
	t.Helper()
	u := &unstructured.Unstructured{}
	require.NoError(t, yaml.Unmarshal([]byte(fmt.Sprintf(
		"{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, metadata: {namespace: llm, name: %s, uid: so-%s}, spec: %s}", name, name, spec)), &u.Object))
	return u
}

// said writes rivals in short.
func said(rivals []kube.Rival) []string {
	out := []string{}
	for _, r := range rivals {
		s := fmt.Sprintf("%s %s/%s %s", r.Kind, r.Namespace, r.Name, r.UID)
		if r.Ours {
			s += " ours"
		}
		if r.Delegates {
			s += " delegates"
		}
		out = append(out, s)
	}
	return out
}

// The oldest autoscaler of a target keeps it, until it is deleted; then the next does.
func TestTheOlderAutoscalerKeepsTheTarget(t *testing.T) {
	k := offline(t)
	a, b, c := scaling("a", "3", time.Minute), scaling("b", "2", time.Hour), scaling("c", "1", time.Minute)
	b.Spec.ScaleTargetRef.APIVersion = "apps/v1beta1" // another name for the same
	for _, pa := range []*v1alpha1.PodAutoscaler{a, b, c} {
		k.Feed(nil, pa)
	}
	require.Equal(t, []string{"PodAutoscaler llm/b 2 ours"}, said(k.Rivals(a)))
	require.Empty(t, k.Rivals(b))
	require.Equal(t, []string{"PodAutoscaler llm/b 2 ours"}, said(k.Rivals(c)))

	leaving := b.DeepCopy()
	leaving.DeletionTimestamp, leaving.Generation = &a.CreationTimestamp, 2
	k.Feed(b, leaving)
	require.Equal(t, []string{"PodAutoscaler llm/c 1 ours"}, said(k.Rivals(a)), "of two of an age, the lower UID")
	require.Empty(t, k.Rivals(c))
	require.Equal(t, []string{"PodAutoscaler llm/c 1 ours"}, said(k.Rivals(leaving)), "what is being deleted yields, though it is the oldest")
	leavingToo := c.DeepCopy()
	leavingToo.DeletionTimestamp, leavingToo.Generation = &a.CreationTimestamp, 2
	k.Feed(c, leavingToo)
	require.Empty(t, k.Rivals(a), "one that stays, of any age, before those that go")
	require.Equal(t, []string{"PodAutoscaler llm/a 3 ours"}, said(k.Rivals(leaving)))
	require.Equal(t, []string{"PodAutoscaler llm/a 3 ours"}, said(k.Rivals(leavingToo)))
	k.Feed(a, nil)
	require.Empty(t, k.Rivals(leaving), "of two that go, the older")
	require.Equal(t, []string{"PodAutoscaler llm/b 2 ours"}, said(k.Rivals(leavingToo)))
	k.Feed(nil, a)
	k.Feed(leaving, nil)
	k.Feed(leavingToo, nil)
	require.Empty(t, k.Rivals(a))

	shadow := scaling("shadow", "0", 24*time.Hour)
	shadow.Spec.Mode = decider.Advise
	k.Feed(nil, shadow)
	require.Empty(t, k.Rivals(a), "one that only advises writes nothing")

	// Not the same target: another name, another kind, another namespace, a namespace that is refused.
	for i, change := range []func(*v1alpha1.PodAutoscaler){
		func(pa *v1alpha1.PodAutoscaler) { pa.Spec.ScaleTargetRef.Name = "search" },
		func(pa *v1alpha1.PodAutoscaler) { pa.Spec.ScaleTargetRef.Kind = "StatefulSet" },
		func(pa *v1alpha1.PodAutoscaler) { pa.Namespace = "elsewhere" },
		func(pa *v1alpha1.PodAutoscaler) {
			pa.Namespace, pa.Spec.ScaleTargetRef.Namespace = "elsewhere", "llm"
		},
	} {
		other := scaling(fmt.Sprint("other-", i), fmt.Sprint("0", i), 24*time.Hour)
		change(other)
		k.Feed(nil, other)
		require.Empty(t, k.Rivals(a))
		require.Empty(t, k.Rivals(other))
	}
}

func TestNativeAutoscalersOfTheTarget(t *testing.T) {
	k := offline(t)
	pa, younger := scaling("chat", "1", time.Hour), scaling("younger", "2", time.Minute)
	k.Feed(nil, pa)
	k.Feed(nil, younger)
	mine := controller(pa, v1alpha1.GroupVersion.String(), v1alpha1.Kind)
	others := controller(younger, v1alpha1.GroupVersion.String(), v1alpha1.Kind)
	kedas := controller(&metav1.ObjectMeta{Name: "queue", UID: "so-queue"}, "keda.sh/v1alpha1", "ScaledObject")
	friend := mine
	friend.Controller = nil

	own := native(t, "chat-hpa", "apps/v1", "chat", mine)
	k.Feed(nil, own)
	k.Feed(nil, native(t, "other-target", "apps/v1", "search"))
	require.Empty(t, k.Rivals(pa))
	require.Len(t, k.OwnedHPAs(pa), 1)
	require.Equal(t, own.UID, k.OwnedHPAs(pa)[0].UID)
	require.Empty(t, k.OwnedHPAs(younger))
	found, ok := k.HPA("llm", "chat-hpa")
	require.True(t, ok)
	require.Equal(t, own.UID, found.UID)
	_, ok = k.HPA("llm", "chat")
	require.False(t, ok)
	require.Equal(t, []string{"PodAutoscaler llm/chat 1 ours"}, said(k.Rivals(younger)), "the keeper's HPA is the keeper's affair")

	k.Feed(nil, native(t, "theirs", "apps/v1beta2", "chat", friend))
	k.Feed(nil, native(t, "stray", "apps/v1", "chat", others))
	k.Feed(nil, native(t, "keda-hpa-queue", "apps/v1", "chat", kedas))
	require.Equal(t, []string{
		"HorizontalPodAutoscaler llm/stray hpa-stray ours",
		"HorizontalPodAutoscaler llm/theirs hpa-theirs",
		"ScaledObject llm/queue so-queue",
	}, said(k.Rivals(pa)))

	// Once ScaledObjects can be read, what KEDA does is known, and told once.
	k.Feed(nil, keda(t, "queue", `{scaleTargetRef: {name: chat}, triggers: [{type: cpu, metadata: {value: "50"}}]}`))
	require.Equal(t, "ScaledObject llm/queue so-queue", said(k.Rivals(pa))[2])
	require.Len(t, k.Rivals(pa), 3)
}

func TestScaledObjectsThatActOnOurAdvice(t *testing.T) {
	pa := scaling("chat", "1", time.Hour)
	for name, c := range map[string]struct {
		object, spec string
		want         []string
	}{
		"asks us about the autoscaler of its name": {"chat", `{scaleTargetRef: {name: chat}, triggers: [{type: external, metadata: {scalerAddress: "flyball.flyball-system:8091"}}]}`, []string{"ScaledObject llm/chat so-chat delegates"}},
		"pushed, in full, in capitals":             {"chat", `{scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: chat}, triggers: [{type: cron}, {type: external-push, metadata: {scalerAddress: "Flyball.flyball-system.SVC.cluster.local.:8091"}}]}`, []string{"ScaledObject llm/chat so-chat delegates"}},
		"by name":                                  {"any", `{scaleTargetRef: {name: chat}, triggers: [{type: external, metadata: {scalerAddress: "flyball.flyball-system.svc:8091", target: chat}}]}`, []string{"ScaledObject llm/any so-any delegates"}},
		"by namespace and name":                    {"any", `{scaleTargetRef: {name: chat}, triggers: [{type: external, metadata: {scalerAddress: "flyball.flyball-system:8091", target: llm/chat}}]}`, []string{"ScaledObject llm/any so-any delegates"}},
		"paused or not":                            {"chat", `{paused: true, scaleTargetRef: {name: chat}, triggers: [{type: external, metadata: {scalerAddress: "flyball.flyball-system:8091"}}]}`, []string{"ScaledObject llm/chat so-chat delegates"}},
		"about another autoscaler":                 {"chat", `{scaleTargetRef: {name: chat}, triggers: [{type: external, metadata: {scalerAddress: "flyball.flyball-system:8091", target: search}}]}`, []string{"ScaledObject llm/chat so-chat"}},
		"about one of another namespace":           {"chat", `{scaleTargetRef: {name: chat}, triggers: [{type: external, metadata: {scalerAddress: "flyball.flyball-system:8091", target: x/chat}}]}`, []string{"ScaledObject llm/chat so-chat"}},
		"of another name, about none":              {"any", `{scaleTargetRef: {name: chat}, triggers: [{type: external, metadata: {scalerAddress: "flyball.flyball-system:8091"}}]}`, []string{"ScaledObject llm/any so-any"}},
		"another port":                             {"chat", `{scaleTargetRef: {name: chat}, triggers: [{type: external, metadata: {scalerAddress: "flyball.flyball-system:9000"}}]}`, []string{"ScaledObject llm/chat so-chat"}},
		"another scaler":                           {"chat", `{scaleTargetRef: {name: chat}, triggers: [{type: external, metadata: {scalerAddress: "other.flyball-system:8091"}}]}`, []string{"ScaledObject llm/chat so-chat"}},
		"another type":                             {"chat", `{scaleTargetRef: {name: chat}, triggers: [{type: metrics-api, metadata: {scalerAddress: "flyball.flyball-system:8091"}}]}`, []string{"ScaledObject llm/chat so-chat"}},
		"another target":                           {"chat", `{scaleTargetRef: {name: search}, triggers: []}`, []string{}},
		"another kind":                             {"chat", `{scaleTargetRef: {kind: StatefulSet, name: chat}, triggers: []}`, []string{}},
		"one that nobody can read":                 {"chat", `{scaleTargetRef: chat}`, []string{}},
	} {
		t.Run(name, func(t *testing.T) {
			k := offline(t, "flyball.flyball-system.svc.cluster.local:8091")
			k.Feed(nil, pa)
			k.Feed(nil, keda(t, c.object, c.spec))
			require.Equal(t, c.want, said(k.Rivals(pa)))
		})
	}
}

func FuzzScalerAddress(f *testing.F) {
	for _, s := range []string{
		"flyball.llm:8091", "Flyball.llm.svc.cluster.local.:8091", " flyball ", "127.0.0.1:8091", "[::1]:8091", "::1", "", ":", "a:b:c",
		".svc", ".svc.cluster.local:1",
	} {
		f.Add(s)
	}
	require.Equal(f, kube.ScalerAddress("flyball.llm:8091"), kube.ScalerAddress(" Flyball.llm.svc.cluster.local.:8091"))
	require.Equal(f, kube.ScalerAddress("flyball.llm:8091"), kube.ScalerAddress("flyball.llm.svc:8091"))
	require.NotEqual(f, kube.ScalerAddress("flyball.llm:8091"), kube.ScalerAddress("flyball.llm"))
	f.Fuzz(func(t *testing.T, s string) { kube.ScalerAddress(s) })
}
