package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/tools/cache"

	"github.com/flyball/flyball/api/v1alpha1"
)

// The indexes. Each finds by exact match.
const (
	byNamespace  = cache.NamespaceIndex
	byController = "controller" // UID of the controlling owner
	byUID        = "uid"
	byGPU        = "gpu" // one entry, the empty string: the pods of GPU exporters
)

// scope is one resource in the namespaces that are looked at: an informer for each of them, or one for all.
type scope struct {
	gvr       gvr
	informers []cache.SharedIndexInformer
	log       *zap.Logger
	failed    func() // called after a list or watch failed

	mu   sync.Mutex
	err  error // of the last list or watch that failed
	said time.Time
}

// informed are the parts of an informer that differ from resource to resource.
type informed struct {
	make      func(namespace string) cache.SharedIndexInformer
	transform cache.TransformFunc
	onChange  func(before, after any) // either is nil when the object appeared or went
	failed    func()
}

func (k *Kube) newScope(resource gvr, in informed) *scope {
	s := &scope{gvr: resource, log: k.log, failed: in.failed}
	for _, namespace := range k.scopes {
		i := in.make(namespace)
		for _, err := range []error{
			i.SetTransform(in.transform),
			i.SetWatchErrorHandlerWithContext(func(ctx context.Context, _ *cache.Reflector, err error) {
				if ctx.Err() == nil {
					s.fail(err)
				}
			}),
		} {
			if err != nil {
				panic(fmt.Sprintf("BUG: an informer that was just made has started: %v", err))
			}
		}
		handler := cache.ResourceEventHandlerFuncs{
			AddFunc:    func(obj any) { in.onChange(nil, obj) },
			UpdateFunc: func(before, after any) { in.onChange(before, after) },
			DeleteFunc: func(obj any) {
				if gone, ok := obj.(cache.DeletedFinalStateUnknown); ok {
					obj = gone.Obj
				}
				in.onChange(obj, nil)
			},
		}
		if _, err := i.AddEventHandler(handler); err != nil {
			panic(fmt.Sprintf("BUG: an informer that was just made has stopped: %v", err))
		}
		s.informers = append(s.informers, i)
	}
	return s
}

// run starts the informers and calls done when the first lists of all of them are in.
func (s *scope) run(ctx context.Context, all *sync.WaitGroup, done func()) {
	for _, i := range s.informers {
		all.Go(func() { i.RunWithContext(ctx) })
	}
	all.Go(func() {
		for _, i := range s.informers {
			select {
			case <-i.HasSyncedChecker().Done():
			case <-ctx.Done():
				return
			}
		}
		s.forgive()
		done()
	})
}

func (s *scope) synced() bool {
	for _, i := range s.informers {
		if !i.HasSynced() {
			return false
		}
	}
	return true
}

func (s *scope) list() []any {
	var out []any
	for _, i := range s.informers {
		out = append(out, i.GetIndexer().List()...)
	}
	return out
}

// byIndex finds objects by an index that every informer of the scope has.
func (s *scope) byIndex(index, value string) []any {
	var out []any
	for _, i := range s.informers {
		found, err := i.GetIndexer().ByIndex(index, value)
		if err != nil {
			panic(fmt.Sprintf("BUG: %s: %v", s.gvr.Resource, err))
		}
		out = append(out, found...)
	}
	return out
}

// get finds the object of a namespace/name.
func (s *scope) get(key string) (any, bool) {
	for _, i := range s.informers {
		if obj, ok, _ := i.GetIndexer().GetByKey(key); ok {
			return obj, true
		}
	}
	return nil, false
}

// fail takes note of a failed list or watch. It is logged when it is news, and once a minute while it lasts.
func (s *scope) fail(err error) {
	if errors.Is(err, io.EOF) || apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
		return // a watch that ended, as all do; the informer goes on from there
	}
	err = s.hint(err)
	s.mu.Lock()
	news := s.err == nil || s.err.Error() != err.Error() || time.Since(s.said) > time.Minute
	s.err = err
	if news {
		s.said = time.Now()
	}
	s.mu.Unlock()
	if news {
		s.log.Warn("watch", zap.Error(err))
	}
	if s.failed != nil {
		s.failed()
	}
}

// hint says what to do about a list or watch that failed.
func (s *scope) hint(err error) error {
	hint := "flyball tries again; what it knows stays in use"
	switch {
	case apierrors.IsNotFound(err) && s.gvr == v1alpha1.Resource:
		hint = "install the CRD: kubectl apply -f deploy/crd; flyball tries again"
	case apierrors.IsNotFound(err):
		hint = "the API server does not serve this resource any more; is its CRD being replaced?"
	case apierrors.IsForbidden(err):
		hint = fmt.Sprintf("grant get, list and watch on %s to flyball's service account", s.gvr.GroupResource())
	case apierrors.IsUnauthorized(err):
		hint = "the credentials are not accepted; check the kubeconfig or the service account's token"
	}
	return fmt.Errorf("list and watch %s: %w (%s)", s.gvr.GroupResource(), err, hint)
}

// problem is the last failure, until forgive.
func (s *scope) problem() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

func (s *scope) forgive() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.err = nil
}

func (k *Kube) podScope(gpu labels.Selector) *scope {
	indexers := cache.Indexers{
		byNamespace: cache.MetaNamespaceIndexFunc, byController: controllerUID,
		byGPU: func(obj any) ([]string, error) {
			if pod := obj.(*corev1.Pod); gpu.Matches(labels.Set(pod.Labels)) {
				return []string{""}, nil
			}
			return nil, nil
		},
	}
	return k.newScope(corev1.SchemeGroupVersion.WithResource("pods"), informed{
		make: func(namespace string) cache.SharedIndexInformer {
			lw := cache.NewFilteredListWatchFromClient(k.clients.core.RESTClient(), "pods", namespace, func(*metav1.ListOptions) {})
			return cache.NewSharedIndexInformer(lw, &corev1.Pod{}, 0, indexers)
		},
		transform: withoutManagedFields,
		onChange:  k.podChanged,
	})
}

func (k *Kube) replicaSetScope() *scope {
	return k.newScope(gvr{Group: "apps", Version: "v1", Resource: "replicasets"}, informed{
		make:      k.metadataInformer(gvr{Group: "apps", Version: "v1", Resource: "replicasets"}),
		transform: identityOnly,
		onChange: func(before, after any) {
			if before == nil {
				k.ownersChanged(after.(metav1.Object).GetNamespace())
			}
			signal(k.changed)
		},
	})
}

func (k *Kube) autoscalerScope() *scope {
	return k.newScope(v1alpha1.Resource, informed{
		make: func(namespace string) cache.SharedIndexInformer {
			return dynamicinformer.NewFilteredDynamicInformer(k.clients.dynamic, v1alpha1.Resource, namespace, 0,
				cache.Indexers{}, nil).Informer()
		},
		transform: k.typed,
		onChange:  k.autoscalerChanged,
	})
}

func (k *Kube) metadataInformer(resource gvr) func(string) cache.SharedIndexInformer {
	return func(namespace string) cache.SharedIndexInformer {
		indexers := cache.Indexers{byController: controllerUID, byUID: ownUID}
		return metadatainformer.NewFilteredMetadataInformer(k.clients.metadata, resource, namespace, 0, indexers, nil).Informer()
	}
}

func controllerUID(obj any) ([]string, error) {
	if o := metav1.GetControllerOfNoCopy(obj.(metav1.Object)); o != nil {
		return []string{string(o.UID)}, nil
	}
	return nil, nil
}

func ownUID(obj any) ([]string, error) { return []string{string(obj.(metav1.Object).GetUID())}, nil }

// withoutManagedFields drops what only server-side apply reads: a third of a pod's size and more.
func withoutManagedFields(obj any) (any, error) {
	if o, ok := obj.(metav1.Object); ok {
		o.SetManagedFields(nil)
	}
	return obj, nil
}

// identityOnly leaves of an object's metadata what says who it is and who owns it.
func identityOnly(obj any) (any, error) {
	if o, ok := obj.(metav1.Object); ok {
		o.SetManagedFields(nil)
		o.SetAnnotations(nil)
		o.SetLabels(nil)
	}
	return obj, nil
}
