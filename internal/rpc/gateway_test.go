package rpc

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden files anew")

func (w *world) ask(method, target, body string) (int, string) {
	w.t.Helper()
	rec := httptest.NewRecorder()
	w.server.Gateway().ServeHTTP(rec, httptest.NewRequest(method, target, strings.NewReader(body)))
	return rec.Code, rec.Body.String()
}

// golden compares JSON with a file, whatever its blanks; what differs from run to run is named first.
func golden(t *testing.T, name, got string, changing ...string) {
	t.Helper()
	for i := 0; i+1 < len(changing); i += 2 {
		got = strings.ReplaceAll(got, changing[i], changing[i+1])
	}
	var pretty bytes.Buffer
	require.NoError(t, json.Indent(&pretty, []byte(got), "", "  "), got)
	pretty.WriteByte('\n')
	file := filepath.Join("testdata", name+".json")
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(file, pretty.Bytes(), 0o644))
	}
	want, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, string(want), pretty.String())
}

// busy is a world whose autoscaler a/llm went from 1 to 5 at noon and a second, and to 0 replicas of a/idle nothing happened.
func busy(t *testing.T) *world {
	w := newWorld(t, t.TempDir(), nil).serve()
	w.autoscaler("llm")
	w.autoscaler("idle")
	w.scale("t-idle", 0)
	w.clock(0.5)
	w.queue("llm", 45)
	w.queue("idle", 0)
	w.step(1)
	return w
}

// The shape of the JSON is a contract: what a page or jq reads, zeros included.
func TestTheGatewayAnswersInJSON(t *testing.T) {
	w := busy(t)
	for name, target := range map[string]string{
		"list":        "/api/decision/v1/autoscalers?pageSize=1",
		"autoscaler":  "/api/decision/v1/autoscalers/a/idle",
		"decisions":   "/api/decision/v1/autoscalers/a/llm/decisions?startTime=2026-01-01T12:00:01Z",
		"explanation": "/api/decision/v1/autoscalers/a/llm/explanation?ago=0s",
		"window":      "/api/decision/v1/autoscalers/a/llm/window?source=queue&range=1s",
	} {
		code, body := w.get(target)
		require.Equal(t, http.StatusOK, code, body)
		golden(t, name, body, "1767268801000001", "1767268801000000") // the two are decided for at once
	}
	question := `{"autoscaler": ` + manifestJSON + `, "steps": [{"t": 0, "replicas": 1, "ready": 1, "windows": [{"source": 0, "stable": 45}]}]}`
	code, body := w.ask(http.MethodPost, "/api/decision/v1/whatif", question)
	require.Equal(t, http.StatusOK, code, body)
	golden(t, "whatif", body)
}

const manifestJSON = `{"apiVersion": "autoscaling.aibrix.ai/v1alpha1", "kind": "PodAutoscaler", "metadata": {"name": "llm"}, "spec": {
	"scaleTargetRef": {"kind": "Deployment", "name": "llm"}, "scalingStrategy": "APA", "minReplicas": 1, "maxReplicas": 9,
	"metricsSources": [{"metricSourceType": "pod", "targetMetric": "queue", "targetValue": "10"}]}}`

func TestTheGatewaySaysWhatToMend(t *testing.T) {
	w := busy(t)
	for target, want := range map[string]struct {
		code   int
		reason string
		text   string
	}{
		"/autoscalers?pageSize=-1":                                                  {400, "INVALID_FIELD", "page_size: -1 is out of range"},
		"/autoscalers?pageSize=1001":                                                {400, "INVALID_FIELD", "give 1 to 1000"},
		"/autoscalers?pageToken=x":                                                  {400, "INVALID_FIELD", `page_token: \"x\" is not one`},
		"/autoscalers/a/lm":                                                         {404, "NO_AUTOSCALER", "the nearest are a/llm, a/idle"},
		"/autoscalers/a/lm/window":                                                  {404, "NO_AUTOSCALER", "the nearest are a/llm, a/idle"},
		"/autoscalers/a/lm/decisions":                                               {404, "NO_RECORD", "the nearest are a/llm, a/idle"},
		"/autoscalers/a/lm/explanation":                                             {404, "NO_RECORD", "the nearest are a/llm, a/idle"},
		"/autoscalers/a/llm/explanation?at=2026-01-01T11:00:00Z":                    {404, "NO_RECORD", "the first is of 2026-01-01T12:00:01Z"},
		"/autoscalers/a/llm/explanation?ago=-5s":                                    {400, "INVALID_FIELD", "ago: give how long ago"},
		"/autoscalers/a/llm/explanation?at=yesterday":                               {400, "", "at"},
		"/autoscalers/a/llm/decisions?pageToken=1":                                  {400, "INVALID_FIELD", "page_token"},
		"/autoscalers/a/llm/decisions?pageToken=1/1&startTime=2026-01-01T00:00:00Z": {400, "INVALID_FIELD", "page_token"},
		"/autoscalers/a/llm/decisions?startTime=2026-01-01T13:00:00Z&endTime=2026-01-01T12:00:00Z": {400, "INVALID_FIELD", "end_time: it is before start_time"},
		"/autoscalers/a/llm/window?source=nothing":                                                 {404, "NO_SOURCE", "it has queue"},
		"/autoscalers/a/llm/window?range=-5s":                                                      {400, "INVALID_FIELD", "range: it is out of range; give 1s to 24h"},
		"/autoscalers/a/llm/window?range=0.5s":                                                     {400, "INVALID_FIELD", "range"},
		"/autoscalers/a/llm/window?at=2026-01-01T13:00:00Z":                                        {400, "INVALID_FIELD", "at: 2026-01-01T13:00:00Z is ahead"},
		"/autoscalers/a/llm/window?at=2026-01-01T11:00:00Z":                                        {503, "NO_PODS", "there is no pod that it could come from"},
		"/decisions/x":         {400, "INVALID_FIELD", "id: \\\"x\\\": a decision's id is"},
		"/decisions/u-lm-1":    {404, "NO_RECORD", "no decision is recorded"},
		"/findings?name=llm":   {400, "INVALID_FIELD", "namespace: missing"},
		"/autoscalers/a":       {404, "", "Not Found"},
		"/watch?resumeToken=x": {400, "INVALID_FIELD", "resume_token"},
	} {
		code, body := w.get("/api/decision/v1" + target)
		require.Equal(t, want.code, code, "%s: %s", target, body)
		require.Contains(t, body, want.text, target)
		if want.reason != "" {
			require.Contains(t, strings.ReplaceAll(body, " ", ""), `"reason":"`+want.reason+`","domain":"flyball.dev"`, target)
		}
	}
	code, body := w.ask(http.MethodPost, "/api/decision/v1/whatif", `{"autoscaler": `+manifestJSON+`, "steps": [{"windows": [{"source": 7}]}]}`)
	require.Equal(t, http.StatusBadRequest, code)
	golden(t, "invalid", body)
	code, body = w.ask(http.MethodPost, "/api/decision/v1/whatif", `{"steps": "many"}`)
	require.Equal(t, http.StatusBadRequest, code, body)
	code, body = w.ask(http.MethodPost, "/api/decision/v1/whatif", `{}`)
	require.Equal(t, http.StatusBadRequest, code, body)
	require.Contains(t, body, "autoscaler: missing")
	code, _ = w.ask(http.MethodPost, "/api/decision/v1/autoscalers", ``)
	require.Equal(t, http.StatusNotImplemented, code, "there is nothing to change")

	before := newWorld(t, t.TempDir(), nil)
	code, body = before.get("/api/decision/v1/autoscalers")
	require.Equal(t, http.StatusServiceUnavailable, code)
	require.Contains(t, body, `"code":14,"message":"flyball is starting`)
}

// A watch over HTTP is a line for each event.
func TestTheGatewayWatchesLineByLine(t *testing.T) {
	w := busy(t)
	srv := httptest.NewServer(w.server.Gateway())
	defer srv.Close()
	resp, err := http.Get(srv.URL + "/api/decision/v1/watch?name=llm")
	require.NoError(t, err)
	defer resp.Body.Close()
	lines := json.NewDecoder(resp.Body)
	next := func() (line struct {
		Result struct {
			Decision struct{ Name string }
			Synced   *struct{ StoreID string }
		}
		Error struct{ Message string }
	},
	) {
		require.NoError(t, lines.Decode(&line))
		return line
	}
	require.Equal(t, "llm", next().Result.Decision.Name)
	require.Equal(t, w.store.ID(), next().Result.Synced.StoreID)
	w.clock(1.5)
	w.queue("llm", 5)
	w.step(2)
	require.Equal(t, "llm", next().Result.Decision.Name)
	w.stop()
	require.Contains(t, next().Error.Message, "the server stops")
}
