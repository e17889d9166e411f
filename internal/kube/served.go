package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/openapi"

	"github.com/flyball/flyball/api/v1alpha1"
)

// served is what the API server's list of its schemas, /openapi/v3, has said: it names every group and version with a
// hash of its schema. One request each rediscoverEvery tells whether KEDA came or went, and whether our CRD is another.
type served struct {
	mu      sync.Mutex
	asked   bool     // and answered, or refused
	failure string   // of the last request; empty when it had an answer
	refused int      // how often in a row
	schema  string   // address of our group's schema, with its hash
	missing []string // see MissingFields
	keda    *watch   // of ScaledObjects; nil while they are not served

	customMetrics, externalMetrics bool
}

// unsettled says what there is to wait for: an answer, and the list of ScaledObjects, if there are any.
func (s *served) unsettled() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.asked && s.failure != "":
		return errors.New(s.failure)
	case !s.asked:
		return errors.New("discover what the API server serves: has not ended yet")
	case s.keda != nil:
		return s.keda.unsettled()
	}
	return nil
}

// scaledObjects may be asked for any index, though there be none.
func (s *served) scaledObjects() *scope {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keda == nil {
		return &scope{}
	}
	return s.keda.scope
}

// MissingFields are the fields of our PodAutoscaler's spec that the installed CRD lacks, as paths such as
// spec.metricsSources[].query: the API server drops what manifests say there. That is so with AIBrix's own CRD, and with
// one of an older flyball. Empty when all are there, or nothing is known.
func (k *Kube) MissingFields() []string {
	k.served.mu.Lock()
	defer k.served.mu.Unlock()
	return k.served.missing
}

const (
	customMetricsGroup   = "custom.metrics.k8s.io"
	externalMetricsGroup = "external.metrics.k8s.io"
)

// ServesCustomMetrics says whether something in the cluster answers for custom metrics.
func (k *Kube) ServesCustomMetrics() bool {
	k.served.mu.Lock()
	defer k.served.mu.Unlock()
	return k.served.customMetrics
}

// ServesExternalMetrics says whether something in the cluster answers for external metrics.
func (k *Kube) ServesExternalMetrics() bool {
	k.served.mu.Lock()
	defer k.served.mu.Unlock()
	return k.served.externalMetrics
}

// discover asks what is served, at first and at each rediscoverEvery, until ctx ends. Until there is an answer it asks
// sooner: after a second, then two and so on.
func (k *Kube) discover(ctx context.Context, all *sync.WaitGroup) {
	every := k.mapper.every
	for wait := min(time.Second, every); ; wait = min(2*wait, every) {
		k.discoverOnce(ctx, all)
		if k.served.known() {
			wait = every
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

func (s *served) known() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

func (k *Kube) discoverOnce(ctx context.Context, all *sync.WaitGroup) {
	asking, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	paths, err := k.clients.openapi.PathsWithContext(asking)
	if err == nil {
		k.followKEDA(ctx, all, paths["apis/"+scaledObjectResource.GroupVersion().String()] != nil)
		err = k.readSchema(asking, paths["apis/"+v1alpha1.GroupVersion.String()])
	}
	if ctx.Err() != nil {
		return
	}
	groups, groupsErr := k.clients.groups.ServerGroupsWithContext(asking)
	if ctx.Err() != nil {
		return
	}
	k.served.mu.Lock()
	defer k.served.mu.Unlock()
	if groupsErr == nil { // else what was known holds
		serves := func(group string) bool {
			return slices.ContainsFunc(groups.Groups, func(g metav1.APIGroup) bool { return g.Name == group })
		}
		k.served.customMetrics, k.served.externalMetrics = serves(customMetricsGroup), serves(externalMetricsGroup)
	}
	err = cmp.Or(err, groupsErr)
	if refused(err) {
		k.served.refused++
	} else {
		k.served.refused = 0
	}
	k.served.asked = k.served.asked || err == nil || k.served.refused >= refusals
	said := k.served.failure
	k.served.failure = ""
	if err == nil {
		return
	}
	err = fmt.Errorf("discover what the API server serves: %w (it must answer /openapi/v3, /api and /apis; ClusterRole "+
		"system:discovery grants that; without it KEDA's ScaledObjects and an outdated CRD are not noticed)", err)
	if k.served.failure = err.Error(); k.served.failure != said {
		k.log.Warn("discover", zap.Error(err))
	}
}

// followKEDA follows ScaledObjects while they are served.
func (k *Kube) followKEDA(ctx context.Context, all *sync.WaitGroup, there bool) {
	k.served.mu.Lock()
	defer k.served.mu.Unlock()
	switch {
	case there && k.served.keda == nil:
		ctx, stop := context.WithCancel(ctx)
		k.served.keda = &watch{scope: k.scaledObjectScope(), stop: stop}
		k.served.keda.run(ctx, all, func() { signal(k.changed) })
	case !there && k.served.keda != nil:
		k.served.keda.stop()
		k.served.keda = nil
		signal(k.changed)
	}
}

// readSchema compares the schema of our group with the Go type, if it is another than last time. Nil is none.
func (k *Kube) readSchema(ctx context.Context, of openapi.GroupVersionWithContext) error {
	var at string
	if of != nil {
		at = of.ServerRelativeURL()
	}
	k.served.mu.Lock()
	same := k.served.schema == at
	k.served.mu.Unlock()
	if same {
		return nil
	}
	var missing []string
	if of != nil {
		data, err := of.SchemaWithContext(ctx, "application/json")
		if err != nil {
			return err
		}
		if missing, err = missingFields(data); err != nil {
			return err
		}
	}
	if len(missing) > 0 {
		k.log.Warn("the CRD of PodAutoscaler is not flyball's, or an older one; what manifests say in the fields that it lacks is dropped",
			zap.Strings("missing", missing), zap.String("hint", "kubectl apply -f deploy/crd, then apply the manifests again"))
	}
	k.served.mu.Lock()
	defer k.served.mu.Unlock()
	if of != nil && len(k.served.missing) > 0 && len(missing) == 0 {
		k.log.Info("the CRD of PodAutoscaler is flyball's now")
	}
	if !slices.Equal(k.served.missing, missing) {
		signal(k.changed)
	}
	k.served.schema, k.served.missing = at, missing
	return nil
}
