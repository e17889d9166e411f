package main

import (
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/internal/loop"
	"github.com/flyball/flyball/internal/sim"
)

// watch follows a demo: for the screen, and for the report at its end.
type watch struct {
	out     io.Writer
	address string
	started time.Time

	mu        sync.Mutex
	snapshot  sim.Snapshot
	workloads map[string]*watched // by namespace/name
	order     []string
	events    []string // newest last
	unshown   int      // of events
	reactions []time.Duration
}

// watched is what is known of one workload.
type watched struct {
	namespace, name string
	result          loop.Result
	decided         bool
	min, max, end   int
	writes          int
	decisions       int
	crossed         time.Time // since when the requests in flight need more replicas than there are; zero when they don't
}

func newWatch(out io.Writer) *watch {
	return &watch{out: out, workloads: map[string]*watched{}}
}

func (w *watch) begin(address string) { w.address, w.started = address, time.Now() }

func (w *watch) of(namespace, name string) *watched {
	key := namespace + "/" + name
	if w.workloads[key] == nil {
		w.workloads[key] = &watched{namespace: namespace, name: name, min: math.MaxInt}
		w.order = append(w.order, key)
		slices.Sort(w.order)
	}
	return w.workloads[key]
}

// result is told of each decision.
func (w *watch) result(r loop.Result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if r.Err != nil {
		w.event(r.At, fmt.Sprintf("%s/%s: %v", r.Autoscaler.Namespace, r.Autoscaler.Name, r.Err))
		return
	}
	d := r.Decision
	x := w.of(r.Autoscaler.Namespace, r.Autoscaler.Name)
	x.result, x.decided = r, true
	x.decisions++
	if !d.Entry.Outcome.Applied {
		return
	}
	x.writes++
	if d.To > d.From && !x.crossed.IsZero() {
		w.reactions = append(w.reactions, d.Entry.Outcome.At.Sub(x.crossed))
		x.crossed = time.Time{}
	}
	w.event(r.At, fmt.Sprintf("%s/%s %d → %d  %s", r.Autoscaler.Namespace, r.Autoscaler.Name, d.From, d.To, because(d)))
}

// because is the reason that had the last word, and behind it the one that had the first, if that is another.
func because(d decider.Decision) string {
	last := d.Reasons[len(d.Reasons)-1]
	if first := d.Reasons[0]; first.Rule != last.Rule {
		return last.String() + " | " + first.String()
	}
	return last.String()
}

func (w *watch) event(at time.Time, text string) {
	w.events = append(w.events, at.Local().Format("15:04:05")+"  "+text)
	w.unshown++
}

// observe is told of each step of the plant.
func (w *watch) observe(s sim.Snapshot) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.snapshot = s
	for _, p := range s.Workloads {
		x := w.of(p.Namespace, p.Name)
		x.min, x.max, x.end = min(x.min, p.Replicas), max(x.max, p.Replicas), p.Replicas
		switch {
		case !needsMore(x.result, p):
			x.crossed = time.Time{}
		case x.crossed.IsZero():
			x.crossed = s.At
		}
	}
}

// needsMore says whether the requests in flight, which the exporters show at this moment, need more replicas than there
// are, beyond the tolerance. It is known for sources that count requests in flight; the demo's AverageValue sources do.
func needsMore(r loop.Result, p sim.WorkloadState) bool {
	policy := r.Autoscaler.Policy
	if len(policy.Sources) == 0 || policy.Sources[0].TargetType != decider.AverageValue || p.Replicas >= int(policy.MaxReplicas) {
		return false
	}
	return float64(p.Running+p.Waiting+p.Queued) > policy.Sources[0].Target*float64(p.Replicas)*(1+policy.ToleranceUp)
}

// report is the object that --json prints.
type report struct {
	Workloads []workloadReport `json:"workloads"`
	Scrapes   struct {
		OK     uint64 `json:"ok"`
		Failed uint64 `json:"failed"`
	} `json:"scrapes"`
	Samples  uint64 `json:"samples"`
	Reaction struct {
		P50 int64 `json:"p50"`
		P99 int64 `json:"p99"`
	} `json:"reaction_ms"`
}

type workloadReport struct {
	Namespace  string           `json:"namespace"`
	Name       string           `json:"name"`
	Strategy   decider.Strategy `json:"strategy"`
	ReplicaMin int              `json:"replicas_min"`
	ReplicaMax int              `json:"replicas_max"`
	ReplicaEnd int              `json:"replicas_end"`
	Writes     int              `json:"scale_writes"`
	Decisions  int              `json:"decisions"`
}

// report sums the run up. Reaction is the time from the moment when the requests in flight, as the exporters show them,
// need more replicas than there are, to the write that raises the replica count.
func (w *watch) report(metrics prometheus.Gatherer) (report, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	rep := report{Workloads: []workloadReport{}}
	for _, key := range w.order {
		x := w.workloads[key]
		rep.Workloads = append(rep.Workloads, workloadReport{
			Namespace: x.namespace, Name: x.name, Strategy: x.result.Autoscaler.Policy.Strategy,
			ReplicaMin: x.min, ReplicaMax: x.max, ReplicaEnd: x.end, Writes: x.writes, Decisions: x.decisions,
		})
	}
	rep.Reaction.P50, rep.Reaction.P99 = quantile(w.reactions, 0.5).Milliseconds(), quantile(w.reactions, 0.99).Milliseconds()
	return rep, rep.gather(metrics)
}

// gather reads the collector's own metrics.
func (rep *report) gather(metrics prometheus.Gatherer) error {
	families, err := metrics.Gather()
	if err != nil {
		return fmt.Errorf("gather metrics: %w", err)
	}
	for _, f := range families {
		switch f.GetName() {
		case "flyball_scrape_samples":
			rep.Samples = uint64(f.GetMetric()[0].GetHistogram().GetSampleSum())
		case "flyball_scrapes_total":
			for _, m := range f.GetMetric() {
				if n := uint64(m.GetCounter().GetValue()); m.GetLabel()[0].GetValue() == "success" {
					rep.Scrapes.OK += n
				} else {
					rep.Scrapes.Failed += n
				}
			}
		}
	}
	return nil
}

// quantile is the nearest-rank quantile; 0 of nothing.
func quantile(all []time.Duration, q float64) time.Duration {
	if len(all) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(all))
	return sorted[max(0, int(math.Ceil(q*float64(len(sorted))))-1)]
}

// cut shortens a line to the width, by characters.
func cut(s string, width int) string {
	r := []rune(strings.ReplaceAll(s, "\n", " "))
	if len(r) <= width {
		return string(r)
	}
	return string(r[:max(0, width-1)]) + "…"
}
