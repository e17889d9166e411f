package collector

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/zap"

	"github.com/flyball/flyball/store"
)

// DefaultInterval is between two scrapes of an endpoint that does not say otherwise.
const DefaultInterval = 2 * time.Second

// minInterval keeps a wrong interval from becoming a busy loop.
const minInterval = 100 * time.Millisecond

// Appender stores samples: all of them under one stamp, or none.
type Appender interface {
	Append(samples []store.Sample) (at time.Time, err error)
}

// Options are what a Collector needs.
type Options struct {
	Store           Appender
	Now             func() time.Time      // default time.Now
	Logger          *zap.Logger           // default none
	Registerer      prometheus.Registerer // for the collector's own metrics; default none
	DefaultInterval time.Duration         // default DefaultInterval
	Instance        string                // tells collectors of the same endpoints apart, so that they scrape at different times

	// Pages answer for URLs with a scheme other than http and https: pages that are made here of what another API says.
	Pages map[string]http.RoundTripper
}

// Config is what to scrape and what to keep of it.
type Config struct {
	Endpoints []Endpoint // all of them; of two with one Key the first counts
	Keep      []string   // names of the metrics to store, as exported: x_bucket, x_sum and x_count each for itself
}

// Collector scrapes endpoints into the store.
type Collector struct {
	store    Appender
	now      func() time.Time
	log      *zap.Logger
	metrics  metrics
	packs    Packs
	fallback time.Duration // interval of endpoints that have none
	instance string
	dial     dialFunc // nil: TCP
	pages    map[string]http.RoundTripper
	bodies   bodies

	keep atomic.Pointer[map[string]struct{}]
	pods atomic.Pointer[podIndex]

	mu       sync.Mutex
	ctx      context.Context // of Run while it runs, else nil
	loops    sync.WaitGroup
	scrapers map[string]*scraper // by Key
	ready    map[Identity]*readiness
}

// New makes a Collector, which scrapes nothing before Run. It fails only if a pack that ships with flyball is wrong.
func New(o Options) (*Collector, error) {
	packs, err := LoadPacks()
	if err != nil {
		return nil, err
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.DefaultInterval <= 0 {
		o.DefaultInterval = DefaultInterval
	}
	c := &Collector{
		store: o.Store, now: o.Now, log: o.Logger, metrics: newMetrics(o.Registerer), packs: packs, pages: o.Pages,
		fallback: o.DefaultInterval, instance: o.Instance,
		scrapers: map[string]*scraper{}, ready: map[Identity]*readiness{},
	}
	c.keep.Store(&map[string]struct{}{})
	c.pods.Store(indexPods(nil, nil, time.Time{}))
	return c, nil
}

func (c *Collector) interval(e Endpoint) time.Duration {
	if e.Interval <= 0 {
		return c.fallback
	}
	return max(e.Interval, minInterval)
}

// Run scrapes until ctx is done, and returns nil when every scrape has ended. It marks nothing stale on the way out:
// the next run, or the standby, goes on with the same series.
func (c *Collector) Run(ctx context.Context) error {
	c.mu.Lock()
	if c.ctx != nil {
		c.mu.Unlock()
		return errors.New("run collector: it runs already")
	}
	c.ctx = ctx
	for _, s := range c.scrapers {
		c.start(s)
	}
	c.mu.Unlock()
	<-ctx.Done()
	c.mu.Lock()
	c.ctx = nil // from here Update starts no loop
	c.mu.Unlock()
	c.loops.Wait()
	return nil
}

// start starts a scraper's loop; c.mu is held.
func (c *Collector) start(s *scraper) {
	ctx, cancel := context.WithCancel(c.ctx)
	s.cancel = cancel
	c.loops.Go(func() {
		defer cancel()
		s.loop(ctx)
	})
}

// Update replaces the whole configuration. Endpoints that are gone end at once: their series, up and, with the last
// endpoint of a pod, its readiness get stale markers, and so do the GPU series that the pod was given, before
// Update returns. A scrape under way stores nothing any more. Update waits for no exporter. The error says that
// the markers could not be stored; the new configuration holds all the same, and the series end by their age.
func (c *Collector) Update(cfg Config) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	keep := make(map[string]struct{}, len(cfg.Keep))
	for _, name := range cfg.Keep {
		keep[name] = struct{}{}
	}
	next := make(map[string]Endpoint, len(cfg.Endpoints))
	roles := map[Role]int{}
	for _, e := range cfg.Endpoints {
		if _, twice := next[e.Key()]; !twice {
			next[e.Key()] = e
			roles[e.Role]++
		}
	}
	pods := indexPods(cfg.Endpoints, c.pods.Load(), c.now())
	c.keep.Store(&keep)
	c.pods.Store(pods)

	ended := c.endGone(next)
	for key, e := range next {
		if s, ok := c.scrapers[key]; ok {
			s.change(e)
		} else {
			c.scrapers[key] = newScraper(c, e)
		}
	}
	ended = c.updateReadiness(ended)
	for _, s := range c.scrapers {
		if s.reader.endpoint.Role == GPUExporter {
			ended = s.release(pods, ended)
		}
	}
	err := c.appendMarkers(ended)
	for _, s := range c.scrapers {
		if c.ctx != nil && s.cancel == nil {
			c.start(s)
		}
	}
	c.metrics.count(roles)
	return err
}

func (c *Collector) endGone(next map[string]Endpoint) []store.Sample {
	var ended []store.Sample
	for key, s := range c.scrapers {
		if _, stays := next[key]; !stays {
			ended = s.end(ended)
			delete(c.scrapers, key)
		}
	}
	return ended
}

// updateReadiness names, for every pod, the one endpoint that reports its readiness: the one with the least key.
func (c *Collector) updateReadiness(ended []store.Sample) []store.Sample {
	reporters := map[Identity]*scraper{}
	for _, s := range c.scrapers {
		e := s.reader.endpoint
		if e.Role != PodExporter || e.PodUID == "" {
			continue
		}
		pod := podOf(e)
		if r := reporters[pod]; r == nil || s.key < r.key {
			reporters[pod] = s
		}
		s.readiness.Store(nil)
	}
	for pod, s := range reporters {
		r := c.ready[pod]
		if r == nil {
			r = &readiness{ownSeries: newOwnSeries("flyball_pod_ready", podLabels(pod))}
			c.ready[pod] = r
		}
		r.ready.Store(s.reader.endpoint.Ready)
		s.readiness.Store(r)
	}
	for pod, r := range c.ready {
		if reporters[pod] == nil {
			ended = r.end(ended)
			delete(c.ready, pod)
		}
	}
	return ended
}

// podOf is the part of an endpoint's identity that is the pod's.
func podOf(e Endpoint) Identity {
	id := e.Identity
	id.Job, id.AutoscalerUID, id.Source = "", "", ""
	return id
}

func (c *Collector) appendMarkers(ended []store.Sample) error {
	if len(ended) == 0 {
		return nil
	}
	if _, err := c.store.Append(ended); err != nil {
		return fmt.Errorf("mark %d series of gone endpoints stale: %w", len(ended), err)
	}
	return nil
}
