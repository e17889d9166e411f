package query

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/VictoriaMetrics/metricsql"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql/parser"
)

// MetricsQL is translated, not evaluated: what has exactly one PromQL meaning at an instant becomes that PromQL, everything else
// is refused by name. One difference stays, and is on the safe side: MetricsQL drops NaN between steps (0/0 of one pod), PromQL
// carries it through a sum, where it means that there is no value.

// sameRollups are functions over m[d] that mean the same in both languages: they see the samples in (t-d, t] and no other.
var sameRollups = names(`avg_over_time count_over_time deriv last_over_time max_over_time min_over_time predict_linear
	present_over_time quantile_over_time stddev_over_time stdvar_over_time sum_over_time`)

// sameFunctions are functions of instants that mean the same in both languages. round is not among them: halves go away from zero there.
var sameFunctions = names(`abs acos acosh asin asinh atan atanh ceil clamp clamp_max clamp_min cos cosh day_of_month day_of_week
	day_of_year days_in_month deg exp floor histogram_quantile hour label_join label_replace ln log10 log2 minute month pi rad
	scalar sgn sin sinh sort sort_desc sqrt tan tanh time vector year`)

// sameAggregates are aggregations that mean the same in both languages, with the number of their arguments.
var sameAggregates = map[string]int{
	"sum": 1, "avg": 1, "min": 1, "max": 1, "count": 1, "group": 1, "stddev": 1, "stdvar": 1,
	"quantile": 2, "topk": 2, "bottomk": 2,
}

// deltaFunctions look at the sample before the window, and don't extrapolate to its ends; PromQL's of the same name do the opposite.
var deltaFunctions = names(`rate increase delta changes resets irate idelta ideriv deriv_fast increase_pure rate_prometheus
	increase_prometheus delta_prometheus changes_prometheus increases_over_time decreases_over_time ascent_over_time
	descent_over_time rate_over_sum integrate lag lifetime`)

func names(list string) map[string]bool {
	set := map[string]bool{}
	for _, name := range strings.Fields(list) {
		set[name] = true
	}
	return set
}

// translate turns MetricsQL into the PromQL that means exactly the same at an instant. $window stays $window.
func translate(query string) (text string, err error) {
	if strings.Contains(query, windowLiteral) {
		return "", fmt.Errorf("the duration %s is reserved: use another", windowLiteral)
	}
	if err := checkTemplates(query); err != nil {
		return "", err
	}
	expr, err := parseMetricsQL(replaceOutsideStrings(query, windowName, windowLiteral))
	if err != nil {
		return "", err
	}
	out, err := translateExpr(expr)
	if err != nil {
		return "", err
	}
	if len(out.text) > 4*maxQueryBytes {
		return "", fmt.Errorf("with its WITH templates expanded it has %d bytes, %d are allowed", len(out.text), 4*maxQueryBytes)
	}
	return out.text, nil
}

// parseMetricsQL guards the parser: it panics on some inputs that it takes for impossible, and what a manifest says must not end the process.
func parseMetricsQL(query string) (expr metricsql.Expr, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("parse MetricsQL: %v", r)
		}
	}()
	if expr, err = metricsql.Parse(query); err != nil {
		return nil, fmt.Errorf("parse MetricsQL: %s", strings.ReplaceAll(err.Error(), windowLiteral, windowName))
	}
	return expr, nil
}

func translateExpr(expr metricsql.Expr) (term, error) {
	switch e := expr.(type) {
	case *metricsql.NumberExpr:
		return term{number(e.N), probeScalar}, nil
	case *metricsql.StringExpr:
		return term{strconv.Quote(e.S), strconv.Quote(e.S)}, nil
	case *metricsql.DurationExpr: // as a number it is its seconds
		text, err := duration(e)
		if err == nil && text != windowName {
			text = number(float64(e.Duration(1)) / 1000)
		}
		return term{text, probeScalar}, err
	case *metricsql.MetricExpr:
		return perBranch(e, func(sel string) string { return sel })
	case *metricsql.RollupExpr:
		return translateOffset(e)
	case *metricsql.FuncExpr:
		return translateFunc(e)
	case *metricsql.AggrFuncExpr:
		return translateAggregate(e)
	case *metricsql.BinaryOpExpr:
		return translateBinary(e)
	}
	return term{}, refuse(string(expr.AppendString(nil)), "it has no PromQL meaning")
}

func refuse(what, why string) error {
	return fmt.Errorf("%s: %s; it needs a VictoriaMetrics backend, or other words", what, why)
}

func number(v float64) string {
	if v < 0 || math.Signbit(v) {
		return "(" + strconv.FormatFloat(v, 'g', -1, 64) + ")"
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// duration writes a range or an offset; one without a unit is in seconds.
func duration(d *metricsql.DurationExpr) (string, error) {
	text := string(d.AppendString(nil))
	if text == windowLiteral {
		return windowName, nil
	}
	if d.Duration(1000) != d.Duration(2000) {
		return "", refuse(text, "a duration in steps has no meaning here, since a decision has no step: write it in seconds")
	}
	return fmt.Sprintf("%dms", d.Duration(1)), nil
}

// perBranch writes one selector per or-group and joins them. All groups name one metric, so that no two different series have the
// same labels and `or` joins exactly.
func perBranch(m *metricsql.MetricExpr, wrap func(selector string) string) (term, error) {
	var branches []string
	metric := ""
	for i, group := range m.LabelFilterss {
		sel, name, err := selector(group)
		if err != nil {
			return term{}, err
		}
		if i > 0 && name != metric {
			return term{}, refuse(string(m.AppendString(nil)), "an or-filter over several metric names keeps series that PromQL's or would drop")
		}
		metric = name
		branches = append(branches, wrap(sel))
	}
	if len(branches) == 1 {
		return term{branches[0], probeMany}, nil
	}
	return term{"(" + strings.Join(branches, " or ") + ")", probeMany}, nil
}

// selector writes one group of filters, and tells the metric name that it spells out.
func selector(group []metricsql.LabelFilter) (text, name string, err error) {
	var matchers []string
	for _, f := range group {
		if f.Label == model.MetricNameLabel && !f.IsNegative && !f.IsRegexp && name == "" {
			name = f.Value
			continue
		}
		op := map[[2]bool]string{{false, false}: "=", {true, false}: "!=", {false, true}: "=~", {true, true}: "!~"}[[2]bool{f.IsNegative, f.IsRegexp}]
		matchers = append(matchers, labelName(f.Label)+op+strconv.Quote(f.Value))
	}
	text = name
	if name != "" && !model.LegacyValidation.IsValidMetricName(name) {
		text, matchers = "", append([]string{strconv.Quote(name)}, matchers...)
	}
	if len(matchers) > 0 || text == "" {
		text += "{" + strings.Join(matchers, ",") + "}"
	}
	return text, name, nil
}

func labelName(name string) string {
	if model.LegacyValidation.IsValidLabelName(name) {
		return name
	}
	return strconv.Quote(name)
}

// translateOffset translates what stands outside a function: a selector with an offset.
func translateOffset(e *metricsql.RollupExpr) (term, error) {
	written := string(e.AppendString(nil))
	if e.Window != nil || e.Step != nil || e.InheritStep {
		return term{}, refuse(written, "a range without a function is default_rollup: name the function")
	}
	m, suffix, err := rollupParts(e)
	if err != nil {
		return term{}, err
	}
	return perBranch(m, func(sel string) string { return sel + suffix })
}

// rollupParts splits m[d] offset o into the selector and what follows it.
func rollupParts(e *metricsql.RollupExpr) (*metricsql.MetricExpr, string, error) {
	written := strings.ReplaceAll(string(e.AppendString(nil)), windowLiteral, windowName)
	m, ok := e.Expr.(*metricsql.MetricExpr)
	switch {
	case e.At != nil:
		return nil, "", refuse(written, "@ pins the query to a fixed time")
	case !ok, e.Step != nil, e.InheritStep:
		return nil, "", refuse(written, "a subquery's steps differ from PromQL's: write it in PromQL")
	}
	suffix := ""
	if e.Window != nil {
		d, err := duration(e.Window)
		if err != nil {
			return nil, "", err
		}
		suffix = "[" + d + "]"
	}
	if e.Offset != nil {
		d, err := duration(e.Offset)
		if err != nil {
			return nil, "", err
		}
		suffix += " offset " + d
	}
	return m, suffix, nil
}

func translateFunc(e *metricsql.FuncExpr) (term, error) {
	name := strings.ToLower(e.Name)
	switch {
	case e.KeepMetricNames:
		return term{}, refuse("keep_metric_names", "PromQL has nothing like it")
	case sameRollups[name]:
		return translateRollup(e, func(args []string) string { return name + "(" + strings.Join(args, ", ") + ")" })
	case name == "median_over_time":
		return translateRollup(e, func(args []string) string { return "quantile_over_time(0.5, " + strings.Join(args, ", ") + ")" })
	case name == "range_over_time":
		return translateRollup(e, func(args []string) string {
			m := strings.Join(args, ", ")
			return "(max_over_time(" + m + ") - min_over_time(" + m + "))"
		})
	case deltaFunctions[name]:
		return term{}, fmt.Errorf("%s: in MetricsQL it counts from the sample before the window and does not extrapolate, so it is not PromQL's: "+
			"declare the dialect promql to use PromQL's %s", name, promqlTwin(name))
	case !sameFunctions[name]:
		if name == "" {
			name = "union"
		}
		return term{}, refuse(name, "PromQL has no function that means exactly the same")
	case name == "histogram_quantile" && len(e.Args) != 2:
		return term{}, refuse(name, "only the form with two arguments is PromQL's")
	}
	args, err := translateAll(e.Args)
	if err != nil {
		return term{}, err
	}
	return compose(args, func(args []string) string { return name + "(" + strings.Join(args, ", ") + ")" }), nil
}

// promqlTwin names the PromQL function that someone who wrote name may want.
func promqlTwin(name string) string {
	base := strings.TrimSuffix(strings.TrimSuffix(name, "_prometheus"), "_pure")
	if _, ok := parser.Functions[base]; ok {
		return base
	}
	return "functions"
}

// translateRollup translates a function over m[d]; write puts it around the range once per or-group.
func translateRollup(e *metricsql.FuncExpr, write func(args []string) string) (term, error) {
	at := metricsql.GetRollupArgIdx(e)
	if at < 0 || at >= len(e.Args) {
		return term{}, refuse(e.Name, "it has no range to work on")
	}
	r, ok := e.Args[at].(*metricsql.RollupExpr)
	if !ok || r.Window == nil {
		return term{}, refuse(e.Name, "without a range it means the query's step, and a decision has no step: write m[1m] or m[$window]")
	}
	m, suffix, err := rollupParts(r)
	if err != nil {
		return term{}, err
	}
	args := make([]string, len(e.Args))
	for i, arg := range e.Args {
		if i == at {
			continue
		}
		t, err := translateExpr(arg)
		if err != nil {
			return term{}, err
		}
		args[i] = t.text
	}
	return perBranch(m, func(sel string) string {
		branch := slices.Clone(args)
		branch[at] = sel + suffix
		return write(branch)
	})
}

func translateAll(exprs []metricsql.Expr) ([]term, error) {
	terms := make([]term, len(exprs))
	for i, e := range exprs {
		var err error
		if terms[i], err = translateExpr(e); err != nil {
			return nil, err
		}
	}
	return terms, nil
}

func translateAggregate(e *metricsql.AggrFuncExpr) (term, error) {
	name := strings.ToLower(e.Name)
	args, err := translateAll(e.Args)
	if err != nil {
		return term{}, err
	}
	if name == "median" && len(args) == 1 {
		name, args = "quantile", append([]term{{"0.5", probeScalar}}, args...)
	}
	n, same := sameAggregates[name]
	switch {
	case !same:
		return term{}, refuse(name, "PromQL has no aggregation that means exactly the same")
	case e.Limit > 0:
		return term{}, refuse(name+" limit", "PromQL can't limit the series of an aggregation; topk may do")
	case len(args) != n:
		return term{}, refuse(name, fmt.Sprintf("PromQL takes %d argument(s) here, not %d", n, len(args)))
	}
	return compose(args, func(args []string) string {
		return name + modifier(e.Modifier) + " (" + strings.Join(args, ", ") + ")"
	}), nil
}

// modifier writes by (…), without (…), on (…), ignoring (…), group_left (…) or group_right (…), with a space before.
func modifier(m metricsql.ModifierExpr) string {
	if m.Op == "" {
		return ""
	}
	quoted := make([]string, len(m.Args))
	for i, arg := range m.Args {
		quoted[i] = labelName(arg)
	}
	return " " + strings.ToLower(m.Op) + " (" + strings.Join(quoted, ", ") + ")"
}
