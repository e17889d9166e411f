package kube

import (
	"cmp"
	"slices"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/cache"

	"github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/decider"
)

// Rival is something else that scales an autoscaler's target.
type Rival struct {
	Kind            string // PodAutoscaler, HorizontalPodAutoscaler or ScaledObject
	Namespace, Name string
	UID             types.UID
	Ours            bool // it is a PodAutoscaler, or an HPA that one controls
	Delegates       bool // it is a ScaledObject that asks flyball about this autoscaler: no conflict, KEDA acts on our advice
}

// kindHPA is the kind of a native autoscaler.
const kindHPA = "HorizontalPodAutoscaler"

// Rivals are what else scales the autoscaler's target, sorted by kind and name:
//   - the oldest PodAutoscaler of the target, by creationTimestamp and then UID, unless it is this one. It keeps the target
//     for as long as it is not being deleted, whatever restarts in between; the younger ones have it as their rival, and it
//     has none of them. One that is being deleted yields to any that is not. One in mode Advise writes nothing, and is
//     nobody's rival;
//   - native HPAs, but for one that this autoscaler controls or that keeper does;
//   - KEDA's ScaledObjects, each with the HPA that it controls as one. While they can't be read, an HPA that says that it
//     is a ScaledObject's stands for it, and Delegates is not known: false.
//
// A target is the same when group, kind, namespace and name are: the API server serves no object under two of those.
func (k *Kube) Rivals(pa *v1alpha1.PodAutoscaler) []Rival {
	r, err := refOf(pa)
	if err != nil {
		return nil
	}
	at := targetKey(r.kind.GroupKind(), r.namespace, r.name)
	var out []Rival
	keeper := k.keeper(pa, at)
	if keeper.UID != pa.UID {
		out = append(out, Rival{Kind: v1alpha1.Kind, Namespace: keeper.Namespace, Name: keeper.Name, UID: keeper.UID, Ours: true})
	}
	scaledObjects := k.served.scaledObjects()
	for _, obj := range scaledObjects.byIndex(byTarget, at) {
		out = append(out, obj.(*scaledObject).rival(pa))
	}
	for _, obj := range k.hpas.byIndex(byTarget, at) {
		h := obj.(*autoscalingv2.HorizontalPodAutoscaler)
		owner := metav1.GetControllerOfNoCopy(h)
		switch {
		case owner != nil && (owner.UID == pa.UID || owner.UID == keeper.UID):
			continue
		case isScaledObject(owner):
			if slices.ContainsFunc(out, func(r Rival) bool { return r.UID == owner.UID }) {
				continue
			}
			rival := Rival{Kind: kindScaledObject, Namespace: h.Namespace, Name: owner.Name, UID: owner.UID}
			for _, known := range scaledObjects.byIndex(byUID, string(owner.UID)) {
				rival = known.(*scaledObject).rival(pa)
			}
			out = append(out, rival)
		default:
			out = append(out, Rival{
				Kind: kindHPA, Namespace: h.Namespace, Name: h.Name, UID: h.UID,
				Ours: is(owner, schema.GroupKind{Group: v1alpha1.GroupVersion.Group, Kind: v1alpha1.Kind}),
			})
		}
	}
	slices.SortFunc(out, func(a, b Rival) int { return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name)) })
	return out
}

// keeper is the first by outranks of pa and of the target's autoscalers that may write.
func (k *Kube) keeper(pa *v1alpha1.PodAutoscaler, at string) *v1alpha1.PodAutoscaler {
	keeper := pa
	for _, obj := range k.autoscalers.byIndex(byTarget, at) {
		other := obj.(*v1alpha1.PodAutoscaler)
		if other.Spec.Mode != decider.Advise && outranks(other, keeper) {
			keeper = other
		}
	}
	return keeper
}

// outranks says which of two keeps the target: one that is not being deleted before one that is, then the older. Deletion
// may take for ever, when somebody's finalizer holds it up.
func outranks(a, b *v1alpha1.PodAutoscaler) bool {
	if leaving := a.DeletionTimestamp != nil; leaving != (b.DeletionTimestamp != nil) {
		return !leaving
	}
	if a.CreationTimestamp.Equal(&b.CreationTimestamp) {
		return a.UID < b.UID
	}
	return a.CreationTimestamp.Before(&b.CreationTimestamp)
}

func is(owner *metav1.OwnerReference, kind schema.GroupKind) bool {
	return owner != nil && schema.FromAPIVersionAndKind(owner.APIVersion, owner.Kind).GroupKind() == kind
}

// OwnedHPAs are the native HPAs that the autoscaler controls.
func (k *Kube) OwnedHPAs(pa *v1alpha1.PodAutoscaler) []*autoscalingv2.HorizontalPodAutoscaler {
	var out []*autoscalingv2.HorizontalPodAutoscaler
	for _, obj := range k.hpas.byIndex(byController, string(pa.UID)) {
		out = append(out, obj.(*autoscalingv2.HorizontalPodAutoscaler))
	}
	return out
}

// HPA is the native HPA of that name.
func (k *Kube) HPA(namespace, name string) (*autoscalingv2.HorizontalPodAutoscaler, bool) {
	obj, ok := k.hpas.get(namespace + "/" + name)
	if !ok {
		return nil, false
	}
	return obj.(*autoscalingv2.HorizontalPodAutoscaler), true
}

func (k *Kube) hpaScope() *scope {
	hpas := autoscalingv2.SchemeGroupVersion.WithResource("horizontalpodautoscalers")
	return k.newScope(hpas, informed{
		make: k.sparingInformer(k.clients.hpas.RESTClient(), hpas, &autoscalingv2.HorizontalPodAutoscaler{}, cache.Indexers{
			byController: controllerUID,
			byTarget: func(obj any) ([]string, error) {
				h := obj.(*autoscalingv2.HorizontalPodAutoscaler)
				to := h.Spec.ScaleTargetRef
				return []string{targetKey(schema.FromAPIVersionAndKind(to.APIVersion, to.Kind).GroupKind(), h.Namespace, to.Name)}, nil
			},
		}),
		transform: withoutManagedFields,
		onChange:  onMove(k, hpaMoved),
		without:   "native HorizontalPodAutoscalers on the same targets are not seen, and strategy HPA can't be run",
	})
}

// hpaMoved passes over the status, which the HPA controller writes every 15 s. An HPA has no generation.
func hpaMoved(a, b *autoscalingv2.HorizontalPodAutoscaler) bool {
	return !sameSpec(a, b) || controlledBy(a) != controlledBy(b) || !equality.Semantic.DeepEqual(a.Spec, b.Spec)
}
