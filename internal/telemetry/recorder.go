package telemetry

import (
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/internal/loop"
)

// Recorder turns results into log lines and metrics. It is safe for concurrent use.
type Recorder struct {
	log *zap.Logger

	wanted, recommended, replicas, ready, starting *prometheus.GaugeVec
	short, least, most, panicking, paused, rule    *prometheus.GaugeVec
	target, capacity, value, coverage, age         *prometheus.GaugeVec
	decisions, failures, outcomes, reversals       *prometheus.CounterVec

	mu    sync.Mutex
	known map[autoscalerName]known // whose series there are
}

type autoscalerName struct{ namespace, name string }

// known is what a turn needs to know of those before it.
type known struct {
	rule decider.Rule    // that had the last word
	last decider.Verdict // of the last decision that was written; empty before the first
}

// NewRecorder registers the metrics.
func NewRecorder(log *zap.Logger, reg prometheus.Registerer) *Recorder {
	gauge := func(name, help string, labels ...string) *prometheus.GaugeVec {
		v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, append([]string{"namespace", "name"}, labels...))
		reg.MustRegister(v)
		return v
	}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, append([]string{"namespace", "name"}, labels...))
		reg.MustRegister(v)
		return v
	}
	return &Recorder{
		log: log, known: map[autoscalerName]known{},
		wanted:      gauge("flyball_autoscaler_wanted_replicas", "Replicas that the last decision wants."),
		recommended: gauge("flyball_autoscaler_recommended_replicas", "Replicas that the last decision's data ask for, before delays and bounds."),
		replicas:    gauge("flyball_autoscaler_replicas", "Replicas of the target when the last decision was made."),
		ready:       gauge("flyball_autoscaler_ready_replicas", "Ready pods when the last decision was made."),
		starting:    gauge("flyball_autoscaler_starting_replicas", "Pods that existed and were not ready yet when the last decision was made."),
		short:       gauge("flyball_autoscaler_short_replicas", "Replicas that the last decision wanted and the cluster does not take: pods are unschedulable, or a quota is used up. Those that wait count too."),
		least:       gauge("flyball_autoscaler_min_replicas", "The least count at the last decision, by the spec or the active schedule."),
		most:        gauge("flyball_autoscaler_max_replicas", "The greatest count at the last decision, by the spec or the active schedule."),
		panicking:   gauge("flyball_autoscaler_panic", "1 while the autoscaler is in panic, else 0."),
		paused:      gauge("flyball_autoscaler_paused", "1 while an annotation pauses the autoscaler, wholly or in one direction, else 0."),
		rule:        gauge("flyball_autoscaler_binding_rule", "1 for the rule that had the last word in the last decision.", "rule"),
		target:      gauge("flyball_source_target", "A source's target, in the source's own unit.", "source"),
		capacity:    gauge("flyball_source_capacity", "The window value at which the pods that are ready are on target: target times ready pods, or the target of a source of type Value.", "source"),
		value:       gauge("flyball_source_value", "A source's window value, in the source's own unit.", "source", "window"),
		coverage:    gauge("flyball_source_coverage_ratio", "Reporting over expected pods in a source's window.", "source", "window"),
		age:         gauge("flyball_source_newest_age_seconds", "Age of a source's newest sample at the last decision; absent where there is none.", "source"),
		decisions:   counter("flyball_decisions_total", "Decisions by verdict.", "verdict"),
		failures:    counter("flyball_decision_failures_total", "Turns that ended without a decision, or with one that was not acted on."),
		outcomes:    counter("flyball_decision_outcomes_total", "What became of decisions to change the count: Applied, or why it was not written.", "outcome"),
		reversals:   counter("flyball_autoscaler_reversals_total", "Writes in the other direction than the write before."),
	}
}

// Present takes away the series of autoscalers that are no longer decided for.
func (r *Recorder) Present(all []loop.Autoscaler) {
	there := make(map[autoscalerName]bool, len(all))
	for _, a := range all {
		there[autoscalerName{a.Namespace, a.Name}] = true
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for who := range r.known {
		if there[who] {
			continue
		}
		labels := prometheus.Labels{"namespace": who.namespace, "name": who.name}
		for _, v := range []interface{ DeletePartialMatch(prometheus.Labels) int }{
			r.wanted, r.recommended, r.replicas, r.ready, r.starting, r.short, r.least, r.most, r.panicking, r.paused, r.rule,
			r.target, r.capacity, r.value, r.coverage, r.age, r.decisions, r.failures, r.outcomes, r.reversals,
		} {
			v.DeletePartialMatch(labels)
		}
		delete(r.known, who)
	}
}

// Record shows what a turn came to.
func (r *Recorder) Record(res loop.Result) {
	a := res.Autoscaler
	r.meet(autoscalerName{a.Namespace, a.Name})
	who := []zap.Field{zap.String("namespace", a.Namespace), zap.String("name", a.Name), zap.Time("at", res.At)}
	if res.Err != nil {
		r.failures.WithLabelValues(a.Namespace, a.Name).Inc()
		r.log.Error("no decision", append(who, zap.Error(res.Err))...)
		if len(res.Decision.Reasons) == 0 {
			return
		}
	}
	d := res.Decision
	if d.To != d.From && (res.News || d.Entry.Outcome.Applied) { // advice that nobody takes is said once
		r.log.Info("decision", append(who, zap.String("id", loop.DecisionID(a, res.At)), zap.Int32("from", d.From), zap.Int32("to", d.To),
			zap.Bool("applied", d.Entry.Outcome.Applied), zap.String("outcome", d.Entry.Outcome.Why), zap.String("why", d.Explain()))...)
	}
	r.decisions.WithLabelValues(a.Namespace, a.Name, string(d.Verdict)).Inc()
	r.counts(res)
	r.outcome(a, d)
	for i, w := range res.Input.Windows {
		source := a.Policy.Sources[i]
		r.source(a, source, w.Stable, res.Input.Ready)
		r.window(a, source.Name, "stable", w.Stable)
		if a.Policy.Strategy == decider.KPA {
			r.window(a, source.Name, "panic", w.Panic)
		}
	}
}

// meet makes the counters of an autoscaler start at zero: of one that starts at its first event, no rate shows that event.
func (r *Recorder) meet(who autoscalerName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.known[who]; !ok {
		r.known[who] = known{}
		r.failures.WithLabelValues(who.namespace, who.name)
		r.outcomes.WithLabelValues(who.namespace, who.name, outcomeApplied)
		r.reversals.WithLabelValues(who.namespace, who.name)
	}
}

// counts are the replica counts of the decision, and what they came from.
func (r *Recorder) counts(res loop.Result) {
	a, d := res.Autoscaler, res.Decision
	set := func(v *prometheus.GaugeVec, n int32) { v.WithLabelValues(a.Namespace, a.Name).Set(float64(n)) }
	set(r.wanted, d.To)
	set(r.replicas, d.From)
	set(r.ready, res.Input.Ready)
	set(r.starting, res.Input.Starting)
	set(r.short, short(d))
	least, most, _, _ := a.Policy.BoundsAt(d.At)
	set(r.least, least)
	set(r.most, most)
	if d.Entry.Known {
		set(r.recommended, d.Entry.Proposal)
	} else {
		r.recommended.DeleteLabelValues(a.Namespace, a.Name)
	}
	set(r.panicking, flag(!d.Entry.PanicSince.IsZero()))
	set(r.paused, flag(a.Policy.Pause != decider.Pause{}))

	r.mu.Lock()
	defer r.mu.Unlock()
	who := autoscalerName{a.Namespace, a.Name}
	now := r.known[who]
	if now.rule != d.Entry.Rule {
		r.rule.DeleteLabelValues(a.Namespace, a.Name, string(now.rule))
	}
	now.rule = d.Entry.Rule
	r.known[who] = now
	r.rule.WithLabelValues(a.Namespace, a.Name, string(d.Entry.Rule)).Set(1)
}

// outcomeApplied is the outcome of a decision that was written; the others are called as decider.Outcome.Why says it.
const outcomeApplied = "Applied"

// outcome counts what became of a decision to change the count.
func (r *Recorder) outcome(a loop.Autoscaler, d decider.Decision) {
	if d.To == d.From {
		return
	}
	if !d.Entry.Outcome.Applied {
		r.outcomes.WithLabelValues(a.Namespace, a.Name, d.Entry.Outcome.Why).Inc()
		return
	}
	r.outcomes.WithLabelValues(a.Namespace, a.Name, outcomeApplied).Inc()
	r.mu.Lock()
	defer r.mu.Unlock()
	who := autoscalerName{a.Namespace, a.Name}
	now := r.known[who]
	if now.last != "" && now.last != d.Verdict {
		r.reversals.WithLabelValues(a.Namespace, a.Name).Inc()
	}
	now.last = d.Verdict
	r.known[who] = now
}

func flag(is bool) int32 {
	if is {
		return 1
	}
	return 0
}

// short is how many of the wanted replicas the cluster does not take.
func short(d decider.Decision) (n int32) {
	for _, r := range d.Reasons {
		n += r.Short() // one reason at most has any
	}
	return n
}

// source shows what a source is held against, and how old its data are.
func (r *Recorder) source(a loop.Autoscaler, source decider.Source, stable decider.Window, ready int32) {
	r.target.WithLabelValues(a.Namespace, a.Name, source.Name).Set(source.Target)
	capacity := source.Target
	if source.TargetType == decider.AverageValue {
		capacity *= float64(ready)
	}
	r.capacity.WithLabelValues(a.Namespace, a.Name, source.Name).Set(capacity)
	if stable.NewestAge < 0 || stable.State == "" {
		r.age.DeleteLabelValues(a.Namespace, a.Name, source.Name)
		return
	}
	r.age.WithLabelValues(a.Namespace, a.Name, source.Name).Set(stable.NewestAge.Seconds())
}

// window shows a value only while there is one: a missing value is an absent series, not zero.
func (r *Recorder) window(a loop.Autoscaler, source, name string, w decider.Window) {
	if w.State == decider.Fresh {
		r.value.WithLabelValues(a.Namespace, a.Name, source, name).Set(w.Value)
	} else {
		r.value.DeleteLabelValues(a.Namespace, a.Name, source, name)
	}
	r.coverage.WithLabelValues(a.Namespace, a.Name, source, name).Set(w.Coverage)
}
