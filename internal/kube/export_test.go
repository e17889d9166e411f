package kube

import (
	"context"
	"slices"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/util/workqueue"

	"github.com/flyball/flyball/api/v1alpha1"
)

var (
	Number        = number
	MissingFields = missingFields
	ScalerAddress = scalerAddress
	ByLabel       = byLabel
	AnyMatches    = anyMatches
)

// Rediscover sets how often what failed is tried again, before Run.
func (k *Kube) Rediscover(every time.Duration) { k.mapper.every = every }

// Watched are the resources of targets that are followed.
func (k *Kube) Watched() []string {
	k.targets.mu.RLock()
	defer k.targets.mu.RUnlock()
	var out []string
	for resource := range k.targets.watches {
		out = append(out, resource.Resource)
	}
	return out
}

// OwnersKnown is how many owners other than ReplicaSets are remembered.
func (k *Kube) OwnersKnown() int {
	k.owners.mu.RLock()
	defer k.owners.mu.RUnlock()
	return len(k.owners.known) + len(k.owners.children)
}

// ExpireOwners has all owners read again.
func (k *Kube) ExpireOwners() {
	k.owners.mu.Lock()
	defer k.owners.mu.Unlock()
	for uid, own := range k.owners.known {
		own.until = time.Time{}
		k.owners.known[uid] = own
	}
}

// Offline is a Kube that is fed by hand and asks nobody. end stops its queue.
func Offline(scalers ...string) (k *Kube, end func()) {
	return OfflineWith(Options{ScalerAddresses: scalers})
}

// OfflineWith is the same with other options.
func OfflineWith(o Options) (k *Kube, end func()) {
	o.Config = &rest.Config{Host: "http://127.0.0.1:1"}
	k, err := New(o)
	if err != nil {
		panic(err)
	}
	k.queue = workqueue.NewTypedRateLimitingQueue(taskBackoff())
	k.served.keda = &watch{scope: k.scaledObjectScope()}
	return k, k.queue.ShutDown
}

// Feed is an event of a watch, through the transform, the indexes and the handler. Either state may be nil.
func (k *Kube) Feed(before, after metav1.Object) {
	o := after
	if o == nil {
		o = before
	}
	var s *scope
	switch o := o.(type) {
	case *v1alpha1.PodAutoscaler:
		s = k.autoscalers
	case *corev1.Pod:
		s = k.pods
	case *corev1.Node:
		s = k.nodes
	case *corev1.ResourceQuota:
		s = k.quotas
	case *autoscalingv2.HorizontalPodAutoscaler:
		s = k.hpas
	case *unstructured.Unstructured:
		s = k.served.keda.scope
	case *metav1.PartialObjectMetadata:
		if s = k.replicaSets; o.Kind == "Deployment" {
			s = k.targets.watches[gvr{Group: "apps", Version: "v1", Resource: "deployments"}].scope
		}
	}
	cache := s.informers[0].GetIndexer()
	was, is := s.cached(before), s.cached(after)
	if is == nil {
		_ = cache.Delete(was)
	} else {
		_ = cache.Update(is)
	}
	s.onChange(was, is)
}

// cached is the state of an object as the cache holds it.
func (s *scope) cached(o metav1.Object) any {
	if o == nil {
		return nil
	}
	if pa, ok := o.(*v1alpha1.PodAutoscaler); ok {
		object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(pa)
		if err != nil {
			panic(err)
		}
		o = &unstructured.Unstructured{Object: object}
	}
	out, err := s.transform(o)
	if err != nil {
		panic(err)
	}
	return out
}

// Follow has the Deployment that the autoscaler names as its target, as if it had been read.
func (k *Kube) Follow(pa *v1alpha1.PodAutoscaler, at Target) {
	r, err := refOf(pa)
	if err != nil {
		panic(err)
	}
	if k.targets.watches[at.GVR] == nil {
		k.targets.watches[at.GVR] = k.newWatch(at.GVR, func() {})
	}
	k.targets.track(r)
	k.targets.join(r, k.targets.watches[at.GVR])
	k.targets.set(r, &at, nil)
}

// Noted are the names of the targets that are to be reconciled, sorted, and has none noted any more.
func (k *Kube) Noted() []string {
	var out []string
	for r := range k.targets.takeNoted() {
		out = append(out, r.name)
	}
	slices.Sort(out)
	return out
}

// Tasks are the names of the targets that are to be read, and takes them.
func (k *Kube) Tasks() []string {
	var out []string
	for k.queue.Len() > 0 {
		t, _ := k.queue.Get()
		k.queue.Done(t)
		out = append(out, t.target.name)
	}
	return out
}

// Selector is that of the pods labelled app=name.
func Selector(name string) labels.Selector { return labels.SelectorFromSet(labels.Set{"app": name}) }

// Reconcile is what follow does after a signal. Targets that are followed need no API server.
func (k *Kube) Reconcile(ctx context.Context) {
	k.reconcile(ctx, nil, k.targets.takeNoted())
}

// Sparing wraps a list and a watch as sparing does.
var Sparing = sparing

// RefusedOften is how many refusals it takes before requests become rare.
const RefusedOften = refusedOften
