package query

import (
	"errors"
	"slices"

	"github.com/prometheus/prometheus/promql/parser"
)

// shape is how many series an instant vector can have, as far as its expression tells.
type shape int

const (
	bare shape = iota // at most one series, without labels
	one               // at most one series
	many              // any number
)

// checkResult refuses expressions that can't come out as one number per time.
func checkResult(expr parser.Expr, owner Owner) error {
	switch expr.Type() {
	case parser.ValueTypeMatrix:
		return errors.New("it gives a range, not a value: put a function around it, such as avg_over_time or rate")
	case parser.ValueTypeString:
		return errors.New("it gives a string, not a value")
	case parser.ValueTypeScalar:
		return errors.New("it gives a scalar, which is NaN where data is missing: leave scalar() away, use sum() or max()")
	}
	// An endpoint serves what its author chose to, often one series; pods are many as soon as the workload grows.
	if owner.ofPods() && shapeOf(expr) == many {
		return errors.New("it may give one series per pod, where one number is needed: aggregate it, for example sum(…), avg(…) or max(…)")
	}
	return nil
}

// shapeOf is an upper bound: an expression said to be one or bare never has more.
func shapeOf(expr parser.Expr) shape {
	switch e := expr.(type) {
	case *parser.NumberLiteral:
		return bare
	case *parser.ParenExpr:
		return shapeOf(e.Expr)
	case *parser.UnaryExpr:
		return shapeOf(e.Expr)
	case *parser.SubqueryExpr:
		return shapeOf(e.Expr)
	case *parser.AggregateExpr:
		return shapeOfAggregate(e)
	case *parser.Call:
		return shapeOfCall(e)
	case *parser.BinaryExpr:
		return shapeOfBinary(e)
	}
	return many // selectors
}

func shapeOfAggregate(e *parser.AggregateExpr) shape {
	inner := shapeOf(e.Expr)
	switch {
	case inner == bare && e.Op == parser.COUNT_VALUES:
		return one
	case inner == bare, inner == one && (e.Without || len(e.Grouping) > 0):
		return inner
	case e.Without || len(e.Grouping) > 0:
		return many
	}
	switch e.Op {
	case parser.COUNT_VALUES, parser.LIMIT_RATIO:
		return many
	case parser.TOPK, parser.BOTTOMK, parser.LIMITK:
		if n, ok := e.Param.(*parser.NumberLiteral); ok && n.Val < 2 {
			return one
		}
		return many
	}
	return bare
}

func shapeOfCall(e *parser.Call) shape {
	if e.Func.ReturnType == parser.ValueTypeScalar {
		return bare
	}
	result := bare // vector(1), hour()
	for _, arg := range e.Args {
		switch arg.Type() {
		case parser.ValueTypeVector, parser.ValueTypeMatrix:
			result = shapeOf(arg)
			if e.Func.Name == "histogram_quantile" && onlyByLe(arg) {
				result = bare // le is used up
			}
		}
	}
	if (e.Func.Name == "label_replace" || e.Func.Name == "label_join") && result == bare {
		return one
	}
	return result
}

// onlyByLe says that an expression is an aggregation of buckets that keeps no other label.
func onlyByLe(expr parser.Expr) bool {
	if p, ok := expr.(*parser.ParenExpr); ok {
		return onlyByLe(p.Expr)
	}
	a, ok := expr.(*parser.AggregateExpr)
	if !ok || a.Without {
		return false
	}
	sums := []parser.ItemType{parser.SUM, parser.AVG, parser.MIN, parser.MAX}
	return slices.Contains(sums, a.Op) && slices.Equal(slices.Compact(slices.Clone(a.Grouping)), []string{"le"})
}

func shapeOfBinary(e *parser.BinaryExpr) shape {
	left, right := shapeOf(e.LHS), shapeOf(e.RHS)
	switch {
	case e.RHS.Type() == parser.ValueTypeScalar:
		return left
	case e.LHS.Type() == parser.ValueTypeScalar:
		return right
	case e.Op == parser.LAND, e.Op == parser.LUNLESS:
		return left
	case e.Op == parser.LOR:
		exclusive := e.VectorMatching.On && len(e.VectorMatching.MatchingLabels) == 0 // the right side only where the left is empty
		switch {
		case left == bare && right == bare:
			return bare
		case exclusive:
			return max(left, right)
		}
		return many
	}
	switch e.VectorMatching.Card {
	case parser.CardManyToOne:
		return withIncluded(left, e.VectorMatching.Include)
	case parser.CardOneToMany:
		return withIncluded(right, e.VectorMatching.Include)
	}
	if e.VectorMatching.On && len(e.VectorMatching.MatchingLabels) == 0 {
		return bare // anything more is an error of evaluation
	}
	return min(left, right)
}

func withIncluded(s shape, include []string) shape {
	if s == bare && len(include) > 0 {
		return one
	}
	return s
}
