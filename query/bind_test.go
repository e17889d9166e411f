package query

import (
	"slices"
	"strings"
	"testing"
)

func TestMetricBecomesExpression(t *testing.T) {
	const m = `{endpoint="8000/metrics",namespace="prod",workload_uid="w-chat"}`
	const or = ` or on (autoscaler_uid, endpoint, namespace, pod_uid, source) `
	gateway := Owner{Namespace: "prod", AutoscalerUID: "a-1", Source: "s1"}
	const g = `{autoscaler_uid="a-1",namespace="prod",source="s1"}`
	for _, tt := range []struct {
		src   Source
		owner Owner
		want  string
	}{
		{Source{Metric: "vllm:num_requests_waiting"}, chat, `sum(vllm:num_requests_waiting` + m + `)`},
		{Source{Metric: "vllm:num_requests_waiting", Aggregation: Avg}, chat, `avg(sum by (pod_uid) (vllm:num_requests_waiting` + m + `))`},
		{Source{Metric: "vllm:num_requests_waiting", Aggregation: Max}, chat, `max(sum by (pod_uid) (vllm:num_requests_waiting` + m + `))`},
		{Source{Metric: "vllm:gpu_cache_usage_perc"}, chat, `sum(avg by (pod_uid) (vllm:kv_cache_usage_perc` + m + or + `vllm:gpu_cache_usage_perc` + m + `))`},
		{Source{Metric: "vllm:kv_cache_usage_perc", Aggregation: Avg}, chat, `avg(avg by (pod_uid) (vllm:kv_cache_usage_perc` + m + or + `vllm:gpu_cache_usage_perc` + m + `))`},
		{Source{Metric: "vllm:kv_cache_usage_perc", Aggregation: Max}, chat, `max(avg by (pod_uid) (vllm:kv_cache_usage_perc` + m + or + `vllm:gpu_cache_usage_perc` + m + `))`},
		{Source{Metric: "vllm:generation_tokens"}, chat, `sum(rate(vllm:generation_tokens_total` + m + `[$window])` + or + `rate(vllm:generation_tokens` + m + `[$window]))`},
		{Source{Metric: "vllm:generation_tokens_total", Aggregation: Avg}, chat, `avg(sum by (pod_uid) (rate(vllm:generation_tokens_total` + m + `[$window])` + or + `rate(vllm:generation_tokens` + m + `[$window])))`},
		{Source{Metric: "made_up"}, chat, `sum(made_up` + m + `)`},
		{Source{Metric: "made_up_total"}, chat, `sum(rate(made_up_total` + m + `[$window]))`},
		{Source{Metric: "vllm:time_to_first_token_seconds_count"}, chat, `sum(rate(vllm:time_to_first_token_seconds_count` + m + `[$window]))`},
		{Source{Metric: "queue.depth"}, chat, `sum({__name__="queue.depth",endpoint="8000/metrics",namespace="prod",workload_uid="w-chat"})`},
		{Source{Metric: "queue_depth"}, gateway, `sum(queue_depth` + g + `)`},
		{Source{Metric: "queue_depth", Aggregation: Max}, gateway, `max(queue_depth` + g + `)`},
		{Source{Metric: "vllm:num_requests_waiting", Aggregation: Avg}, gateway, `avg(vllm:num_requests_waiting` + g + `)`},
	} {
		b, err := Bind(tt.src, tt.owner, pack)
		if err != nil {
			t.Errorf("%+v: %v", tt.src, err)
			continue
		}
		if b.String() != tt.want {
			t.Errorf("%+v\n got %s\nwant %s", tt.src, b, tt.want)
		}
		if b.Windowed() != strings.Contains(tt.want, "$window") {
			t.Errorf("%s: windowed %v", tt.want, b.Windowed())
		}
	}
}

// Every position in which PromQL takes a selector gets the owner's matchers.
func TestQueryIsBoundEverywhere(t *testing.T) {
	owner := Owner{Namespace: "n", WorkloadUID: "w"}
	const m = `namespace="n",workload_uid="w"`
	for query, want := range map[string]string{
		`sum(x)`:                `sum(x{M})`,
		`sum(x{})`:              `sum(x{M})`,
		`sum(x{a="b", c!~"d"})`: `sum(x{a="b",c!~"d",M})`,
		`sum({__name__="x"})`:   `sum(x{M})`,
		`sum({"x", a="b"})`:     `sum(x{a="b",M})`,
		`sum(x{namespace="n"})`: `sum(x{M})`,
		`sum(x{namespace=~"n", workload_uid="w"})`:                       `sum(x{M})`,
		`sum(rate(x[5m]))`:                                               `sum(rate(x{M}[5m]))`,
		`sum(rate(x[$window]))`:                                          `sum(rate(x{M}[$window]))`,
		`sum(increase(x[1m] anchored))`:                                  `sum(increase(x{M}[1m] anchored))`,
		`max_over_time(sum(x)[5m:1s])`:                                   `max_over_time(sum(x{M})[5m:1s])`,
		`max_over_time(sum(rate(x[1m]))[$window:])`:                      `max_over_time(sum(rate(x{M}[1m]))[$window:])`,
		`sum(x offset 5m)`:                                               `sum(x{M} offset 5m)`,
		`sum(topk(scalar(y), x))`:                                        `sum(topk(scalar(y{M}), x{M}))`,
		`quantile(scalar(sum(y)), x)`:                                    `quantile(scalar(sum(y{M})), x{M})`,
		`sum(x) / sum(y) > bool 1`:                                       `sum(x{M}) / sum(y{M}) > bool 1`,
		`sum(x * on (pod) group_left (node) y)`:                          `sum(x{M} * on (pod) group_left (node) y{M})`,
		`sum(x and y unless z)`:                                          `sum(x{M} and y{M} unless z{M})`,
		`sum(x or y)`:                                                    `sum(x{M} or y{M})`,
		`sum(label_replace(x, "namespace", "other", "", ""))`:            `sum(label_replace(x{M}, "namespace", "other", "", ""))`,
		`histogram_quantile(0.9, sum by (le) (rate(x_bucket[$window])))`: `histogram_quantile(0.9, sum by (le) (rate(x_bucket{M}[$window])))`,
		`-sum(x)`:                           `-sum(x{M})`,
		`sum by () (x)`:                     `sum(x{M})`,
		`sum(sum by (b, a, b) (x))`:         `sum(sum by (a, b) (x{M}))`,
		`sum(clamp_max(x, scalar(sum(y))))`: `sum(clamp_max(x{M}, scalar(sum(y{M}))))`,
		`topk(1, x)`:                        `topk(1, x{M})`,
		`sum(x{a="$window"}) # $window`:     `sum(x{a="$window",M})`,
		`avg(x) + on () max(y)`:             `avg(x{M}) + on () max(y{M})`,
	} {
		b, err := Bind(Source{Query: query}, owner, nil)
		if err != nil {
			t.Errorf("%s: %v", query, err)
			continue
		}
		want = strings.ReplaceAll(want, "M", m)
		if b.String() != want {
			t.Errorf("%s\n got %s\nwant %s", query, b, want)
		}
		again, err := Bind(Source{Query: b.String()}, owner, nil)
		if err != nil || again.String() != b.String() {
			t.Errorf("%s: binding its own output gives %v, %v", b, again, err)
		}
	}
}

func TestQueryErrorsNameTheFix(t *testing.T) {
	for query, want := range map[string]string{
		``:                                 "neither a metric nor a query",
		`sum(`:                             "parse error",
		`sum(x{namespace="other"})`:        `selector x{namespace="other"}: namespace="other" contradicts its owner: flyball binds every selector to namespace="prod": remove the matcher`,
		`sum(x{namespace!="kube-system"})`: "contradicts",
		`sum(x{namespace=~".*"})`:          "contradicts",
		`sum(x{namespace=~"prod|other"})`:  "contradicts",
		`sum(x{namespace=""})`:             "contradicts",
		`sum(x{workload_uid="other"})`:     "contradicts",
		`sum(x{endpoint=~"8000/metrics|9000/x"})`: "contradicts",
		`sum(x or y{namespace="other"})`:          "contradicts",
		`sum({job="x"})`:                          "no literal metric name",
		`sum({__name__=~"x|y"})`:                  "no literal metric name",
		`sum(rate({__name__!="x",job="y"}[5m]))`:  "no literal metric name",
		`sum(x @ 1609746000)`:                     "@ pins",
		`sum(x @ end())`:                          "@ pins",
		`sum(max_over_time(x[5m:1s] @ start()))`:  "@ pins",
		`sum(x offset -5m)`:                       "reads the future",
		`max_over_time(sum(x)[5m:1s] offset -1s)`: "reads the future",
		`sum(rate(x[5m] smoothed))`:               "smoothed",
		`sum(x offset (1m + 1m))`:                 "literals",
		`sum(rate(x[1m + 1m]))`:                   "literals",
		`absent(x)`:                               "absent has a value only when data is missing",
		`sum(absent_over_time(x[5m])) or sum(x)`:  "absent_over_time",
		`x[5m]`:                                   "gives a range",
		`"x"`:                                     "gives a string",
		`5`:                                       "gives a scalar",
		`scalar(sum(x))`:                          "gives a scalar",
		`vector(5)`:                               "reads no metric",
		`x`:                                       "aggregate it",
		`rate(x[$window])`:                        "aggregate it",
		`sum by (pod) (x)`:                        "aggregate it",
		`topk(3, x)`:                              "aggregate it",
		`sum(x) or y`:                             "aggregate it",
		`sum(x) + on (pod) group_right () y`:      "aggregate it",
		`sum(x) * $window`:                        "$window may stand only as a range",
		`sum(x offset $window)`:                   "$window may stand only as a range",
		`max_over_time(sum(x)[5m:$window])`:       "$window may stand only as a range",
		`sum(rate(x[$windows]))`:                  "$window may stand only as a range",
		`sum(rate(x[86399993ms]))`:                "reserved",
		`sum(rate(x[23h59m59s993ms]))`:            "reserved",
		`sum(mad_over_time(x[5m]))`:               "not enabled",
		`sum(x{a="` + strings.Repeat("y", 20000) + `"})`: "bytes",
	} {
		_, err := Bind(Source{Query: query}, chat, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.80s\n got %v\nwant …%s…", query, err, want)
		}
	}
}

func TestMetricAndOwnerErrorsNameTheFix(t *testing.T) {
	for src, want := range map[Source]string{
		{Metric: "vllm:time_to_first_token_seconds"}:        "histogram_quantile(0.95, sum by (le) (rate(vllm:time_to_first_token_seconds_bucket[$window])))",
		{Metric: "vllm:time_to_first_token_seconds_bucket"}: "histogram_quantile(0.95, sum by (le) (rate(vllm:time_to_first_token_seconds_bucket[$window])))",
		{Metric: "made_up_count"}:                           "sum(rate(made_up_count[$window])) for a counter, sum(made_up_count) for a gauge",
		{Metric: "x", Aggregation: "median"}:                `unknown aggregation "median"`,
		{Metric: "\xff"}:                                    "not a metric name",
		{Query: "sum(x)", Dialect: "logql"}:                 `unknown dialect "logql"`,
	} {
		_, err := Bind(src, chat, pack)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v\n got %v\nwant …%s…", src, err, want)
		}
	}
	for owner, want := range map[Owner]string{
		{}:                                   "no namespace",
		{Namespace: "n"}:                     "no autoscaler_uid",
		{Namespace: "n", AutoscalerUID: "a"}: "no source",
		{WorkloadUID: "w"}:                   "no namespace",
		{Namespace: "n", WorkloadUID: "w", AutoscalerUID: "a", Source: "s"}: "both",
	} {
		_, err := Bind(Source{Query: "sum(x)"}, owner, nil)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v\n got %v\nwant …%s…", owner, err, want)
		}
	}
}

// A metric name that holds PromQL stays a name.
func TestMetricNameIsNoWayOut(t *testing.T) {
	b, err := Bind(Source{Metric: `x) or sum({namespace="other"}`}, chat, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := b.Metrics(); !slices.Equal(got, []string{`x) or sum({namespace="other"}`}) {
		t.Errorf("reads %q as %s", got, b)
	}
}

func TestMetricsListsNamesOnce(t *testing.T) {
	b := bind(t, Source{Query: `sum(b) + sum(a) + sum(rate(b[1m]))`}, chat)
	if got := b.Metrics(); !slices.Equal(got, []string{"a", "b"}) {
		t.Errorf("metrics %v", got)
	}
	b = bind(t, Source{Metric: "vllm:gpu_cache_usage_perc"}, chat)
	if got := b.Metrics(); !slices.Equal(got, []string{"vllm:gpu_cache_usage_perc", "vllm:kv_cache_usage_perc"}) {
		t.Errorf("metrics %v", got)
	}
}

// An endpoint may well serve a single series; how many there are shows when it is read.
func TestEndpointQueryNeedsNoAggregation(t *testing.T) {
	b, err := Bind(Source{Query: `queue_depth{queue="x"}`}, Owner{Namespace: "n", AutoscalerUID: "a", Source: "s"}, nil)
	if err != nil || b.String() != `queue_depth{autoscaler_uid="a",namespace="n",queue="x",source="s"}` {
		t.Errorf("%v %v", b, err)
	}
}
