package query

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/prometheus/common/model"
)

// Kind is what the values of a metric mean over time.
type Kind string

const (
	Unknown   Kind = "unknown" // taken from the name: …_total is a counter, anything else a gauge
	Gauge     Kind = "gauge"
	Counter   Kind = "counter"
	Histogram Kind = "histogram"
)

// Scale says whether a pod's series of one metric add up.
type Scale string

const (
	Count Scale = "count" // the default: they add up: requests waiting in each of a pod's engines
	Ratio Scale = "ratio" // they don't: the share of the cache in use of each of a pod's engines
)

// Metric is what an alias pack knows about one metric.
type Metric struct {
	Names []string // all spellings, newest first
	Kind  Kind
	Scale Scale
}

// Lookup finds a metric by any of its spellings.
type Lookup func(name string) (Metric, bool)

// aliasMatch joins the spellings of one metric: where an exporter emits the newer one, the older one is not read, whatever
// else their label sets hold.
const aliasMatch = "or on (namespace, pod_uid, endpoint, autoscaler_uid, source)"

// metricText gives the PromQL that a bare metric stands for.
func metricText(src Source, owner Owner, lookup Lookup) (string, error) {
	m, known := Metric{}, false
	if lookup != nil {
		m, known = lookup(src.Metric)
	}
	if !known {
		m = Metric{Names: []string{src.Metric}}
	}
	if len(m.Names) == 0 {
		m.Names = []string{src.Metric}
	}
	if m.Kind == "" {
		m.Kind = Unknown
	}
	kind, err := kindOf(src.Metric, m, lookup)
	if err != nil {
		return "", err
	}
	spellings := make([]string, len(m.Names))
	for i, name := range m.Names {
		sel, err := selectorText(name)
		if err != nil {
			return "", err
		}
		if kind == Counter {
			sel = "rate(" + sel + "[" + windowName + "])"
		}
		spellings[i] = sel
	}
	text := strings.Join(spellings, " "+aliasMatch+" ")
	return aggregate(text, src.Aggregation, m.Scale, owner.ofPods())
}

// kindOf settles what a metric is, or says what to write instead where that can't be known.
func kindOf(name string, m Metric, lookup Lookup) (Kind, error) {
	base, suffix := cutSuffix(name)
	baseIsHistogram := false
	if lookup != nil && suffix != "" {
		b, ok := lookup(base)
		baseIsHistogram = ok && b.Kind == Histogram
	}
	switch {
	case m.Kind == Histogram, suffix == "_bucket" && m.Kind == Unknown:
		exported, _ := cutSuffix(m.Names[0]) // a query reads series by the names that they are exported under
		return "", fmt.Errorf("it is a histogram, which is not one number: use a query such as "+
			"histogram_quantile(0.95, sum by (le) (rate(%s_bucket[$window])))", exported)
	case m.Kind != Unknown:
		return m.Kind, nil
	case strings.HasSuffix(name, "_total"), baseIsHistogram:
		return Counter, nil
	case suffix != "": // a wrong guess would grow for ever (a counter read as a gauge) or read near zero (a gauge read as a counter)
		return "", fmt.Errorf("a name that ends in %s may be a histogram's counter or a gauge: say which with a query, "+
			"sum(rate(%s[$window])) for a counter, sum(%s) for a gauge", suffix, name, name)
	}
	return Gauge, nil
}

// cutSuffix splits off the ending that a classic histogram gives to one of its series.
func cutSuffix(name string) (base, suffix string) {
	for _, s := range []string{"_bucket", "_sum", "_count"} {
		if b, ok := strings.CutSuffix(name, s); ok && b != "" {
			return b, s
		}
	}
	return name, ""
}

// selectorText writes a selector by name, quoted when the name needs it.
func selectorText(name string) (string, error) {
	switch {
	case model.LegacyValidation.IsValidMetricName(name):
		return name, nil
	case model.UTF8Validation.IsValidMetricName(name):
		return "{" + strconv.Quote(name) + "}", nil
	}
	return "", fmt.Errorf("%q is not a metric name", name)
}

// aggregate makes one number of a metric's series. Over pods, a pod's own series come first: counts add up, ratios average.
// An endpoint source has no pods; there the series themselves are summed, averaged or compared.
func aggregate(text string, agg Aggregation, scale Scale, pods bool) (string, error) {
	if agg == "" {
		agg = Sum
	}
	if !slices.Contains([]Aggregation{Sum, Avg, Max}, agg) {
		return "", fmt.Errorf("unknown aggregation %q (%s, %s or %s)", agg, Sum, Avg, Max)
	}
	switch {
	case agg == Sum && scale != Ratio:
		return "sum(" + text + ")", nil
	case !pods && agg == Sum:
		return "avg(" + text + ")", nil
	case !pods:
		return string(agg) + "(" + text + ")", nil
	case scale == Ratio:
		return string(agg) + "(avg by (pod_uid) (" + text + "))", nil
	}
	return string(agg) + "(sum by (pod_uid) (" + text + "))", nil
}
