package sim

import (
	"cmp"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Phase is where a pod is in its life.
type Phase string

// The phases. A Pending pod waits for GPUs, a Starting pod has them and loads its model, a Draining pod finishes what it runs.
const (
	Pending  Phase = "Pending"
	Starting Phase = "Starting"
	Ready    Phase = "Ready"
	Draining Phase = "Draining"
)

// workload is a service with its gateway.
type workload struct {
	spec     WorkloadSpec
	uid      string
	hash     string // of Hashed pod names
	replicas int
	deleted  bool
	pods     []*pod // in the order they were created

	source    source
	loadStart time.Duration
	next      *request // the next to arrive; its arrived is since the plant's start
	queue     []*request
	turn      int // breaks the load balancer's ties

	arrived, done, retried uint64
	hook                   func(Completion)
	start                  time.Time
}

// pod is one replica.
type pod struct {
	workload *workload
	name     string
	uid      string
	phase    Phase
	node     *node
	gpus     []*gpu
	address  string
	created  time.Duration
	readyAt  time.Duration
	deadline time.Duration // of the drain
	engine   *engine       // from Ready on
	silent   bool
}

func (p *Plant) newUID() string {
	var u uuid.UUID
	for i := range u {
		u[i] = byte(p.rng.Uint32())
	}
	u[6] = u[6]&0x0f | 0x40 // version 4
	u[8] = u[8]&0x3f | 0x80 // variant of RFC 9562
	return u.String()
}

// suffix is a random name part in the alphabet of Kubernetes' generated names: no vowels, so no words.
func (p *Plant) suffix(n int) string {
	const alphabet = "bcdfghjklmnpqrstvwxz2456789"
	var b strings.Builder
	for range n {
		b.WriteByte(alphabet[p.rng.IntN(len(alphabet))])
	}
	return b.String()
}

func (p *Plant) newWorkload(spec WorkloadSpec) *workload {
	if spec.Model == "" {
		spec.Model = defaultModel
	}
	w := &workload{spec: spec, uid: spec.UID, hash: p.suffix(10), replicas: spec.Replicas, hook: p.cfg.Completed, start: p.cfg.Start}
	if w.uid == "" {
		w.uid = p.newUID()
	}
	p.startLoad(w)
	return w
}

// startLoad begins the workload's load at the plant's time. Its random numbers depend on the seed, the workload's name and the time alone,
// so that what happens to one workload never changes another's traffic.
func (p *Plant) startLoad(w *workload) {
	h := fnv.New64a()
	fmt.Fprintf(h, "%s/%s@%d", w.spec.Namespace, w.spec.Name, p.now)
	w.source = newSource(w.spec.Load, w.spec.engine().MaxModelLen, p.cfg.Seed, h.Sum64())
	w.loadStart = p.now
	w.fetch()
}

func (w *workload) fetch() {
	r, ok := w.source.next()
	if !ok {
		w.next = nil
		return
	}
	r.arrived += w.loadStart
	w.next = r
}

// serve lets requests arrive and engines work up to the given time.
func (w *workload) serve(until time.Duration) {
	for w.next != nil && w.next.arrived <= until {
		r := w.next
		w.run(r.arrived)
		w.arrived++
		w.dispatch(r)
		w.fetch()
	}
	w.run(until)
}

func (w *workload) run(until time.Duration) {
	for _, d := range w.pods {
		if d.engine != nil {
			d.engine.run(until)
		}
	}
}

// dispatch sends a request to the ready pod with the fewest outstanding requests, the pods taking turns where several have as few. Without
// a ready pod it waits at the gateway.
func (w *workload) dispatch(r *request) {
	var best *pod
	w.turn++
	for i := range w.pods {
		d := w.pods[(w.turn+i)%len(w.pods)]
		if d.phase == Ready && (best == nil || d.engine.outstanding() < best.engine.outstanding()) {
			best = d
		}
	}
	if best == nil {
		w.queue = append(w.queue, r)
		return
	}
	best.engine.enqueue(r)
}

// deliverQueue sends what waits at the gateway.
func (w *workload) deliverQueue() {
	queue := w.queue
	w.queue = nil
	for _, r := range queue {
		w.dispatch(r)
	}
}

// retry sends requests that a pod gave back again, unless nobody is there to retry for.
func (w *workload) retry(rs []*request) {
	for _, r := range rs {
		if w.deleted {
			return
		}
		r.reset()
		w.retried++
		w.dispatch(r)
	}
}

func (d *pod) completed(r *request, at time.Duration) {
	w := d.workload
	w.done++
	if w.hook != nil {
		w.hook(Completion{
			Namespace: w.spec.Namespace, Workload: w.spec.Name, PodUID: d.uid, Prompt: r.prompt, Output: r.output,
			Arrived: w.start.Add(r.arrived), Queued: w.start.Add(r.queued), FirstToken: w.start.Add(r.first), Done: w.start.Add(at),
		})
	}
}

// reconcile creates and removes pods until the workload has its replicas.
func (p *Plant) reconcile(w *workload) bool {
	if w.spec.PodNames == Given {
		return false
	}
	var active []*pod
	for _, d := range w.pods {
		if d.phase != Draining {
			active = append(active, d)
		}
	}
	changed := false
	if excess := len(active) - w.replicas; excess > 0 {
		slices.SortStableFunc(active, w.removalOrder)
		for _, d := range active[:excess] {
			p.drain(d)
		}
		return true
	}
	missing := w.replicas - len(active)
	for i := 0; i < w.replicas && missing > 0; i++ {
		name := fmt.Sprintf("%s-%d", w.spec.Name, i)
		if w.spec.PodNames == Hashed {
			name = fmt.Sprintf("%s-%s-%s", w.spec.Name, w.hash, p.suffix(5))
		}
		if p.nameTaken(w.spec.Namespace, name) {
			continue
		}
		p.create(w, name, p.newUID())
		missing--
		changed = true
	}
	return changed
}

// removalOrder sorts the pods that a scale-down removes to the front.
func (w *workload) removalOrder(a, b *pod) int {
	if w.spec.PodNames == Ordinal {
		return cmp.Or(cmp.Compare(len(b.name), len(a.name)), cmp.Compare(b.name, a.name))
	}
	rank := map[Phase]int{Pending: 0, Starting: 1, Ready: 2}
	return cmp.Or(cmp.Compare(rank[a.phase], rank[b.phase]), cmp.Compare(b.created, a.created), cmp.Compare(a.name, b.name))
}

func (p *Plant) nameTaken(namespace, name string) bool {
	return slices.ContainsFunc(p.pods, func(d *pod) bool { return d.name == name && d.workload.spec.Namespace == namespace })
}

func (p *Plant) create(w *workload, name, uid string) {
	d := &pod{workload: w, name: name, uid: uid, phase: Pending, created: p.now}
	w.pods = append(w.pods, d)
	p.pods = append(p.pods, d)
}

// drain begins the removal of a pod. Only a Ready pod has something to finish; the others are gone at once.
func (p *Plant) drain(d *pod) {
	switch d.phase {
	case Draining:
	case Ready:
		d.phase, d.deadline = Draining, p.now+d.workload.spec.DrainGrace
		d.workload.retry(d.engine.evacuateWaiting())
	default:
		p.remove(d)
	}
}

// remove takes a pod out of the plant, whatever it is doing.
func (p *Plant) remove(d *pod) {
	same := func(o *pod) bool { return o == d }
	p.pods = slices.DeleteFunc(p.pods, same)
	d.workload.pods = slices.DeleteFunc(d.workload.pods, same)
	for _, g := range d.gpus {
		g.pod = nil
	}
	if d.engine != nil {
		d.workload.retry(d.engine.evacuate())
	}
}
