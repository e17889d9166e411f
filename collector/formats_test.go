package collector

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/stretchr/testify/require"
)

// engineRegistry is a vLLM-like engine's metrics, with a native histogram beside the classic ones.
func engineRegistry() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	waiting := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "vllm:num_requests_waiting", Help: "h"}, []string{"engine"})
	waiting.WithLabelValues("0").Set(3)
	tokens := prometheus.NewCounter(prometheus.CounterOpts{Name: "vllm:prompt_tokens_total", Help: "h"})
	tokens.Add(12)
	ttft := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "vllm:time_to_first_token_seconds", Help: "h", Buckets: []float64{0.5, 1}})
	native := prometheus.NewHistogram(prometheus.HistogramOpts{Name: "native_seconds", Help: "h", NativeHistogramBucketFactor: 1.1})
	for _, v := range []float64{0.2, 0.7, 3} {
		ttft.Observe(v)
		native.Observe(v)
	}
	reg.MustRegister(waiting, tokens, ttft, native)
	return reg
}

func TestEveryFormatGivesTheSameSeries(t *testing.T) {
	const keep = "vllm:num_requests_waiting vllm:prompt_tokens_total vllm:time_to_first_token_seconds_bucket " +
		"vllm:time_to_first_token_seconds_sum vllm:time_to_first_token_seconds_count native_seconds"
	f := func(accept, contentType string) {
		t.Helper()
		r := newRig(t)
		x := r.exporter("a")
		h := promhttp.HandlerFor(engineRegistry(), promhttp.HandlerOpts{EnableOpenMetrics: true})
		x.answer(func(w http.ResponseWriter, req *http.Request) {
			if accept != "" {
				req.Header.Set("Accept", accept)
			}
			h.ServeHTTP(w, req)
			if got := w.Header().Get("Content-Type"); !strings.HasPrefix(got, contentType) {
				t.Errorf("content type is %q", got)
			}
		})
		r.set(keep, x.pod("prod/llama-0"))
		r.tick()
		require.NoError(t, r.health(x.Server.URL+"/metrics").Err)
		bucket := func(le string, n int) string {
			return fmt.Sprintf(`{__name__="vllm:time_to_first_token_seconds_bucket", endpoint="a/metrics", job="vllm", le=%q, namespace="prod", `+
				`node="n1", pod="llama-0", pod_uid="prod-llama-0", workload="llama", workload_uid="w1"} %d`, le, n)
		}
		r.expect("vllm.*|native_seconds",
			`{__name__="vllm:num_requests_waiting", endpoint="a/metrics", engine="0", job="vllm", namespace="prod", `+
				`node="n1", pod="llama-0", pod_uid="prod-llama-0", workload="llama", workload_uid="w1"} 3`,
			`{__name__="vllm:prompt_tokens_total", `+podA+`} 12`,
			bucket("0.5", 1), bucket("1.0", 2), bucket("+Inf", 3),
			`{__name__="vllm:time_to_first_token_seconds_count", `+podA+`} 3`,
			`{__name__="vllm:time_to_first_token_seconds_sum", `+podA+`} 3.9`)
	}
	f("", "text/plain; version=0.0.4") // what we ask for first
	f("application/openmetrics-text; version=1.0.0", "application/openmetrics-text; version=1.0.0")
	f("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited", "application/vnd.google.protobuf")
}

func TestAnAnswerWithoutAContentTypeIsReadAsText(t *testing.T) {
	f := func(contentType string) {
		t.Helper()
		r := newRig(t)
		x := r.exporter("a")
		x.answer(func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Content-Type"] = nil
			if contentType != "" {
				w.Header().Set("Content-Type", contentType)
			}
			_, _ = io.WriteString(w, "m 1\n")
		})
		r.set("m", x.pod("prod/llama-0"))
		r.tick()
		r.expect("m", `{__name__="m", `+podA+`} 1`)
	}
	f("")
	f("application/octet-stream")
	f("not a type;;")
}

func TestGzipIsReadThoughNotAskedForFirst(t *testing.T) {
	r := newRig(t)
	x := r.exporter("a")
	x.answer(func(w http.ResponseWriter, req *http.Request) {
		if req.Header.Get("Accept-Encoding") != "identity,gzip;q=0.1" {
			t.Errorf("accepts %q", req.Header.Get("Accept-Encoding"))
		}
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		_, _ = io.WriteString(z, "m 1\n")
		_ = z.Close()
	})
	r.set("m", x.pod("prod/llama-0"))
	r.tick()
	r.tick() // with a reader used before, over the same connection
	r.expect("m", `{__name__="m", `+podA+`} 1 1`)
	require.EqualValues(t, 1, x.dials.Load())
}

func TestASeriesTwiceOnAPageCountsOnce(t *testing.T) {
	r := newRig(t)
	x := r.exporter("a")
	// The second by its name, the third because labels have no order, the fourth because pod moves to exported_pod.
	x.serve("m{a=\"1\",b=\"2\"} 1\nm{a=\"1\",b=\"2\"} 2\nm{b=\"2\",a=\"1\"} 3\nn{exported_pod=\"p\"} 1\nn{pod=\"p\"} 2\n")
	r.set("m n", x.pod("prod/llama-0"))
	r.tick()
	require.NoError(t, r.health(x.Server.URL+"/metrics").Err)
	require.Equal(t, 2, r.health(x.Server.URL+"/metrics").Samples)
	require.Contains(t, r.stored("m"), `workload_uid="w1"} 1`)
	require.Contains(t, r.stored("n"), `workload_uid="w1"} 1`)
}

func TestANameInQuotesIsKeptByItsName(t *testing.T) {
	r := newRig(t)
	x := r.exporter("a")
	x.serve(`{"m",a="1"} 1` + "\n" + `{"dropped",a="1"} 1` + "\n")
	r.set("m", x.pod("prod/llama-0"))
	r.tick()
	r.tick()
	require.Equal(t, 1, strings.Count(r.stored(".*"), `a="1"`))
	require.Contains(t, r.stored("m"), `a="1", `)
	require.Contains(t, r.stored("m"), `} 1 1`)
}

func TestMetricNamesEndWhereTheLabelsBegin(t *testing.T) {
	f := func(raw, want string) {
		t.Helper()
		require.Equal(t, want, string(metricName([]byte(raw))))
	}
	f(`m`, "m")
	f(`vllm:x_total{a="b"}`, "vllm:x_total")
	f(`m {a="b"}`, "m")
	f("m\t{}", "m")
	f("m\xffa\xffb", "m")
	f(`{"m",a="b"}`, "")
}

// vllmPage is a page in the shape of vLLM's: 384 series, of which the kept names of vllmKeep make 28.
func vllmPage() string {
	var b strings.Builder
	const model = `engine="0",model_name="meta-llama/Llama-3.1-8B-Instruct"`
	hist := func(name string, buckets int) {
		_, _ = fmt.Fprintf(&b, "# HELP %s Histogram of something that takes time.\n# TYPE %s histogram\n", name, name)
		for i := range buckets {
			_, _ = fmt.Fprintf(&b, "%s_bucket{%s,le=\"%g\"} %d.0\n", name, model, 0.001*float64(int(1)<<i), 100+i)
		}
		_, _ = fmt.Fprintf(&b, "%s_bucket{%s,le=\"+Inf\"} 2000.0\n%s_count{%s} 2000.0\n%s_sum{%s} 1234.5678\n", name, model, name, model, name, model)
	}
	one := func(name, kind string, v float64) {
		_, _ = fmt.Fprintf(&b, "# HELP %s Help.\n# TYPE %s %s\n%s{%s} %v\n", name, name, kind, name, model, v)
	}
	one("vllm:num_requests_running", "gauge", 24)
	one("vllm:num_requests_waiting", "gauge", 72)
	one("vllm:kv_cache_usage_perc", "gauge", 0.83)
	one("vllm:generation_tokens_total", "counter", 1234567)
	hist("vllm:time_to_first_token_seconds", 21)
	for i := range 14 {
		hist(fmt.Sprintf("vllm:request_something_%d_seconds", i), 21)
	}
	for i := range 20 {
		one(fmt.Sprintf("vllm:other_%d", i), "gauge", float64(i))
	}
	return b.String()
}

const vllmKeep = "vllm:num_requests_running vllm:num_requests_waiting vllm:kv_cache_usage_perc vllm:generation_tokens_total " +
	"vllm:time_to_first_token_seconds_bucket vllm:time_to_first_token_seconds_sum vllm:time_to_first_token_seconds_count"

// BenchmarkScrape is one scrape of a 384-series page of which 28 are kept: HTTP over loopback (the server's side
// included), parsing, and the append to a real store.
func BenchmarkScrape(b *testing.B) {
	page := vllmPage()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = io.WriteString(w, page)
	}))
	defer srv.Close()
	c, s := benchScraper(b, srv.URL+"/metrics")
	b.ReportAllocs()
	for b.Loop() {
		s.scrape(b.Context(), c.interval(Endpoint{}))
	}
	b.StopTimer()
	require.Equal(b, 28, c.Health()[0].Samples)
	require.NoError(b, c.Health()[0].Err)
}

// BenchmarkReadPage is the parsing alone.
func BenchmarkReadPage(b *testing.B) {
	c, s := benchScraper(b, "http://127.0.0.1:1/metrics")
	body := []byte(vllmPage())
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		samples, err := s.reader.read(page{body: body, contentType: "text/plain; version=0.0.4", delimited: true}, *c.keep.Load(), c.pods.Load(), epoch)
		if err != nil || len(samples) != 28 {
			b.Fatal(len(samples), err)
		}
		s.reader.settle()
	}
	require.EqualValues(b, 384, strings.Count(vllmPage(), "\n")-strings.Count(vllmPage(), "#"))
}
