package query

import (
	"math"
	"strings"
	"testing"
	"time"
)

func TestMetricsQLTranslates(t *testing.T) {
	for query, want := range map[string]string{
		`WITH (w = 5m, f = {a="b"}) sum(avg_over_time(x{f, c="d"}[w]))`: `sum(avg_over_time(x{a="b",c="d"}[5m]))`,
		`WITH (total(m) = sum(m)) total(x) / total(y)`:                  `sum(x) / sum(y)`,
		`sum(x,)`:                             `sum(x)`,
		`SUM(x) BY (le,)`:                     `sum by (le) (x)`,
		`sum(x) > 1Ki`:                        `sum(x) > 1024`,
		`sum(x) / 2Mi`:                        `sum(x) / 2.097152e+06`,
		`sum(x) / 1_000`:                      `sum(x) / 1000`,
		`sum(x) * 1.5K`:                       `sum(x) * 1500`,
		`sum(avg_over_time(x[60]))`:           `sum(avg_over_time(x[1m]))`,
		`sum(avg_over_time(x[1.5m]))`:         `sum(avg_over_time(x[1m30s]))`,
		`sum(avg_over_time(x[$window]))`:      `sum(avg_over_time(x[$window]))`,
		`sum(x offset 90)`:                    `sum(x offset 1m30s)`,
		`sum(max_over_time(x[1m] offset 5m))`: `sum(max_over_time(x[1m] offset 5m))`,
		`sum(x{a="b" + "c"})`:                 `sum(x{a="bc"})`,
		`sum(x) default 0`:                    `sum(x) or on () vector(0)`,
		`sum(x) default sum(y)`:               `sum(x) or on () sum(y)`,
		`sum(x) if (sum(y) > 5)`:              `sum(x) and (sum(y) > 5)`,
		`sum(x if y)`:                         `sum(x and y)`,
		`sum(x if on (pod) y)`:                `sum(x and on (pod) y)`,
		`sum(x ifnot y)`:                      `sum(x unless y)`,
		`sum(x{a="1" or b="2"})`:              `sum(x{a="1"} or x{b="2"})`,
		`sum({__name__="x", a="1" or __name__="x", b="2"})`: `sum(x{a="1"} or x{b="2"})`,
		`sum(max_over_time(x{a="1" or b="2"}[$window]))`:    `sum(max_over_time(x{a="1"}[$window]) or max_over_time(x{b="2"}[$window]))`,
		`sum(median_over_time(x[$window]))`:                 `sum(quantile_over_time(0.5, x[$window]))`,
		`sum(quantile_over_time(0.9, x[1m]))`:               `sum(quantile_over_time(0.9, x[1m]))`,
		`sum(range_over_time(x[1m]))`:                       `sum(max_over_time(x[1m]) - min_over_time(x[1m]))`,
		`sum(predict_linear(x[1m], 60))`:                    `sum(predict_linear(x[1m], 60))`,
		`median(x)`:                                         `quantile(0.5, x)`,
		`topk(1, x)`:                                        `topk(1, x)`,
		`histogram_quantile(0.9, sum(x) by (le))`:           `histogram_quantile(0.9, sum by (le) (x))`,
		`-sum(x)`:                                       `0 - sum(x)`,
		`sum(x * on (pod) group_left (node) y)`:         `sum(x * on (pod) group_left (node) y)`,
		`sum(x) >bool 5`:                                `sum(x) > bool 5`,
		`clamp_max(sum(x), 5m)`:                         `clamp_max(sum(x), 300)`,
		`sum(x{a!~"b|c"}) or sum(y)`:                    `sum(x{a!~"b|c"}) or sum(y)`,
		`sum(label_replace(x, "a", "$1", "b", "(.*)"))`: `sum(label_replace(x, "a", "$1", "b", "(.*)"))`,
	} {
		b, err := Bind(Source{Query: query, Dialect: MetricsQL}, Owner{Namespace: "n", AutoscalerUID: "a", Source: "s"}, nil)
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		// The same, written in PromQL; the translation has more parentheses.
		if got := unparen(b.String()); got != unparen(bind(t, Source{Query: want}, b.owner).String()) {
			t.Errorf("%s\n got %s\nwant %s", query, b, want)
		}
	}
}

// unparen compares expressions of one operator: their parentheses do not matter.
func unparen(s string) string { return strings.NewReplacer("(", "", ")", "").Replace(s) }

func TestMetricsQLRefusesByName(t *testing.T) {
	refused := map[string]string{
		`sum(x) keep_metric_names`:                      "unparsed data", // not valid MetricsQL after an aggregation
		`sum(abs(x) keep_metric_names)`:                 "keep_metric_names",
		`sum((x + y) keep_metric_names)`:                "keep_metric_names",
		`sum(avg_over_time(x))`:                         "avg_over_time: without a range",
		`sum(avg_over_time(x[1i]))`:                     "1i: a duration in steps",
		`sum(avg_over_time(sum(x)[5m:1s]))`:             "subquery",
		`sum(avg_over_time(x[5m:]))`:                    "subquery",
		`sum(avg_over_time(sum(x)))`:                    "avg_over_time: without a range",
		`sum(x[5m])`:                                    "default_rollup",
		`sum(x @ 5)`:                                    "@",
		`sum(x) offset 5m`:                              "subquery",
		`sum(x) limit 5`:                                "sum limit",
		`sum(x, y)`:                                     "PromQL takes 1 argument",
		`sum(x) by (a) / sum(y)`:                        "/: one side has no labels",
		`sum(x if sum(y))`:                              "if: one side has no labels",
		`sum(x) default y`:                              "default: only a constant",
		`scalar(sum(x)) default 1`:                      "default: its left side is a scalar",
		`sum(x) default on (a) sum(y)`:                  "default on (a)",
		`sum(x * on (pod) group_left (*) y)`:            "group_left (*)",
		`sum(x * on (pod) group_left (a) prefix "b" y)`: "group_left prefix",
		`sum({__name__="x" or __name__="y"})`:           "several metric names",
		`(x, y)`:                                        "union",
		`sum(histogram_quantile(0.9, x, "b"))`:          "two arguments",
		`sum(x * $window)`:                              "$window may stand only",
		`sum(x{`:                                        "parse MetricsQL",
		`sum(avg_over_time(x[86399993ms]))`:             "reserved",
		`absent(x)`:                                     "absent",
	}
	for _, f := range []string{
		"rate", "increase", "delta", "changes", "resets", "irate", "idelta", "ideriv", "deriv_fast", "increase_pure", "rate_prometheus",
		"increase_prometheus", "delta_prometheus", "changes_prometheus", "lag", "lifetime", "integrate",
	} {
		refused["sum("+f+"(x[5m]))"] = f + ": in MetricsQL it counts from the sample before the window"
	}
	for _, f := range []string{
		"rollup", "rollup_rate", "default_rollup", "mode_over_time", "zscore_over_time", "distinct_over_time", "tmax_over_time",
		"first_over_time", "mad_over_time", "histogram_over_time", "scrape_interval",
	} {
		refused["sum("+f+"(x[5m]))"] = f + ": PromQL has no function"
	}
	for _, f := range []string{
		"round", "running_sum", "range_avg", "keep_last_value", "interpolate", "remove_resets", "histogram_share", "union", "rand", "now", "step",
	} {
		refused["sum("+f+"(x))"] = f + ": PromQL has no function"
	}
	for _, f := range []string{"any", "sum2", "geomean", "mode", "zscore", "distinct", "histogram", "share", "mad"} {
		refused[f+"(x)"] = f + ": PromQL has no aggregation"
	}
	for query, want := range refused {
		_, err := Bind(Source{Query: query, Dialect: MetricsQL}, chat, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s\n got %v\nwant …%s…", query, err, want)
		}
	}
}

// Templates may refer to templates. What a few bytes could make of memory is refused before it is parsed.
func TestMetricsQLTemplatesDoNotExplode(t *testing.T) {
	var chain strings.Builder
	chain.WriteString("WITH (t0 = sum(x) + sum(x)")
	for i := 1; i < 60; i++ {
		n := "t" + string(rune('a'+i%26)) + strings.Repeat("i", i/26)
		prev := "t0"
		if i > 1 {
			prev = "t" + string(rune('a'+(i-1)%26)) + strings.Repeat("i", (i-1)/26)
		}
		chain.WriteString(", " + n + " = " + prev + " + " + prev)
	}
	chain.WriteString(") tai")
	for query, want := range map[string]string{
		chain.String(): "copies or more",
		`WITH (f(a) = a + a) ` + strings.Repeat("f(", 40) + "sum(x)" + strings.Repeat(")", 40): "templates with parameters",
		strings.Repeat("ru(", 40) + "sum(x)" + strings.Repeat(", 1)", 40):                      "templates with parameters",
		`WITH (t = sum(x)) t + \t`: "backslashes",
	} {
		start := time.Now()
		_, err := Bind(Source{Query: query, Dialect: MetricsQL}, chat, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60s\n got %v\nwant …%s…", query, err, want)
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("%.60s took %s", query, took)
		}
	}
}

// The numbers, worked by hand, at second 10 with one sample a second.
func TestMetricsQLValues(t *testing.T) {
	w := newWorld(t).load(0, s, `
		flyball_pod_ready{pod="a"}: 1*11
		flyball_pod_ready{pod="b"}: 1*11
		x{pod="a",kind="in"}: 0+1*11
		x{pod="a",kind="out"}: 100*11
		x{pod="b",kind="in"}: 5*11
		y{pod="a"}: 2*11`)
	for query, want := range map[string]float64{
		`sum(x{kind="in"})`:                                 15,   // 10 + 5, at second 10
		`sum(x{kind="in" or pod="a"})`:                      115,  // 10 + 5 + 100, none twice
		`sum(median_over_time(x{kind="in"}[4]))`:            13.5, // the median of 7 8 9 10, and 5
		`sum(range_over_time(x[4]))`:                        3,    // 10 - 7
		`sum(avg_over_time(x{kind="in"}[4s]))`:              13.5, // 8.5 + 5
		`sum(x{kind="in"} if on (pod) y)`:                   10,   // b has no y
		`sum(x{kind="in"} ifnot on (pod) y)`:                5,    // a has one
		`sum(x{kind="in"}) if (sum(y) > 1)`:                 15,   // sum(y) = 2
		`sum(x{kind="none"}) default 3`:                     3,    // x is there, this kind is not
		`sum(x{kind="in"}) default 3`:                       15,   //
		`sum(x{kind="in"}) / 1Ki`:                           15.0 / 1024,
		`WITH (in = {kind="in"}) sum(x{in}) - sum(y) * 1.5`: 12, // 15 - 3
		`-sum(y)`:   -2, //
		`median(x)`: 10, // of 10 100 5
		`sum(max_over_time(x{kind="in"}[$window]))`: 15, //
	} {
		b, err := Bind(Source{Query: query, Dialect: MetricsQL}, chat, nil)
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		got := w.windows(b, 10, s)[0]
		if math.Abs(got.Value-want) > 1e-12 || got.State != Fresh {
			t.Errorf("%s\nas %s: %+v, want %v", query, b, got, want)
		}
	}
}
