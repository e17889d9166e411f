package keda

import (
	"cmp"
	"math"
	"strconv"
	"strings"

	"google.golang.org/grpc/codes"

	"github.com/flyball/flyball/api/externalscaler"
	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/internal/loop"
)

// leastTarget is KEDA's finest number: it hands thousandths on to the HPA, cut off.
const leastTarget = 0.001

// mostValue keeps a value's thousandths, which KEDA counts in an int64, from becoming negative.
const mostValue = 9e15

// metric is one of the numbers that KEDA asks for.
type metric struct {
	name   string
	target float64         // per replica
	source *decider.Source // nil: the replicas that were decided
}

// metrics are those of the trigger's mode.
func (t trigger) metrics(r loop.Result) []metric {
	if t.mode == desiredReplicas {
		return []metric{{name: "desired_replicas", target: 1}}
	}
	var all []metric
	taken := map[string]bool{}
	for i := range r.Autoscaler.Policy.Sources {
		s := &r.Autoscaler.Policy.Sources[i]
		base := metricName(s.Name)
		name := base
		for n := 2; taken[name]; n++ {
			name = base + "-" + strconv.Itoa(n)
		}
		taken[name] = true
		all = append(all, metric{name: name, target: s.Target, source: s})
	}
	return all
}

// metricName is what can be a part of a path in the metrics API, and of one case, since that is what KEDA's own scalers give.
func metricName(source string) string {
	const most = 60 // a query's name may be its whole text
	name := strings.Map(func(c rune) rune {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' {
			return c
		}
		return '-'
	}, strings.ToLower(source))
	name = strings.Trim(name[:min(most, len(name))], "-")
	if name == "" {
		return "load"
	}
	return name
}

// value is what the metric is at, by a result that is not blind.
func (m metric) value(t trigger, r loop.Result) (float64, error) {
	if m.source == nil {
		return float64(r.Decision.To), nil
	}
	cannot := func(reason, format string, args ...any) error {
		return fail(codes.Unavailable, reason, t.about(), m.name+": "+format, args...)
	}
	ws := decider.SourceWindows{Error: "it was not evaluated"}
	for _, other := range r.Input.Windows {
		if other.Key == m.source.Key {
			ws = other
		}
	}
	w := ws.Stable
	switch {
	case ws.Error != "":
		return 0, cannot(reasonUnevaluated, "%s", ws.Error)
	case w.State != decider.Fresh:
		return 0, cannot(cmp.Or(reasonOf[w.State], "MISSING"), "its window is %s; %d of %d exporters answer", w.State, w.Answering, w.Expected)
	case math.IsNaN(w.Value) || math.IsInf(w.Value, 0):
		return 0, cannot(reasonNotNumber, "its window's value is no number")
	case confidence(ws) < t.minConfidence:
		return 0, cannot(reasonLowConfidence, "its window is covered to %.1f%%, less than minConfidence (%v)", 100*confidence(ws), t.minConfidence)
	case r.Autoscaler.Policy.Strict || w.Silent == 0 && w.Coverage >= decider.MinCoverage:
	case w.Value <= m.target*float64(max(r.Input.Replicas, r.Input.StatusReplicas)-1):
		return 0, cannot(reasonIncomplete, "%d of %d exporters are silent and the window is covered to %.1f%%; what is missing never lowers the count",
			w.Silent, w.Expected, 100*w.Coverage)
	}
	return w.Value, nil
}

// specs are the metrics with their targets. The whole number is for versions of KEDA that know no other; rounded down, it
// errs on the side of more replicas.
func specs(all []metric) *externalscaler.GetMetricSpecResponse {
	out := &externalscaler.GetMetricSpecResponse{}
	for _, m := range all {
		out.MetricSpecs = append(out.MetricSpecs, &externalscaler.MetricSpec{
			MetricName: m.name, TargetSize: int64(max(1, min(m.target, mostValue))), TargetSizeFloat: min(m.target, mostValue),
		})
	}
	return out
}

// metricValue is a number as KEDA reads it: the fraction where it is above zero, else the whole number. Negative load is none.
func metricValue(name string, value float64) *externalscaler.MetricValue {
	value = min(max(0, value), mostValue)
	return &externalscaler.MetricValue{MetricName: name, MetricValue: int64(math.Ceil(value)), MetricValueFloat: value}
}

func names(all []metric) string {
	var list []string
	for _, m := range all {
		list = append(list, m.name)
	}
	return strings.Join(list, ", ")
}
