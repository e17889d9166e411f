package server

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"
)

func get(t *testing.T, s *Server, target string) (int, string) {
	t.Helper()
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequest(http.MethodGet, target, http.NoBody))
	return w.Code, strings.TrimSpace(w.Body.String())
}

// The answers are Prometheus's to the letter where numbers are: what a client library or a Grafana panel parses.
func TestNumbersAreWrittenAsPrometheusWritesThem(t *testing.T) {
	s := newTestServer(t)
	for target, want := range map[string]string{
		`/api/v1/query?query=odd{value="tiny"}&time=1767268800.5`:   `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"odd","value":"tiny"},"value":[1767268800.500,"1.5e-09"]}]}}`,
		`/api/v1/query?query=odd{value="huge"}`:                     `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"odd","value":"huge"},"value":[1767268859,"2.5e+25"]}]}}`,
		`/api/v1/query?query=1e25&time=-0.007`:                      `{"status":"success","data":{"resultType":"scalar","result":[-0.007,"10000000000000000000000000"]}}`,
		`/api/v1/query_range?query=vector(1)&step=60&start=0&end=0`: `{"status":"success","data":{"resultType":"matrix","result":[{"metric":{},"values":[[0,"1"]]}]}}`,
	} {
		code, body := get(t, s, target)
		require.Equal(t, http.StatusOK, code, target)
		require.Equal(t, want, body, target)
	}
}

func TestBadRequestsSayWhatToMend(t *testing.T) {
	s := newTestServer(t)
	for target, want := range map[string]string{
		"/api/v1/query":                                                 `invalid parameter \"query\"`,
		"/api/v1/query?query=odd&time=yesterday":                        `invalid parameter \"time\": cannot parse \"yesterday\" to a valid timestamp; give RFC 3339 or Unix seconds`,
		"/api/v1/query?query=odd&time=NaN":                              "valid timestamp",
		"/api/v1/query?query=odd&limit=-1":                              `invalid parameter \"limit\": limit must be non-negative`,
		"/api/v1/query?query=odd&limit=1.5":                             "whole number",
		"/api/v1/query?query=odd&lookback_delta=long":                   "error parsing lookback delta duration",
		"/api/v1/query?query=odd&timeout=0":                             "timeout must be positive",
		"/api/v1/query_range?query=odd&start=9&end=5&step=1":            "before start",
		"/api/v1/query_range?query=odd&start=1&end=5&step=1e300":        "beyond 292 years",
		"/api/v1/query_range?query=odd&start=-1e300&end=1e300&step=9e9": "11,000 points",
		"/api/v1/series?match[]=odd&limit=x":                            `invalid parameter \"limit\"`,
		"/api/v1/label/pod%FF/values":                                   "invalid label name",
		"/api/v1/query?query=odd&%zz":                                   "error parsing form values",
		"/api/v1/metadata?limit_per_metric=x":                           "limit_per_metric must be a number",
	} {
		code, body := get(t, s, target)
		require.Equal(t, http.StatusBadRequest, code, "%s: %s", target, body)
		require.Contains(t, body, `"errorType":"bad_data"`, target)
		require.Contains(t, body, want, target)
	}
}

// What Prometheus has learnt since the version that was recorded; the expectations are version 3.16's.
func TestLimitsLookbackNamesAndNotes(t *testing.T) {
	s := newTestServer(t)
	const cut = `"warnings":["results truncated due to limit"]`
	for _, c := range []struct{ target, want string }{
		{"/api/v1/query?query=sort(requests_total)&limit=1", `{"status":"success","data":{"resultType":"vector","result":[{"metric":{"__name__":"requests_total","namespace":"chat","pod":"p0"},"value":[1767268859,"59"]}]},` + cut + `}`},
		{`/api/v1/query_range?query=odd&limit=1&start=1767268800&end=1767268800&step=1`, cut},
		{"/api/v1/query?query=count(odd)&limit=1", `"value":[1767268859,"6"]}]}}`},
		{"/api/v1/series?match[]=odd&limit=1", `{"status":"success","data":[{"__name__":"odd","value":"huge"}],` + cut + `}`},
		{"/api/v1/labels?limit=2", `{"status":"success","data":["__name__","le"],` + cut + `}`},
		{"/api/v1/label/pod/values?limit=2", `{"status":"success","data":["p0","p1"],` + cut + `}`},
		{"/api/v1/label/pod/values?limit=3", `{"status":"success","data":["p0","p1","p2"]}`},
		{`/api/v1/query?query=quoted&time=1767268869&lookback_delta=11s`, `"value":[1767268869,"1"]`},
		{`/api/v1/query?query=quoted&time=1767268869`, `"result":[]`},
		{`/api/v1/query_range?query=quoted&start=1767268869&end=1767268869&step=1&lookback_delta=10.5`, `"values":[[1767268869,"1"]]`},
		{`/api/v1/query?query={"vllm:num_requests_waiting","pod"="p0"}`, `"pod":"p0"}`},
		{`/api/v1/label/U__pod/values`, `["p0","p1","p2"]`},
		{`/api/v1/label/U__text_20_of_2f_it/values`, `"data":[]`},
		{`/api/v1/label/a%20b%2Fc/values`, `"data":[]`},
		{`/api/v1/query?query=rate(odd{value="third"}[10s])`, `"infos":["PromQL info: metric might not be a counter, name does not end in _total/_sum/_count/_bucket: \"odd\" (1:6)"]`},
		{`/api/v1/query?query=quantile(2,odd)`, `"warnings":["PromQL warning: quantile value should be between 0 and 1`},
		{`/api/v1/query?query=odd&stats=yes`, `\"stats\" is deprecated`},
		{`/api/v1/query?query=quoted&stats=all`, `"samples":{"totalQueryableSamples":1,"samplesRead":1,"seriesTouched":1,"peakSamples":1}`},
	} {
		code, body := get(t, s, c.target)
		require.Equal(t, http.StatusOK, code, "%s: %s", c.target, body)
		require.Contains(t, body, c.want, c.target)
	}
}

func TestBuildInformationIsOfTheAPIThatIsSpoken(t *testing.T) {
	_, body := get(t, newTestServer(t), "/api/v1/status/buildinfo")
	var got struct{ Data map[string]string }
	require.NoError(t, json.Unmarshal([]byte(body), &got))
	require.Equal(t, "flyball", got.Data["application"])
	require.Equal(t, "v1", got.Data["revision"])
	mod, err := os.ReadFile("../../go.mod")
	require.NoError(t, err)
	require.Contains(t, string(mod), "github.com/prometheus/prometheus v0."+strings.Replace(got.Data["version"], "3.", "3", 1)+"\n",
		"the module's v0.3xx is Prometheus 3.xx")
}

func TestAnswersAreCompressedForThoseWhoTakeIt(t *testing.T) {
	s := newTestServer(t)
	for _, target := range []string{"/api/v1/query?query=odd", "/federate?match[]=odd"} {
		_, plain := get(t, s, target)
		r := httptest.NewRequest(http.MethodGet, target, http.NoBody)
		r.Header.Set("Accept-Encoding", "deflate;q=0, gzip")
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, r)
		require.Equal(t, "gzip", w.Header().Get("Content-Encoding"), target)
		require.Equal(t, "Accept-Encoding", w.Header().Get("Vary"), target)
		z, err := gzip.NewReader(w.Body)
		require.NoError(t, err)
		body, err := io.ReadAll(z)
		require.NoError(t, err)
		require.Equal(t, plain, strings.TrimSpace(string(body)))
	}
}

// endless is a storage that answers only when the asker gives up, and broken one that fails.
type endless struct{ storage.Querier }

func (endless) Select(ctx context.Context, _ bool, _ *storage.SelectHints, _ ...*labels.Matcher) storage.SeriesSet {
	<-ctx.Done()
	return storage.ErrSeriesSet(ctx.Err())
}
func (endless) Close() error { return nil }

func storageOf(q storage.Querier, err error) storage.Queryable {
	return storage.QueryableFunc(func(int64, int64) (storage.Querier, error) { return q, err })
}

func TestErrorsHaveTheTypesOfPrometheus(t *testing.T) {
	s := newTestServer(t)
	healthy := s.Store
	s.Store = storageOf(endless{}, nil)
	code, body := get(t, s, "/api/v1/query?query=odd&timeout=1ms")
	require.Equal(t, http.StatusServiceUnavailable, code, body)
	require.Contains(t, body, `"errorType":"timeout"`)

	gone, leave := context.WithCancel(t.Context())
	leave()
	w := httptest.NewRecorder()
	s.Handler().ServeHTTP(w, httptest.NewRequestWithContext(gone, http.MethodGet, "/api/v1/query?query=odd", http.NoBody))
	require.Equal(t, 499, w.Code, w.Body)
	require.Contains(t, w.Body.String(), `"errorType":"canceled"`)

	s.Store = storageOf(nil, errors.New("the disk is gone"))
	for _, target := range []string{"/api/v1/query?query=odd", "/api/v1/labels"} {
		code, body = get(t, s, target)
		require.Equal(t, http.StatusUnprocessableEntity, code, body)
		require.Contains(t, body, `"errorType":"execution"`)
	}
	require.Equal(t, internal, kindOf(fmt.Errorf("query: %w", promql.ErrStorage{Err: errors.New("a chunk is torn")})))
	code, body = get(t, s, "/federate?match[]=odd")
	require.Equal(t, http.StatusInternalServerError, code, body)

	s.Store = healthy
	code, body = get(t, s, "/api/v1/query?query=odd%2Bon()+odd")
	require.Equal(t, http.StatusUnprocessableEntity, code, body)
	require.Contains(t, body, `"errorType":"execution"`)
}

func TestWhatIsNotGivenIsUnavailable(t *testing.T) {
	s := New(Options{Metrics: prometheus.NewRegistry(), Now: time.Now, API: http.NotFoundHandler()})
	for _, target := range []string{"query?query=x", "query_range?query=x&start=1&end=2&step=1", "series?match[]=x", "labels", "label/pod/values", "targets", "metadata"} {
		code, body := get(t, s, "/api/v1/"+target)
		require.Equal(t, http.StatusServiceUnavailable, code, target)
		require.Contains(t, body, `"errorType":"unavailable"`, target)
	}
	code, _ := get(t, s, "/federate?match[]=x")
	require.Equal(t, http.StatusServiceUnavailable, code)
}

func TestMetadataByName(t *testing.T) {
	s := newTestServer(t)
	s.Metadata = func() map[string][]metadata.Metadata {
		return map[string][]metadata.Metadata{
			"a": {{Type: "gauge", Help: "A."}, {Type: "counter", Help: "A too."}},
			"b": {{Type: "histogram", Help: "B.", Unit: "seconds"}},
		}
	}
	for target, want := range map[string]string{
		"/api/v1/metadata": `{"a":[{"type":"gauge","unit":"","help":"A."},{"type":"counter","unit":"","help":"A too."}],"b":[{"type":"histogram","unit":"seconds","help":"B."}]}`,
		"/api/v1/metadata?limit=1&limit_per_metric=1": `{"a":[{"type":"gauge","unit":"","help":"A."}]}`,
		"/api/v1/metadata?metric=b":                   `{"b":[{"type":"histogram","unit":"seconds","help":"B."}]}`,
		"/api/v1/metadata?metric=c":                   `{}`,
		"/api/v1/metadata?limit=0":                    `{}`,
	} {
		code, body := get(t, s, target)
		require.Equal(t, http.StatusOK, code, target)
		require.Equal(t, `{"status":"success","data":`+want+`}`, body, target)
	}
}

func TestHealthReadinessMetricsAndDecisions(t *testing.T) {
	s := newTestServer(t)
	for _, path := range []string{"/healthz", "/readyz", "/-/healthy", "/-/ready"} {
		code, _ := get(t, s, path)
		require.Equal(t, http.StatusOK, code, path)
	}
	s.Ready = func() error { return errors.New("no decision yet") }
	code, body := get(t, s, "/readyz")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Equal(t, "no decision yet", body)

	reg := prometheus.NewRegistry()
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "flyball_x"}, func() float64 { return 4 }))
	s.Metrics = reg
	_, body = get(t, s, "/metrics")
	require.Contains(t, body, "flyball_x 4")

	_, body = get(t, s, "/api/decision/v1/watch")
	require.Equal(t, "decisions at /api/decision/v1/watch", body)
}

func TestServeStopsWhenItsContextEnds(t *testing.T) {
	s := newTestServer(t)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Serve(ctx, l) }()
	resp, err := client.Get("http://" + l.Addr().String() + "/healthz")
	require.NoError(t, err)
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.NoError(t, resp.Body.Close())
	require.Equal(t, "ok\n", string(body))
	stop()
	require.NoError(t, <-done)
}
