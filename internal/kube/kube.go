package kube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/scale"
	"k8s.io/client-go/util/workqueue"

	"github.com/flyball/flyball/api/v1alpha1"
)

// Options say which cluster, and what of it.
type Options struct {
	Config      *rest.Config
	Namespaces  []string // to look at; empty means all of them, which needs a ClusterRole
	GPUSelector string   // label selector of the GPU exporters' pods, in the same namespaces; empty means there are none
	// ScalerAddresses are the addresses, host:port, at which KEDA finds flyball as an external scaler. A ScaledObject
	// that names one acts on flyball's advice.
	ScalerAddresses []string
	// ControllerOf reads in an autoscaler's conditions the name of another controller that flyball found earlier; empty for
	// none. May be nil.
	ControllerOf func([]metav1.Condition) string
	Logger       *zap.Logger
}

// Kube follows one cluster. Its methods may be called from several goroutines at once. What they return is shared with
// the caches and must not be changed.
type Kube struct {
	log     *zap.Logger
	scopes  []string // namespaces of the informers; one empty string means all
	clients clients
	mapper  *mapper

	pods, replicaSets, autoscalers *scope
	quotas, nodes, hpas            *scope // can be done without

	targets targets
	foreign foreign
	scalers map[string]bool // Options.ScalerAddresses, as scalerAddress writes them

	controllerOf func([]metav1.Condition) string // Options.ControllerOf

	served  served
	owners  owners
	queue   workqueue.TypedRateLimitingInterface[task]
	wake    chan struct{} // the set of targets may have changed
	changed chan struct{}
	synced  atomic.Bool
	version metricsVersion
}

// New makes a Kube. It sends nothing; Run does.
func New(o Options) (*Kube, error) {
	gpu := labels.Nothing()
	if o.GPUSelector != "" {
		var err error
		if gpu, err = labels.Parse(o.GPUSelector); err != nil {
			return nil, fmt.Errorf("parse label selector %q of the GPU exporters: %w (write something like "+
				"app.kubernetes.io/name=dcgm-exporter)", o.GPUSelector, err)
		}
	}
	c, err := newClients(o.Config)
	if err != nil {
		return nil, fmt.Errorf("make clients for %s: %w (check the kubeconfig)", o.Config.Host, err)
	}
	k := &Kube{
		log: o.Logger, scopes: o.Namespaces, clients: c, mapper: c.mapper,
		targets: newTargets(), scalers: map[string]bool{}, controllerOf: o.ControllerOf,
		owners: owners{known: map[types.UID]owner{}, children: map[types.UID]map[types.UID]bool{}},
		wake:   make(chan struct{}, 1), changed: make(chan struct{}, 1),
	}
	if k.log == nil {
		k.log = zap.NewNop()
	}
	if len(k.scopes) == 0 {
		k.scopes = []string{metav1.NamespaceAll}
	}
	for _, address := range o.ScalerAddresses {
		k.scalers[scalerAddress(address)] = true
	}
	k.pods, k.replicaSets, k.autoscalers = k.podScope(gpu), k.replicaSetScope(), k.autoscalerScope()
	k.quotas, k.nodes, k.hpas = k.quotaScope(), k.nodeScope(), k.hpaScope()
	return k, nil
}

// workers is how many /scale and owner reads go on at once; each waits for the API server most of the time.
const workers = 4

// Run follows the cluster until ctx ends. It returns nil then, with everything it started stopped. While the API server
// is away, the caches keep what they last had. Run may be called once.
func (k *Kube) Run(ctx context.Context) error {
	k.queue = workqueue.NewTypedRateLimitingQueue(taskBackoff())
	var all sync.WaitGroup
	for _, s := range []*scope{k.pods, k.replicaSets, k.autoscalers, k.quotas, k.nodes, k.hpas} {
		s.run(ctx, &all, func() { signal(k.wake); signal(k.changed) })
	}
	all.Go(func() { k.follow(ctx, &all) })
	all.Go(func() { k.discover(ctx, &all) })
	for range workers {
		all.Go(func() {
			for k.work(ctx) {
			}
		})
	}
	<-ctx.Done()
	k.queue.ShutDown()
	all.Wait()
	return nil
}

// HasSynced says whether the caches are filled and every autoscaler's target has an answer, be it an error. Quotas, nodes,
// HPAs and ScaledObjects that the API server refuses are not waited for; those that it failed to list are. Once true it
// stays true.
func (k *Kube) HasSynced() bool { return k.Unsynced() == nil }

// Unsynced says what HasSynced waits for; nil when it is true.
func (k *Kube) Unsynced() error {
	if k.synced.Load() {
		return nil
	}
	for _, s := range []*scope{k.autoscalers, k.pods, k.replicaSets, k.quotas, k.nodes, k.hpas} {
		if err := s.unsettled(); err != nil {
			return err
		}
	}
	if err := k.served.unsettled(); err != nil {
		return err
	}
	if !k.targets.answered() {
		return errors.New("read targets: has not ended yet")
	}
	k.synced.Store(true)
	return nil
}

// Changed receives a value after something about autoscalers, targets or pods changed; many changes make one value.
// It is meant for one receiver.
func (k *Kube) Changed() <-chan struct{} { return k.changed }

// Scales reads and writes scale subresources, with this Kube's discovery and rate limit.
func (k *Kube) Scales() scale.ScalesGetter { return k.clients.scales }

// Metadata reads metadata of any kind, with this Kube's rate limit.
func (k *Kube) Metadata() metadata.Interface { return k.clients.metadata }

// Autoscalers are all autoscalers, valid or not, sorted by namespace and name.
func (k *Kube) Autoscalers() []*v1alpha1.PodAutoscaler {
	var out []*v1alpha1.PodAutoscaler
	for _, obj := range k.autoscalers.list() {
		if pa, ok := obj.(*v1alpha1.PodAutoscaler); ok {
			out = append(out, pa)
		}
	}
	slices.SortFunc(out, func(a, b *v1alpha1.PodAutoscaler) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
	return out
}

// Unreadable are the objects that no PodAutoscaler could be made of, by UID, each with the field that is wrong. The API
// server lets none pass while our CRD is installed; another CRD of the same name may.
func (k *Kube) Unreadable() map[types.UID]error {
	out := map[types.UID]error{}
	for _, obj := range k.autoscalers.byIndex(byUnreadable, "") {
		u := obj.(*unreadable)
		out[u.UID] = u.err
	}
	return out
}

// GPUExporters are the pods of the GPU exporters, ready or not, sorted by namespace and name.
func (k *Kube) GPUExporters() []*corev1.Pod {
	var out []*corev1.Pod
	for _, obj := range k.pods.byIndex(byGPU, "") {
		out = append(out, obj.(*corev1.Pod))
	}
	sortPods(out)
	return out
}

func sortPods(pods []*corev1.Pod) {
	slices.SortFunc(pods, func(a, b *corev1.Pod) int {
		return cmp.Or(cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
	})
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
