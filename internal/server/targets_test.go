package server

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
)

// scraped are three targets: one answers, one has not since 12:00:30, one has not been asked yet.
func scraped() []Target {
	target := func(pod, url string) Target {
		return Target{
			Labels: labels.FromStrings("namespace", "chat", "pod", pod), Pool: "pod", URL: url,
			Scraped: noon.Add(58 * time.Second), Duration: 3 * time.Millisecond, Interval: 2 * time.Second, Timeout: 1500 * time.Millisecond,
		}
	}
	down := target("p1", "http://127.1.0.2:8000/metrics")
	down.Err, down.DownSince = errors.New("connection refused"), noon.Add(30*time.Second)
	asked := target("p2", "http://127.1.0.3:8000/metrics")
	asked.Scraped, asked.Duration, asked.Pool = time.Time{}, 0, "gpu"
	return []Target{target("p0", "http://127.1.0.1:8000/metrics"), down, asked}
}

func TestTargetsAndTheirHealth(t *testing.T) {
	s := newTestServer(t)
	s.Targets = scraped
	_, body := get(t, s, "/api/v1/targets?scrapePool=pod")
	require.JSONEq(t, `{"status":"success","data":{"droppedTargets":[],"droppedTargetCounts":{},"activeTargets":[
		{"discoveredLabels":{"namespace":"chat","pod":"p0"},"labels":{"namespace":"chat","pod":"p0"},"scrapePool":"pod",
		 "scrapeUrl":"http://127.1.0.1:8000/metrics","globalUrl":"http://127.1.0.1:8000/metrics","lastError":"",
		 "lastScrape":"2026-01-01T12:00:58Z","lastScrapeDuration":0.003,"health":"up","scrapeInterval":"2s","scrapeTimeout":"1.5s"},
		{"discoveredLabels":{"namespace":"chat","pod":"p1"},"labels":{"namespace":"chat","pod":"p1"},"scrapePool":"pod",
		 "scrapeUrl":"http://127.1.0.2:8000/metrics","globalUrl":"http://127.1.0.2:8000/metrics","lastError":"connection refused",
		 "lastScrape":"2026-01-01T12:00:58Z","lastScrapeDuration":0.003,"health":"down","scrapeInterval":"2s","scrapeTimeout":"1.5s"}]}}`, body)

	var got struct {
		Data struct{ ActiveTargets []map[string]any }
	}
	_, body = get(t, s, "/api/v1/targets?state=active")
	require.NoError(t, json.Unmarshal([]byte(body), &got))
	require.Len(t, got.Data.ActiveTargets, 3)
	require.Equal(t, "unknown", got.Data.ActiveTargets[2]["health"])
	_, body = get(t, s, "/api/v1/targets?state=dropped")
	require.Contains(t, body, `"activeTargets":[]`)
}

// An answer that lacks a silent target's data says so; one that the target can't be part of does not.
func TestIncompleteAnswersSaySo(t *testing.T) {
	s := newTestServer(t)
	s.Targets = scraped
	const warning = `"warnings":["incomplete: 1 of the 3 targets that this query may read do not answer; the first: http://127.1.0.2:8000/metrics since 2026-01-01T12:00:30Z: connection refused"]`
	for target, incomplete := range map[string]bool{
		"/api/v1/query?query=requests_total":                                                    true,
		`/api/v1/query?query=sum(requests_total{namespace="chat"})`:                             true,
		"/api/v1/query_range?query=requests_total&start=1767268800&end=1767268830&step=10":      true,
		"/api/v1/query_range?query=requests_total&start=1767268800&end=1767268829&step=10":      false, // it still answered
		"/api/v1/query?query=requests_total&time=1767268820":                                    false,
		`/api/v1/query?query=requests_total{pod="p0"}`:                                          false, // another's series
		`/api/v1/query?query=requests_total{namespace="code"}`:                                  false,
		"/api/v1/query?query=vector(1)":                                                         false,
		`/api/v1/query?query=absent(requests_total{pod="p0"})%20or%20requests_total{pod!="p1"}`: false,
	} {
		code, body := get(t, s, target)
		require.Equal(t, http.StatusOK, code, target)
		if incomplete {
			require.Contains(t, body, warning, target)
		} else {
			require.NotContains(t, body, "warnings", target)
		}
	}
}
