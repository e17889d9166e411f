package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/prometheus/promql"
	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"
	"golang.org/x/sync/errgroup"

	"github.com/flyball/flyball/collector"
	"github.com/flyball/flyball/internal/loop"
	"github.com/flyball/flyball/internal/server"
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
}

// serviceOptions are what run and demo set differently.
type serviceOptions struct {
	Dir       string
	Retention time.Duration
	MaxBytes  int64
	Listen    string
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
	engine    *query.Engine
	recorder  *recorder
	listener  net.Listener
	steps     atomic.Int64
}

// newService opens the store and the listener; close releases them.
func newService(o serviceOptions) (*service, error) {
	s := &service{opts: o, registry: prometheus.NewRegistry()}
	s.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	var err error
	if s.listener, err = net.Listen("tcp", o.Listen); err != nil {
		return nil, fmt.Errorf("listen on %s: %w (choose another address with --listen)", o.Listen, err)
	}
	s.store, err = store.Open(store.Options{
		Dir: o.Dir, Retention: o.Retention, MaxBytes: o.MaxBytes, Brief: store.Brief{loop.KindEntry: loop.EntryRetention},
		Logger: slog.New(zapslog.NewHandler(o.Log.Core())), Registry: s.registry,
	})
	if err != nil {
		return nil, errors.Join(err, s.listener.Close())
	}
	s.collector, err = collector.New(collector.Options{
		Store: s.store, Now: time.Now, Logger: o.Log, Registerer: s.registry, DefaultInterval: o.Scrape, Pages: o.Pages,
	})
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	s.engine = query.New(query.Options{Lookback: 3 * o.Scrape})
	s.recorder = newRecorder(o.Log, s.registry)
	return s, nil
}

func (s *service) close() error { return s.store.Close() }

// Run decides for the fleet until ctx ends.
func (s *service) Run(ctx context.Context, f fleet) error {
	l := loop.New(loop.Options{
		Fleet: f, Windows: facts{s.store, s.engine}, Journal: s.store.Journal(), Tick: s.opts.Tick,
		Publish: func(r loop.Result) {
			s.recorder.record(r)
			if s.opts.Publish != nil {
				s.opts.Publish(r)
			}
		},
	})
	web := server.New(server.Options{
		Queries: facts{s.store, s.engine}, Metrics: s.registry, Ready: func() error { return s.ready(f) }, Now: time.Now, Version: version(),
		Explain: loop.Records{Journal: s.store.Journal()}.Explain,
	})
	s.opts.Log.Info("listening", zap.String("address", s.listener.Addr().String()))
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return web.Serve(ctx, s.listener) })
	all.Go(func() error { return s.store.Run(ctx) })
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

func (f facts) Instant(ctx context.Context, expr string, t time.Time) (*promql.Result, error) {
	return f.engine.Instant(ctx, f.store, expr, t)
}

func (f facts) Range(ctx context.Context, expr string, start, end time.Time, step time.Duration) (*promql.Result, error) {
	return f.engine.Range(ctx, f.store, expr, start, end, step)
}
