package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/flyball/flyball/collector"
	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/internal/loop"
	"github.com/flyball/flyball/internal/sim"
)

// plantStep is how often the plant catches up with the clock and its listeners with its pods.
const plantStep = 100 * time.Millisecond

// plantFleet is the simulated plant as the service sees it: replica counts to read and write, pages to scrape.
type plantFleet struct {
	plant    *sim.Plant
	server   *sim.Server
	bindings *bindings
	log      *zap.Logger
	observe  func(sim.Snapshot)

	// mu makes one step of the plant, or one write to it, and what follows from it for the collector a unit: the collector
	// lets go of a pod's page before the pod goes.
	mu     sync.Mutex
	scrape func(collector.Config) error
}

func (f *plantFleet) find(namespace, name string) (loop.Target, bool) {
	for _, w := range f.plant.Snapshot().Workloads {
		if w.Namespace == namespace && w.Name == name {
			return loop.Target{Kind: "Workload", Name: name, UID: w.UID}, true
		}
	}
	return loop.Target{}, false
}

// Autoscalers implements loop.Fleet.
func (f *plantFleet) Autoscalers(time.Time) []loop.Autoscaler { return f.bindings.autoscalers(f.find) }

var errGone = errors.New("the target is gone")

// Scale implements loop.Fleet.
func (f *plantFleet) Scale(_ context.Context, a loop.Autoscaler, _ time.Time) (loop.Scale, error) {
	for _, w := range f.plant.Snapshot().Workloads {
		if w.UID == a.Target.UID {
			return loop.Scale{
				Replicas: int32(w.Replicas), StatusReplicas: int32(w.StatusReplicas), Ready: int32(w.Ready),
				Starting: int32(w.Starting), Unschedulable: int32(w.Unschedulable),
			}, nil
		}
	}
	return loop.Scale{}, errGone
}

// Apply implements loop.Fleet.
func (f *plantFleet) Apply(_ context.Context, a loop.Autoscaler, d decider.Decision) decider.Outcome {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.plant.Scale(a.Namespace, a.Target.Name, int(d.To)); err != nil {
		return decider.Outcome{Was: d.From, Now: d.From, Why: "Failed", Detail: err.Error()}
	}
	f.update()
	return decider.Outcome{Applied: true, Was: d.From, Now: d.To, At: time.Now()}
}

// Ready implements fleet.
func (f *plantFleet) Ready() error { return nil }

// Run implements fleet: it moves the plant along with the wall clock.
func (f *plantFleet) Run(ctx context.Context, scrape func(collector.Config) error) error {
	defer f.server.Close()
	f.mu.Lock()
	f.scrape = scrape
	f.mu.Unlock()
	tick := time.NewTicker(plantStep)
	defer tick.Stop()
	for {
		if err := f.step(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func (f *plantFleet) step(ctx context.Context) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.plant.Advance(time.Now())
	f.update()
	f.observe(f.plant.Snapshot())
	if err := f.server.Sync(ctx); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// update tells the collector what there is to scrape; f.mu is held.
func (f *plantFleet) update() {
	if err := f.scrape(f.bindings.scrape(f.find, plantEndpoints(f.plant.Snapshot()))); err != nil {
		f.log.Warn("update endpoints", zap.Error(err))
	}
}

// plantEndpoints are the pages of ready pods and of nodes. A starting pod has no metrics yet, a draining one counts no more.
func plantEndpoints(s sim.Snapshot) []collector.Endpoint {
	var out []collector.Endpoint
	for _, p := range s.Pods {
		if p.Phase != sim.Ready {
			continue
		}
		out = append(out, collector.Endpoint{
			Role: collector.PodExporter, URL: "http://" + p.Address + "/metrics", Ready: true, Started: p.CreatedAt,
			Identity: collector.Identity{
				Namespace: p.Namespace, Pod: p.Name, PodUID: p.UID, Workload: p.Workload, WorkloadUID: p.WorkloadUID,
				Node: p.Node, Job: "vllm",
			},
		})
	}
	for _, n := range s.Nodes {
		out = append(out, collector.Endpoint{
			Role: collector.GPUExporter, URL: "http://" + n.Address + "/metrics", Lag: time.Second,
			Identity: collector.Identity{Node: n.Name, Job: "dcgm"},
		})
	}
	return out
}
