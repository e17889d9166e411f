package query

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// Labels that carry identity. Every stored series has those of its owner; names such as pod and workload are for people.
const (
	labelNamespace     = "namespace"
	labelPod           = "pod"
	labelPodUID        = "pod_uid"
	labelWorkloadUID   = "workload_uid"
	labelEndpoint      = "endpoint"
	labelAutoscalerUID = "autoscaler_uid"
	labelSource        = "source"
)

// maxQueryBytes bounds what one source may ask us to parse. The longest query in the shipped examples has under 400.
const maxQueryBytes = 8 << 10

// Dialect is the language a source's query is written in. It is declared, never guessed.
type Dialect string

const (
	PromQL    Dialect = "promql"    // the default
	MetricsQL Dialect = "metricsql" // translated where the meaning is exactly PromQL's, else refused by name
)

// Aggregation says how a metric source becomes one number.
type Aggregation string

const (
	Sum Aggregation = "sum" // over the fleet; the default
	Avg Aggregation = "avg" // over pods
	Max Aggregation = "max" // over pods
)

// Owner is whose series a source may read: one workload's pods, or one HTTP endpoint of one autoscaler.
type Owner struct {
	Namespace string

	WorkloadUID string // pod sources
	Endpoint    string // pod sources: port and path, such as "8000/metrics"; empty for all endpoints of the pods

	AutoscalerUID string // endpoint sources
	Source        string // endpoint sources: the source key
}

// Source is one metric source of an autoscaler: either a Metric or a Query.
type Source struct {
	Metric      string      // a metric's name, in any of its spellings; used when Query is empty
	Query       string      // may name $window as a range
	Dialect     Dialect     // of Query
	Aggregation Aggregation // of Metric
}

// Bound is a source made into one PromQL expression whose every selector carries its owner's matchers.
// It is immutable and safe for concurrent use.
type Bound struct {
	owner    Owner
	matchers []*labels.Matcher // the owner's
	text     string            // canonical PromQL, with $window where the range goes
	windowed bool
	metrics  []string // sorted; presence refers to them by index
	presence *presence
}

// Bind makes src an expression that can read owner's series alone. lookup gives what is known about a metric name, and may be nil.
// Only a metric stands for all of its spellings; a query reads the names it has, since an `or` put into it could change what it means.
// The error says which selector, function or label is at fault and how to mend it.
func Bind(src Source, owner Owner, lookup Lookup) (*Bound, error) {
	matchers, err := owner.matchers()
	if err != nil {
		return nil, fmt.Errorf("bind source: %w", err)
	}
	text, subject, err := sourceText(src, owner, lookup)
	if err != nil {
		return nil, err
	}
	expr, windows, err := parseWithWindow(text)
	if err != nil {
		return nil, fmt.Errorf("bind %s: %w", subject, err)
	}
	if err := bindSelectors(expr, matchers); err != nil {
		return nil, fmt.Errorf("bind %s: %w", subject, err)
	}
	if err := checkResult(expr, owner); err != nil {
		return nil, fmt.Errorf("bind %s: %w", subject, err)
	}
	b := &Bound{owner: owner, matchers: matchers, windowed: windows > 0, metrics: metricNames(expr)}
	b.presence = presenceOf(expr, b.metrics)
	b.text = replaceOutsideStrings(expr.String(), windowRendered, windowName)
	if _, _, err := parseWithWindow(b.text); err != nil {
		return nil, fmt.Errorf("bind %s: its canonical form %q does not parse again (write it more simply): %w", subject, b.text, err)
	}
	return b, nil
}

// sourceText gives a source's PromQL before binding, and what to call the source in errors.
func sourceText(src Source, owner Owner, lookup Lookup) (text, subject string, err error) {
	switch {
	case src.Metric == "" && src.Query == "":
		return "", "", errors.New("bind source: it names neither a metric nor a query: set one of them")
	case src.Query == "":
		text, err := metricText(src, owner, lookup)
		if err != nil {
			return "", "", fmt.Errorf("bind metric %q: %w", src.Metric, err)
		}
		return text, fmt.Sprintf("metric %q", src.Metric), nil
	case len(src.Query) > maxQueryBytes:
		return "", "", fmt.Errorf("bind query: it has %d bytes, %d are allowed", len(src.Query), maxQueryBytes)
	}
	subject = fmt.Sprintf("query %q", src.Query)
	switch src.Dialect {
	case "", PromQL:
		return src.Query, subject, nil
	case MetricsQL:
		text, err := translate(src.Query)
		if err != nil {
			return "", "", fmt.Errorf("bind MetricsQL %s: %w", subject, err)
		}
		return text, "MetricsQL " + subject, nil
	}
	return "", "", fmt.Errorf("bind %s: unknown dialect %q (%s or %s)", subject, src.Dialect, PromQL, MetricsQL)
}

// matchers gives the equality matchers that every selector of the owner must carry, in the order of their names.
func (o Owner) matchers() ([]*labels.Matcher, error) {
	type pair struct{ name, value string }
	var pairs []pair
	switch {
	case o.WorkloadUID != "" && o.AutoscalerUID != "":
		return nil, errors.New("the owner is both a workload and an endpoint source: set workload UID or autoscaler UID, not both")
	case o.WorkloadUID != "":
		pairs = []pair{{labelNamespace, o.Namespace}, {labelWorkloadUID, o.WorkloadUID}}
		if o.Endpoint != "" {
			pairs = append(pairs, pair{labelEndpoint, o.Endpoint})
		}
	default:
		pairs = []pair{{labelNamespace, o.Namespace}, {labelAutoscalerUID, o.AutoscalerUID}, {labelSource, o.Source}}
	}
	ms := make([]*labels.Matcher, 0, len(pairs))
	for _, p := range pairs {
		if p.value == "" { // an empty value would match every series without the label
			return nil, fmt.Errorf("the owner has no %s: without it the source could read series of others", p.name)
		}
		ms = append(ms, labels.MustNewMatcher(labels.MatchEqual, p.name, p.value))
	}
	slices.SortFunc(ms, func(a, b *labels.Matcher) int { return strings.Compare(a.Name, b.Name) })
	return ms, nil
}

// ofPods says that the owner is a workload, whose pods are expected to report.
func (o Owner) ofPods() bool { return o.WorkloadUID != "" }

// Metrics gives the sorted names of the metrics that the expression reads.
func (b *Bound) Metrics() []string { return slices.Clone(b.metrics) }

// String gives the bound expression as canonical PromQL. A range that follows the window is written $window.
func (b *Bound) String() string { return b.text }

// Windowed says that the expression names $window: it is evaluated once, with the range put in. Any other expression is
// evaluated at every second of the range and averaged.
func (b *Bound) Windowed() bool { return b.windowed }

// newParser gives the one PromQL dialect of the package: Prometheus's, without experimental functions.
func newParser() parser.Parser { return parser.NewParser(parser.Options{}) }
