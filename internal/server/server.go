package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/prometheus/prometheus/promql"

	"github.com/flyball/flyball/internal/loop"
)

// Evaluator answers PromQL over everything that is stored.
type Evaluator interface {
	Instant(ctx context.Context, expr string, t time.Time) (*promql.Result, error)
	Range(ctx context.Context, expr string, start, end time.Time, step time.Duration) (*promql.Result, error)
}

// Options are what the server shows.
type Options struct {
	Queries Evaluator
	Metrics prometheus.Gatherer
	Ready   func() error     // nil error: decisions are being made
	Now     func() time.Time // for queries without a time
	Version string
	// Explain finds an autoscaler's last decision at or before a time; loop.Records does.
	Explain func(namespace, name string, at time.Time) (loop.Explanation, error)
}

// Server serves the HTTP API.
type Server struct{ Options }

// New makes a server; it listens to nothing until Serve.
func New(o Options) *Server { return &Server{o} }

const (
	headerTimeout = 5 * time.Second
	// queryTimeout bounds one query. A dashboard gives up after 30 s; a stuck query must not outlive it.
	queryTimeout = 30 * time.Second
	stopTimeout  = 2 * time.Second
)

// Handler is the API without a listener.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.Metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", s.ready)
	for _, method := range []string{"GET ", "POST "} {
		mux.HandleFunc(method+"/api/v1/query", s.query)
		mux.HandleFunc(method+"/api/v1/query_range", s.queryRange)
	}
	mux.HandleFunc("GET "+ExplainPath, s.explain)
	mux.HandleFunc("GET /api/v1/status/buildinfo", s.buildinfo)
	return mux
}

func (s *Server) ready(w http.ResponseWriter, _ *http.Request) {
	if err := s.Ready(); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	fmt.Fprintln(w, "ready")
}

// Serve answers on the listener until ctx ends, then gives requests under way 2 s to finish.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{Handler: s.Handler(), ReadHeaderTimeout: headerTimeout, BaseContext: func(net.Listener) context.Context { return ctx }}
	failed := make(chan error, 1)
	go func() { failed <- srv.Serve(l) }()
	select {
	case err := <-failed:
		return fmt.Errorf("serve http on %s: %w", l.Addr(), err)
	case <-ctx.Done():
	}
	stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if err := srv.Shutdown(stop); err != nil {
		_ = srv.Close()
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve http on %s: %w", l.Addr(), err)
	}
	return nil
}
