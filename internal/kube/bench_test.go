package kube_test

import (
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/internal/kube"
)

// fleet is a Kube with n autoscalers in one namespace, each with a Deployment, a ReplicaSet, three pods and an HPA on
// another workload; every third target is of a kind whose pods have owners that would have to be read.
type fleet struct {
	*kube.Kube
	autoscalers []*v1alpha1.PodAutoscaler
	targets     []kube.Target
	pods        []*corev1.Pod
}

func newFleet(b testing.TB, n int) fleet {
	f := fleet{Kube: offline(b)}
	f.Feed(nil, read[corev1.ResourceQuota](b, quota("gpus", "requests.nvidia.com/gpu: 6", "requests.nvidia.com/gpu: 11")))
	like := read[corev1.Pod](b, gpuPod)
	for i := range n {
		name := fmt.Sprintf("model-%d", i)
		pa := scaling(name, "pa-"+name, time.Hour)
		pa.Spec.ScaleTargetRef.Name = name
		if i%3 == 2 {
			pa.Spec.ScaleTargetRef.APIVersion = "leaderworkerset.x-k8s.io/v1"
			pa.Spec.ScaleTargetRef.Kind = "LeaderWorkerSet"
		}
		at := kube.Target{
			UID: types.UID("uid-" + name), Namespace: "llm", Name: name, GVR: deployments, Selector: kube.Selector(name), Replicas: 3,
		}
		f.Feed(nil, pa)
		f.Follow(pa, at)
		f.Feed(nil, &metav1.PartialObjectMetadata{ObjectMeta: metav1.ObjectMeta{
			Namespace: "llm", Name: name + "-1", UID: types.UID("rs-" + name), OwnerReferences: ownedBy(at.UID, "apps/v1", "Deployment", name),
		}})
		f.Feed(nil, native(b, name, "apps/v1", "other-"+name))
		for j := range 3 {
			p := like.DeepCopy()
			p.Namespace, p.Name, p.Labels = "llm", fmt.Sprintf("%s-%d", name, j), map[string]string{"app": name}
			p.UID, p.OwnerReferences = types.UID(p.Name), ownedBy(types.UID("rs-"+name), "apps/v1", "ReplicaSet", name+"-1")
			f.Feed(nil, p)
			f.pods = append(f.pods, p)
		}
		f.autoscalers, f.targets = append(f.autoscalers, pa), append(f.targets, at)
	}
	f.Noted()
	return f
}

var sizes = []int{500, 5000}

// The work that one event makes does not grow with the fleet.
func BenchmarkEvent(b *testing.B) {
	for _, n := range sizes {
		f := newFleet(b, n)
		pod := func(i int) *corev1.Pod { return f.pods[i%500*(n/500)] } // as many at either size, for the processor's caches' sake
		b.Run(fmt.Sprintf("pod/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				f.Feed(pod(i), pod(i))
			}
		})
		b.Run(fmt.Sprintf("pod-comes/%d", n), func(b *testing.B) {
			b.ReportAllocs()
			for i := range b.N {
				f.Feed(nil, pod(i))
			}
		})
		b.Run(fmt.Sprintf("autoscaler-status/%d", n), func(b *testing.B) {
			before, after := f.autoscalers[n/2], f.autoscalers[n/2].DeepCopy()
			after.Status.DesiredScale = 3
			b.ReportAllocs()
			for range b.N {
				f.Feed(before, after)
			}
		})
		b.Run(fmt.Sprintf("autoscaler-spec/%d", n), func(b *testing.B) {
			before, after := f.autoscalers[n/2], f.autoscalers[n/2].DeepCopy()
			after.Generation = 2
			b.ReportAllocs()
			for range b.N {
				f.Feed(before, after)
				f.Reconcile(b.Context())
			}
		})
		b.Run(fmt.Sprintf("deployment/%d", n), func(b *testing.B) {
			d := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{Kind: "Deployment"}, ObjectMeta: metav1.ObjectMeta{Namespace: "llm", Name: f.targets[n/2].Name}}
			b.ReportAllocs()
			for range b.N {
				f.Feed(d, d)
				f.Tasks()
			}
		})
	}
}

// What a decision asks for does not grow with the fleet either.
func BenchmarkLookup(b *testing.B) {
	for _, n := range sizes {
		f := newFleet(b, n)
		for name, ask := range map[string]func(i int){
			"Target": func(i int) {
				if _, err := f.Target(f.autoscalers[i]); err != nil {
					b.Fatal(err)
				}
			},
			"Pods":            func(i int) { f.Pods(f.targets[i]) },
			"Quota":           func(i int) { f.Quota(f.targets[i]) },
			"Rivals":          func(i int) { f.Rivals(f.autoscalers[i]) },
			"OwnedHPAs":       func(i int) { f.OwnedHPAs(f.autoscalers[i]) },
			"OtherController": func(int) { f.OtherController() },
		} {
			b.Run(fmt.Sprintf("%s/%d", name, n), func(b *testing.B) {
				b.ReportAllocs()
				for i := range b.N {
					ask(i % 500 * (n / 500))
				}
			})
		}
	}
}

// The same as a test, by what is counted and not timed: allocations.
func TestEventsAndLookupsDoNotGrowWithTheFleet(t *testing.T) {
	costs := func(n int) map[string]float64 {
		f := newFleet(t, n)
		require.Len(t, f.Pods(f.targets[n/2]), 3)
		require.EqualValues(t, 5, f.Quota(f.targets[n/2]).Most)
		before, after := f.autoscalers[n/2], f.autoscalers[n/2].DeepCopy()
		after.Status.DesiredScale = 3
		d := &metav1.PartialObjectMetadata{TypeMeta: metav1.TypeMeta{Kind: "Deployment"}, ObjectMeta: metav1.ObjectMeta{Namespace: "llm", Name: f.targets[n/2].Name}}
		out := map[string]float64{}
		for name, do := range map[string]func(){
			"pod":        func() { f.Feed(f.pods[n], f.pods[n]) },
			"status":     func() { f.Feed(before, after) },
			"deployment": func() { f.Feed(d, d); f.Tasks() },
			"Pods":       func() { f.Pods(f.targets[n/2]) },
			"Quota":      func() { f.Quota(f.targets[n/2]) },
			"Rivals":     func() { f.Rivals(f.autoscalers[n/2]) },
		} {
			out[name] = testing.AllocsPerRun(20, do)
		}
		return out
	}
	few, many := costs(30), costs(402)
	for name, n := range few {
		require.InDelta(t, n, many[name], 3, name)
	}
}
