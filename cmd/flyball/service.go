package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"
	"golang.org/x/sync/errgroup"

	"github.com/flyball/flyball/collector"
	"github.com/flyball/flyball/dashboards/web"
	"github.com/flyball/flyball/internal/board"
	"github.com/flyball/flyball/internal/lint"
	"github.com/flyball/flyball/internal/loop"
	"github.com/flyball/flyball/internal/server"
	"github.com/flyball/flyball/internal/telemetry"
	"github.com/flyball/flyball/query"
	"github.com/flyball/flyball/store"
)

// fleet is where workloads and policies come from: files, or the simulated plant.
type fleet interface {
	loop.Fleet
	// Run follows the fleet until ctx ends and says at each change what is to be scraped.
	Run(ctx context.Context, scrape func(collector.Config) error) error
	// Ready says what is still to be read before decisions can be made; nil for nothing.
	Ready() error
	// Findings are what lint says of the autoscalers that there are, those that are refused included.
	Findings() []lint.Finding
}

// serviceOptions are what run and demo set differently.
type serviceOptions struct {
	Dir       string
	Retention time.Duration
	MaxBytes  int64
	Listen    string
	GRPC      grpcOptions
	Scrape    time.Duration // default interval between two scrapes of one endpoint
	Tick      time.Duration // between two decisions of one autoscaler
	Log       *zap.Logger
	Publish   func(loop.Result)            // told of each result after the recorder
	Pages     map[string]http.RoundTripper // see collector.Options
}

// service is the pipeline with its edges: the same parts for run and for demo.
type service struct {
	opts      serviceOptions
	registry  *prometheus.Registry
	store     *store.Store
	collector *collector.Collector
	packs     collector.Packs
	engine    *query.Engine
	recorder  *telemetry.Recorder
	timing    *telemetry.Timing
	listener  net.Listener
	grpc      net.Listener
	records   loop.Records
	sequence  uint64 // the last that was recorded before this start
	board     *board.Board
	steps     atomic.Int64
}

// newService opens the store and the listeners; close releases them.
func newService(o serviceOptions) (_ *service, err error) {
	s := &service{opts: o, registry: prometheus.NewRegistry()}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	s.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	telemetry.BuildInfo(s.registry, version(), runtime.Version())
	s.timing = telemetry.NewTiming(s.registry)
	if s.listener, err = net.Listen("tcp", o.Listen); err != nil {
		return nil, fmt.Errorf("listen on %s: %w (choose another address with --listen)", o.Listen, err)
	}
	if s.grpc, err = o.GRPC.listen(); err != nil {
		return nil, err
	}
	s.store, err = store.Open(store.Options{
		Dir: o.Dir, Retention: o.Retention, MaxBytes: o.MaxBytes, Brief: store.Brief{loop.KindEntry: loop.EntryRetention},
		Logger: slog.New(zapslog.NewHandler(o.Log.Core())), Registry: s.registry,
	})
	if err != nil {
		return nil, err
	}
	if err := s.remember(); err != nil {
		return nil, err
	}
	s.collector, err = collector.New(collector.Options{
		Store: s.timing.Appends(s.store), Now: time.Now, Logger: o.Log, Registerer: s.registry, DefaultInterval: o.Scrape, Pages: o.Pages,
		Instance: s.store.ID(),
	})
	if err != nil {
		return nil, err
	}
	if s.packs, err = collector.LoadPacks(); err != nil {
		return nil, err
	}
	s.engine = query.New(query.Options{Lookback: 3 * o.Scrape})
	s.recorder = telemetry.NewRecorder(o.Log, s.registry)
	return s, nil
}

// remember reads what was decided last before this start.
func (s *service) remember() error {
	s.records = loop.Records{Journal: s.store.Journal()}
	last, err := s.records.Latest()
	if err != nil {
		return fmt.Errorf("read the last decisions in %s: %w", s.opts.Dir, err)
	}
	if s.sequence, err = s.records.Sequence(); err != nil {
		return fmt.Errorf("in %s: %w", s.opts.Dir, err)
	}
	s.board = board.New(s.store.ID(), last)
	return nil
}

func (s *service) close() (err error) {
	for _, l := range []net.Listener{s.listener, s.grpc} {
		if l != nil {
			_ = l.Close() // its server has closed it, if it got that far
		}
	}
	if s.store != nil {
		err = s.store.Close()
	}
	return err
}

// Run decides for the fleet until ctx ends.
func (s *service) Run(ctx context.Context, f fleet) error {
	f = shown{f, s.board, s.recorder}
	l := loop.New(loop.Options{
		Fleet: f, Windows: facts{s.store, s.engine}, Journal: s.store.Journal(), Tick: s.opts.Tick, Sequence: s.sequence, Timed: s.timing.Stage,
		Publish: func(r loop.Result) {
			s.timing.Decided(r)
			s.recorder.Record(r)
			s.board.Publish(r)
			if s.opts.Publish != nil {
				s.opts.Publish(r)
			}
		},
	})
	ready := func() error { return s.ready(f) }
	decisions, err := s.newRPC(f, ready)
	if err != nil {
		return err
	}
	face := server.New(server.Options{
		Engine: s.engine.PromQL(), Store: s.store, Lookback: 3 * s.opts.Scrape, Targets: s.targets, Metadata: s.packs.Metadata,
		Metrics: s.registry, Ready: ready, Now: time.Now, Version: version(), API: decisions.Gateway(),
		Page: web.Handler(), Paths: web.Patterns(),
	})
	s.opts.Log.Info("listening", zap.String("address", s.listener.Addr().String()), zap.String("grpc", s.grpc.Addr().String()))
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return face.Serve(ctx, s.listener) })
	all.Go(func() error { return decisions.Serve(ctx, s.grpc) })
	all.Go(func() error { return s.store.Run(ctx) })
	all.Go(func() error {
		return telemetry.NewSeries(s.registry, s.store, s.opts.Log).Run(ctx, cmp.Or(s.opts.Tick, loop.DefaultTick))
	})
	all.Go(func() error { return s.collector.Run(ctx) })
	all.Go(func() error { return f.Run(ctx, s.collector.Update) })
	all.Go(func() error { return s.tick(ctx, l) })
	return all.Wait()
}

// tick steps the loop at each whole second. A step may outlast a second, when a target hangs; the next does not wait.
func (s *service) tick(ctx context.Context, l *loop.Loop) error {
	var under sync.WaitGroup
	defer under.Wait()
	for {
		now := time.Now()
		t := now.Truncate(time.Second).Add(time.Second)
		// Two milliseconds past the second, samples stamped with the second itself can no longer arrive.
		wait := time.NewTimer(t.Add(2 * time.Millisecond).Sub(now))
		select {
		case <-ctx.Done():
			wait.Stop()
			return nil
		case <-wait.C:
		}
		under.Go(func() {
			if err := l.Step(ctx, t); err != nil {
				s.opts.Log.Warn("step", zap.Time("at", t), zap.Error(err))
				return
			}
			s.steps.Add(1)
		})
	}
}

func (s *service) ready(f fleet) error {
	if err := f.Ready(); err != nil {
		return err
	}
	if s.steps.Load() == 0 {
		return errors.New("no decision yet; the first comes within two seconds of starting")
	}
	return nil
}

// facts joins store and query engine into what the loop and the server read.
type facts struct {
	store  *store.Store
	engine *query.Engine
}

func (f facts) Watermark(t time.Time) bool { return f.store.Watermark(t) }

func (f facts) Windows(ctx context.Context, b *query.Bound, t time.Time, ranges ...time.Duration) ([]query.Window, error) {
	return f.engine.Windows(ctx, f.store, b, t, ranges...)
}

// targets is what is scraped, as the HTTP API shows it.
func (s *service) targets() []server.Target {
	var out []server.Target
	for _, h := range s.collector.Health() {
		interval := cmp.Or(h.Endpoint.Interval, s.opts.Scrape)
		out = append(out, server.Target{
			Labels: h.Endpoint.Labels(), Pool: string(h.Endpoint.Role), URL: h.Endpoint.URL, Scraped: h.Scraped, Duration: h.Duration,
			Err: h.Err, DownSince: h.Since, Interval: interval, Timeout: interval * 8 / 10,
		})
	}
	return out
}
