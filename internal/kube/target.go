package kube

import (
	"errors"
	"fmt"
	"sync"

	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"

	"github.com/flyball/flyball/api/v1alpha1"
)

// Target is a workload as its scale subresource shows it.
type Target struct {
	UID             types.UID
	Generation      int64 // of the whole object
	ResourceVersion string
	GVK             schema.GroupVersionKind // as the autoscaler names it
	GVR             schema.GroupVersionResource
	Namespace, Name string
	Replicas        int32           // spec.replicas: how many are wanted
	StatusReplicas  int32           // status.replicas: how many pods the controller counts
	Selector        labels.Selector // of its pods; nil with ErrNoSelector
}

// Why there is no target, or none that can be scaled.
var (
	// ErrTargetNotFound says that there is no object of that name.
	ErrTargetNotFound = errors.New("target not found")
	// ErrNoScale says that the kind is unknown or has no scale subresource.
	ErrNoScale = errors.New("target has no scale subresource")
	// ErrNoSelector says that the scale subresource does not tell which pods are the target's.
	ErrNoSelector = errors.New("target has no selector")
	// ErrOtherNamespace says that the target is not in the autoscaler's own namespace.
	ErrOtherNamespace = errors.New("target is in another namespace")
	// ErrUnread says that the target has not been read yet; that takes a moment after an autoscaler appeared.
	ErrUnread = errors.New("target has not been read yet")
)

// Target is how the autoscaler's target stood when it last changed. It never waits for the API server: while that is
// away, it goes on answering with what was read last. With ErrNoSelector the target is returned as well.
func (k *Kube) Target(pa *v1alpha1.PodAutoscaler) (Target, error) {
	r, err := refOf(pa)
	if err != nil {
		return Target{}, err
	}
	k.targets.mu.RLock()
	defer k.targets.mu.RUnlock()
	t := k.targets.tracked[r]
	if t == nil || t.target == nil && t.err == nil {
		return Target{}, fmt.Errorf("read %s: %w", r, ErrUnread)
	}
	if t.target == nil {
		return Target{}, t.err
	}
	return *t.target, t.err
}

// ref names a target as an autoscaler spells it.
type ref struct {
	kind            gvk
	namespace, name string
}

func (r ref) String() string { return fmt.Sprintf("%s %s/%s", r.kind.Kind, r.namespace, r.name) }

func (r ref) key() string { return r.namespace + "/" + r.name }

func refOf(pa *v1alpha1.PodAutoscaler) (ref, error) {
	t := pa.Target()
	if t.Namespace != pa.Namespace {
		return ref{}, fmt.Errorf("%w: %s %s/%s (remove scaleTargetRef.namespace, and create the autoscaler in %s)",
			ErrOtherNamespace, t.Kind, t.Namespace, t.Name, t.Namespace)
	}
	return ref{kind: schema.FromAPIVersionAndKind(t.APIVersion, t.Kind), namespace: t.Namespace, name: t.Name}, nil
}

// ownsDirectly says that the kind's pods are its own or those of its ReplicaSets, so that no owners need be read.
func (r ref) ownsDirectly() bool {
	switch r.kind.GroupKind() {
	case schema.GroupKind{Group: "apps", Kind: "Deployment"}, schema.GroupKind{Group: "apps", Kind: "StatefulSet"},
		schema.GroupKind{Group: "apps", Kind: "ReplicaSet"}, schema.GroupKind{Kind: "ReplicationController"}:
		return true
	}
	return false
}

// tracked is what is known of one target that an autoscaler names. A target that was read stays until its object is
// gone; err says why it is not to be scaled, or why there is none.
type tracked struct {
	watch  *watch // nil until the kind's resource is known
	target *Target
	err    error
}

// watch follows the metadata of one resource that targets are of.
type watch struct {
	*scope
	stop func()
}

// targets are the targets that autoscalers name. Written by reconcile and by the workers.
type targets struct {
	mu         sync.RWMutex
	reconciled bool
	tracked    map[ref]*tracked
	watches    map[gvr]*watch
}

// answered says whether each target was read or can't be read.
func (ts *targets) answered() bool {
	ts.mu.RLock()
	defer ts.mu.RUnlock()
	for _, t := range ts.tracked {
		if t.target == nil && t.err == nil {
			return false
		}
	}
	return ts.reconciled
}

// on are the targets of a resource.
func (ts *targets) on(resource gvr) []ref {
	ts.mu.RLock()
	defer ts.mu.RUnlock()
	var out []ref
	for r, t := range ts.tracked {
		if t.watch != nil && t.watch.gvr == resource {
			out = append(out, r)
		}
	}
	return out
}

// indirect are the targets in a namespace whose pods may belong to them through owners that have to be read.
func (ts *targets) indirect(namespace string) map[types.UID]labels.Selector {
	ts.mu.RLock()
	defer ts.mu.RUnlock()
	out := map[types.UID]labels.Selector{}
	for r, t := range ts.tracked {
		if r.namespace == namespace && !r.ownsDirectly() && t.target != nil && t.target.Selector != nil {
			out[t.target.UID] = t.target.Selector
		}
	}
	return out
}

// set notes an answer and says whether it is news.
func (ts *targets) set(r ref, target *Target, err error) bool {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	t := ts.tracked[r]
	if t == nil {
		return false // no autoscaler names it any more
	}
	same := (t.err == nil) == (err == nil) && (err == nil || t.err.Error() == err.Error()) && t.target == target
	t.target, t.err = target, err
	return !same
}
