package kube

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/restmapper"
)

type (
	gvk = schema.GroupVersionKind
	gvr = schema.GroupVersionResource
)

// rediscoverEvery is how often at most the API server is asked again for what it serves, because something it did not
// serve before is wanted: two requests each time.
const rediscoverEvery = 30 * time.Second

// mapper knows which resource serves a kind. It remembers what discovery said, and asks again at a bounded rate.
type mapper struct {
	*restmapper.DeferredDiscoveryRESTMapper
	discovery discovery.CachedDiscoveryInterfaceWithContext
	every     time.Duration

	mu    sync.Mutex
	asked time.Time
}

func newMapper(d discovery.CachedDiscoveryInterfaceWithContext) *mapper {
	return &mapper{
		DeferredDiscoveryRESTMapper: restmapper.NewDeferredDiscoveryRESTMapperWithContext(d),
		discovery:                   d, every: rediscoverEvery,
	}
}

// stale forgets what discovery said, unless it did so less than rediscoverEvery ago, and says which.
func (m *mapper) stale(ctx context.Context) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	now := time.Now()
	if now.Sub(m.asked) < m.every {
		return false
	}
	m.asked = now
	m.ResetWithContext(ctx)
	return true
}

// resource is the resource that serves the kind: in the version asked for if it is served, else in the preferred one,
// as for a HorizontalPodAutoscaler.
func (m *mapper) resource(ctx context.Context, kind gvk) (*meta.RESTMapping, error) {
	mapping, err := m.mapping(ctx, kind)
	if meta.IsNoMatchError(err) && m.stale(ctx) {
		mapping, err = m.mapping(ctx, kind)
	}
	return mapping, err
}

func (m *mapper) mapping(ctx context.Context, kind gvk) (*meta.RESTMapping, error) {
	mapping, err := m.RESTMappingWithContext(ctx, kind.GroupKind(), kind.Version)
	if meta.IsNoMatchError(err) {
		mapping, err = m.RESTMappingWithContext(ctx, kind.GroupKind())
	}
	return mapping, err
}

// scalable is the resource of a kind that has a scale subresource. The error is ErrNoScale, or that discovery failed.
func (m *mapper) scalable(ctx context.Context, kind gvk) (gvr, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	r, err := m.find(ctx, kind)
	if errors.Is(err, ErrNoScale) && m.stale(ctx) {
		r, err = m.find(ctx, kind)
	}
	return r, err
}

func (m *mapper) find(ctx context.Context, kind gvk) (gvr, error) {
	mapping, err := m.mapping(ctx, kind)
	switch {
	case meta.IsNoMatchError(err) && kind.Group == "":
		return gvr{}, fmt.Errorf("%w: the API server serves no kind %s in %q (write scaleTargetRef.apiVersion with its group, such as apps/v1)",
			ErrNoScale, kind.Kind, kind.Version)
	case meta.IsNoMatchError(err):
		return gvr{}, fmt.Errorf("%w: the API server serves no kind %s in %s (check scaleTargetRef, or install its CRD; "+
			"kubectl api-resources --api-group=%s lists what there is)", ErrNoScale, kind.Kind, kind.GroupVersion(), kind.Group)
	case err != nil:
		return gvr{}, fmt.Errorf("discover the resource of %s: %w (the API server must answer /apis)", kind.GroupKind(), err)
	case mapping.Scope.Name() == meta.RESTScopeNameRoot:
		return gvr{}, fmt.Errorf("%w: %s belongs to no namespace (point scaleTargetRef at a workload)", ErrNoScale, kind.GroupKind())
	}
	list, err := m.discovery.ServerResourcesForGroupVersionWithContext(ctx, mapping.Resource.GroupVersion().String())
	if err != nil {
		return gvr{}, fmt.Errorf("discover the subresources of %s: %w (the API server must answer /apis/%s)",
			mapping.Resource.Resource, err, mapping.Resource.GroupVersion())
	}
	for _, r := range list.APIResources {
		if r.Name == mapping.Resource.Resource+"/scale" {
			return mapping.Resource, nil
		}
	}
	return gvr{}, fmt.Errorf("%w: %s in %s has no scale subresource (add subresources.scale to its CRD, or point scaleTargetRef "+
		"at a workload that has one, such as a Deployment)", ErrNoScale, kind.Kind, mapping.Resource.GroupVersion())
}
