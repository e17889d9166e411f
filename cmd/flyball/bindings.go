package main

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"go.uber.org/zap"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/collector"
	"github.com/flyball/flyball/dashboards/grafana"
	"github.com/flyball/flyball/internal/loop"
	"github.com/flyball/flyball/query"
)

// lookup tells the query package what the collector's packs know of a metric: the two don't know each other.
func lookup(packs collector.Packs) query.Lookup {
	return func(name string) (query.Metric, bool) {
		m, ok := packs.Lookup(name)
		return query.Metric{Names: m.Names, Kind: query.Kind(m.Kind), Scale: query.Scale(m.Scale)}, ok
	}
}

// bindings joins autoscalers with the targets found for them. A target that is re-created under its old name is
// another target, and is bound anew. What can't be bound is logged once, and again when it changes.
type bindings struct {
	binder loop.Binder
	log    *zap.Logger
	tune   func(*loop.Autoscaler) // last word on each binding; nil for none

	mu    sync.Mutex
	pas   []*v1alpha1.PodAutoscaler
	bound map[string]binding // by autoscaler UID
}

func newBindings(binder loop.Binder, log *zap.Logger) *bindings {
	return &bindings{binder: binder, log: log, bound: map[string]binding{}}
}

type binding struct {
	target loop.Target
	a      loop.Autoscaler
	err    error
}

// set replaces the autoscalers.
func (b *bindings) set(pas []*v1alpha1.PodAutoscaler) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.pas, b.bound = pas, map[string]binding{}
}

// find gives the target of a name in a namespace, and false when there is none.
type find func(namespace, name string) (loop.Target, bool)

// absent is the UID to bind to while a target is not there.
const absent = "absent"

var errNoTarget = errors.New("no such target is known yet")

// autoscalers gives the autoscalers whose spec is valid and whose target is there.
func (b *bindings) autoscalers(find find) []loop.Autoscaler {
	b.mu.Lock()
	defer b.mu.Unlock()
	var out []loop.Autoscaler
	for _, pa := range b.pas {
		if now := b.bind(pa, find); now.err == nil {
			out = append(out, now.a)
		}
	}
	return out
}

func (b *bindings) bind(pa *v1alpha1.PodAutoscaler, find find) binding {
	uid := v1alpha1.UID(pa)
	before, known := b.bound[uid]
	ref := pa.Target()
	target, found := find(ref.Namespace, ref.Name)
	if known && before.target == target {
		return before
	}
	now, to := binding{target: target}, target
	if !found {
		to.UID = absent // the spec is checked all the same
	}
	who := []zap.Field{zap.String("namespace", pa.Namespace), zap.String("name", pa.Name)}
	a, warnings, errs := b.binder.Bind(pa, to)
	for _, w := range warnings {
		b.log.Warn("autoscaler", append(who, zap.String("field", w.Field), zap.String("warning", w.Text))...)
	}
	switch {
	case len(errs) > 0:
		now.err = errs.ToAggregate()
	case !found:
		now.err = fmt.Errorf("%w: %s %s/%s", errNoTarget, ref.Kind, ref.Namespace, ref.Name)
	}
	switch {
	case len(errs) > 0:
		b.log.Error("autoscaler is not run", append(who, zap.Error(now.err))...)
	case now.err != nil: // at the start, targets are read a moment later
		b.log.Info("autoscaler waits for its target", append(who, zap.String("target", ref.Kind+" "+ref.Namespace+"/"+ref.Name))...)
	case b.tune != nil:
		b.tune(&a)
	}
	now.a = a
	b.bound[uid] = now
	return now
}

// scrape is what there is to collect: the endpoints that the fleet brings, and what the autoscalers ask for.
func (b *bindings) scrape(find find, endpoints []collector.Endpoint) collector.Config {
	return scrapeFor(b.autoscalers(find), endpoints)
}

// shownMetrics are those of exporters that the shipped dashboards read.
var shownMetrics = grafana.Metrics()

// scrapeFor adds to the endpoints those of the autoscalers' own sources, and keeps the metrics that these and the dashboards read.
func scrapeFor(autoscalers []loop.Autoscaler, endpoints []collector.Endpoint) collector.Config {
	keep := map[string]bool{}
	for _, name := range shownMetrics {
		keep[name] = true
	}
	for _, a := range autoscalers {
		for i, source := range a.Sources {
			for _, name := range source.Metrics() {
				keep[name] = true
			}
			if e := a.Endpoints[i]; e.URL != "" {
				endpoints = append(endpoints, collector.Endpoint{
					Role: collector.SourceEndpoint, URL: e.URL, Interval: e.Interval,
					Identity: collector.Identity{Namespace: a.Namespace, AutoscalerUID: a.UID, Source: a.Policy.Sources[i].Key, Job: "source"},
				})
			}
		}
	}
	return collector.Config{Endpoints: endpoints, Keep: slices.Sorted(maps.Keys(keep))}
}
