package server

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	"github.com/flyball/flyball/query"
	"github.com/flyball/flyball/store"
)

// needPrometheus skips where Debian's package is not installed; make test installs it where it may.
func needPrometheus(t *testing.T) {
	t.Helper()
	for _, program := range []string{"prometheus", "promtool"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("%s is not on PATH: apt-get install prometheus", program)
		}
	}
}

// A stock promtool asks this server as it asks a Prometheus.
func TestPromtoolAsks(t *testing.T) {
	needPrometheus(t)
	web := httptest.NewServer(newTestServer(t).Handler())
	defer web.Close()
	const (
		selector = `requests_total{namespace="chat"}`
		p0, p1   = `requests_total{namespace="chat", pod="p0"}`, `requests_total{namespace="chat", pod="p1"}`
		day      = "--start=1767225600"
	)
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"query", "instant", "--time=1767268830.5", web.URL, selector}, p0 + " => 30 @[1767268830.5]\n" + p1 + " => 60 @[1767268830.5]"},
		{[]string{"query", "range", "--start=1767268830", "--end=1767268831", "--step=1s", web.URL, selector}, p0 + " =>\n30 @[1767268830]\n31 @[1767268831]\n" + p1 + " =>\n60 @[1767268830]\n62 @[1767268831]"},
		{[]string{"query", "series", "--match=" + selector, day, web.URL}, `{__name__="requests_total", namespace="chat", pod="p0"}` + "\n" + `{__name__="requests_total", namespace="chat", pod="p1"}`},
		{[]string{"query", "labels", day, web.URL, "pod"}, "p0\np1\np2"},
	} {
		out, err := exec.CommandContext(t.Context(), "promtool", c.args...).CombinedOutput()
		require.NoError(t, err, "promtool %s: %s", c.args, out)
		require.Equal(t, c.want, strings.TrimSpace(string(out)), "promtool %s", c.args)
	}
}

func TestFederationGivesTheNewestSampleOfEverySeriesThatHasNotEnded(t *testing.T) {
	now := noon
	st, err := store.Open(store.Options{Dir: t.TempDir(), Clock: func() time.Time { return now }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	one := func(ls ...string) *store.Series { return &store.Series{Labels: labels.FromStrings(ls...)} }
	queue, ended, silent := one("__name__", "queue", "instance", "i", "pod", "p\"0"), one("__name__", "queue", "pod", "p1"), one("__name__", "queue", "pod", "p2")
	spaced := one("__name__", "queue depth")
	write := func(v float64, to ...*store.Series) {
		for _, s := range to {
			_, err := st.Append([]store.Sample{{Series: s, Value: v}})
			require.NoError(t, err)
		}
		now = now.Add(time.Second)
	}
	write(2, silent)
	now = now.Add(5 * time.Second)
	write(3, queue, ended, spaced)
	write(4.5, queue)
	write(store.StaleMarker(), ended)
	s := New(Options{Store: st, Metrics: prometheus.NewRegistry(), Now: func() time.Time { return now }, API: http.NotFoundHandler()})

	r := httptest.NewRequest(http.MethodGet, `/federate?match[]=queue&match[]={pod="p1"}&match[]={__name__=~"queue.*"}`, http.NoBody)
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	require.Equal(t, http.StatusOK, w.Code)
	require.Equal(t, "text/plain; version=0.0.4; charset=utf-8; escaping=underscores", w.Header().Get("Content-Type"))
	require.Equal(t, "# TYPE queue untyped\nqueue{instance=\"i\",pod=\"p\\\"0\"} 4.5 1767268807000\n"+
		"# TYPE queue_depth untyped\nqueue_depth{instance=\"\"} 3 1767268806000\n", w.Body.String())

	r.Header.Set("Accept", "text/plain;version=1.0.0;escaping=allow-utf-8")
	w = httptest.NewRecorder()
	s.Handler().ServeHTTP(w, r)
	require.Contains(t, w.Body.String(), `{"queue depth",instance=""} 3`)
}

// A stock Prometheus federates from this server: the samples arrive with their labels and times, and an ended series ends there.
func TestPrometheusFederates(t *testing.T) {
	needPrometheus(t)
	st, err := store.Open(store.Options{Dir: t.TempDir()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	ours := New(Options{
		Engine: query.New(query.Options{}).PromQL(), Store: st, Metrics: prometheus.NewRegistry(), Now: time.Now, API: http.NotFoundHandler(),
	})
	web := httptest.NewServer(ours.Handler())
	t.Cleanup(web.Close)
	theirs := startPrometheus(t, fmt.Sprintf(`
scrape_configs:
- job_name: flyball
  scrape_interval: 1s
  scrape_timeout: 1s
  honor_labels: true
  metrics_path: /federate
  params: {"match[]": ['{__name__=~"vllm:.*"}']}
  static_configs: [{targets: [%q]}]
`, strings.TrimPrefix(web.URL, "http://")))

	waiting := func(pod string) *store.Series {
		return &store.Series{Labels: labels.FromStrings("__name__", "vllm:num_requests_waiting", "job", "vllm", "pod", pod)}
	}
	p0, p1 := waiting("p0"), waiting("p1")
	n, ended := 0.0, false
	grow := func() {
		n++
		samples := []store.Sample{{Series: p0, Value: n}, {Series: p1, Value: -n}}
		if ended {
			samples = samples[:1]
		}
		_, err := st.Append(samples)
		require.NoError(t, err)
	}
	ask := func(base, expr string) any {
		resp, err := client.Get(base + "/api/v1/query?query=" + url.QueryEscape(expr))
		require.NoError(t, err)
		defer resp.Body.Close()
		var body struct{ Data struct{ Result any } }
		require.NoError(t, json.NewDecoder(resp.Body).Decode(&body))
		return body.Data.Result
	}
	until := func(what, expr string) {
		t.Helper()
		deadline, tick := time.NewTimer(30*time.Second), time.NewTicker(100*time.Millisecond)
		defer deadline.Stop()
		defer tick.Stop()
		for len(ask(theirs, expr).([]any)) == 0 {
			select {
			case <-deadline.C:
				require.FailNow(t, what+": not within 30 s")
			case <-tick.C:
				grow()
			}
		}
	}
	until("three scrapes", `count_over_time(vllm:num_requests_waiting{pod="p0",job="vllm"}[1m]) >= 3`)
	// Two samples that Prometheus has are ours, to the millisecond.
	const newest = `timestamp(vllm:num_requests_waiting{pod="p0"})`
	at := ask(theirs, newest).([]any)[0].(map[string]any)["value"].([]any)[1].(string)
	for _, expr := range []string{"vllm:num_requests_waiting @ " + at, "timestamp(vllm:num_requests_waiting @ " + at + ")"} {
		want := fmt.Sprint(withoutTime(ask(web.URL, expr)))
		require.Equal(t, want, fmt.Sprint(withoutTime(ask(theirs, expr))), expr)
		require.Contains(t, want, "job:vllm pod:p1", "no label is added, none lost")
	}
	_, err = st.Append([]store.Sample{{Series: p1, Value: store.StaleMarker()}})
	require.NoError(t, err)
	ended = true
	until("the end of p1", `vllm:num_requests_waiting{pod="p0"} unless on(job) vllm:num_requests_waiting{pod="p1"}`)
}

// withoutTime drops the evaluation's time, which is each server's own.
func withoutTime(result any) any {
	for _, s := range result.([]any) {
		s.(map[string]any)["value"].([]any)[0] = nil
	}
	return result
}
