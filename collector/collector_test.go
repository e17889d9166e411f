package collector

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"sort"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/flyball/flyball/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var epoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// rig is a collector over a real store. Its clock moves by one interval at every tick, at which every endpoint is
// scraped once, over real connections.
type rig struct {
	t     *testing.T
	c     *Collector
	store *store.Store
	ms    atomic.Int64
	names map[string]string // of exporters, by port
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, names: map[string]string{}}
	r.ms.Store(epoch.UnixMilli())
	st, err := store.Open(store.Options{Dir: t.TempDir(), Clock: r.now})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, st.Close()) })
	c, err := New(Options{Store: st, Now: r.now})
	require.NoError(t, err)
	r.c, r.store = c, st
	return r
}

func (r *rig) now() time.Time { return time.UnixMilli(r.ms.Load()) }

// set scrapes these endpoints from now on.
func (r *rig) set(keep string, endpoints ...Endpoint) {
	r.t.Helper()
	require.NoError(r.t, r.c.Update(Config{Endpoints: endpoints, Keep: strings.Fields(keep)}))
	for _, s := range r.c.scrapers {
		r.t.Cleanup(s.transport.CloseIdleConnections) // as its loop does at its end
	}
}

// tick lets one interval pass, at the end of which every endpoint is scraped.
func (r *rig) tick() {
	r.ms.Add(DefaultInterval.Milliseconds())
	r.scrapeAll()
}

func (r *rig) scrapeAll() {
	keys := make([]string, 0, len(r.c.scrapers))
	for k := range r.c.scrapers {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	for _, k := range keys {
		r.c.scrapers[k].scrape(context.Background(), time.Minute) // to time out at leisure
	}
}

// stored is every stored series of these metrics, a line each: labels, then values, oldest first, "stale" for a
// stale marker. Ports are replaced by the names of their exporters.
func (r *rig) stored(metrics string) string {
	r.t.Helper()
	q, err := r.store.Querier(math.MinInt64, math.MaxInt64)
	require.NoError(r.t, err)
	defer q.Close()
	var out []string
	m := labels.MustNewMatcher(labels.MatchRegexp, model.MetricNameLabel, strings.Join(strings.Fields(metrics), "|"))
	set := q.Select(context.Background(), false, nil, m)
	for set.Next() {
		line := r.named(set.At().Labels().String())
		it := set.At().Iterator(nil)
		for it.Next() != chunkenc.ValNone {
			if _, v := it.At(); value.IsStaleNaN(v) {
				line += " stale"
			} else {
				line += fmt.Sprintf(" %v", v)
			}
		}
		require.NoError(r.t, it.Err())
		out = append(out, line)
	}
	require.NoError(r.t, set.Err())
	slices.Sort(out)
	return strings.Join(out, "\n")
}

func (r *rig) named(s string) string {
	for port, name := range r.names {
		s = strings.ReplaceAll(s, `"`+port+`/`, `"`+name+`/`)
	}
	return s
}

// expect compares stored series with lines of the same form.
func (r *rig) expect(metrics string, want ...string) {
	r.t.Helper()
	slices.Sort(want)
	require.Equal(r.t, strings.Join(want, "\n"), r.stored(metrics))
}

func (r *rig) health(url string) Health {
	r.t.Helper()
	for _, h := range r.c.Health() {
		if h.Endpoint.URL == url {
			return h
		}
	}
	require.FailNow(r.t, "no such endpoint", url)
	return Health{}
}

// exporter is an HTTP server on loopback that serves one page, or whatever handler says.
type exporter struct {
	*httptest.Server
	page    atomic.Pointer[string]
	handler atomic.Pointer[http.HandlerFunc]
	dials   atomic.Int64
}

func (r *rig) exporter(name string) *exporter {
	x := &exporter{}
	x.serve("")
	x.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if h := x.handler.Load(); h != nil {
			(*h)(w, req)
			return
		}
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		_, _ = io.WriteString(w, *x.page.Load())
	}))
	x.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			x.dials.Add(1)
		}
	}
	x.Start()
	r.t.Cleanup(x.Close)
	u, err := url.Parse(x.Server.URL)
	require.NoError(r.t, err)
	r.names[u.Port()] = name
	return x
}

func (x *exporter) serve(page string) { x.page.Store(&page) }

// answer replaces the page by a handler; nil goes back to the page.
func (x *exporter) answer(h http.HandlerFunc) {
	if h == nil {
		x.handler.Store(nil)
		return
	}
	x.handler.Store(&h)
}

func (x *exporter) down() {
	x.answer(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusServiceUnavailable) })
}

// pod is an endpoint of a Ready pod "namespace/pod" of workload llama on node n1, whose UID is its name unless another is given.
func (x *exporter) pod(name string, uid ...string) Endpoint {
	ns, pod, _ := strings.Cut(name, "/")
	return Endpoint{
		Role: PodExporter, URL: x.Server.URL + "/metrics", Ready: true, Started: epoch.Add(-time.Hour),
		Identity: Identity{
			Namespace: ns, Pod: pod, PodUID: cmp.Or(strings.Join(uid, ""), ns+"-"+pod), Workload: "llama", WorkloadUID: "w1", Node: "n1", Job: "vllm",
		},
	}
}

// dcgm is an endpoint of the GPU exporter of node n1.
func (x *exporter) dcgm() Endpoint {
	return Endpoint{Role: GPUExporter, URL: x.Server.URL + "/metrics", Identity: Identity{Node: "n1", Job: "dcgm"}}
}

// parseLabels reads a series as the text format writes it.
func parseLabels(series string) (labels.Labels, error) {
	p := textparse.NewPromParser([]byte(series+" 1\n"), labels.NewSymbolTable(), false)
	var lset labels.Labels
	if _, err := p.Next(); err != nil {
		return lset, err
	}
	p.Labels(&lset)
	return lset, nil
}
