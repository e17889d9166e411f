package query

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
)

// What the collector stores about every pod and endpoint besides what they export.
const (
	metricUp    = "up"                // 1 when the last scrape was answered, else 0
	metricReady = "flyball_pod_ready" // 1 for a ready pod that is not being deleted, else 0; it has no endpoint label
)

// step is the distance of grid points: what a window averages over.
const step = time.Second

// grid is the points in time at which facts are known: whole seconds, so that all windows that end together share them.
type grid struct {
	first int64 // ms
	n     int
}

// gridOf gives the whole seconds in (t-d, t].
func gridOf(t time.Time, d time.Duration) grid {
	ms := step.Milliseconds()
	before := floorDiv(t.Add(-d).UnixMilli(), ms)
	last := floorDiv(t.UnixMilli(), ms)
	return grid{first: (before + 1) * ms, n: int(last - before)}
}

func (g grid) at(i int) int64 { return g.first + int64(i)*step.Milliseconds() }

func (g grid) last() int64 { return g.at(g.n - 1) }

// mark sets the points in [from, until), ms.
func (g grid) mark(row []bool, from, until int64) {
	ms := step.Milliseconds()
	i := max(0, floorDiv(from-g.first+ms-1, ms))
	end := min(int64(g.n), floorDiv(until-g.first+ms-1, ms))
	for ; i < end; i++ {
		row[i] = true
	}
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
}

// pod is what the store says about one pod; for an endpoint source, about the endpoint.
type pod struct {
	uid      string
	expected []bool   // ready, per grid point
	reports  [][]bool // per metric, per grid point: it has a sample within the lookback
	newest   []int64  // per metric, ms: its newest sample; never

	upSince int64 // ms: the first time that `up` is known; never
	ups     int   // endpoints whose last scrape is within the lookback at the grid's end
	answers int   // of those, the ones that answered
}

// facts is what the store says about a source's pods on one grid.
type facts struct {
	grid  grid
	known []bool // per grid point: the readiness of some pod is known
	pods  []*pod
	index map[string]int // by UID

	ofPods   bool
	metrics  int
	lookback int64 // ms
}

func (f *facts) pod(uid string) *pod {
	if i, ok := f.index[uid]; ok {
		return f.pods[i]
	}
	p := &pod{uid: uid, expected: make([]bool, f.grid.n), upSince: never}
	for range f.metrics {
		p.reports = append(p.reports, make([]bool, f.grid.n))
		p.newest = append(p.newest, never)
	}
	f.index[uid] = len(f.pods)
	f.pods = append(f.pods, p)
	return p
}

// readFacts reads readiness, `up` and the samples of the source's metrics in (t-d, t], plus one lookback before. With pods given, it
// reads about them alone. Samples are read raw, one selection per metric: presence needs their times, not their values.
func (e *Engine) readFacts(ctx context.Context, q storage.Queryable, b *Bound, t time.Time, d time.Duration, pods []string) (*facts, error) {
	f := &facts{
		grid: gridOf(t, d), index: map[string]int{},
		ofPods: b.owner.ofPods(), metrics: len(b.metrics), lookback: e.lookback.Milliseconds(),
	}
	f.known = make([]bool, f.grid.n)
	querier, err := q.Querier(f.grid.first-f.lookback+1, t.UnixMilli())
	if err != nil {
		return nil, fmt.Errorf("open storage: %w", err)
	}
	defer querier.Close()
	r := reader{querier: querier, mint: f.grid.first - f.lookback + 1, maxt: t.UnixMilli(), lookback: f.lookback}
	r.ofPods = f.ofPods
	if f.ofPods && len(pods) > 0 {
		r.only = onlyPods(pods)
	}
	if f.ofPods {
		if err := r.read(ctx, metricReady, without(b.matchers, labelEndpoint), f.addReadiness); err != nil {
			return nil, err
		}
	} else {
		p := f.pod("") // the endpoint is always expected
		f.grid.mark(p.expected, f.grid.first, math.MaxInt64/2)
	}
	if err := r.read(ctx, metricUp, b.matchers, f.addUp); err != nil {
		return nil, err
	}
	for i, name := range b.metrics {
		err := r.read(ctx, name, b.matchers, func(uid string, s span) {
			p := f.pod(uid)
			if s.real() {
				p.newest[i] = max(p.newest[i], s.from)
				f.grid.mark(p.reports[i], s.from, s.until)
			}
		})
		if err != nil {
			return nil, err
		}
	}
	return f, nil
}

func (f *facts) addReadiness(uid string, s span) {
	if !s.real() {
		return
	}
	f.grid.mark(f.known, s.from, s.until)
	p := f.pod(uid)
	if s.value == 1 {
		f.grid.mark(p.expected, s.from, s.until)
	}
}

func (f *facts) addUp(uid string, s span) {
	if !s.real() {
		return
	}
	p := f.pod(uid)
	if p.upSince == never || s.from < p.upSince {
		p.upSince = s.from
	}
	if end := f.grid.last(); s.from <= end && end < s.until {
		p.ups++
		if s.value == 1 {
			p.answers++
		}
	}
}

// span is the time for which one sample speaks: from its own until the next of its series, but not beyond the lookback.
// The lookback is left-open as PromQL's: a sample at 0 s speaks at 5.999 s and no more at 6 s.
type span struct {
	value       float64
	from, until int64 // ms, [from, until)
}

// real is false for stale markers and for NaN, which is no sample either.
func (s span) real() bool { return !math.IsNaN(s.value) }

// reader reads spans of one owner's series.
type reader struct {
	querier    storage.Querier
	mint, maxt int64 // ms
	lookback   int64 // ms
	ofPods     bool
	only       *labels.Matcher
}

// read calls each for every sample of a metric, with the UID of its pod; empty for an endpoint source.
func (r reader) read(ctx context.Context, name string, owner []*labels.Matcher, each func(uid string, s span)) error {
	matchers := append([]*labels.Matcher{labels.MustNewMatcher(labels.MatchEqual, model.MetricNameLabel, name)}, owner...)
	if r.only != nil {
		matchers = append(matchers, r.only)
	}
	set := r.querier.Select(ctx, false, &storage.SelectHints{Start: r.mint, End: r.maxt}, matchers...)
	var it chunkenc.Iterator
	for set.Next() {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		series := set.At()
		uid := "" // an endpoint's page may hold any pod_uid; it is one endpoint all the same
		if r.ofPods {
			uid = series.Labels().Get(labelPodUID)
		}
		it = series.Iterator(it)
		r.spans(it, func(s span) { each(uid, s) })
		if err := it.Err(); err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
	}
	if err := set.Err(); err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	for _, w := range set.Warnings() { // a part of a distributed store did not answer: what it holds would read as silence
		return fmt.Errorf("read %s: the storage answered in part: %w", name, w)
	}
	return nil
}

func (r reader) spans(it chunkenc.Iterator, each func(span)) {
	var s span
	open := false
	for typ := it.Next(); typ != chunkenc.ValNone; typ = it.Next() {
		t := it.AtT()
		if t < r.mint {
			continue
		}
		if t > r.maxt {
			break
		}
		if open {
			s.until = min(s.until, t)
			each(s)
		}
		s, open = span{value: sampleValue(it, typ), from: t, until: t + r.lookback}, true
	}
	if open {
		each(s)
	}
}

// sampleValue gives a sample's number; for a native histogram its sum, which tells a stale marker.
func sampleValue(it chunkenc.Iterator, typ chunkenc.ValueType) float64 {
	if typ == chunkenc.ValFloat {
		_, v := it.At()
		return v
	}
	_, h := it.AtFloatHistogram(nil)
	if value.IsStaleNaN(h.Sum) {
		return math.NaN()
	}
	return 0
}

// onlyPods matches some pods by UID.
func onlyPods(uids []string) *labels.Matcher {
	quoted := make([]string, len(uids))
	for i, uid := range uids {
		quoted[i] = regexp.QuoteMeta(uid)
	}
	return labels.MustNewMatcher(labels.MatchRegexp, labelPodUID, strings.Join(quoted, "|"))
}

func without(ms []*labels.Matcher, name string) []*labels.Matcher {
	var out []*labels.Matcher
	for _, m := range ms {
		if m.Name != name {
			out = append(out, m)
		}
	}
	return out
}
