package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"go.uber.org/zap"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/flyball/flyball/api/v1alpha1"
)

// The indexes. Each finds by exact match.
const (
	byNamespace  = cache.NamespaceIndex
	byController = "controller" // UID of the controlling owner
	byUID        = "uid"
	byTarget     = "target"     // what scales the same object; see targetKey
	byGPU        = "gpu"        // one entry, the empty string: the pods of GPU exporters
	byNode       = "node"       // name of the node: of pods that have a GPU there
	byUnreadable = "unreadable" // one entry, the empty string
)

// scope is one resource in the namespaces that are looked at: an informer for each of them, or one for all.
type scope struct {
	gvr gvr
	informed
	informers []cache.SharedIndexInformer
	log       *zap.Logger

	mu       sync.Mutex
	err      error // of the last list or watch that failed
	said     time.Time
	failures map[int]failure // by informer
}

// informed are the parts of an informer that differ from resource to resource.
type informed struct {
	make      func(namespace string) cache.SharedIndexInformer
	scopes    []string // the namespaces; those of the Kube when nil
	transform cache.TransformFunc
	onChange  func(before, after any) // either is nil when the object appeared or went
	failed    func()                  // called after a list or watch failed; may be nil
	without   string                  // what is so without this resource; empty for one that is needed
}

func (k *Kube) newScope(resource gvr, in informed) *scope {
	if in.scopes == nil {
		in.scopes = k.scopes
	}
	s := &scope{gvr: resource, informed: in, log: k.log, failures: map[int]failure{}}
	for n, namespace := range in.scopes {
		i := in.make(namespace)
		for _, err := range []error{
			i.SetTransform(in.transform),
			i.SetWatchErrorHandlerWithContext(func(ctx context.Context, _ *cache.Reflector, err error) {
				if ctx.Err() == nil {
					s.fail(n, err)
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

// refusals is how often in a row the API server says no before it is believed: one that has just started refuses everybody
// until it has read its roles.
const refusals = 2

// refused says of an error that it is the API server's no: there is no such resource, or flyball may not read it. All else
// passes: an overload, a timeout, a connection that broke.
func refused(err error) bool { return apierrors.IsForbidden(err) || apierrors.IsNotFound(err) }

// failure is what an informer failed with when it last listed or watched, and how often in a row that was a refusal.
type failure struct {
	err     error
	refused int
}

// unsettled says what there is to wait for: a list that is not in. One that is refused is not, where it can be done without.
func (s *scope) unsettled() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for n, i := range s.informers {
		if f := s.failures[n]; !i.HasSynced() && (s.without == "" || f.refused < refusals) {
			return cmp.Or(f.err, fmt.Errorf("list %s: has not ended yet", s.gvr.Resource))
		}
	}
	return nil
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

// fail takes note of a failed list or watch of an informer. It is logged when it is news, and once a minute while it lasts;
// once an hour of a resource that can be done without.
func (s *scope) fail(informer int, err error) {
	if errors.Is(err, io.EOF) || apierrors.IsResourceExpired(err) || apierrors.IsGone(err) {
		return // a watch that ended, as all do; the informer goes on from there
	}
	err = s.hint(err)
	every := time.Minute
	if s.without != "" {
		every = time.Hour
	}
	s.mu.Lock()
	f := failure{err: err}
	if refused(err) {
		f.refused = s.failures[informer].refused + 1
	}
	s.failures[informer] = f
	news := s.err == nil || s.err.Error() != err.Error() || time.Since(s.said) > every
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
	if s.without != "" && !s.synced() {
		hint += "; without it " + s.without
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

func (k *Kube) metadataInformer(resource gvr) func(string) cache.SharedIndexInformer {
	return func(namespace string) cache.SharedIndexInformer {
		indexers := cache.Indexers{byController: controllerUID, byUID: ownUID}
		return metadatainformer.NewFilteredMetadataInformer(k.clients.metadata, resource, namespace, 0, indexers, nil).Informer()
	}
}

// onMove signals when an object came or went, or moved as moved says of two states of it.
func onMove[T any](k *Kube, moved func(before, after T) bool) func(before, after any) {
	return func(before, after any) {
		if before == nil || after == nil || moved(before.(T), after.(T)) {
			signal(k.changed)
		}
	}
}

// typedInformer follows a resource that has a Go type.
func typedInformer(client rest.Interface, resource gvr, of runtime.Object, indexers cache.Indexers) func(string) cache.SharedIndexInformer {
	return func(namespace string) cache.SharedIndexInformer {
		return cache.NewSharedIndexInformer(listWatch(client, resource, namespace), of, 0, indexers)
	}
}

// sparingInformer is a typedInformer of a resource that can be done without: see sparing.
func (k *Kube) sparingInformer(client rest.Interface, resource gvr, of runtime.Object, indexers cache.Indexers) func(string) cache.SharedIndexInformer {
	return func(namespace string) cache.SharedIndexInformer {
		return cache.NewSharedIndexInformer(sparing(listWatch(client, resource, namespace), k.refusedPause), of, 0, indexers)
	}
}

func listWatch(client rest.Interface, resource gvr, namespace string) *cache.ListWatch {
	return cache.NewFilteredListWatchFromClient(client, resource.Resource, namespace, func(*metav1.ListOptions) {})
}

func controllerUID(obj any) ([]string, error) {
	if uid := controlledBy(obj); uid != "" {
		return []string{string(uid)}, nil
	}
	return nil, nil
}

// controlledBy is the UID of the object's controller; empty when it has none.
func controlledBy(obj any) types.UID {
	if o := metav1.GetControllerOfNoCopy(obj.(metav1.Object)); o != nil {
		return o.UID
	}
	return ""
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
