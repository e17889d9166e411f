package query

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
)

// bindSelectors checks every node of expr and puts the owner's matchers on every selector, in place.
func bindSelectors(expr parser.Expr, owner []*labels.Matcher) error {
	selectors := 0
	var failed error
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		switch n := n.(type) {
		case *parser.VectorSelector:
			selectors++
			failed = bindSelector(n, owner)
		case *parser.MatrixSelector:
			failed = checkTime(n.String(), n.RangeExpr != nil, 0, false)
		case *parser.SubqueryExpr:
			failed = checkTime(n.String(), n.RangeExpr != nil || n.StepExpr != nil || n.OriginalOffsetExpr != nil,
				n.OriginalOffset, n.Timestamp != nil || n.StartOrEnd != 0)
		case *parser.Call:
			failed = checkCall(n)
		case *parser.AggregateExpr:
			n.Grouping = sorted(n.Grouping)
		case *parser.BinaryExpr:
			if m := n.VectorMatching; m != nil {
				m.MatchingLabels, m.Include = sorted(m.MatchingLabels), sorted(m.Include)
			}
		}
		return failed
	})
	if failed == nil && selectors == 0 && expr.Type() == parser.ValueTypeVector {
		return errors.New("it reads no metric: a constant can't say how much load there is")
	}
	return failed
}

// sorted puts names in the one order that canonical text has them in.
func sorted(names []string) []string {
	slices.Sort(names)
	return slices.Compact(names)
}

// checkCall refuses the functions that make a number out of missing data. (x or vector(0)) needs no refusal: its presence is x's.
func checkCall(c *parser.Call) error {
	switch c.Func.Name {
	case "absent", "absent_over_time":
		return fmt.Errorf("%s has a value only when data is missing, and missing data is never load: leave it away; "+
			"flyball itself notices what is missing", c.Func.Name)
	}
	return nil
}

// checkTime refuses what would read another time than the window's.
func checkTime(node string, computed bool, offset time.Duration, at bool) error {
	switch {
	case computed:
		return fmt.Errorf("%s: write durations as literals such as 5m, or $window", node)
	case at:
		return fmt.Errorf("%s: @ pins the query to a fixed time, so it would never change: use offset", node)
	case offset < 0:
		return fmt.Errorf("%s: a negative offset reads the future: use a positive one", node)
	}
	return nil
}

// bindSelector replaces what the user wrote about the owner's labels by the owner's matchers.
func bindSelector(s *parser.VectorSelector, owner []*labels.Matcher) error {
	written := s.String()
	if err := checkTime(written, s.OriginalOffsetExpr != nil, s.OriginalOffset, s.Timestamp != nil || s.StartOrEnd != 0); err != nil {
		return err
	}
	if s.Smoothed {
		return fmt.Errorf("%s: smoothed reads samples after the evaluation time: leave it away", written)
	}
	name := literalName(s)
	if name == "" {
		return fmt.Errorf("selector %s has no literal metric name, so what it reads can't be told: name the metric", written)
	}
	if model.LegacyValidation.IsValidMetricName(name) {
		s.Name = name
	}
	kept := s.LabelMatchers[:0]
	for _, m := range s.LabelMatchers {
		i := slices.IndexFunc(owner, func(o *labels.Matcher) bool { return o.Name == m.Name })
		if i < 0 {
			kept = append(kept, m)
			continue
		}
		if !onlyMatches(m, owner[i].Value) {
			return fmt.Errorf("selector %s: %s contradicts its owner: flyball binds every selector to %s: remove the matcher",
				written, m, owner[i])
		}
	}
	s.LabelMatchers = append(slices.Clone(kept), owner...)
	return nil
}

// onlyMatches says that m names value and nothing else.
func onlyMatches(m *labels.Matcher, value string) bool {
	switch m.Type {
	case labels.MatchEqual:
		return m.Value == value
	case labels.MatchRegexp:
		return slices.Equal(m.SetMatches(), []string{value})
	}
	return false
}

// literalName is the metric name that a selector spells out; empty when it does not.
func literalName(s *parser.VectorSelector) string {
	for _, m := range s.LabelMatchers {
		if m.Name == model.MetricNameLabel && m.Type == labels.MatchEqual {
			return m.Value
		}
	}
	return s.Name
}

// metricNames gives the sorted names of all metrics that expr reads.
func metricNames(expr parser.Expr) []string {
	var names []string
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		if s, ok := n.(*parser.VectorSelector); ok {
			names = append(names, literalName(s))
		}
		return nil
	})
	slices.Sort(names)
	return slices.Compact(names)
}
