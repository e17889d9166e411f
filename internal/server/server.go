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
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
)

// Options are what the server shows. Where a field is nil, the routes that need it answer "unavailable", 503.
type Options struct {
	Engine   promql.QueryEngine
	Store    storage.Queryable
	Lookback time.Duration // how long a sample speaks, for /federate: as the engine's; 0 means 6 s
	Targets  func() []Target
	Metadata func() map[string][]metadata.Metadata // by metric name

	Metrics prometheus.Gatherer
	Ready   func() error     // nil error: decisions are being made
	Now     func() time.Time // for queries without a time
	Version string
	API     http.Handler // answers below /api/decision/

	Page  http.Handler // answers Paths: the page that people read; nil for none
	Paths []string     // patterns of an http.ServeMux
}

// Server serves the HTTP API.
type Server struct {
	Options
	parser parser.Parser
}

// New makes a server; it listens to nothing until Serve.
func New(o Options) *Server {
	if o.Lookback <= 0 {
		o.Lookback = 6 * time.Second
	}
	return &Server{o, parser.NewParser(parser.Options{})}
}

const (
	headerTimeout = 5 * time.Second
	// queryTimeout bounds one request of the API. A dashboard gives up after 30 s; a stuck query must not outlive it.
	queryTimeout = 30 * time.Second
	stopTimeout  = 2 * time.Second
)

// Handler is the API without a listener.
func (s *Server) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(s.Metrics, promhttp.HandlerOpts{}))
	for _, path := range []string{"/healthz", "/-/healthy"} { // the second is Prometheus's name for it
		mux.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	}
	for _, path := range []string{"/readyz", "/-/ready"} {
		mux.HandleFunc("GET "+path, s.ready)
	}
	s.routes(mux)
	mux.Handle("/api/decision/", s.API)
	if s.Page != nil {
		for _, path := range s.Paths { // not all of /, where the page would answer for routes that are misspelt
			mux.Handle(path, s.Page)
		}
	}
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
	requests, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	srv := &http.Server{Handler: s.Handler(), ReadHeaderTimeout: headerTimeout, BaseContext: func(net.Listener) context.Context { return requests }}
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
		end()
		_ = srv.Close()
	}
	if err := <-failed; !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve http on %s: %w", l.Addr(), err)
	}
	return nil
}
