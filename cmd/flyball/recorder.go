package main

import (
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/internal/loop"
)

// recorder turns results into log lines and metrics.
type recorder struct {
	log *zap.Logger

	wanted, replicas, ready *prometheus.GaugeVec
	value, coverage         *prometheus.GaugeVec
	decisions, failures     *prometheus.CounterVec
}

func newRecorder(log *zap.Logger, reg prometheus.Registerer) *recorder {
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
	return &recorder{
		log:       log,
		wanted:    gauge("flyball_autoscaler_wanted_replicas", "Replicas that the last decision wants."),
		replicas:  gauge("flyball_autoscaler_replicas", "Replicas of the target when the last decision was made."),
		ready:     gauge("flyball_autoscaler_ready_replicas", "Ready pods when the last decision was made."),
		value:     gauge("flyball_source_value", "A source's window value, in the source's own unit.", "source", "window"),
		coverage:  gauge("flyball_source_coverage_ratio", "Reporting over expected pods in a source's window.", "source", "window"),
		decisions: counter("flyball_decisions_total", "Decisions by verdict.", "verdict"),
		failures:  counter("flyball_decision_failures_total", "Turns that ended without a decision, or with one that was not acted on."),
	}
}

// record is safe for concurrent use.
func (r *recorder) record(res loop.Result) {
	a := res.Autoscaler
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
	r.wanted.WithLabelValues(a.Namespace, a.Name).Set(float64(d.To))
	r.replicas.WithLabelValues(a.Namespace, a.Name).Set(float64(d.From))
	r.ready.WithLabelValues(a.Namespace, a.Name).Set(float64(res.Input.Ready))
	for i, w := range res.Input.Windows {
		source := a.Policy.Sources[i].Name
		r.window(a, source, "stable", w.Stable)
		if a.Policy.Strategy == decider.KPA {
			r.window(a, source, "panic", w.Panic)
		}
	}
}

// window shows a value only while there is one: a missing value is an absent series, not zero.
func (r *recorder) window(a loop.Autoscaler, source, name string, w decider.Window) {
	if w.State == decider.Fresh {
		r.value.WithLabelValues(a.Namespace, a.Name, source, name).Set(w.Value)
	} else {
		r.value.DeleteLabelValues(a.Namespace, a.Name, source, name)
	}
	r.coverage.WithLabelValues(a.Namespace, a.Name, source, name).Set(w.Coverage)
}
