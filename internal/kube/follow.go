package kube

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/util/workqueue"
)

// task is something to read from the API server: one target's scale, or, without a target, the owners of a
// namespace's pods.
type task struct {
	target    ref
	namespace string
}

// taskBackoff is 100 ms after the first failure, doubling up to 30 s.
func taskBackoff() workqueue.TypedRateLimiter[task] {
	return workqueue.NewTypedItemExponentialFailureRateLimiter[task](100*time.Millisecond, 30*time.Second)
}

// follow keeps the set of targets that of the autoscalers, until ctx ends: of those whose autoscalers have changed, and
// at first and at each rediscoverEvery of all, to try again what did not work: kinds that were unknown, owners that could
// not be read.
func (k *Kube) follow(ctx context.Context, all *sync.WaitGroup) {
	again := time.NewTicker(k.mapper.every)
	defer again.Stop()
	everything := true
	for {
		select {
		case <-ctx.Done():
			return
		case <-k.wake:
		case <-again.C:
			everything = true
		}
		if !k.autoscalers.synced() {
			continue
		}
		refs := k.targets.takeNoted()
		if everything {
			k.addAll(refs)
			everything = false
		}
		k.reconcile(ctx, all, refs)
	}
}

// addAll adds the targets that are tracked and those that autoscalers name.
func (k *Kube) addAll(refs map[ref]bool) {
	for _, obj := range k.autoscalers.list() {
		if r, ok := refOfObject(obj); ok {
			refs[r] = true
		}
	}
	k.targets.mu.RLock()
	defer k.targets.mu.RUnlock()
	for r := range k.targets.tracked {
		refs[r] = true
	}
}

// reconcile tracks those of the targets that an autoscaler names, and forgets the others.
func (k *Kube) reconcile(ctx context.Context, all *sync.WaitGroup, refs map[ref]bool) {
	namespaces := map[string]bool{}
	var failed error // discovery does not answer; asking once a pass is enough
	for r := range refs {
		if ctx.Err() != nil {
			return
		}
		if !k.named(r) {
			if k.targets.untrack(r) {
				namespaces[r.namespace] = true
			}
			continue
		}
		k.targets.track(r)
		if !r.ownsDirectly() {
			namespaces[r.namespace] = true
		}
		if failed != nil && k.targets.unresolved(r) {
			k.noAnswer(r, failed)
		} else if err := k.resolve(ctx, all, r); err != nil && !errors.Is(err, ErrNoScale) {
			failed = err
		}
		if failed != nil {
			k.targets.note(r) // for the next pass
		}
	}
	k.stopUnused()
	for namespace := range namespaces {
		k.queue.Add(task{namespace: namespace})
	}
	k.targets.mu.Lock()
	k.targets.reconciled = true
	k.targets.mu.Unlock()
}

// named says whether an autoscaler names the target.
func (k *Kube) named(r ref) bool {
	for _, obj := range k.autoscalers.byIndex(byTarget, targetKey(r.kind.GroupKind(), r.namespace, r.name)) {
		if other, ok := refOfObject(obj); ok && other == r { // not the same kind in another version
			return true
		}
	}
	return false
}

// unresolved says that it is not known which resource the target is of, or that this resource is not served any more.
func (ts *targets) unresolved(r ref) bool {
	ts.mu.RLock()
	defer ts.mu.RUnlock()
	t := ts.tracked[r]
	return t.watch == nil || apierrors.IsNotFound(t.watch.problem())
}

// resolve finds the resource that the target is of, and follows it.
func (k *Kube) resolve(ctx context.Context, all *sync.WaitGroup, r ref) error {
	if !k.targets.unresolved(r) {
		return nil
	}
	k.targets.mu.RLock()
	lost := k.targets.tracked[r].watch
	k.targets.mu.RUnlock()
	if lost != nil {
		k.mapper.stale(ctx)
	}
	resource, err := k.mapper.scalable(ctx, r.kind)
	if err != nil {
		err = fmt.Errorf("find %s: %w", r, err)
		if errors.Is(err, ErrNoScale) {
			k.answer(r, nil, err)
		} else {
			k.noAnswer(r, err)
		}
		return err
	}
	if lost != nil && lost.gvr == resource {
		lost.forgive() // it is served again; the informer comes back to it by itself
		k.queue.Add(task{target: r})
		return nil
	}
	k.targets.join(r, k.watchOf(ctx, all, resource))
	k.queue.Add(task{target: r})
	return nil
}

// watchOf follows a resource's metadata; one watch serves all targets of the resource.
func (k *Kube) watchOf(ctx context.Context, all *sync.WaitGroup, resource gvr) *watch {
	k.targets.mu.Lock()
	defer k.targets.mu.Unlock()
	if w := k.targets.watches[resource]; w != nil {
		return w
	}
	ctx, stop := context.WithCancel(ctx)
	w := k.newWatch(resource, stop)
	k.targets.watches[resource] = w
	w.run(ctx, all, w.failed)
	return w
}

// newWatch makes a watch that has its targets read again when their objects change, or when it fails.
func (k *Kube) newWatch(resource gvr, stop func()) *watch {
	w := &watch{stop: stop, refs: map[types.NamespacedName][]ref{}}
	w.scope = k.newScope(resource, informed{
		make:      k.metadataInformer(resource),
		transform: identityOnly,
		onChange: func(before, after any) {
			if after == nil {
				after = before
			}
			o := after.(metav1.Object)
			for _, r := range k.targets.at(w, types.NamespacedName{Namespace: o.GetNamespace(), Name: o.GetName()}) {
				k.queue.Add(task{target: r})
			}
		},
		failed: func() {
			for _, r := range k.targets.of(w) {
				k.queue.Add(task{target: r})
			}
		},
	})
	return w
}

// stopUnused stops the watches of resources that no target is of any more.
func (k *Kube) stopUnused() {
	k.targets.mu.Lock()
	defer k.targets.mu.Unlock()
	for resource, w := range k.targets.watches {
		if len(w.refs) == 0 {
			w.stop()
			delete(k.targets.watches, resource)
		}
	}
}

// work does one task and says whether there may be another.
func (k *Kube) work(ctx context.Context) bool {
	t, shutdown := k.queue.Get()
	if shutdown {
		return false
	}
	defer k.queue.Done(t)
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	var err error
	if t.target != (ref{}) {
		err = k.readTarget(ctx, t.target)
	} else {
		err = k.readOwners(ctx, t.namespace)
	}
	if err == nil {
		k.queue.Forget(t)
		return true
	}
	if !errors.Is(ctx.Err(), context.Canceled) {
		k.log.Warn("read", zap.Error(err), zap.Int("failures", k.queue.NumRequeues(t)+1))
	}
	k.queue.AddRateLimited(t)
	return true
}

// readTarget reads the target's scale, if its object has changed since it was last read. The error asks for a retry.
func (k *Kube) readTarget(ctx context.Context, r ref) error {
	k.targets.mu.RLock()
	t := k.targets.tracked[r]
	var w *watch
	var last *Target
	var lastErr error
	if t != nil {
		w, last, lastErr = t.watch, t.target, t.err
	}
	k.targets.mu.RUnlock()
	if w == nil {
		return nil
	}
	if !w.synced() {
		if err := w.problem(); err != nil {
			k.noAnswer(r, fmt.Errorf("read %s: %w", r, err))
		}
		return nil
	}
	obj, found := w.get(r.object().String())
	if !found {
		k.answer(r, nil, fmt.Errorf("read %s: %w (create it, or correct scaleTargetRef)", r, ErrTargetNotFound))
		return nil
	}
	o := obj.(metav1.Object)
	if last != nil && last.UID == o.GetUID() && last.ResourceVersion == o.GetResourceVersion() {
		// The scale may have been read before the watch told of the change, and with it of the generation.
		if last.Generation != o.GetGeneration() {
			now := *last
			now.Generation = o.GetGeneration()
			k.answer(r, &now, lastErr)
		}
		return nil
	}
	s, err := k.clients.scales.Scales(r.namespace).Get(ctx, w.gvr.GroupResource(), r.name, metav1.GetOptions{})
	if err != nil {
		err = k.scaleError(r, w.gvr, err)
		if last == nil || last.UID == o.GetUID() {
			k.noAnswer(r, err)
		} else {
			k.answer(r, nil, err) // the one that was read is gone
		}
		return err
	}
	if s.UID != o.GetUID() {
		return fmt.Errorf("read scale of %s: it was just replaced; reading it again", r)
	}
	k.answerScale(r, w.gvr, o.GetGeneration(), s)
	return nil
}

func (k *Kube) answerScale(r ref, resource gvr, generation int64, s *autoscalingv1.Scale) {
	target := &Target{
		UID: s.UID, Generation: generation, ResourceVersion: s.ResourceVersion, GVK: r.kind, GVR: resource,
		Namespace: r.namespace, Name: r.name, Replicas: s.Spec.Replicas, StatusReplicas: s.Status.Replicas,
	}
	selector, err := labels.Parse(s.Status.Selector)
	switch {
	case err != nil:
		err = fmt.Errorf("%w: %s says %q: %w (its controller must write a label selector there)", ErrNoSelector, r, s.Status.Selector, err)
	case s.Status.Selector == "":
		err = fmt.Errorf("%w: %s (its CRD's subresources.scale needs a labelSelectorPath, and its controller must fill it)", ErrNoSelector, r)
	default:
		target.Selector = selector
	}
	k.answer(r, target, err)
	if !r.ownsDirectly() {
		k.queue.Add(task{namespace: r.namespace})
	}
}

func (k *Kube) scaleError(r ref, resource gvr, err error) error {
	hint := "flyball tries again"
	if apierrors.IsForbidden(err) {
		hint = fmt.Sprintf("grant get, update and patch on %s/scale in group %q to flyball's service account", resource.Resource, resource.Group)
	}
	return fmt.Errorf("read scale of %s: %w (%s)", r, err, hint)
}

func (k *Kube) answer(r ref, target *Target, err error) {
	if k.targets.set(r, target, err) {
		signal(k.changed)
	}
}

// noAnswer notes why the API server did not tell. What it told before holds.
func (k *Kube) noAnswer(r ref, err error) {
	k.targets.mu.RLock()
	t := k.targets.tracked[r]
	known := t != nil && t.target != nil
	k.targets.mu.RUnlock()
	if !known {
		k.answer(r, nil, err)
	}
}
