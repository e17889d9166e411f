package query

import (
	"fmt"
	"slices"
	"strings"

	"github.com/VictoriaMetrics/metricsql"
	"github.com/prometheus/prometheus/promql/parser"
)

// term is translated PromQL, and the shortest PromQL that has the same type and shape. How operands match depends on their shapes;
// from probes these follow without parsing what is inside again and again.
type term struct{ text, probe string }

// The probes: one for each type and shape that matters.
const (
	probeScalar = "1"
	probeBare   = "sum(m)"
	probeOne    = "topk(1, m)"
	probeByLe   = "sum by (le) (m)"
	probeMany   = "m"
)

// compose writes a node from its parts.
func compose(parts []term, write func(parts []string) string) term {
	texts, probes := make([]string, len(parts)), make([]string, len(parts))
	for i, p := range parts {
		texts[i], probes[i] = p.text, p.probe
	}
	return term{text: write(texts), probe: probeOf(write(probes))}
}

// probeOf reduces an expression to its probe. One that does not parse is reported when the whole is bound.
func probeOf(text string) string {
	expr, err := newParser().ParseExpr(text)
	switch {
	case err != nil:
		return probeMany
	case expr.Type() == parser.ValueTypeScalar:
		return probeScalar
	case onlyByLe(expr):
		return probeByLe
	}
	return map[shape]string{bare: probeBare, one: probeOne, many: probeMany}[shapeOf(expr)]
}

func (t term) scalar() bool { return t.probe == probeScalar }

func (t term) bare() bool { return t.probe == probeBare || t.scalar() }

// vector is the term where PromQL wants a vector.
func (t term) vector() term {
	if t.scalar() {
		return term{"vector(" + t.text + ")", probeBare}
	}
	return t
}

// infix writes a binary operation.
func infix(left term, operator string, right term) term {
	return compose([]term{left, right}, func(p []string) string { return "(" + p[0] + " " + operator + " " + p[1] + ")" })
}

func translateBinary(e *metricsql.BinaryOpExpr) (term, error) {
	op := strings.ToLower(e.Op)
	switch {
	case e.KeepMetricNames:
		return term{}, refuse("keep_metric_names", "PromQL has nothing like it")
	case e.JoinModifierPrefix != nil:
		return term{}, refuse(e.JoinModifier.Op+" prefix", "PromQL has nothing like it")
	case slices.Contains(e.JoinModifier.Args, "*"), slices.Contains(e.GroupModifier.Args, "*"):
		return term{}, refuse(e.JoinModifier.Op+" (*)", "PromQL names the labels")
	}
	left, err := translateExpr(e.Left)
	if err != nil {
		return term{}, err
	}
	right, err := translateExpr(e.Right)
	if err != nil {
		return term{}, err
	}
	matching := modifier(e.GroupModifier) + modifier(e.JoinModifier)
	switch op {
	case "default":
		return translateDefault(left, right, matching)
	case "if", "ifnot", "and", "or", "unless":
		if err := sameShape(op, left, right, matching, "on ()"); err != nil {
			return term{}, err
		}
		word := map[string]string{"if": "and", "ifnot": "unless"}[op]
		if word == "" {
			word = op
		}
		return infix(left.vector(), word+matching, right.vector()), nil
	}
	if !left.scalar() && !right.scalar() {
		if err := sameShape(op, left, right, matching, "on () group_left () or on () group_right ()"); err != nil {
			return term{}, err
		}
	}
	if e.Bool {
		op += " bool"
	}
	return infix(left, op+matching, right), nil
}

// translateDefault: at an instant, q1 default q2 is q1, or all of q2 where q1 is empty. That is known for a constant, and for
// two single series without labels; how labels are matched otherwise is MetricsQL's own.
func translateDefault(left, right term, matching string) (term, error) {
	switch {
	case matching != "":
		return term{}, refuse("default"+matching, "PromQL's or keeps other series")
	case left.scalar():
		return term{}, refuse("default", "its left side is a scalar, which PromQL never finds empty: leave scalar() away")
	case right.scalar(), left.bare() && right.bare():
		return infix(left, "or on ()", right.vector()), nil
	}
	return term{}, refuse("default", "only a constant, or two sides without labels such as sum(…), are PromQL's")
}

// sameShape refuses to match a single series without labels with series that have some: there it goes with every one of them,
// in PromQL with none.
func sameShape(op string, left, right term, matching, fix string) error {
	if matching != "" || left.bare() == right.bare() {
		return nil
	}
	return fmt.Errorf("%s: one side has no labels; in MetricsQL it goes with every series of the other, in PromQL with none: write %s %s",
		op, op, fix)
}
