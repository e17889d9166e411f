package kube

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"

	"go.uber.org/zap"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/flyball/flyball/api/v1alpha1"
)

// unreadable stands in the cache for an object that no PodAutoscaler could be made of.
type unreadable struct {
	metav1.PartialObjectMetadata
	err error
}

// typed makes a PodAutoscaler of what the API server sent. One that can't be read stands as unreadable, so that it
// neither stops the others nor looks like one with an empty spec.
func (k *Kube) typed(obj any) (any, error) {
	u, ok := obj.(*unstructured.Unstructured)
	if !ok {
		return obj, nil
	}
	k.foreign.note(statusWriter(u)) // here, since handlers may be told of an object after it counts as listed
	u.SetManagedFields(nil)
	pa := &v1alpha1.PodAutoscaler{}
	err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, pa)
	if err == nil {
		k.foreign.note(k.remembered(pa))
		return pa, nil
	}
	// The converter does not say which field is wrong; the JSON decoder does.
	if data, e := u.MarshalJSON(); e == nil {
		err = cmp.Or(json.Unmarshal(data, pa), err)
	}
	err = fmt.Errorf("read PodAutoscaler %s/%s: %w (apply the CRD of deploy/crd, then the manifest again)", u.GetNamespace(), u.GetName(), err)
	k.log.Error("autoscaler", zap.Error(err))
	out := &unreadable{err: err}
	out.Namespace, out.Name, out.UID = u.GetNamespace(), u.GetName(), u.GetUID()
	out.ResourceVersion, out.Generation = u.GetResourceVersion(), u.GetGeneration()
	return out, nil
}

// autoscalerChanged passes over changes of the status: we write it, and would be told of our own writes.
func (k *Kube) autoscalerChanged(before, after any) {
	if before != nil && after != nil && sameSpec(before.(metav1.Object), after.(metav1.Object)) {
		return
	}
	for _, obj := range []any{before, after} {
		if r, ok := refOfObject(obj); ok {
			k.targets.note(r)
		}
	}
	signal(k.wake)
	signal(k.changed)
}

// sameSpec says of two states of an object that they differ in no more than status.
func sameSpec(a, b metav1.Object) bool {
	return a.GetUID() == b.GetUID() && a.GetGeneration() == b.GetGeneration() &&
		maps.Equal(a.GetAnnotations(), b.GetAnnotations()) && maps.Equal(a.GetLabels(), b.GetLabels())
}

// refOfObject is the target of a cached autoscaler, if it can be read and may have one.
func refOfObject(obj any) (ref, bool) {
	pa, ok := obj.(*v1alpha1.PodAutoscaler)
	if !ok {
		return ref{}, false
	}
	r, err := refOf(pa)
	return r, err == nil
}

// autoscalerTarget is the index byTarget of autoscalers.
func autoscalerTarget(obj any) ([]string, error) {
	r, ok := refOfObject(obj)
	if !ok {
		return nil, nil
	}
	return []string{targetKey(r.kind.GroupKind(), r.namespace, r.name)}, nil
}

func isUnreadable(obj any) ([]string, error) {
	if _, ok := obj.(*unreadable); ok {
		return []string{""}, nil
	}
	return nil, nil
}

// Version is the same for two states of an autoscaler that mean the same policy: UID, generation, and a hash of
// annotations and labels, which the generation does not count. Changes of the status do not move it.
func Version(pa *v1alpha1.PodAutoscaler) string {
	h := sha256.New()
	for _, set := range []map[string]string{pa.Annotations, pa.Labels} {
		for _, key := range slices.Sorted(maps.Keys(set)) {
			fmt.Fprintf(h, "%q=%q\n", key, set[key])
		}
		fmt.Fprintln(h)
	}
	return fmt.Sprintf("%s/%d/%s", v1alpha1.UID(pa), pa.Generation, hex.EncodeToString(h.Sum(nil)[:8]))
}
