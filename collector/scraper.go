package collector

import (
	"context"
	"hash/fnv"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"go.uber.org/zap"

	"github.com/flyball/flyball/store"
)

// failuresUntilStale is how many scrapes in a row must fail before the page's series are marked stale: one lost
// packet is not an outage.
const failuresUntilStale = 2

// scraper scrapes one endpoint: a goroutine, a connection and the memory of its last page, shared with nobody. An
// endpoint that hangs therefore delays no other, as it would in a pool of workers. 2,000 endpoints with vLLM-like
// pages every 2 s take 0.34 cores and 117 KiB each, the store's memory and the test server's side included; so
// 10,000 fit one machine.
type scraper struct {
	c         *Collector
	key       string
	transport *http.Transport   // of pages that are asked for over HTTP
	pages     http.RoundTripper // who answers: transport, or what Options.Pages has for the scheme
	request   *http.Request
	badURL    error // why there is no request
	cancel    context.CancelFunc
	readiness atomic.Pointer[readiness] // of the pod, where this scraper is the one to report it

	mu     sync.Mutex
	gone   bool        // the endpoint left the set: nothing is stored any more
	reader *pageReader // its endpoint changes under c.mu and mu, so either is enough to read it
	up     *ownSeries
	health Health
}

// ownSeries is a series of the collector's own. Its mutex is held while it is appended to.
type ownSeries struct {
	mu sync.Mutex
	series
}

func newOwnSeries(name string, identity []labels.Label) *ownSeries {
	return &ownSeries{series: series{Series: store.Series{Labels: namedWith(name, identity)}}}
}

func (o *ownSeries) sample(value bool) store.Sample {
	s := store.Sample{Series: &o.Series}
	if value {
		s.Value = 1
	}
	return s
}

// end gives the stale marker of the series, if it is live.
func (o *ownSeries) end(to []store.Sample) []store.Sample {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.live {
		to = append(to, store.Sample{Series: &o.Series, Value: store.StaleMarker()})
	}
	return to
}

// readiness is flyball_pod_ready of one pod, reported by one of its endpoints whatever becomes of the scrape.
type readiness struct {
	*ownSeries
	ready atomic.Bool
}

func newScraper(c *Collector, e Endpoint) *scraper {
	s := &scraper{
		c: c, key: e.Key(),
		transport: newTransport(c.dial, c.interval(e)),
		reader:    newPageReader(e, c.packs),
		up:        newOwnSeries("up", identityLabels(e)),
		health:    Health{Endpoint: e},
	}
	s.pages = s.transport
	if s.request, s.badURL = newRequest(e.URL, c.pages); s.badURL == nil && c.pages[s.request.URL.Scheme] != nil {
		s.pages = c.pages[s.request.URL.Scheme]
	}
	return s
}

// change takes over what may change in place.
func (s *scraper) change(e Endpoint) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reader.endpoint, s.health.Endpoint = e, e
}

// loop scrapes at the endpoint's own phase of the interval until ctx is done.
func (s *scraper) loop(ctx context.Context) {
	defer s.transport.CloseIdleConnections()
	h := phase(s.c.instance + s.key)
	timer := time.NewTimer(time.Hour) // reset before it is waited for
	defer timer.Stop()
	for {
		s.mu.Lock()
		interval := s.c.interval(s.reader.endpoint)
		s.mu.Unlock()
		timer.Reset(untilNext(s.c.now(), interval, h))
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		s.scrape(ctx, interval)
	}
}

// phase is where in its interval an endpoint is scraped: from the names of the instance and the endpoint alone, so that it is
// the same after a restart, and spread evenly over endpoints.
func phase(name string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(name))
	x := h.Sum64() // names that differ in the last byte have close sums: mix them (the finaliser of MurmurHash3)
	x = (x ^ x>>33) * 0xff51afd7ed558ccd
	x = (x ^ x>>33) * 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}

// untilNext is the time to the next scrape. A scrape takes at most 0.8 of the interval, so less than a tenth of it
// to the next one means that the timer was early or the collector late: that one is left out.
func untilNext(now time.Time, interval time.Duration, phase uint64) time.Duration {
	offset := time.Duration(phase % uint64(interval))
	into := time.Duration(now.UnixNano()) % interval
	wait := offset - into
	if wait < interval/10 {
		wait += interval
	}
	if wait < interval/10 {
		wait += interval
	}
	return wait
}

// scrape gets and stores one page. All that a scrape stores is one append: one stamp, all or nothing.
func (s *scraper) scrape(ctx context.Context, interval time.Duration) {
	start := s.c.now()
	pageCtx, cancel := context.WithTimeout(ctx, interval*8/10)
	defer cancel()
	pg, err := page{}, s.badURL
	if err == nil {
		pg, err = fetch(pageCtx, s.pages, s.request, &s.c.bodies)
	}
	if pg.body != nil {
		defer s.c.bodies.put(pg.body)
	}
	if ctx.Err() != nil {
		return // the collector stops, or the endpoint is gone: not a failure of the endpoint's
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.gone {
		s.record(start, pg, err)
	}
}

// record stores what came of a scrape; s.mu is held.
func (s *scraper) record(start time.Time, pg page, err error) {
	now := s.c.now()
	samples := s.reader.samples[:0]
	if err == nil {
		samples, err = s.reader.read(pg, *s.c.keep.Load(), s.c.pods.Load(), now)
	}
	kept, up := len(samples), err == nil
	outage := !up && s.health.Failures+1 >= failuresUntilStale
	switch {
	case up:
		samples = s.reader.vanished(samples)
	case outage:
		samples = s.reader.ended(samples)
	}
	if serr := s.append(samples, up); serr != nil {
		err = failf(resultStore, "see the store's directory: is the disk full?", "store page: %w", serr)
	} else if up {
		s.reader.settle()
	} else if outage {
		s.reader.forget()
	}
	s.note(start, now, kept, len(pg.body), err)
}

// append stores a scrape's samples with up and, where this scraper reports it, the pod's readiness.
func (s *scraper) append(samples []store.Sample, up bool) error {
	own := []*ownSeries{s.up}
	s.up.mu.Lock()
	defer s.up.mu.Unlock()
	samples = append(samples, s.up.sample(up))
	if r := s.readiness.Load(); r != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		samples = append(samples, r.sample(r.ready.Load()))
		own = append(own, r.ownSeries)
	}
	if _, err := s.c.store.Append(samples); err != nil {
		return err
	}
	for _, o := range own {
		o.live = true
	}
	return nil
}

// end closes the scraper for good and gives the stale markers of all its series.
func (s *scraper) end(to []store.Sample) []store.Sample {
	if s.cancel != nil {
		s.cancel()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = true
	return s.up.end(s.reader.ended(to))
}

// release gives the stale markers of GPU series whose pod is gone, and forgets them.
func (s *scraper) release(pods *podIndex, to []store.Sample) []store.Sample {
	s.mu.Lock()
	defer s.mu.Unlock()
	orphaned := func(x *series) bool { return x.owner.PodUID != "" && !pods.has(x.owner.PodUID) }
	to = s.reader.markers(to, orphaned)
	s.reader.drop(orphaned)
	return to
}

// note keeps the endpoint's health, and logs where it changes.
func (s *scraper) note(start, end time.Time, kept, bytes int, err error) {
	h := &s.health
	before := h.Failures
	h.Scraped, h.Duration, h.Err = start, end.Sub(start), nil
	h.Samples = kept
	if err == nil {
		h.Failures = 0
	} else {
		h.Samples = 0
		h.Failures++
		h.Err = scrapeError(s.reader.endpoint, err)
	}
	if h.Since.IsZero() || (before == 0) != (h.Failures == 0) {
		h.Since = start
	}
	s.c.metrics.scrape(resultOf(err), h.Duration, h.Samples, s.reader.duplicates, bytes)
	switch {
	case h.Failures == failuresUntilStale:
		s.c.log.Warn("endpoint is down, its series are stale", zap.Error(h.Err))
	case err == nil && before >= failuresUntilStale:
		s.c.log.Info("endpoint is up again", zap.String("url", s.reader.endpoint.URL), zap.Int("failures", before))
	}
}
