package server

import (
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/storage"
	"github.com/stretchr/testify/require"

	"github.com/flyball/flyball/query"
)

// A time is within the ends of time, and the one that was written.
func FuzzTime(f *testing.F) {
	for _, v := range []string{
		"", "0", "-0", "1767268830.5", "1e300", "-1e300", "NaN", "+Inf", "0x1p40", "1_000", "2026-01-01T12:00:00Z", "2026-01-01T12:00:00.5+01:00",
		"-292273086-05-16T16:47:06Z", "292277025-08-18T07:12:54.999999999Z", "2026-01-01", "9223372036854775807",
	} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v string) {
		got, err := parseTime(v)
		if err != nil {
			require.Zero(t, got)
			return
		}
		require.False(t, got.Before(minTime) || got.After(maxTime), "%q: %s", v, got)
		if want, err := time.Parse(time.RFC3339Nano, v); err == nil {
			require.True(t, want.Equal(got))
		}
		if sec, err := strconv.ParseFloat(v, 64); err == nil && math.Abs(sec) < 1e9 {
			require.InDelta(t, sec*1000, float64(got.UnixMilli()), 1, v)
		}
	})
}

func FuzzDuration(f *testing.F) {
	for _, v := range []string{"", "0", "15s", "1m30s", "2.5", "-3", "1e300", "NaN", "Inf", "1y", "300y", "5", "1s1m", "9223372036.8547758", "-9223372036.854776"} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v string) {
		got, err := parseDuration(v)
		if want, e := model.ParseDuration(v); e == nil && v != "0" {
			require.NoError(t, err)
			require.Equal(t, time.Duration(want), got)
		}
		if sec, e := strconv.ParseFloat(v, 64); err == nil && e == nil {
			require.InEpsilon(t, 1+math.Abs(sec), 1+math.Abs(got.Seconds()), 1e-6)
		}
	})
}

// Selectors that are accepted select something, and read the same when written out.
func FuzzMatchers(f *testing.F) {
	for _, v := range []string{"", "up", "{", `{a=~".*"}`, `{a!=""}`, `x{pod="p0",pod!~"p1|p2"}`, `{"a b","c d"="e"}`, `vllm:x{le=~"0\\.1"}`, "up[5m]", `{__name__=~".+"}`} {
		f.Add(v)
	}
	s := New(Options{})
	f.Fuzz(func(t *testing.T, v string) {
		sets, err := s.matchers([]string{v})
		if err != nil {
			require.Equal(t, badData, kindOf(err))
			return
		}
		require.Len(t, sets, 1)
		var written []string
		for _, m := range sets[0] {
			written = append(written, m.String())
		}
		again, err := s.matchers([]string{"{" + strings.Join(written, ",") + "}"})
		require.NoError(t, err, "%q as %s", v, written)
		for i, m := range again[0] {
			require.Equal(t, sets[0][i].String(), m.String())
		}
	})
}

func FuzzLimit(f *testing.F) {
	for _, v := range []string{"", "0", "1", "-1", "1.5", "9223372036854775807", "9223372036854775808", "x"} {
		f.Add(v)
	}
	f.Fuzz(func(t *testing.T, v string) {
		n, err := parseLimit(v)
		if err == nil {
			require.GreaterOrEqual(t, n, 0)
			require.GreaterOrEqual(t, hint(n), n)
		}
	})
}

// Whatever is asked, the answer is one of Prometheus's: JSON, with a status that goes with it.
func FuzzRequest(f *testing.F) {
	for _, s := range shapes() {
		f.Add(s.path, s.form.Encode())
	}
	f.Add("/api/v1/query_range", "query=x&start=-1e300&end=1e300&step=9e9")
	f.Add("/api/v1/query_range", "query=x&start=-9e15&end=9e15&step=9223372036")
	f.Add("/api/v1/query", "query=x&time=1e300&lookback_delta=9e9")
	f.Add("/api/v1/query", "query=x&lookback_delta=-1")
	s := New(Options{
		Engine: query.New(query.Options{MaxSamples: 20_000, Timeout: time.Second}).PromQL(), Store: storageOf(storage.NoopQuerier(), nil),
		Targets: scraped, Metrics: prometheus.NewRegistry(), Now: func() time.Time { return noon }, API: http.NotFoundHandler(),
	})
	ours := s.Handler()
	f.Fuzz(func(t *testing.T, path, form string) {
		u := url.URL{Scheme: "http", Host: "flyball", Path: "/" + strings.TrimPrefix(path, "/"), RawQuery: form}
		r, err := http.NewRequest(http.MethodGet, u.String(), http.NoBody)
		if err != nil {
			return
		}
		w := httptest.NewRecorder()
		ours.ServeHTTP(w, r)
		if !strings.HasPrefix(w.Header().Get("Content-Type"), "application/json") {
			return
		}
		var body response
		require.NoError(t, json.Unmarshal(w.Body.Bytes(), &body))
		require.Equal(t, w.Code == http.StatusOK, body.Status == "success")
		require.Equal(t, w.Code != http.StatusOK, body.ErrorType != "" && body.Error != "")
	})
}
