package kube

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/types"
)

// maxOwners is how many owners at most lie between a pod and its target. A Deployment has one, its ReplicaSet.
const maxOwners = 5

// Who owns an object hardly ever changes; that it could not be read may be over soon.
const (
	ownerValid   = 5 * time.Minute
	noOwnerValid = 30 * time.Second
)

// settle is how long pods may go on appearing before their owners are read together.
const settle = 100 * time.Millisecond

// owner is an object between a pod and its target, other than a ReplicaSet: those are watched.
type owner struct {
	namespace  string
	controller *metav1.OwnerReference // nil when it has none or could not be read
	until      time.Time
}

// owners are the objects between pods and targets, by UID.
type owners struct {
	mu       sync.RWMutex
	known    map[types.UID]owner
	children map[types.UID]map[types.UID]bool // the same, from owner to owned
}

func (o *owners) get(uid types.UID) (owner, bool) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	found, ok := o.known[uid]
	return found, ok
}

// set notes who owns the object and says whether it is news.
func (o *owners) set(uid types.UID, now owner) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	was := controllerOf(o.known[uid])
	o.drop(uid)
	o.known[uid] = now
	is := controllerOf(now)
	if is != "" {
		if o.children[is] == nil {
			o.children[is] = map[types.UID]bool{}
		}
		o.children[is][uid] = true
	}
	return was != is
}

func controllerOf(o owner) types.UID {
	if o.controller == nil {
		return ""
	}
	return o.controller.UID
}

// drop forgets an object. The lock is held.
func (o *owners) drop(uid types.UID) {
	if parent := controllerOf(o.known[uid]); parent != "" {
		delete(o.children[parent], uid)
		if len(o.children[parent]) == 0 {
			delete(o.children, parent)
		}
	}
	delete(o.known, uid)
}

// keep forgets what is known of a namespace, but for the objects in use.
func (o *owners) keep(namespace string, used map[types.UID]bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for uid, own := range o.known {
		if own.namespace == namespace && !used[uid] {
			o.drop(uid)
		}
	}
}

// Pods are the target's pods, sorted by name: those that its selector matches and whose chain of controllers leads to
// the target's UID. A pod that matches the selector and belongs to another controller, or to none, is not the target's.
func (k *Kube) Pods(t Target) []*corev1.Pod {
	if t.Selector == nil {
		return nil
	}
	var out []*corev1.Pod
	level := []types.UID{t.UID}
	for range maxOwners + 1 {
		var next []types.UID
		for _, uid := range level {
			for _, obj := range k.pods.byIndex(byController, string(uid)) {
				pod := obj.(*corev1.Pod)
				if pod.Namespace == t.Namespace && t.Selector.Matches(labels.Set(pod.Labels)) {
					out = append(out, pod)
				}
			}
			next = append(next, k.ownedBy(uid)...)
		}
		level = next
	}
	sortPods(out)
	return out
}

// ownedBy are the UIDs of the objects, other than pods, that the object controls.
func (k *Kube) ownedBy(uid types.UID) []types.UID {
	var out []types.UID
	for _, obj := range k.replicaSets.byIndex(byController, string(uid)) {
		out = append(out, obj.(metav1.Object).GetUID())
	}
	k.owners.mu.RLock()
	defer k.owners.mu.RUnlock()
	for child := range k.owners.children[uid] {
		out = append(out, child)
	}
	return out
}

func (k *Kube) podChanged(before, after any) {
	if before == nil {
		k.ownersChanged(after.(*corev1.Pod).Namespace)
	}
	if before == nil || after == nil || podMoved(before.(*corev1.Pod), after.(*corev1.Pod)) {
		signal(k.changed)
	}
}

// podMoved says whether a pod is to be collected in another way, or counts for another target: a kubelet and others write to
// pods far more often than that.
func podMoved(before, after *corev1.Pod) bool {
	return before.UID != after.UID || before.Status.PodIP != after.Status.PodIP || before.Status.Phase != after.Status.Phase ||
		Ready(before) != Ready(after) || (before.DeletionTimestamp == nil) != (after.DeletionTimestamp == nil) ||
		!Started(before).Equal(Started(after)) || before.Spec.NodeName != after.Spec.NodeName ||
		!maps.Equal(before.Labels, after.Labels) || controlledBy(before) != controlledBy(after)
}

// ownersChanged has the owners in a namespace read soon, if a target there needs it.
func (k *Kube) ownersChanged(namespace string) {
	if k.targets.needOwners(namespace) {
		k.queue.AddAfter(task{namespace: namespace}, settle)
	}
}

// readOwners finds out who owns the pods of a namespace that a target's selector matches, up to the target. It does
// nothing for targets that own their pods themselves or by ReplicaSets. The error asks for a retry; until that
// succeeds, what was known before holds.
func (k *Kube) readOwners(ctx context.Context, namespace string) error {
	c := climb{kube: k, namespace: namespace, targets: k.targets.indirectly(namespace), seen: map[types.UID]bool{}}
	if selectors := byLabel(c.targets); len(selectors) > 0 {
		for _, obj := range k.pods.byIndex(byNamespace, namespace) {
			if pod := obj.(*corev1.Pod); anyMatches(selectors, pod.Labels) {
				c.up(ctx, metav1.GetControllerOfNoCopy(pod))
			}
		}
	}
	k.owners.keep(namespace, c.seen)
	return c.err
}

// byLabel sorts selectors by a label, as key=value, that each demands: the one that the fewest others are sorted by. Those
// that demand none are under the empty string. So 5,000 pods and 5,000 targets make no 25,000,000 comparisons.
func byLabel(targets map[types.UID]labels.Selector) map[string][]labels.Selector {
	out := map[string][]labels.Selector{}
	for _, s := range targets {
		at := ""
		requirements, _ := s.Requirements()
		for _, r := range requirements {
			equals := slices.Contains([]selection.Operator{selection.Equals, selection.DoubleEquals, selection.In}, r.Operator())
			if values := r.ValuesUnsorted(); equals && len(values) == 1 {
				if label := r.Key() + "=" + values[0]; at == "" || len(out[label]) < len(out[at]) {
					at = label
				}
			}
		}
		out[at] = append(out[at], s)
	}
	return out
}

func anyMatches(selectors map[string][]labels.Selector, pod labels.Set) bool {
	matches := func(s labels.Selector) bool { return s.Matches(pod) }
	for key, value := range pod {
		if slices.ContainsFunc(selectors[key+"="+value], matches) {
			return true
		}
	}
	return slices.ContainsFunc(selectors[""], matches)
}

// climb reads the owners above the pods of a namespace, each once.
type climb struct {
	kube      *Kube
	namespace string
	targets   map[types.UID]labels.Selector
	seen      map[types.UID]bool
	err       error // the first
}

// up follows controllers upwards until a target, an owner that was seen before, or one that nothing controls.
func (c *climb) up(ctx context.Context, at *metav1.OwnerReference) {
	for range maxOwners {
		if at == nil || c.seen[at.UID] || c.targets[at.UID] != nil {
			return
		}
		if found := c.kube.replicaSets.byIndex(byUID, string(at.UID)); len(found) > 0 {
			at = metav1.GetControllerOfNoCopy(found[0].(metav1.Object))
			continue
		}
		c.seen[at.UID] = true
		own, ok := c.kube.owners.get(at.UID)
		if !ok || time.Now().After(own.until) {
			now, err := c.kube.readOwner(ctx, c.namespace, at)
			if err != nil && c.err == nil {
				c.err = err
			}
			if err == nil {
				own = now
				if c.kube.owners.set(at.UID, now) {
					signal(c.kube.changed)
				}
			}
		}
		at = own.controller
	}
}

// readOwner reads who controls an object. Not being there, not being allowed and not being known are answers too; the
// error is that the API server did not answer.
func (k *Kube) readOwner(ctx context.Context, namespace string, of *metav1.OwnerReference) (owner, error) {
	none := owner{namespace: namespace, until: time.Now().Add(noOwnerValid)}
	mapping, err := k.mapper.resource(ctx, schema.FromAPIVersionAndKind(of.APIVersion, of.Kind))
	if meta.IsNoMatchError(err) {
		return none, nil
	}
	if err != nil {
		return none, fmt.Errorf("read owner %s %s/%s: discover its resource: %w (the API server must answer /apis)", of.Kind, namespace, of.Name, err)
	}
	if mapping.Scope.Name() == meta.RESTScopeNameRoot {
		return none, nil // what belongs to no namespace, such as a Node, belongs to no target
	}
	o, err := k.clients.metadata.Resource(mapping.Resource).Namespace(namespace).Get(ctx, of.Name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return none, nil
	case apierrors.IsForbidden(err):
		k.log.Warn("read owner; its pods count for no target until then", zap.Error(err),
			zap.String("hint", fmt.Sprintf("grant get on %s to flyball's service account", mapping.Resource.GroupResource())))
		return none, nil
	case err != nil:
		return none, fmt.Errorf("read owner %s %s/%s: %w (flyball tries again)", of.Kind, namespace, of.Name, err)
	case o.UID != of.UID:
		return none, nil
	}
	return owner{namespace: namespace, controller: metav1.GetControllerOf(o), until: time.Now().Add(ownerValid)}, nil
}
