package sim

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"time"
)

// Server serves a plant's pages over HTTP on loopback addresses: /metrics of every pod that has its GPUs and of every node, each on its own
// address, and /<namespace>/<name>/metrics on the gateway's. A Starting pod answers 503, a silenced one hangs until the caller gives up.
// Where the planned address cannot be had the server takes another and tells the plant, so Snapshot has the real one; on a system with
// 127.0.0.1 alone (macOS) every page has its own port there.
type Server struct {
	plant *Plant
	bind  func(ctx context.Context, address string) (net.Listener, error) // bind, but for the test of systems with one loopback address

	mu      sync.Mutex
	serving map[endpoint]*http.Server
	closed  bool
	hanging int            // requests that wait at silenced pods
	wait    sync.WaitGroup // serve loops and requests
}

// endpoint is what a listener is for. The zero id is the gateway's.
type endpoint struct{ kind, id string }

const (
	podEndpoint     = "pod"
	nodeEndpoint    = "node"
	gatewayEndpoint = "gateway"
)

// NewServer makes a server that listens nowhere until Sync or Run.
func NewServer(plant *Plant) *Server {
	return &Server{plant: plant, bind: bind, serving: map[endpoint]*http.Server{}}
}

// Run advances the plant to now() and syncs the listeners, every so often, until ctx is done; then it closes the server and returns nil.
func (s *Server) Run(ctx context.Context, now func() time.Time, every time.Duration) error {
	defer s.Close()
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		s.plant.Advance(now())
		if err := s.Sync(ctx); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// Sync opens a listener for every pod and node that has none and closes those whose pod is gone.
func (s *Server) Sync(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errors.New("sync plant server: it is closed")
	}
	snap := s.plant.Snapshot()
	wanted := map[endpoint]bool{}
	open := func(e endpoint, address string, h http.Handler) error {
		wanted[e] = true
		if s.serving[e] != nil {
			return nil
		}
		return s.open(ctx, e, address, h)
	}
	if err := open(endpoint{gatewayEndpoint, ""}, snap.Gateway, s.gatewayHandler()); err != nil {
		return err
	}
	for _, n := range snap.Nodes {
		if err := open(endpoint{nodeEndpoint, n.Name}, n.Address, s.nodeHandler(n.Name)); err != nil {
			return err
		}
	}
	for _, d := range snap.Pods {
		if d.Address == "" {
			continue
		}
		if err := open(endpoint{podEndpoint, d.UID}, d.Address, s.podHandler(d.UID)); err != nil {
			return err
		}
	}
	for e, srv := range s.serving {
		if !wanted[e] {
			_ = srv.Close() // closes the listener; its error says nothing that matters for a page that is gone
			delete(s.serving, e)
		}
	}
	return nil
}

// Close stops every listener and waits for the requests in flight to end. It may be called twice.
func (s *Server) Close() {
	s.mu.Lock()
	for e, srv := range s.serving {
		_ = srv.Close() // as in Sync
		delete(s.serving, e)
	}
	s.closed = true
	s.mu.Unlock()
	s.wait.Wait()
}

func (s *Server) open(ctx context.Context, e endpoint, address string, h http.Handler) error {
	l, err := s.listen(ctx, e, address)
	if err != nil {
		return fmt.Errorf("listen for %s %s: %w", e.kind, e.id, err)
	}
	srv := &http.Server{
		Handler:           s.counted(h),
		ReadHeaderTimeout: 5 * time.Second,
		ErrorLog:          log.New(io.Discard, "", 0), // a client that hangs up is no news
	}
	s.serving[e] = srv
	s.wait.Go(func() { _ = srv.Serve(l) }) // always ends with ErrServerClosed
	if real := l.Addr().String(); real != address {
		s.plant.rebind(e, real)
	}
	return nil
}

// maxTries is how many addresses are tried before a port on 127.0.0.1: more than the pods of another plant on this machine.
const maxTries = 64

// listen takes the planned address, or another where it is taken.
func (s *Server) listen(ctx context.Context, e endpoint, address string) (net.Listener, error) {
	for range maxTries {
		l, err := s.bind(ctx, address)
		if err == nil {
			return l, nil
		}
		if !s.wholeLoopback(ctx) {
			break
		}
		address = s.plant.nextAddress(e.kind)
	}
	return s.bind(ctx, "127.0.0.1:0")
}

// wholeLoopback reports whether the system has all of 127.0.0.0/8, by trying an address that no endpoint is planned on.
func (s *Server) wholeLoopback(ctx context.Context) bool {
	l, err := s.bind(ctx, "127.255.0.1:0")
	if err != nil {
		return false
	}
	return l.Close() == nil
}

func bind(ctx context.Context, address string) (net.Listener, error) {
	var lc net.ListenConfig
	return lc.Listen(ctx, "tcp4", address)
}

// counted lets Close wait for the handler.
func (s *Server) counted(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		closed := s.closed
		if !closed {
			s.wait.Add(1)
		}
		s.mu.Unlock()
		if closed {
			return
		}
		defer s.wait.Done()
		h.ServeHTTP(w, r)
	})
}

func (s *Server) podHandler(uid string) http.Handler {
	mux := http.NewServeMux()
	page := func(w http.ResponseWriter, r *http.Request) {
		if s.plant.silent(uid) {
			s.hang(r.Context())
			return
		}
		answer(w, func(b io.Writer) error { return s.plant.WritePodPage(b, uid) })
	}
	mux.HandleFunc("GET /metrics", page)
	mux.HandleFunc("GET /metrics/{$}", page) // vLLM answers both
	return mux
}

// hang waits until the caller gives up or the server closes its connection.
func (s *Server) hang(ctx context.Context) {
	s.mu.Lock()
	s.hanging++
	s.mu.Unlock()
	<-ctx.Done()
	s.mu.Lock()
	s.hanging--
	s.mu.Unlock()
}

func (s *Server) nodeHandler(name string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		answer(w, func(b io.Writer) error { return s.plant.WriteNodePage(b, name) })
	})
	return mux
}

func (s *Server) gatewayHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{namespace}/{name}/metrics", func(w http.ResponseWriter, r *http.Request) {
		answer(w, func(b io.Writer) error {
			return s.plant.WriteGatewayPage(b, r.PathValue("namespace"), r.PathValue("name"))
		})
	})
	return mux
}

// answer writes a page, or the status that its error stands for.
func answer(w http.ResponseWriter, write func(io.Writer) error) {
	var b bytes.Buffer
	switch err := write(&b); {
	case errors.Is(err, ErrNotFound):
		http.Error(w, err.Error(), http.StatusNotFound)
	case errors.Is(err, ErrNotReady):
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	default:
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = w.Write(b.Bytes()) // the client hung up
	}
}
