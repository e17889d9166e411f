package query

import (
	"math"
	"slices"

	"github.com/prometheus/prometheus/promql/parser"
)

// never is the time of a sample that was not found.
const never = math.MinInt64

// presenceKind says how the parts of a presence combine.
type presenceKind int

const (
	isMetric presenceKind = iota // the pod has a sample of the metric
	allOf                        // every part is there
	eitherOf                     // some part is there, pod by pod: sum(new or old)
	firstOf                      // the first part that any pod has, for the whole fleet: sum(new) or sum(old)
)

// presence is the condition under which a pod counts as reporting to an expression. It asks for metrics by name and owner only:
// a label that the user selects may come into being later, and its absence is no silence. It looks at the present, whatever offset
// or range a selector has: the question is whether the exporter delivers.
//
// An operand without a selector, as vector(0) in (x or vector(0)), is no presence, so a constant can't stand in for data.
type presence struct {
	kind   presenceKind
	metric int // index in Bound.metrics; isMetric only
	parts  []*presence
}

// presenceOf derives the condition from an expression; nil when it has no selector.
func presenceOf(expr parser.Node, metrics []string) *presence {
	switch e := expr.(type) {
	case *parser.VectorSelector:
		i, _ := slices.BinarySearch(metrics, literalName(e))
		return &presence{kind: isMetric, metric: i}
	case *parser.BinaryExpr:
		if e.Op == parser.LOR {
			kind := firstOf
			if matchesPods(e.VectorMatching) && keepsPods(e.LHS) && keepsPods(e.RHS) {
				kind = eitherOf
			}
			return combine(kind, presenceOf(e.LHS, metrics), presenceOf(e.RHS, metrics))
		}
	}
	var parts []*presence
	for child := range parser.ChildrenIter(expr) {
		parts = append(parts, presenceOf(child, metrics))
	}
	return combine(allOf, parts...)
}

// combine joins parts, flat and each metric once: a query may name one metric many times.
func combine(kind presenceKind, parts ...*presence) *presence {
	var flat []*presence
	for _, p := range parts {
		same := []*presence{p}
		switch {
		case p == nil:
			continue
		case p.kind == kind:
			same = p.parts
		}
		for _, q := range same {
			if !slices.ContainsFunc(flat, func(o *presence) bool { return o.kind == isMetric && q.kind == isMetric && o.metric == q.metric }) {
				flat = append(flat, q)
			}
		}
	}
	switch len(flat) {
	case 0:
		return nil
	case 1:
		return flat[0]
	}
	return &presence{kind: kind, parts: flat}
}

// keepsPods says that the series of expr are still apart by pod, so that an `or` above it chooses pod by pod.
func keepsPods(expr parser.Node) bool {
	switch e := expr.(type) {
	case *parser.AggregateExpr:
		reduces := !slices.Contains([]parser.ItemType{parser.TOPK, parser.BOTTOMK, parser.LIMITK, parser.LIMIT_RATIO}, e.Op)
		if reduces && namesPods(e.Grouping) == e.Without {
			return false
		}
		return keepsPods(e.Expr)
	case *parser.BinaryExpr:
		m := e.VectorMatching
		if m != nil && m.Card == parser.CardOneToOne && !matchesPods(m) {
			return false
		}
	case *parser.Call:
		if len(e.Args) == 1 && e.Args[0].Type() == parser.ValueTypeScalar { // vector(0)
			return false
		}
	}
	for child := range parser.ChildrenIter(expr) {
		if !keepsPods(child) {
			return false
		}
	}
	return true
}

// matchesPods says that two vectors are matched pod by pod.
func matchesPods(m *parser.VectorMatching) bool { return m.On == namesPods(m.MatchingLabels) }

func namesPods(names []string) bool {
	return slices.Contains(names, labelPodUID) || slices.Contains(names, labelPod)
}

// ofFleet says that whether one pod reports depends on the others.
func (p *presence) ofFleet() bool {
	return p.kind == firstOf || slices.ContainsFunc(p.parts, (*presence).ofFleet)
}

// reports is a presence evaluated: when each pod reported, and its newest sample.
type reports struct {
	rows    [][]bool // per pod of the facts, per grid point
	newest  []int64  // per pod, ms; the worst over what is needed; never
	overall int64    // of the source, ms: newest over pods, worst over what is needed; never
}

// eval applies the condition to what was read.
func (p *presence) eval(f *facts) reports {
	if p.kind == isMetric {
		r := reports{overall: never}
		for _, pod := range f.pods {
			r.rows = append(r.rows, pod.reports[p.metric])
			r.newest = append(r.newest, pod.newest[p.metric])
			r.overall = max(r.overall, pod.newest[p.metric])
		}
		return r
	}
	parts := make([]reports, len(p.parts))
	for i, part := range p.parts {
		parts[i] = part.eval(f)
	}
	if p.kind == firstOf {
		return firstReports(parts, f)
	}
	return mergeReports(parts, f, p.kind == allOf)
}

// mergeReports joins parts pod by pod: all of them, or any.
func mergeReports(parts []reports, f *facts, all bool) reports {
	pick := func(a, b int64) int64 {
		if all {
			return min(a, b)
		}
		return max(a, b)
	}
	out := reports{rows: make([][]bool, len(f.pods)), newest: slices.Clone(parts[0].newest), overall: parts[0].overall}
	for pod := range f.pods {
		row := slices.Clone(parts[0].rows[pod])
		for _, part := range parts[1:] {
			for i, has := range part.rows[pod] {
				row[i] = all && row[i] && has || !all && (row[i] || has)
			}
			out.newest[pod] = pick(out.newest[pod], part.newest[pod])
		}
		out.rows[pod] = row
	}
	for _, part := range parts[1:] {
		out.overall = pick(out.overall, part.overall)
	}
	return out
}

// firstReports takes, at each grid point, the first part that any pod has.
func firstReports(parts []reports, f *facts) reports {
	out := mergeReports(parts, f, false)
	for i := range f.grid.n {
		for _, part := range parts {
			if !anyAt(part.rows, i) {
				continue
			}
			for pod := range f.pods {
				out.rows[pod][i] = part.rows[pod][i]
			}
			if i == f.grid.n-1 {
				out.newest = part.newest
			}
			break
		}
	}
	return out
}

func anyAt(rows [][]bool, i int) bool {
	return slices.ContainsFunc(rows, func(row []bool) bool { return row[i] })
}
