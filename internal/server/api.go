package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"runtime"
	"slices"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/prometheus/prometheus/util/httputil"
)

// maxNotes is the most warnings, and the most infos, that an answer carries, as in Prometheus.
const maxNotes = 10

// prometheusVersion is the version of Prometheus whose API this is: the module's v0.316 is Prometheus 3.16.
const prometheusVersion = "3.16.0"

// response is the envelope of every answer.
type response struct {
	Status    string   `json:"status"`
	Data      any      `json:"data,omitempty"`
	ErrorType string   `json:"errorType,omitempty"`
	Error     string   `json:"error,omitempty"`
	Warnings  []string `json:"warnings,omitempty"`
	Infos     []string `json:"infos,omitempty"`
}

// rendered are data that are JSON already.
type rendered []byte

// answer is one route: its data, rendered as JSON, and what is to be said about them.
type answer func(r *http.Request) (data any, notes annotations.Annotations, err error)

// routes adds the Prometheus HTTP API. A POST carries the same parameters as a form; clients send long queries so.
func (s *Server) routes(mux *http.ServeMux) {
	both := []string{"GET ", "POST "}
	get := both[:1]
	for _, route := range []struct {
		methods []string
		path    string
		answer  answer
	}{
		{both, "query", s.query},
		{both, "query_range", s.queryRange},
		{both, "query_exemplars", s.exemplars},
		{both, "format_query", s.formatQuery},
		{both, "series", s.series},
		{both, "labels", s.labelNames},
		{get, "label/{name}/values", s.labelValues},
		{get, "metadata", s.metadata},
		{get, "targets", s.targets},
		{get, "rules", constant(map[string]any{"groups": []any{}})},
		{get, "alerts", constant(map[string]any{"alerts": []any{}})},
		{get, "status/buildinfo", s.buildinfo},
	} {
		for _, method := range route.methods {
			mux.Handle(method+"/api/v1/"+route.path, httputil.CompressionHandler{Handler: respond(route.answer)})
		}
	}
	mux.Handle("GET /federate", httputil.CompressionHandler{Handler: http.HandlerFunc(s.federate)})
}

func respond(a answer) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			fail(w, problem{badData, fmt.Errorf("error parsing form values: %w", err)})
			return
		}
		ctx, cancel := context.WithTimeout(r.Context(), queryTimeout)
		defer cancel()
		data, notes, err := a(r.WithContext(ctx))
		if err != nil {
			fail(w, err)
			return
		}
		warnings, infos := notes.AsStrings(r.Form.Get("query"), maxNotes, maxNotes)
		write(w, http.StatusOK, response{Status: "success", Data: data, Warnings: warnings, Infos: infos})
	}
}

// kind is one of Prometheus's error types.
type kind struct {
	name   string
	status int
}

var (
	badData     = kind{"bad_data", http.StatusBadRequest}
	execution   = kind{"execution", http.StatusUnprocessableEntity}
	timedOut    = kind{"timeout", http.StatusServiceUnavailable}
	canceled    = kind{"canceled", 499} // the asker has gone; as Prometheus since 2.43, 503 before
	internal    = kind{"internal", http.StatusInternalServerError}
	unavailable = kind{"unavailable", http.StatusServiceUnavailable}
)

// problem is an error whose type is known where it arises.
type problem struct {
	kind kind
	error
}

func (p problem) Unwrap() error { return p.error }

// invalid is an error of one parameter, which the asker can mend.
func invalid(parameter string, err error) error {
	return problem{badData, fmt.Errorf("invalid parameter %q: %w", parameter, err)}
}

func missing(what string) error {
	return problem{unavailable, fmt.Errorf("%s is not served here", what)}
}

func kindOf(err error) kind {
	var known problem
	var late promql.ErrQueryTimeout
	var gone promql.ErrQueryCanceled
	var broken promql.ErrStorage
	var parse parser.ParseErrors
	switch {
	case errors.As(err, &known):
		return known.kind
	case errors.As(err, &parse):
		return badData
	case errors.As(err, &late), errors.Is(err, context.DeadlineExceeded):
		return timedOut
	case errors.As(err, &gone), errors.Is(err, context.Canceled):
		return canceled
	case errors.As(err, &broken):
		return internal
	}
	return execution
}

func fail(w http.ResponseWriter, err error) {
	k := kindOf(err)
	write(w, k.status, response{Status: "error", ErrorType: k.name, Error: err.Error()})
}

func write(w http.ResponseWriter, status int, r response) {
	data, done := r.Data.(rendered)
	if done {
		r.Data = nil
	}
	body, err := json.Marshal(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	if done { // put in by hand: encoding/json would check and copy every byte of it again
		head := len(`{"status":"success"`)
		body = slices.Concat(body[:head], []byte(`,"data":`), data, body[head:])
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

func constant(data any) answer {
	return func(*http.Request) (any, annotations.Annotations, error) { return data, nil, nil }
}

// buildinfo says who answers. Clients read version as Prometheus's, to learn which parameters they may send: Grafana
// stops sending match[] to an old one. So it is the version of the API; flyball's own stands in revision.
func (s *Server) buildinfo(*http.Request) (any, annotations.Annotations, error) {
	return map[string]string{
		"application": "flyball", "version": prometheusVersion, "revision": s.Version,
		"branch": "", "buildUser": "", "buildDate": "", "goVersion": runtime.Version(),
	}, nil, nil
}
