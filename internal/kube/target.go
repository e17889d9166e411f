package kube

import (
	"errors"
	"fmt"
	"slices"
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

func (r ref) object() types.NamespacedName {
	return types.NamespacedName{Namespace: r.namespace, Name: r.name}
}

// targetKey is the same for all references to one object, whatever version they name.
func targetKey(of schema.GroupKind, namespace, name string) string {
	return of.Group + "/" + of.Kind + "/" + namespace + "/" + name
}

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
	refs map[types.NamespacedName][]ref // the tracked targets that it finds; kinds may be spelt in several versions
}

// targets are the targets that autoscalers name. Written by reconcile and by the workers.
type targets struct {
	mu         sync.RWMutex
	reconciled bool
	noted      map[ref]bool // those whose autoscalers have changed since they were last reconciled
	tracked    map[ref]*tracked
	indirect   map[string]map[ref]bool // of the tracked ones, by namespace, those that need owners read
	watches    map[gvr]*watch
}

func newTargets() targets {
	return targets{
		noted: map[ref]bool{}, tracked: map[ref]*tracked{}, indirect: map[string]map[ref]bool{}, watches: map[gvr]*watch{},
	}
}

// note says that autoscalers of the target have come, gone or changed.
func (ts *targets) note(r ref) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	ts.noted[r] = true
}

// takeNoted are the targets noted since it was last called.
func (ts *targets) takeNoted() map[ref]bool {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	out := ts.noted
	ts.noted = map[ref]bool{}
	return out
}

// track makes room for a target.
func (ts *targets) track(r ref) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if ts.tracked[r] != nil {
		return
	}
	ts.tracked[r] = &tracked{}
	if r.ownsDirectly() {
		return
	}
	if ts.indirect[r.namespace] == nil {
		ts.indirect[r.namespace] = map[ref]bool{}
	}
	ts.indirect[r.namespace][r] = true
}

// untrack forgets a target and says whether it was tracked.
func (ts *targets) untrack(r ref) bool {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	t := ts.tracked[r]
	if t == nil {
		return false
	}
	t.leave(r)
	delete(ts.tracked, r)
	if delete(ts.indirect[r.namespace], r); len(ts.indirect[r.namespace]) == 0 {
		delete(ts.indirect, r.namespace)
	}
	return true
}

// join has the watch find the target. What another one found is forgotten.
func (ts *targets) join(r ref, w *watch) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	t := ts.tracked[r]
	t.leave(r)
	t.watch, t.target, t.err = w, nil, nil
	w.refs[r.object()] = append(w.refs[r.object()], r)
}

// leave ends that the target's watch finds it. The lock is held.
func (t *tracked) leave(r ref) {
	if t.watch == nil {
		return
	}
	left := slices.DeleteFunc(t.watch.refs[r.object()], func(other ref) bool { return other == r })
	if t.watch.refs[r.object()] = left; len(left) == 0 {
		delete(t.watch.refs, r.object())
	}
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

// at are the targets that the watch finds in one object.
func (ts *targets) at(w *watch, o types.NamespacedName) []ref {
	ts.mu.RLock()
	defer ts.mu.RUnlock()
	return slices.Clone(w.refs[o])
}

// of are all targets that the watch finds.
func (ts *targets) of(w *watch) []ref {
	ts.mu.RLock()
	defer ts.mu.RUnlock()
	var out []ref
	for _, refs := range w.refs {
		out = append(out, refs...)
	}
	return out
}

// needOwners says whether the pods of a target in the namespace may belong to it through owners that have to be read.
func (ts *targets) needOwners(namespace string) bool {
	ts.mu.RLock()
	defer ts.mu.RUnlock()
	return len(ts.indirect[namespace]) > 0
}

// indirectly are the UIDs and selectors of such targets.
func (ts *targets) indirectly(namespace string) map[types.UID]labels.Selector {
	ts.mu.RLock()
	defer ts.mu.RUnlock()
	out := map[types.UID]labels.Selector{}
	for r := range ts.indirect[namespace] {
		if t := ts.tracked[r]; t.target != nil && t.target.Selector != nil {
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
