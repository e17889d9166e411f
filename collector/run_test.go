package collector

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/flyball/flyball/store"
)

func benchScraper(b *testing.B, url string) (*Collector, *scraper) {
	st, err := store.Open(store.Options{Dir: b.TempDir()})
	require.NoError(b, err)
	b.Cleanup(func() { _ = st.Close() })
	c, err := New(Options{Store: st})
	require.NoError(b, err)
	e := Endpoint{Role: PodExporter, URL: url, Identity: Identity{Namespace: "prod", Pod: "llama-0", PodUID: "u", Workload: "llama", WorkloadUID: "w"}}
	require.NoError(b, c.Update(Config{Endpoints: []Endpoint{e}, Keep: strings.Fields(vllmKeep)}))
	s := c.scrapers[e.Key()]
	b.Cleanup(s.transport.CloseIdleConnections)
	return c, s
}

// pipes is a network inside the process: connections are pipes, so that time in a synctest bubble moves on while
// they wait.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), closed: make(chan struct{})} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case p.conns <- server:
		return client, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error   { p.once.Do(func() { close(p.closed) }); return nil }
func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes"} }

// inBubble runs a collector over pipes to h, for as long as live does.
func inBubble(t *testing.T, o Options, h http.HandlerFunc, live func(c *Collector)) {
	synctest.Test(t, func(t *testing.T) {
		st, err := store.Open(store.Options{Dir: t.TempDir()})
		require.NoError(t, err)
		defer func() { require.NoError(t, st.Close()) }()
		o.Store = st
		c, err := New(o)
		require.NoError(t, err)
		network := newPipes()
		c.dial = network.dial
		srv := &http.Server{Handler: h}
		go func() { _ = srv.Serve(network) }()
		defer srv.Close()

		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- c.Run(ctx) }()
		synctest.Wait()
		live(c)
		stop()
		require.NoError(t, <-done)
		synctest.Wait()
	})
}

func pipeEndpoint(host string) Endpoint {
	return Endpoint{Role: PodExporter, URL: "http://" + host + ":8000/metrics", Identity: Identity{Namespace: "prod", Pod: host, PodUID: host}}
}

func TestEndpointsAreScrapedOncePerIntervalHoweverOthersHang(t *testing.T) {
	var mu sync.Mutex
	asked := map[string][]time.Time{}
	h := func(w http.ResponseWriter, req *http.Request) {
		mu.Lock()
		asked[req.Host] = append(asked[req.Host], time.Now())
		mu.Unlock()
		if strings.HasPrefix(req.Host, "hang") {
			<-req.Context().Done()
			return
		}
		_, _ = io.WriteString(w, "m 1\n")
	}
	inBubble(t, Options{}, h, func(c *Collector) {
		slow := pipeEndpoint("slow")
		slow.Interval = 10 * time.Second
		require.NoError(t, c.Update(Config{Keep: []string{"m"}, Endpoints: []Endpoint{pipeEndpoint("hang-1"), pipeEndpoint("ok"), slow}}))
		time.Sleep(30 * time.Second)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		require.InDelta(t, 15, len(asked["ok:8000"]), 1)
		require.InDelta(t, 15, len(asked["hang-1:8000"]), 1)
		require.InDelta(t, 3, len(asked["slow:8000"]), 1)
		first := asked["ok:8000"][0]
		for i, at := range asked["ok:8000"] {
			require.Equal(t, first.Add(time.Duration(i)*DefaultInterval), at, "always at the same phase")
		}
		for _, h := range c.Health() {
			if h.Endpoint.Pod == "hang-1" {
				require.Equal(t, 1600*time.Millisecond, h.Duration)
				require.Len(t, asked["hang-1:8000"], h.Failures)
			}
		}
	})
}

func TestUpdateWhileRunningStartsAndStopsEndpoints(t *testing.T) {
	var asked atomic.Int64
	h := func(w http.ResponseWriter, _ *http.Request) { asked.Add(1); _, _ = io.WriteString(w, "m 1\n") }
	inBubble(t, Options{}, h, func(c *Collector) {
		require.Error(t, c.Run(t.Context()), "it runs already")
		time.Sleep(10 * time.Second)
		require.Zero(t, asked.Load())
		require.NoError(t, c.Update(Config{Endpoints: []Endpoint{pipeEndpoint("a")}}))
		time.Sleep(10 * time.Second)
		require.InDelta(t, 5, asked.Load(), 1)
		require.NoError(t, c.Update(Config{}))
		synctest.Wait()
		before := asked.Load()
		time.Sleep(10 * time.Second)
		require.Equal(t, before, asked.Load())
		require.Empty(t, c.Health())

		faster := pipeEndpoint("b")
		require.NoError(t, c.Update(Config{Endpoints: []Endpoint{faster}}))
		time.Sleep(2200 * time.Millisecond)
		faster.Interval = time.Second // in place
		require.NoError(t, c.Update(Config{Endpoints: []Endpoint{faster}}))
		time.Sleep(2200 * time.Millisecond)
		before = asked.Load()
		time.Sleep(10 * time.Second)
		require.InDelta(t, 10, asked.Load()-before, 1)
	})
}

func TestHealthMetricsAndLog(t *testing.T) {
	var down atomic.Bool
	h := func(w http.ResponseWriter, _ *http.Request) {
		if down.Load() {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		_, _ = io.WriteString(w, "m 1\nm 1\nn 1\n")
	}
	reg := prometheus.NewPedanticRegistry()
	core, logs := observer.New(zap.InfoLevel)
	inBubble(t, Options{Registerer: reg, Logger: zap.New(core)}, h, func(c *Collector) {
		require.NoError(t, c.Update(Config{Keep: []string{"m", "n"}, Endpoints: []Endpoint{pipeEndpoint("a"), pipeEndpoint("a")}}))
		require.False(t, c.Health()[0].Up(), "not scraped yet")
		time.Sleep(10*time.Second + 200*time.Millisecond)
		health := c.Health()[0]
		require.True(t, health.Up())
		require.Equal(t, 2, health.Samples)
		require.Less(t, time.Since(health.Scraped), DefaultInterval)
		require.Greater(t, time.Since(health.Since), 6*time.Second)
		down.Store(true)
		time.Sleep(20 * time.Second)
		health = c.Health()[0]
		require.Equal(t, 10, health.Failures)
		require.Equal(t, 18*time.Second, health.Scraped.Sub(health.Since))
		require.EqualError(t, health.Err,
			"scrape http://a:8000/metrics of pod prod/a: answer is 404 Not Found (check port and path of the metric source)")
		down.Store(false)
		time.Sleep(2200 * time.Millisecond)
		require.True(t, c.Health()[0].Up())
	})
	require.Equal(t, []string{"endpoint is down, its series are stale", "endpoint is up again"}, messages(logs))
	problems, err := testutil.GatherAndLint(reg)
	require.NoError(t, err)
	require.Empty(t, problems)
	require.NoError(t, testutil.GatherAndCompare(reg, strings.NewReader(`
# HELP flyball_scrape_endpoints Endpoints to scrape, by role.
# TYPE flyball_scrape_endpoints gauge
flyball_scrape_endpoints{role="gpu"} 0
flyball_scrape_endpoints{role="pod"} 1
flyball_scrape_endpoints{role="source"} 0
# HELP flyball_scrape_duplicate_samples_total Samples dropped because their series was on the page already.
# TYPE flyball_scrape_duplicate_samples_total counter
flyball_scrape_duplicate_samples_total 7
# HELP flyball_scrapes_total Scrapes, by result: success, or why the page was not stored.
# TYPE flyball_scrapes_total counter
flyball_scrapes_total{result="connect"} 0
flyball_scrapes_total{result="status"} 10
flyball_scrapes_total{result="store"} 0
flyball_scrapes_total{result="success"} 7
flyball_scrapes_total{result="syntax"} 0
flyball_scrapes_total{result="timeout"} 0
flyball_scrapes_total{result="too_large"} 0
`), "flyball_scrape_endpoints", "flyball_scrape_duplicate_samples_total", "flyball_scrapes_total"))
}

func messages(logs *observer.ObservedLogs) []string {
	var out []string
	for _, e := range logs.All() {
		out = append(out, e.Message)
	}
	return out
}

func TestPhasesAreSpreadAndStable(t *testing.T) {
	const n, slots = 10_000, 20
	var count [slots]int
	for i := range n {
		e := pipeEndpoint("10.0." + string(rune('a'+i%26)))
		e.PodUID = NameUID("prod", strings.Repeat("x", i/26))
		at := phase(e.Key()) % uint64(DefaultInterval)
		require.Equal(t, at, phase(e.Key())%uint64(DefaultInterval))
		count[int(at*slots/uint64(DefaultInterval))]++
	}
	for _, c := range count {
		require.InDelta(t, n/slots, c, 5*22) // five standard deviations of 500
	}
	require.Equal(t, uint64(0xefd01f60ba992926), phase(""), "a phase must not move with a release")
}

// Two instances scrape one endpoint, each at a phase of its own, so that it is not asked twice at once and the standby's samples
// are not the leader's over again.
func TestInstancesScrapeAtDifferentPhases(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := store.Open(store.Options{Dir: t.TempDir()})
		require.NoError(t, err)
		defer s.Close()
		var mu sync.Mutex
		when := map[string]map[time.Duration]bool{"one": {}, "other": {}} // by instance: offsets into the interval
		for _, instance := range []string{"one", "other"} {
			pages := map[string]http.RoundTripper{"page": pageFunc(func(*http.Request) (*http.Response, error) {
				mu.Lock()
				defer mu.Unlock()
				when[instance][time.Duration(time.Now().UnixNano())%DefaultInterval] = true
				return &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader("load 1\n"))}, nil
			})}
			c, err := New(Options{Store: s, Instance: instance, Pages: pages})
			require.NoError(t, err)
			require.NoError(t, c.Update(Config{Endpoints: []Endpoint{{Role: SourceEndpoint, URL: "page://x/metrics"}}, Keep: []string{"load"}}))
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			go func() { _ = c.Run(ctx) }()
		}
		<-time.After(20 * DefaultInterval)
		synctest.Wait()
		mu.Lock()
		defer mu.Unlock()
		require.Len(t, when["one"], 1)
		require.Len(t, when["other"], 1)
		require.NotEqual(t, when["one"], when["other"])
	})
}

func TestUntilNext(t *testing.T) {
	const i = 2 * time.Second
	f := func(into, offset, want time.Duration) {
		t.Helper()
		require.Equal(t, want, untilNext(epoch.Add(into), i, uint64(offset)+3*uint64(i)))
	}
	f(0, 500*time.Millisecond, 500*time.Millisecond)
	f(500*time.Millisecond, 500*time.Millisecond, i)                      // on the dot
	f(499*time.Millisecond, 500*time.Millisecond, i+time.Millisecond)     // the timer was a little early
	f(501*time.Millisecond, 500*time.Millisecond, i-time.Millisecond)     // the usual case
	f(1900*time.Millisecond, 0, i+100*time.Millisecond)                   // early, over the end of the interval
	f(100*time.Millisecond, 1900*time.Millisecond, 1800*time.Millisecond) // a scrape of 0.1 intervals
	f(1700*time.Millisecond, 500*time.Millisecond, 800*time.Millisecond)
}
