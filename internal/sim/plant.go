package sim

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// Plant is a simulated GPU fleet. It stands still between two Advances. Its methods may be called from several goroutines.
type Plant struct {
	mu        sync.Mutex
	cfg       Config
	now       time.Duration // since cfg.Start, as all times inside
	rng       *rand.Rand    // UIDs and names
	nodes     []*node
	workloads []*workload // deleted ones too until their pods are gone
	pods      []*pod      // in the order they were created
	addresses addressPlan
	gateway   string // host:port
}

// Errors of the calls that name something.
var (
	ErrNotFound = errors.New("not found")
	ErrNotReady = errors.New("not ready")
)

// New makes a plant with its workloads' first pods created, at Config.Start.
func New(cfg Config) (*Plant, error) {
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	if cfg.CollectInterval == 0 {
		cfg.CollectInterval = defaultCollectInterval
	}
	p := &Plant{cfg: cfg, rng: rand.New(rand.NewPCG(cfg.Seed, 0))}
	p.gateway = p.addresses.gateway()
	for _, spec := range cfg.Nodes {
		p.nodes = append(p.nodes, p.newNode(spec))
	}
	for _, spec := range cfg.Workloads {
		p.workloads = append(p.workloads, p.newWorkload(spec))
	}
	p.settle()
	for _, n := range p.nodes {
		n.collect(0, 0)
		n.nextCollect = cfg.CollectInterval
	}
	return p, nil
}

// Advance runs the plant up to the given time. A time that is not after the plant's changes nothing. How a stretch of time is cut into
// Advances makes no difference to what happens in it.
func (p *Plant) Advance(to time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	end := to.Sub(p.cfg.Start)
	if end <= p.now {
		return
	}
	for {
		next := p.nextEvent()
		if next > end {
			break
		}
		p.serve(next)
		p.settle()
		p.collect()
	}
	p.serve(end)
}

// Now is the plant's time.
func (p *Plant) Now() time.Time {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.time(p.now)
}

func (p *Plant) time(d time.Duration) time.Time { return p.cfg.Start.Add(d) }

// nextEvent is the next time at which something other than traffic happens.
func (p *Plant) nextEvent() time.Duration {
	next := forever
	for _, n := range p.nodes {
		next = min(next, n.nextCollect)
	}
	for _, d := range p.pods {
		switch d.phase {
		case Starting:
			next = min(next, d.readyAt)
		case Draining:
			next = min(next, d.deadline, p.now.Truncate(syncPeriod)+syncPeriod)
		}
	}
	return next
}

// serve lets traffic flow up to a time at or before the next event. Workloads do not touch each other in it.
func (p *Plant) serve(until time.Duration) {
	for _, w := range p.workloads {
		w.serve(until)
	}
	p.now = until
}

// settle brings pods in line with replicas, GPUs and time, until nothing changes any more.
func (p *Plant) settle() {
	for changed := true; changed; {
		changed = false
		for _, w := range p.workloads {
			changed = p.reconcile(w) || changed
		}
		changed = p.sweep() || changed
		changed = p.schedule() || changed
		changed = p.markReady() || changed
	}
	p.workloads = slices.DeleteFunc(p.workloads, func(w *workload) bool { return w.deleted && len(w.pods) == 0 })
}

// sweep removes draining pods that are empty or out of grace.
func (p *Plant) sweep() bool {
	var gone []*pod
	for _, d := range p.pods {
		if d.phase == Draining && (d.engine.outstanding() == 0 || d.deadline <= p.now) {
			gone = append(gone, d)
		}
	}
	for _, d := range gone {
		p.remove(d)
	}
	return len(gone) > 0
}

// schedule gives pending pods their GPUs: the oldest pod first, the first node with enough free GPUs of the right model.
func (p *Plant) schedule() bool {
	changed := false
	for _, d := range p.pods {
		if d.phase != Pending {
			continue
		}
		for _, n := range p.nodes {
			gpus := n.free(d.workload.spec.GPU, d.workload.spec.GPUsPerPod)
			if gpus == nil {
				continue
			}
			for _, g := range gpus {
				g.pod = d
			}
			d.node, d.gpus = n, gpus
			d.phase, d.readyAt = Starting, p.now+d.workload.spec.ColdStart
			d.address = p.addresses.pod()
			changed = true
			break
		}
	}
	return changed
}

func (p *Plant) markReady() bool {
	changed := false
	for _, d := range p.pods {
		if d.phase == Starting && d.readyAt <= p.now {
			d.phase = Ready
			d.engine = newEngine(d.workload.spec.engine(), p.now, d.completed)
			d.workload.deliverQueue()
			changed = true
		}
	}
	return changed
}

func (p *Plant) collect() {
	for _, n := range p.nodes {
		if n.nextCollect <= p.now {
			n.collect(p.now, p.cfg.CollectInterval)
			n.nextCollect += p.cfg.CollectInterval
		}
	}
}

// workload finds one that is not deleted.
func (p *Plant) workload(operation, namespace, name string) (*workload, error) {
	for _, w := range p.workloads {
		if !w.deleted && w.spec.Namespace == namespace && w.spec.Name == name {
			return w, nil
		}
	}
	return nil, fmt.Errorf("%s: workload %s/%s: %w", operation, namespace, name, ErrNotFound)
}

func (p *Plant) pod(operation, uid string) (*pod, error) {
	for _, d := range p.pods {
		if d.uid == uid {
			return d, nil
		}
	}
	return nil, fmt.Errorf("%s: pod %s: %w", operation, uid, ErrNotFound)
}
