package datasource

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/stretchr/testify/require"
)

// To record again: run `bin/flyball demo` for a minute, then
//
//	go test -tags arrow_json_stdlib ./datasource -run Recorded -record http://127.0.0.1:8090
//
// which asks it of the last 30 s, keeps what it answered, and rewrites the golden frames. Review the diff.
var (
	record  = flag.String("record", "", "ask the flyball at this address and keep its answers")
	rewrite = flag.Bool("rewrite", false, "rewrite the golden frames from the answers that are kept")
)

// recording is what a flyball answered. A question is a method, a path and a body.
type recording struct {
	From, To time.Time
	Answers  map[string]recordedAnswer

	mu      sync.Mutex
	unknown []string
}

type recordedAnswer struct {
	Status int
	Body   json.RawMessage
}

func (r *recording) path() string { return filepath.Join("testdata", "answers.json") }

// openRecording gives the recording, and the address at which it answers: by itself, or by asking the flyball to record.
func openRecording(t *testing.T) (*recording, string) {
	t.Helper()
	r := &recording{Answers: map[string]recordedAnswer{}}
	if *record != "" {
		*rewrite = true
		r.To = time.Now().UTC().Truncate(time.Second)
		r.From = r.To.Add(-30 * time.Second)
		t.Cleanup(func() { r.keep(t) })
	} else {
		b, err := os.ReadFile(r.path())
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(b, r))
	}
	s := httptest.NewServer(r)
	t.Cleanup(func() {
		s.Close()
		require.Empty(t, r.unknown, "questions that are not in the recording; record again")
	})
	return r, s.URL
}

func (r *recording) keep(t *testing.T) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	require.NoError(t, enc.Encode(r))
	lines := strings.ReplaceAll(b.String(), `},"GET `, "},\n\"GET ") // an answer a line, for the diff
	require.NoError(t, os.WriteFile(r.path(), []byte(lines), 0o644))
}

// ServeHTTP implements http.Handler.
func (r *recording) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	body, _ := io.ReadAll(req.Body)
	key := req.Method + " " + req.URL.RequestURI()
	if len(body) > 0 {
		key += " " + string(body)
	}
	if _, known := r.Answers[key]; *record != "" && !known { // what it says later of the same question is another answer
		r.Answers[key] = ask(req, body)
	}
	a, ok := r.Answers[key]
	if !ok {
		r.unknown = append(r.unknown, key)
		w.WriteHeader(http.StatusTeapot)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(a.Status)
	_, _ = w.Write(a.Body)
}

// ask asks the flyball to record.
func ask(in *http.Request, body []byte) recordedAnswer {
	req, err := http.NewRequestWithContext(in.Context(), in.Method, *record+in.URL.RequestURI(), bytes.NewReader(body))
	if err != nil {
		panic(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		panic(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		panic(err)
	}
	return recordedAnswer{resp.StatusCode, answer}
}

// open makes a data source of an address.
func open(t *testing.T, settings backend.DataSourceInstanceSettings) *Datasource {
	t.Helper()
	d, err := New(context.Background(), settings)
	require.NoError(t, err)
	t.Cleanup(d.(*Datasource).Dispose)
	return d.(*Datasource)
}

// ask1 asks one query of a data source.
func ask1(t *testing.T, d *Datasource, from, to time.Time, model string) backend.DataResponse {
	t.Helper()
	resp, err := d.QueryData(context.Background(), &backend.QueryDataRequest{Queries: []backend.DataQuery{{
		RefID: "A", JSON: json.RawMessage(model), TimeRange: backend.TimeRange{From: from, To: to},
	}}})
	require.NoError(t, err)
	require.Contains(t, resp.Responses, "A")
	return resp.Responses["A"]
}
