package server

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var record = flag.Bool("record", false, "ask the prometheus on PATH and write its answers to testdata/prometheus")

// golden is an answer of Prometheus, as it lies in testdata/prometheus.
type golden struct {
	Request     string          `json:"request"`
	Status      int             `json:"status"`
	ContentType string          `json:"contentType"`
	JSON        json.RawMessage `json:"json,omitempty"`
	Text        string          `json:"text,omitempty"` // where the answer is not JSON
}

const goldenDir = "testdata/prometheus"

// Every answer is Prometheus's: status, content type, and each field but the words of an error. The files hold what
// Debian's Prometheus (its version is in testdata/prometheus/VERSION) answered about the same minute.
func TestAnswersAreThoseOfPrometheus(t *testing.T) {
	if *record {
		recordAnswers(t)
	}
	ours := newTestServer(t).Handler()
	all := shapes()
	for _, s := range all {
		t.Run(s.name, func(t *testing.T) {
			raw, err := os.ReadFile(filepath.Join(goldenDir, s.name+".json"))
			require.NoError(t, err, "record it: go test ./internal/server -run %s -record", t.Name())
			var want golden
			require.NoError(t, json.Unmarshal(raw, &want))
			r, err := s.request("http://flyball")
			require.NoError(t, err)
			w := httptest.NewRecorder()
			ours.ServeHTTP(w, r)
			requireSame(t, s, want, s.answer(w.Result()))
		})
	}
	files, err := filepath.Glob(goldenDir + "/*.json")
	require.NoError(t, err)
	require.Len(t, files, len(all), "one file for each request")
}

// Where the prometheus that was recorded is installed, it still answers as recorded.
func TestTheRecordedAnswersAreThoseOfPrometheus(t *testing.T) {
	program, err := exec.LookPath("prometheus")
	if err != nil || prometheusVersionOf(t, program) != readVersion(t) {
		t.Logf("not compared: prometheus %s is not on PATH", readVersion(t))
		return
	}
	base := startPrometheus(t, "")
	for _, s := range shapes() {
		raw, err := os.ReadFile(filepath.Join(goldenDir, s.name+".json"))
		require.NoError(t, err)
		var want golden
		require.NoError(t, json.Unmarshal(raw, &want))
		requireSame(t, s, want, askPrometheus(t, base, s))
	}
}

func requireSame(t *testing.T, s shape, want, got golden) {
	t.Helper()
	require.Equal(t, want.Status, got.Status, "%s: %s: %s%s", s.name, want.Request, got.JSON, got.Text)
	if want.JSON == nil {
		require.Nil(t, got.JSON, s.name)
		if want.Status == http.StatusOK {
			require.Equal(t, want.Text, got.Text, s.name)
		}
		return
	}
	require.Equal(t, want.ContentType, got.ContentType, s.name)
	require.Equal(t, compared(t, s, want.JSON), compared(t, s, got.JSON), "%s: %s", s.name, want.Request)
}

// compared is an answer without what may differ: the words of an error, the numbers in stats and those that Prometheus
// has added to it since, the dropped targets by pool (since 2.44), and the order of results that no function sorted.
func compared(t *testing.T, s shape, raw json.RawMessage) map[string]any {
	t.Helper()
	var body map[string]any
	require.NoError(t, json.Unmarshal(raw, &body), "%s", raw)
	if body["status"] == "error" {
		require.NotEmpty(t, body["error"], "an error says what is wrong")
		body["error"] = "…"
	}
	list, _ := body["data"].([]any)
	if data, ok := body["data"].(map[string]any); ok {
		list, _ = data["result"].([]any)
		delete(data, "droppedTargetCounts")
		if stats, ok := data["stats"].(map[string]any); ok {
			for _, part := range stats {
				for name := range part.(map[string]any) {
					part.(map[string]any)[name] = "number"
				}
			}
			samples := stats["samples"].(map[string]any)
			delete(samples, "samplesRead")
			delete(samples, "seriesTouched")
		}
	}
	if !s.ordered {
		slices.SortFunc(list, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	}
	return body
}

func (s shape) answer(resp *http.Response) golden {
	body, _ := io.ReadAll(resp.Body)
	g := golden{Request: s.method + " " + s.path + "?" + s.form.Encode(), Status: resp.StatusCode, ContentType: resp.Header.Get("Content-Type")}
	if strings.HasPrefix(g.ContentType, "application/json") {
		g.JSON = body
	} else {
		g.Text = string(body)
	}
	return g
}

func recordAnswers(t *testing.T) {
	t.Helper()
	base := startPrometheus(t, "")
	require.NoError(t, os.RemoveAll(goldenDir))
	require.NoError(t, os.MkdirAll(goldenDir, 0o755))
	program, err := exec.LookPath("prometheus")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(goldenDir, "VERSION"), []byte(prometheusVersionOf(t, program)+"\n"), 0o644))
	for _, s := range shapes() {
		var b bytes.Buffer
		enc := json.NewEncoder(&b)
		enc.SetEscapeHTML(false)
		enc.SetIndent("", " ")
		require.NoError(t, enc.Encode(askPrometheus(t, base, s)))
		require.NoError(t, os.WriteFile(filepath.Join(goldenDir, s.name+".json"), b.Bytes(), 0o644))
	}
}

func askPrometheus(t *testing.T, base string, s shape) golden {
	t.Helper()
	r, err := s.request(base)
	require.NoError(t, err)
	resp, err := client.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	return s.answer(resp)
}

// client keeps no connection, so that none outlives a test.
var client = &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}

func prometheusVersionOf(t *testing.T, program string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), program, "--version").CombinedOutput()
	require.NoError(t, err)
	words := strings.Fields(string(out)) // prometheus, version 2.42.0+ds (branch: …
	require.Greater(t, len(words), 2, "%s", out)
	return words[2]
}

func readVersion(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(goldenDir + "/VERSION")
	require.NoError(t, err)
	return strings.TrimSpace(string(b))
}

// startPrometheus starts the prometheus on PATH on loopback, with the minute stored, or with a configuration; it gives the base URL.
func startPrometheus(t *testing.T, config string) string {
	t.Helper()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(config), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "minute.om"), []byte(openMetrics()), 0o644))
	out, err := exec.CommandContext(t.Context(), "promtool", "tsdb", "create-blocks-from", "openmetrics", filepath.Join(dir, "minute.om"), filepath.Join(dir, "data")).CombinedOutput()
	require.NoError(t, err, "%s", out)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := l.Addr().String()
	require.NoError(t, l.Close())
	var log bytes.Buffer
	cmd := exec.Command("prometheus", "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--storage.tsdb.retention.time=100y", "--query.lookback-delta=6s", "--web.listen-address="+address)
	cmd.Stdout, cmd.Stderr = &log, &log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("prometheus: %s", log.String())
		}
	})
	base := "http://" + address
	require.Eventually(t, func() bool {
		resp, err := client.Get(base + "/-/ready")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}, 30*time.Second, 50*time.Millisecond)
	return base
}
