package simkube

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	listers "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/flyball/flyball/internal/sim"
)

const (
	// WorkloadLabel, in a pod template, names the plant's workload of the pod's namespace whose replica the pod is. The workload's pods must
	// be sim.Given, and the template should ask for as many nvidia.com/gpu as the workload's GPUsPerPod: the plant's number is what counts.
	WorkloadLabel = "flyball.dev/sim-workload"

	// AddressAnnotation is host:port of the pod's metrics page. A pod has it only where the port is none of its container ports, which
	// happens on systems without the whole of 127.0.0.0/8; everywhere else status.podIP and the declared port say the same.
	AddressAnnotation = "flyball.dev/sim-address"
)

// Options are a Kubelet's parts. All but Step and Logger must be set.
type Options struct {
	Config *rest.Config
	Plant  *sim.Plant
	Server *sim.Server
	Now    func() time.Time // the wall clock: the API server's timestamps are measured against it
	Step   time.Duration    // how often the plant catches up with the clock and the API with the plant; 0 means 100 ms
	Logger *zap.Logger
}

// Kubelet mirrors a plant to a Kubernetes API.
type Kubelet struct {
	plant  *sim.Plant
	server *sim.Server
	now    func() time.Time
	step   time.Duration
	log    *zap.Logger
	http   *http.Client
	client kubernetes.Interface

	// What follows belongs to the mirroring goroutine.
	pods      listers.PodLister
	added     map[types.UID]bool   // pods that were given to the plant and may be there still
	wrote     map[types.UID]string // the resourceVersion a pod had in the cache when it was written last
	started   time.Time            // first heartbeat
	heartbeat time.Time            // last heartbeat
	trouble   string               // what the last round failed with, so that it is logged once
}

const defaultStep = 100 * time.Millisecond

// New makes a Kubelet. It contacts nobody.
func New(o Options) (*Kubelet, error) {
	if o.Config == nil || o.Plant == nil || o.Server == nil || o.Now == nil {
		return nil, errors.New("new simulated kubelet: Config, Plant, Server and Now must be set")
	}
	if o.Step < 0 {
		return nil, fmt.Errorf("new simulated kubelet: step %s: must be above 0, or 0 for %s", o.Step, defaultStep)
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	config := rest.CopyConfig(o.Config)
	config.UserAgent = fieldManager
	config.QPS = -1 // one write per pod and state is its own limit, and a queue here would hold the plant's news back
	hc, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, fmt.Errorf("new simulated kubelet: %w", err)
	}
	client, err := kubernetes.NewForConfigAndClient(config, hc)
	if err != nil {
		return nil, fmt.Errorf("new simulated kubelet: %w", err)
	}
	return &Kubelet{
		plant: o.Plant, server: o.Server, now: o.Now, step: cmp.Or(o.Step, defaultStep), log: o.Logger, http: hc, client: client,
		added: map[types.UID]bool{}, wrote: map[types.UID]string{},
	}, nil
}

// Run moves the plant along with the clock and tells the API, until ctx is done; then it closes the server and returns nil. An API that does
// not answer stops neither the plant nor its pages; what it missed it is told when it is back. The only error is that no page can be served.
func (k *Kubelet) Run(ctx context.Context) error {
	defer k.server.Close()
	defer utilnet.CloseIdleConnectionsFor(k.http.Transport)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		return k.every(ctx, func() error { _, err := k.advance(ctx); return err })
	})
	group.Go(func() error { return k.mirror(ctx) })
	return group.Wait()
}

// every calls fn each step until ctx is done. Errors of a ctx that is done are none.
func (k *Kubelet) every(ctx context.Context, fn func() error) error {
	tick := time.NewTicker(k.step)
	defer tick.Stop()
	for {
		if err := fn(); err != nil && ctx.Err() == nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// advance brings the plant to the present and its listeners in line with its pods. Every page of the snapshot that it returns is served.
func (k *Kubelet) advance(ctx context.Context) (sim.Snapshot, error) {
	k.plant.Advance(k.now())
	if err := k.server.Sync(ctx); err != nil {
		return sim.Snapshot{}, fmt.Errorf("serve the plant's pages: %w", err)
	}
	return k.plant.Snapshot(), nil
}

// mirror tells the API about the plant and the plant about the API's pods. It runs beside the plant's clock since a request to an API in
// trouble may take requestTimeout.
func (k *Kubelet) mirror(ctx context.Context) error {
	factory := informers.NewSharedInformerFactoryWithOptions(k.client, 0, informers.WithTransform(withoutManagedFields))
	defer factory.Shutdown() // after ctx is done
	pods := factory.Core().V1().Pods()
	k.pods = pods.Lister()
	informer := pods.Informer()
	if err := informer.SetWatchErrorHandlerWithContext(func(_ context.Context, _ *cache.Reflector, err error) {
		k.log.Debug("watch pods", zap.Error(err)) // a round's writes tell of an outage
	}); err != nil {
		panic("BUG: " + err.Error()) // only a started informer refuses
	}
	factory.Start(ctx.Done())
	if !cache.WaitForCacheSync(ctx.Done(), informer.HasSynced) {
		return nil
	}
	return k.every(ctx, func() error {
		snap, err := k.advance(ctx)
		if err != nil {
			return err
		}
		if err := k.round(ctx, snap); ctx.Err() == nil {
			k.report(err)
		}
		return nil
	})
}

// withoutManagedFields drops what takes a third of a cached pod and nobody here reads.
func withoutManagedFields(obj any) (any, error) {
	if pod, ok := obj.(*corev1.Pod); ok {
		pod.ManagedFields = nil
	}
	return obj, nil
}

// report logs the change from working to failing, from one failure to another, and back. An outage is one failure, however requests fail in it.
func (k *Kubelet) report(err error) {
	trouble := ""
	if outage(err) {
		trouble = "outage"
	} else if err != nil {
		trouble = err.Error()
	}
	switch {
	case trouble == k.trouble:
	case trouble == "":
		k.log.Info("the API has been told of the plant's state again")
	default:
		k.log.Warn("tell the API of the plant's state; each step tries again", zap.Error(err))
	}
	k.trouble = trouble
}

// round does one thing at most for every pod. Its error is an outage, at which it stops, or the first refusal.
func (k *Kubelet) round(ctx context.Context, snap sim.Snapshot) error {
	now := k.now()
	if err := k.beat(ctx, snap.Nodes, now); err != nil {
		return err
	}
	pods, err := k.pods.List(labels.Everything())
	if err != nil {
		return fmt.Errorf("list pods of the cache: %w", err)
	}
	k.forget(pods)
	slices.SortFunc(pods, func(a, b *corev1.Pod) int { // the plant gives GPUs to who came first
		return cmp.Or(a.CreationTimestamp.Compare(b.CreationTimestamp.Time), cmp.Compare(a.Name, b.Name))
	})
	first := k.exporters(ctx, snap.Nodes, pods, now)
	if outage(first) {
		return first
	}
	w := newWorld(snap, now)
	for _, pod := range pods {
		if pod.Labels[WorkloadLabel] == "" || k.behind(pod) {
			continue
		}
		err := k.do(ctx, w, pod)
		if outage(err) {
			return err
		}
		if first == nil {
			first = err
		}
	}
	return first
}

// forget takes pods that the API has no more out of the plant, at once: they were deleted by force.
func (k *Kubelet) forget(pods []*corev1.Pod) {
	there := make(map[types.UID]bool, len(pods))
	for _, pod := range pods {
		there[pod.UID] = true
	}
	for uid := range k.added {
		if !there[uid] {
			_ = k.plant.KillPod(string(uid)) // mostly it has left the plant before
			delete(k.added, uid)
		}
	}
	for uid := range k.wrote {
		if !there[uid] {
			delete(k.wrote, uid)
		}
	}
}

// behind reports whether the cache has the pod as it was before the last write to it.
func (k *Kubelet) behind(pod *corev1.Pod) bool {
	rv, ok := k.wrote[pod.UID]
	return ok && rv == pod.ResourceVersion
}

// do carries out what is planned for a pod. Its errors are the API's.
func (k *Kubelet) do(ctx context.Context, w *world, pod *corev1.Pod) error {
	a := w.plan(pod)
	if a.verb == add {
		err := k.plant.AddPod(pod.Namespace, pod.Labels[WorkloadLabel], pod.Name, string(pod.UID))
		if err == nil {
			k.added[pod.UID] = true
			return nil
		}
		a = w.to(pod, unscheduled(pod, corev1.PodReasonSchedulerError, err.Error(), w.now))
	}
	var err error
	switch a.verb {
	case drain:
		_ = k.plant.RemovePod(string(pod.UID)) // fails if it is gone, which the next round sees
	case kill:
		_ = k.plant.KillPod(string(pod.UID)) // as above
	case bind:
		err = k.bind(ctx, pod, a)
	case patch:
		err = k.patch(ctx, pod, a.status)
	case remove:
		err = k.remove(ctx, pod)
	}
	if err != nil && !stale(err) {
		return fmt.Errorf("%s pod %s/%s: %w", a.verb, pod.Namespace, pod.Name, err)
	}
	return nil
}
