package kube

import (
	"cmp"
	"context"
	"net"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"

	"github.com/flyball/flyball/api/v1alpha1"
)

// kindScaledObject is KEDA's kind; scaledObjectResource is where it is served if it is installed.
const kindScaledObject = "ScaledObject"

var scaledObjectResource = gvr{Group: "keda.sh", Version: "v1alpha1", Resource: "scaledobjects"}

func isScaledObject(owner *metav1.OwnerReference) bool {
	return is(owner, schema.GroupKind{Group: scaledObjectResource.Group, Kind: kindScaledObject})
}

// scaledObject is what is kept of one of KEDA's ScaledObjects.
type scaledObject struct {
	metav1.PartialObjectMetadata
	target  string   // targetKey of what it scales
	advised []string // namespace/name of the autoscalers that it asks flyball about
}

func (so *scaledObject) rival(pa *v1alpha1.PodAutoscaler) Rival {
	return Rival{
		Kind: kindScaledObject, Namespace: so.Namespace, Name: so.Name, UID: so.UID,
		Delegates: slices.Contains(so.advised, pa.Namespace+"/"+pa.Name),
	}
}

// scaledObjectSpec are the fields of a ScaledObject that say what it scales and whom it asks.
type scaledObjectSpec struct {
	ScaleTargetRef struct {
		APIVersion string `json:"apiVersion"`
		Kind       string `json:"kind"`
		Name       string `json:"name"`
	} `json:"scaleTargetRef"`
	Triggers []struct {
		Type     string            `json:"type"`
		Metadata map[string]string `json:"metadata"`
	} `json:"triggers"`
}

func (k *Kube) scaledObjectScope() *scope {
	return k.newScope(scaledObjectResource, informed{
		make: func(namespace string) cache.SharedIndexInformer {
			indexers := cache.Indexers{byUID: ownUID, byTarget: func(obj any) ([]string, error) {
				return []string{obj.(*scaledObject).target}, nil
			}}
			objects := k.clients.dynamic.Resource(scaledObjectResource).Namespace(namespace)
			lw := &cache.ListWatch{
				ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) { return objects.List(ctx, o) },
				WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (apiwatch.Interface, error) {
					return objects.Watch(ctx, o)
				},
			}
			return cache.NewSharedIndexInformer(sparing(lw, k.refusedPause), &unstructured.Unstructured{}, 0, indexers)
		},
		transform: k.scaledObject,
		onChange:  onMove(k, scaledObjectMoved),
		without:   "KEDA's ScaledObjects on the same targets are not seen, nor that one acts on flyball's advice",
	})
}

func scaledObjectMoved(a, b *scaledObject) bool {
	return a.UID != b.UID || a.target != b.target || !slices.Equal(a.advised, b.advised)
}

// scaledObject makes of what the API server sent what is kept of it. What KEDA could not read either scales nothing.
func (k *Kube) scaledObject(obj any) (any, error) {
	u, ok := obj.(*unstructured.Unstructured)
	if !ok {
		return obj, nil
	}
	out := &scaledObject{}
	out.Namespace, out.Name, out.UID, out.ResourceVersion = u.GetNamespace(), u.GetName(), u.GetUID(), u.GetResourceVersion()
	var all struct {
		Spec scaledObjectSpec `json:"spec"`
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &all); err != nil {
		return out, nil
	}
	to := all.Spec.ScaleTargetRef
	kind := schema.FromAPIVersionAndKind(cmp.Or(to.APIVersion, "apps/v1"), cmp.Or(to.Kind, "Deployment")) // KEDA's defaults
	out.target = targetKey(kind.GroupKind(), out.Namespace, to.Name)
	for _, t := range all.Spec.Triggers {
		if (t.Type == "external" || t.Type == "external-push") && k.scalers[scalerAddress(t.Metadata["scalerAddress"])] {
			about := cmp.Or(t.Metadata["target"], out.Name)
			if !strings.Contains(about, "/") {
				about = out.Namespace + "/" + about
			}
			out.advised = append(out.advised, about)
		}
	}
	return out, nil
}

// scalerAddress is the same for all ways to write one address in a cluster: flyball.llm:8091 is
// Flyball.llm.svc.cluster.local.:8091 too.
func scalerAddress(written string) string {
	host, port, err := net.SplitHostPort(strings.TrimSpace(written))
	if err != nil {
		host, port = strings.TrimSpace(written), ""
	}
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	host = strings.TrimSuffix(strings.TrimSuffix(host, ".cluster.local"), ".svc")
	return net.JoinHostPort(host, port)
}
