package build

import (
	"fmt"
	"slices"
	"strings"

	"github.com/prometheus/prometheus/promql/parser"
)

// of is a gauge of each autoscaler. Where several instances of flyball are scraped, each has it; they mean the same.
func of(metric, matchers string) string {
	return fmt.Sprintf("max by (namespace, name) (%s{%s})", metric, matchers)
}

// sourceOf is a gauge of each source of each autoscaler.
func sourceOf(metric, matchers string) string {
	return fmt.Sprintf("max by (namespace, name, source) (%s{%s})", metric, matchers)
}

// countsOf are the events of each autoscaler within what one point of the graph covers. All instances see the same events; the most
// that one has seen counts.
func countsOf(metric, matchers, by string) string {
	return fmt.Sprintf("max by (%s) (increase(%s{%s}[$__rate_interval]))", by, metric, matchers)
}

// or0 is zero where the expression has no answer.
func or0(expr string) string { return "(" + expr + ") or vector(0)" }

// loadOf is how much of what its ready pods carry at the target each source is at; 1 is on target.
func loadOf(window, matchers string) string {
	return fmt.Sprintf(`%s / (%s > 0)`, sourceOf("flyball_source_value", matchers+`, window="`+window+`"`), sourceOf("flyball_source_capacity", matchers))
}

// quantile is a quantile of what a histogram has observed lately, for each value of the labels in by (none: of all together).
func quantile(q, rates, by string) string {
	if by != "" {
		by = ", " + by
	}
	return fmt.Sprintf("histogram_quantile(%s, sum by (le%s) (%s))", q, by, rates)
}

func rate(metric, matchers string) string {
	return fmt.Sprintf("rate(%s{%s}[$__rate_interval])", metric, matchers)
}

// variablesOf stand for Grafana's variables where an expression is parsed.
var variablesOf = strings.NewReplacer("$__rate_interval", "1m", "$__range", "1h", "$__interval", "15s")

// parse reads an expression as Grafana would send it.
func parse(expr string) (parser.Expr, error) {
	e, err := parser.NewParser(parser.Options{}).ParseExpr(variablesOf.Replace(expr))
	if err != nil {
		return nil, fmt.Errorf("expression %s: %w", expr, err)
	}
	return e, nil
}

// metricsOf are the names of the metrics that the expressions read, in order. An expression that can't be parsed is a mistake here.
func metricsOf(exprs ...string) []string {
	var names []string
	for _, expr := range exprs {
		e, err := parse(expr)
		if err != nil {
			panic("BUG: " + err.Error())
		}
		parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
			if v, ok := n.(*parser.VectorSelector); ok {
				if v.Name == "" {
					panic("BUG: a selector without the name of a metric: " + expr)
				}
				names = append(names, v.Name)
			}
			return nil
		})
	}
	slices.Sort(names)
	return slices.Compact(names)
}
