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
	u.SetManagedFields(nil)
	pa := &v1alpha1.PodAutoscaler{}
	err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, pa)
	if err == nil {
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
	was, ok := before.(*v1alpha1.PodAutoscaler)
	is, ok2 := after.(*v1alpha1.PodAutoscaler)
	if ok && ok2 && Version(was) == Version(is) {
		return
	}
	signal(k.wake)
	signal(k.changed)
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
