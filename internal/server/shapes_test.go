package server

import (
	"net/http"
	"net/url"
	"strings"
)

// shape is one request of the HTTP API, by the name of the file that holds Prometheus's answer.
type shape struct {
	name    string
	method  string
	path    string
	form    url.Values
	ordered bool // the order of the results matters
}

// shapes are what clients ask, well and badly. Times are off the second, since Prometheus 3 takes ranges as open at
// their left end and Prometheus 2 did not.
func shapes() []shape {
	get := func(name, path string, kv ...string) shape {
		return shape{name: name, method: http.MethodGet, path: path, form: form(kv)}
	}
	post := func(name, path string, kv ...string) shape {
		return shape{name: name, method: http.MethodPost, path: path, form: form(kv)}
	}
	ordered := func(s shape) shape { s.ordered = true; return s }
	const (
		at         = "1767268830.5"
		q, qr      = "/api/v1/query", "/api/v1/query_range"
		series     = "/api/v1/series"
		names      = "/api/v1/labels"
		waiting    = "vllm:num_requests_waiting"
		start, end = "1767268810.5", "1767268830.5"
	)
	ranged := func(name, query, step string, more ...string) shape {
		return get(name, qr, append([]string{"query", query, "start", start, "end", end, "step", step}, more...)...)
	}
	return []shape{
		get("instant", q, "query", waiting, "time", at),
		post("instant-post", q, "query", waiting, "time", at),
		get("instant-rfc3339", q, "query", waiting, "time", "2026-01-01T12:00:30.5Z"),
		get("instant-rfc3339-zone", q, "query", waiting, "time", "2026-01-01T13:00:30.25+01:00"),
		get("instant-fraction", q, "query", waiting, "time", "1767268830.123456"),
		get("instant-exponent", q, "query", waiting, "time", "1.7672688305e9"),
		get("instant-matcher", q, "query", waiting+`{namespace="chat",pod!~"p1|p3"}`, "time", at),
		get("instant-nothing", q, "query", "absent_metric", "time", at),
		get("instant-absent", q, "query", `absent(absent_metric{a="b"})`, "time", at),
		get("instant-scalar", q, "query", "1/3", "time", at),
		get("instant-scalar-inf", q, "query", "-1/0", "time", at),
		get("instant-scalar-huge", q, "query", "1e30", "time", at),
		get("instant-string", q, "query", `"say \"hi\" <b>"`, "time", at),
		get("instant-matrix", q, "query", waiting+`{pod="p0"}[5s]`, "time", at),
		get("instant-subquery", q, "query", `max_over_time(sum(`+waiting+`)[10s:2s])`, "time", at),
		get("instant-odd", q, "query", "odd", "time", at),
		get("instant-quoted", q, "query", "quoted", "time", at),
		get("instant-sum-by", q, "query", "sum by (namespace) ("+waiting+")", "time", at),
		get("instant-rate", q, "query", "sum(rate(requests_total[30s]))", "time", at),
		get("instant-quantile", q, "query", "histogram_quantile(0.9, sum by (le) (rate(latency_seconds_bucket[20s])))", "time", at),
		get("instant-offset", q, "query", waiting+" offset 10s", "time", at),
		get("instant-at", q, "query", waiting+" @ 1767268820.5", "time", at),
		get("instant-bool", q, "query", waiting+" > bool 4", "time", at),
		ordered(get("instant-topk", q, "query", "topk(2, requests_total)", "time", at)),
		ordered(get("instant-sort", q, "query", "sort_desc(requests_total)", "time", at)),
		get("instant-past-lookback", q, "query", waiting, "time", "1767268866.5"),
		get("instant-stats", q, "query", waiting, "time", at, "stats", "true"),
		get("instant-stats-all", q, "query", waiting, "time", at, "stats", "all"),
		get("instant-timeout", q, "query", waiting, "time", at, "timeout", "5s"),
		get("instant-timeout-bad", q, "query", waiting, "time", at, "timeout", "soon"),
		get("instant-ignored", q, "query", waiting, "time", at, "namespace", "x"),
		get("instant-milliseconds", q, "query", waiting, "time", "1767268830500"),
		get("instant-time-bad", q, "query", waiting, "time", "yesterday"),
		get("instant-no-query", q, "time", at),
		get("instant-parse", q, "query", "sum(", "time", at),
		get("instant-type", q, "query", "rate(requests_total)", "time", at),
		get("instant-function", q, "query", "no_such_function(x)", "time", at),
		get("instant-many-to-many", q, "query", waiting+" + on(namespace) requests_total", "time", at),
		get("instant-duplicate", q, "query", `label_replace(`+waiting+`, "pod", "x", "", "")`, "time", at),
		ranged("range", waiting, "5"),
		post("range-post", qr, "query", waiting, "start", start, "end", end, "step", "5"),
		ranged("range-duration", waiting, "2s500ms"),
		ranged("range-fraction", waiting, "2.5"),
		ranged("range-scalar", "scalar(requests_total{pod=\"p0\"}) * 2", "10s"),
		ranged("range-odd", "odd", "10s"),
		ranged("range-nothing", "absent_metric", "10s"),
		ranged("range-rate", "rate(requests_total[10s])", "10s"),
		ranged("range-stats", waiting, "10s", "stats", "all"),
		get("range-gap", qr, "query", waiting, "start", "1767268855.5", "end", "1767268875.5", "step", "1"),
		get("range-rfc3339", qr, "query", waiting, "start", "2026-01-01T12:00:10.5Z", "end", "2026-01-01T12:00:20.5Z", "step", "5s"),
		get("range-11000", qr, "query", `requests_total{pod="none"}`, "start", "0.5", "end", "11000.5", "step", "1"),
		get("range-11001", qr, "query", waiting, "start", "0.5", "end", "11001.5", "step", "1"),
		ranged("range-matrix", waiting+"[5s]", "5s"),
		ranged("range-string", `"x"`, "5s"),
		ranged("range-no-step", waiting, ""),
		ranged("range-step-zero", waiting, "0"),
		ranged("range-step-negative", waiting, "-5s"),
		get("range-backwards", qr, "query", waiting, "start", end, "end", start, "step", "5"),
		get("range-no-start", qr, "query", waiting, "end", end, "step", "5"),
		get("range-no-end", qr, "query", waiting, "start", start, "step", "5"),
		get("series", series, "match[]", waiting),
		post("series-post", series, "match[]", waiting),
		get("series-two", series, "match[]", waiting+`{pod="p0"}`, "match[]", `{pod=~"p0|p1",__name__=~"vllm:.*|requests_total"}`),
		get("series-range", series, "match[]", "quoted", "start", start, "end", end),
		get("series-elsewhen", series, "match[]", "quoted", "start", "1000", "end", "2000"),
		get("series-always", series, "match[]", "quoted", "start", "-292273086-05-16T16:47:06Z", "end", "+292277025-08-18T07:12:54.999999999Z"),
		get("series-none", series),
		get("series-empty-matcher", series, "match[]", `{pod=~".*"}`),
		get("series-bad", series, "match[]", "{"),
		get("series-time-bad", series, "match[]", waiting, "start", "then"),
		get("labels", names),
		post("labels-post", names, "match[]", waiting),
		get("labels-match", names, "match[]", waiting, "match[]", "odd"),
		get("labels-range", names, "start", start, "end", end),
		get("labels-elsewhen", names, "start", "1000", "end", "2000"),
		get("labels-bad", names, "match[]", "1"),
		get("values", "/api/v1/label/pod/values"),
		get("values-name", "/api/v1/label/__name__/values"),
		get("values-match", "/api/v1/label/pod/values", "match[]", `{namespace="chat"}`, "match[]", `latency_seconds_bucket{pod="p2"}`),
		get("values-range", "/api/v1/label/pod/values", "start", start, "end", end),
		get("values-unknown", "/api/v1/label/nowhere/values"),
		get("values-end-bad", "/api/v1/label/pod/values", "end", "x"),
		post("values-post", "/api/v1/label/pod/values"),
		get("metadata", "/api/v1/metadata"),
		get("metadata-limit-bad", "/api/v1/metadata", "limit", "x"),
		get("targets", "/api/v1/targets"),
		get("targets-dropped", "/api/v1/targets", "state", "dropped"),
		get("rules", "/api/v1/rules"),
		get("alerts", "/api/v1/alerts"),
		get("exemplars", "/api/v1/query_exemplars", "query", waiting, "start", start, "end", end),
		get("exemplars-bad", "/api/v1/query_exemplars", "query", "(", "start", start, "end", end),
		get("exemplars-backwards", "/api/v1/query_exemplars", "query", waiting, "start", end, "end", start),
		get("format", "/api/v1/format_query", "query", "sum by(pod)(rate(requests_total [5m]))/  2"),
		post("format-post", "/api/v1/format_query", "query", "a+b"),
		get("format-bad", "/api/v1/format_query", "query", "a+"),
		get("unknown", "/api/v1/nothing"),
		get("federate-one", "/federate", "match[]", "nothing"),
		get("federate-bad", "/federate", "match[]", "{"),
	}
}

func form(kv []string) url.Values {
	out := url.Values{}
	for i := 0; i < len(kv); i += 2 {
		out.Add(kv[i], kv[i+1])
	}
	return out
}

// request makes the request of a shape against a base such as http://127.0.0.1:9090.
func (s shape) request(base string) (*http.Request, error) {
	if s.method == http.MethodGet {
		return http.NewRequest(s.method, base+s.path+"?"+s.form.Encode(), http.NoBody)
	}
	r, err := http.NewRequest(s.method, base+s.path, strings.NewReader(s.form.Encode()))
	if err == nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	return r, err
}
