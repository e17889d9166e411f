package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/reflection"

	decisionv1 "github.com/flyball/flyball/api/decision/v1"
	"github.com/flyball/flyball/internal/board"
	"github.com/flyball/flyball/internal/lint"
	"github.com/flyball/flyball/internal/loop"
	"github.com/flyball/flyball/internal/replay"
	"github.com/flyball/flyball/query"
)

// Windows evaluates one source over ranges of time that end at t.
type Windows interface {
	Windows(ctx context.Context, b *query.Bound, t time.Time, ranges ...time.Duration) ([]query.Window, error)
}

// Options are what the server shows, and how.
type Options struct {
	Board   *board.Board
	Records loop.Records
	Windows Windows
	Tick    time.Duration // between two decisions of one autoscaler; 0 means loop.DefaultTick
	// Counts says how a target stood, from one time to another.
	Counts func(ctx context.Context, namespace, name string, from, to time.Time) (replay.Counts, error)
	// Findings are those of the PodAutoscalers that there are.
	Findings func() []lint.Finding
	Ready    func() error // nil error: decisions are being made
	Now      func() time.Time
	Log      *zap.Logger
	TLS      TLS
	// Register puts further services on the same port; nil for none.
	Register func(grpc.ServiceRegistrar)
}

const (
	// maxMessage bounds what is read of a request.
	maxMessage = 4 << 20
	// minPing is how often a client may ping, streams or not: KEDA's keepalive and gRPC's own advice are slower.
	minPing = 10 * time.Second
	// A client that has gone without a word is noticed within these two.
	pingAfter, pongWithin = time.Minute, 20 * time.Second

	// lastWord is how long health says NOT_SERVING before streams are ended.
	lastWord    = 100 * time.Millisecond
	stopTimeout = 2 * time.Second
	pollReady   = time.Second
)

// Server serves DecisionService and what shares its port.
type Server struct {
	Options
	public  *grpc.Server // what clients reach
	inner   *grpc.Server // what the gateway reaches: DecisionService, in memory
	health  *health.Server
	gateway atomic.Pointer[gateway]

	stopping context.Context // ends when streams are to end
	stop     context.CancelFunc
}

// New makes a server; it listens to nothing until Serve. TLS files that can't be used are an error.
func New(o Options) (*Server, error) {
	creds := insecure.NewCredentials()
	if o.TLS != (TLS{}) {
		config, err := o.TLS.config(o.Log)
		if err != nil {
			return nil, err
		}
		creds = credentials.NewTLS(config)
	}
	s := &Server{Options: o, health: health.NewServer()}
	s.stopping, s.stop = context.WithCancel(context.Background())
	guards := []grpc.ServerOption{
		grpc.ChainUnaryInterceptor(s.guardUnary), grpc.ChainStreamInterceptor(s.guardStream), grpc.MaxRecvMsgSize(maxMessage),
	}
	s.public = grpc.NewServer(append(slices.Clone(guards), grpc.Creds(creds),
		grpc.KeepaliveEnforcementPolicy(keepalive.EnforcementPolicy{MinTime: minPing, PermitWithoutStream: true}),
		grpc.KeepaliveParams(keepalive.ServerParameters{Time: pingAfter, Timeout: pongWithin}))...)
	s.inner = grpc.NewServer(guards...)
	d := newDecisions(o)
	for _, r := range []grpc.ServiceRegistrar{s.public, s.inner} {
		decisionv1.RegisterDecisionServiceServer(r, d)
	}
	if o.Register != nil {
		o.Register(s.public)
	}
	healthv1.RegisterHealthServer(s.public, s.health)
	reflection.Register(s.public)
	s.announce(healthv1.HealthCheckResponse_NOT_SERVING)
	return s, nil
}

// announce tells health about each service, and about the server as a whole.
func (s *Server) announce(now healthv1.HealthCheckResponse_ServingStatus) {
	s.health.SetServingStatus("", now)
	for name := range s.public.GetServiceInfo() {
		s.health.SetServingStatus(name, now)
	}
}

// Serve answers on the listener until ctx ends. Then health says NOT_SERVING, streams end with UNAVAILABLE, and calls under
// way have 2 s to finish.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	g, err := s.openGateway()
	if err != nil {
		return err
	}
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return served(l.Addr().String(), s.public.Serve(l)) })
	all.Go(func() error { return served("memory", s.inner.Serve(g.pipe)) })
	all.Go(func() error {
		s.followReadiness(ctx)
		s.close(g)
		return nil
	})
	return all.Wait()
}

func served(where string, err error) error {
	if err == nil || errors.Is(err, grpc.ErrServerStopped) {
		return nil
	}
	return fmt.Errorf("serve grpc on %s: %w", where, err)
}

// followReadiness tells health whether decisions are being made, until ctx ends.
func (s *Server) followReadiness(ctx context.Context) {
	tick := time.NewTicker(pollReady)
	defer tick.Stop()
	for {
		now := healthv1.HealthCheckResponse_SERVING
		if s.Ready() != nil {
			now = healthv1.HealthCheckResponse_NOT_SERVING
		}
		s.announce(now)
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (s *Server) close(g *gateway) {
	s.health.Shutdown()
	<-time.After(lastWord)
	s.stop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.public.GracefulStop()
		s.inner.GracefulStop()
	}()
	select {
	case <-done:
	case <-time.After(stopTimeout):
		s.public.Stop()
		s.inner.Stop()
		<-done
	}
	_ = g.conn.Close()
}
