package server

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/flyball/flyball/query"
	"github.com/flyball/flyball/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// facts is a store with a queue of 3 at noon and 5 a second later, and an engine over it.
type facts struct {
	store  *store.Store
	engine *query.Engine
}

func (f facts) Instant(ctx context.Context, expr string, t time.Time) (*promql.Result, error) {
	return f.engine.Instant(ctx, f.store, expr, t)
}

func (f facts) Range(ctx context.Context, expr string, start, end time.Time, step time.Duration) (*promql.Result, error) {
	return f.engine.Range(ctx, f.store, expr, start, end, step)
}

func newTestServer(t *testing.T) *Server {
	t.Helper()
	now := noon
	s, err := store.Open(store.Options{Dir: t.TempDir(), Clock: func() time.Time { return now }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	queue := &store.Series{Labels: labels.FromStrings("__name__", "queue", "pod", "p0")}
	for _, v := range []float64{3, 5} {
		_, err := s.Append([]store.Sample{{Series: queue, Value: v}})
		require.NoError(t, err)
		now = now.Add(time.Second)
	}
	return New(Options{
		Queries: facts{s, query.New(query.Options{})}, Metrics: prometheus.NewRegistry(), Version: "v1",
		Now: func() time.Time { return noon.Add(time.Second) }, Ready: func() error { return nil },
	})
}

func get(t *testing.T, s *Server, target string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, target, nil))
	return w.Code, strings.TrimSpace(w.Body.String())
}

// The answers are Prometheus's, to the letter: what a client library or a Grafana panel parses.
func TestQueriesAnswerAsPrometheusDoes(t *testing.T) {
	s := newTestServer(t)
	const noonUnix = "1767268800"
	for _, c := range []struct{ about, target, want string }{
		{"an instant vector", "/api/v1/query?query=queue&time=" + noonUnix, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"queue","pod":"p0"},"value":[1767268800,"3"]}]}}`},
		{"now, when no time is given", "/api/v1/query?query=queue", `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"queue","pod":"p0"},"value":[1767268801,"5"]}]}}`},
		{"RFC 3339 and parameters it does not know, as KEDA sends", "/api/v1/query?query=queue&namespace=x&time=2026-01-01T12:00:00.5Z", `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"queue","pod":"p0"},"value":[1767268800.5,"3"]}]}}`},
		{"an empty vector is a list, not null", "/api/v1/query?query=nothing", `{"status":"success","data":{"resultType":"vector","result":[]}}`},
		{"a scalar; values that JSON has no number for", "/api/v1/query?query=1/0&time=" + noonUnix, `{"status":"success","data":{"resultType":"scalar","result":[1767268800,"+Inf"]}}`},
		{"a string", `/api/v1/query?query="x"&time=` + noonUnix, `{"status":"success","data":{"resultType":"string","result":[1767268800,"x"]}}`},
		{"a range", "/api/v1/query_range?query=queue&step=1&start=" + noonUnix + "&end=1767268801", `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"queue","pod":"p0"},"values":[[1767268800,"3"],[1767268801,"5"]]}]}}`},
		{"a step as a duration", "/api/v1/query_range?query=queue&step=1s&start=" + noonUnix + "&end=" + noonUnix, `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{"__name__":"queue","pod":"p0"},"values":[[1767268800,"3"]]}]}}`},
		{"build information", "/api/v1/status/buildinfo", `{"status":"success","data":{"application":"flyball","version":"v1"}}`},
	} {
		code, body := get(t, s, c.target)
		require.Equal(t, http.StatusOK, code, c.about)
		require.Equal(t, c.want, body, c.about)
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodPost, "/api/v1/query", strings.NewReader(url.Values{"query": {"queue"}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	s.Handler().ServeHTTP(w, r)
	require.Contains(t, w.Body.String(), `"value":[1767268801,"5"]`, "a form that is posted")
}

func TestBadQueriesSayWhatToMend(t *testing.T) {
	s := newTestServer(t)
	for target, want := range map[string]string{
		"/api/v1/query": "parameter query: missing",
		"/api/v1/query?query=queue&time=yesterday":                     "neither RFC 3339 nor Unix seconds",
		"/api/v1/query?query=queue&time=1767268800000":                 "give seconds, not milliseconds",
		"/api/v1/query?query=sum(":                                     "parse error",
		"/api/v1/query?query=queue&timeout=soon":                       "parameter timeout",
		"/api/v1/query?query=queue&timeout=0":                          "zero or negative",
		"/api/v1/query_range?query=queue&end=5&step=1":                 "parameter start: missing",
		"/api/v1/query_range?query=queue&start=9&end=5&step=1":         "before start",
		"/api/v1/query_range?query=queue&start=1&end=5&step=0":         "zero or negative",
		"/api/v1/query_range?query=queue&start=1&end=99999999&step=1s": "more than 11000 points",
	} {
		code, body := get(t, s, target)
		require.Equal(t, http.StatusBadRequest, code, "%s: %s", target, body)
		require.Contains(t, body, `"errorType":"bad_data"`, target)
		require.Contains(t, body, want, target)
	}
}

// endless is a query that ends only with its deadline.
type endless struct{ Evaluator }

func (endless) Instant(ctx context.Context, _ string, _ time.Time) (*promql.Result, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestAQueryEndsWithItsTimeout(t *testing.T) {
	s := newTestServer(t)
	s.Queries = endless{}
	code, body := get(t, s, "/api/v1/query?query=queue&timeout=1ms")
	require.Equal(t, http.StatusServiceUnavailable, code, body)
	require.Contains(t, body, `"errorType":"timeout"`)
}

func TestHealthReadinessAndMetrics(t *testing.T) {
	s := newTestServer(t)
	code, _ := get(t, s, "/healthz")
	require.Equal(t, http.StatusOK, code)
	code, _ = get(t, s, "/readyz")
	require.Equal(t, http.StatusOK, code)
	s.Ready = func() error { return errors.New("no decision yet") }
	code, body := get(t, s, "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Equal(t, "no decision yet", body)

	reg := prometheus.NewRegistry()
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "flyball_x"}, func() float64 { return 4 }))
	s.Metrics = reg
	_, body = get(t, s, "/metrics")
	require.Contains(t, body, "flyball_x 4")
}

func TestServeStopsWhenItsContextEnds(t *testing.T) {
	s := newTestServer(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	resp, err := http.Get("http://" + l.Addr().String() + "/healthz")
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, "ok\n", string(body))
	stop()
	require.NoError(t, <-done)
	http.DefaultClient.CloseIdleConnections()
}
