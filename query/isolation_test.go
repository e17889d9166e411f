package query

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"pgregory.net/rapid"
)

// recorder is a storage that writes down what is selected.
type recorder struct {
	storage.Queryable
	mu       sync.Mutex
	selected [][]*labels.Matcher
	series   []labels.Labels
}

func (r *recorder) Querier(mint, maxt int64) (storage.Querier, error) {
	q, err := r.Queryable.Querier(mint, maxt)
	return recordingQuerier{q, r}, err
}

type recordingQuerier struct {
	storage.Querier
	to *recorder
}

func (q recordingQuerier) Select(ctx context.Context, sorted bool, h *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	q.to.mu.Lock()
	defer q.to.mu.Unlock()
	q.to.selected = append(q.to.selected, slices.Clone(ms))
	return recordingSet{q.Querier.Select(ctx, sorted, h, ms...), q.to}
}

type recordingSet struct {
	storage.SeriesSet
	to *recorder
}

func (s recordingSet) At() storage.Series {
	series := s.SeriesSet.At()
	s.to.mu.Lock()
	defer s.to.mu.Unlock()
	s.to.series = append(s.to.series, series.Labels())
	return series
}

// hasMatchers says whether a selection carries the owner's matchers; readiness has no endpoint.
func hasMatchers(ms []*labels.Matcher, owner Owner) error {
	want := map[string]string{"namespace": owner.Namespace}
	if owner.ofPods() {
		want["workload_uid"] = owner.WorkloadUID
		want["endpoint"] = owner.Endpoint
	} else {
		want["autoscaler_uid"] = owner.AutoscalerUID
		want["source"] = owner.Source
	}
	for _, m := range ms {
		if m.Name == model.MetricNameLabel && m.Value == metricReady || owner.Endpoint == "" {
			delete(want, "endpoint")
		}
	}
	for _, m := range ms {
		if m.Type == labels.MatchEqual && want[m.Name] == m.Value {
			delete(want, m.Name)
		}
	}
	if len(want) > 0 {
		return fmt.Errorf("selection %v lacks %v", ms, want)
	}
	return nil
}

var isolationOwners = []Owner{
	chat,
	{Namespace: "prod", WorkloadUID: "w-other", Endpoint: "8000/metrics"},
	{Namespace: "test", WorkloadUID: "w-test"},
	{Namespace: "prod", AutoscalerUID: "a-1", Source: "s1"},
	{Namespace: "prod", AutoscalerUID: "a-2", Source: "s1"},
	{Namespace: "test", AutoscalerUID: "a-1", Source: "s2"},
}

func isolationWorld(t testing.TB) *world {
	var story strings.Builder
	for i, o := range isolationOwners {
		id := fmt.Sprintf(`namespace=%q,workload_uid=%q,pod="p",pod_uid="u%d"`, o.Namespace, o.WorkloadUID, i)
		if !o.ofPods() {
			id = fmt.Sprintf(`namespace=%q,autoscaler_uid=%q,source=%q`, o.Namespace, o.AutoscalerUID, o.Source)
		}
		for _, metric := range []string{"x", "y", "up", metricReady} {
			fmt.Fprintf(&story, "%s{%s}: 1*11\n", metric, id)
		}
	}
	return newWorld(t).load(0, s, story.String())
}

// genQuery makes PromQL that tries to get out: matchers on identity, joins, relabelling, or, subqueries.
func genQuery(t *rapid.T, depth int) string {
	pick := func(label string, of ...string) string { return rapid.SampledFrom(of).Draw(t, label) }
	selector := func() string {
		m := pick("matcher", "", `{a="b"}`, `{namespace="prod"}`, `{namespace="test"}`, `{namespace=~".+"}`, `{workload_uid=~"w-chat|w-other"}`,
			`{pod=~".*"}`, `{autoscaler_uid!=""}`, `{source="s1"}`, `{endpoint=~"8000/metrics"}`, `{workload_uid=""}`)
		name := pick("metric", "x", "y", "up", metricReady, "")
		if name == "" && m == "" {
			m = `{__name__=~".+"}`
		}
		return name + m
	}
	if depth == 0 {
		return selector()
	}
	sub := func() string { return genQuery(t, depth-1) }
	switch pick("form", "selector", "sum", "by", "rate", "or", "and", "left", "replace", "join", "subquery", "offset", "param", "at", "absent") {
	case "sum":
		return "sum(" + sub() + ")"
	case "by":
		return "sum by (namespace, workload_uid) (" + sub() + ")"
	case "rate":
		return "rate(" + selector() + "[" + pick("range", "$window", "5s", "1h") + "])"
	case "or":
		return "(" + sub() + " or " + sub() + ")"
	case "and":
		return "(" + sub() + " and on () " + sub() + ")"
	case "left":
		return "(" + sub() + " * on (pod) group_left (namespace) " + sub() + ")"
	case "replace":
		return `label_replace(` + sub() + `, "namespace", "test", "", "")`
	case "join":
		return `label_join(` + sub() + `, "workload_uid", "", "pod")`
	case "subquery":
		return "max_over_time((" + sub() + ")[5s:1s])"
	case "offset":
		return selector() + " offset " + pick("offset", "1s", "-1s")
	case "param":
		return "topk(scalar(" + sub() + "), " + sub() + ")"
	case "at":
		return selector() + " @ end()"
	case "absent":
		return "absent(" + sub() + ")"
	}
	return selector()
}

// Whatever a query says: if it binds, every selection carries its owner's matchers, and no series of another owner is read.
func TestNoQueryReadsAnotherOwner(t *testing.T) {
	w := isolationWorld(t)
	e := New(Options{})
	bound := 0
	rapid.Check(t, func(t *rapid.T) {
		owner := rapid.SampledFrom(isolationOwners).Draw(t, "owner")
		query := "sum(" + genQuery(t, rapid.IntRange(0, 3).Draw(t, "depth")) + ")"
		b, err := Bind(Source{Query: query}, owner, nil)
		if err != nil {
			return
		}
		bound++
		r := &recorder{Queryable: w.store}
		_, _ = e.Windows(context.Background(), r, b, noon.Add(10*s), 10*s, 3*s) // a failed join is no concern here
		if len(r.selected) == 0 {
			t.Fatalf("%s selected nothing", b)
		}
		for _, ms := range r.selected {
			if err := hasMatchers(ms, owner); err != nil {
				t.Fatalf("%s: %v", b, err)
			}
		}
		for _, lset := range r.series {
			if lset.Get("namespace") != owner.Namespace || lset.Get("workload_uid") != owner.WorkloadUID ||
				lset.Get("autoscaler_uid") != owner.AutoscalerUID || owner.Source != "" && lset.Get("source") != owner.Source {
				t.Fatalf("%s of %+v read %s", b, owner, lset)
			}
		}
	})
	if bound == 0 {
		t.Error("no query was bound, so nothing was tested")
	}
}

// checkBound says that every selector of a bound expression has a literal name and the owner's matchers, and reads only what is past.
func checkBound(b *Bound, owner Owner) error {
	expr, _, err := parseWithWindow(b.String())
	if err != nil {
		return err
	}
	var failed error
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		if v, ok := n.(*parser.VectorSelector); ok {
			if literalName(v) == "" || v.Timestamp != nil || v.StartOrEnd != 0 || v.OriginalOffset < 0 {
				failed = fmt.Errorf("selector %s", v)
			} else if err := hasMatchers(v.LabelMatchers, owner); err != nil {
				failed = err
			}
		}
		return nil
	})
	return failed
}

func FuzzBindPromQL(f *testing.F) {
	for _, seed := range []string{
		`sum(x)`, `sum(rate(x{a="b"}[$window])) or vector(0)`, `histogram_quantile(0.9, sum by (le) (rate(x_bucket[5m])))`,
		`sum({"a b", namespace="other"})`, `sum(x @ end())`, `max_over_time(sum(x)[5m:1s] offset -1s)`, `sum(x) # '$window`,
		"sum(x{a=`$window`})", `sum(x{__name__="y"})`, `sum({__name__="x",__name__="y"})`, `"$window"`, `sum(rate(x[5m] smoothed))`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) { fuzzBind(t, query, PromQL) })
}

func FuzzBindMetricsQL(f *testing.F) {
	for _, seed := range []string{
		`WITH (w = 5m, f = {a="b"}) sum(avg_over_time(x{f}[w]))`, `sum(x{a="1" or b="2"}) default 0`, `sum(x) if sum(y) > 1Ki`,
		`median_over_time(x[60])`, `rate(x[$window])`, `WITH (f(a) = a + a) f(f(f(sum(x))))`, `ru(sum(x), sum(y))`, `sum(x) keep_metric_names`,
		`sum(x[1i])`, `union(x, y)`, `(x, y)`, `sum({"x"})`, `sum(a\-b)`, `WITH (x = "a" + "b") sum(y{a=x})`, `sum(x offset 5)`, `-sum(x)`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) { fuzzBind(t, query, MetricsQL) })
}

func fuzzBind(t *testing.T, query string, dialect Dialect) {
	for _, owner := range []Owner{chat, isolationOwners[3]} {
		b, err := Bind(Source{Query: query, Dialect: dialect}, owner, pack)
		if err != nil {
			continue
		}
		if err := checkBound(b, owner); err != nil {
			t.Errorf("%q bound as %s: %v", query, b, err)
		}
	}
}

func FuzzBindMetric(f *testing.F) {
	for _, seed := range []string{"x", "vllm:num_requests_waiting", "x_total", "x_count", "a.b", `x"} or sum(y`, "\xff", "$window"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		b, err := Bind(Source{Metric: name}, chat, pack)
		if err != nil {
			return
		}
		if err := checkBound(b, chat); err != nil {
			t.Errorf("%q bound as %s: %v", name, b, err)
		}
	})
}
