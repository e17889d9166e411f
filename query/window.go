package query

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/prometheus/prometheus/storage"
)

// State says whether a window's value may be used. Missing data is a state, never zero.
type State string

const (
	Fresh   State = "Fresh"   // the newest sample is within the lookback
	Stale   State = "Stale"   // there are values, but the newest sample is older than the lookback
	Missing State = "Missing" // no value at all
	NoPods  State = "NoPods"  // nothing was expected to report
)

// memory is how far back is looked to say since when something has been silent.
const memory = time.Hour

// Window is what a source's samples said over (At-Range, At]. Its grid is the whole seconds of that time.
type Window struct {
	Range time.Duration // look-back of the window
	Value float64       // the average over the range; 0 unless State is Fresh or Stale
	At    time.Time     // when it was evaluated

	State     State
	NewestAge time.Duration // age of the newest sample, the worst of the metrics needed; -1 ns when none was found in the last hour
	Coverage  float64       // reporting pods over expected pods, summed over the grid; 0..1

	Expected  int           // pods ready at At (an endpoint source: 1)
	Reporting int           // of those, pods with a sample of everything needed within the lookback at At
	Answering int           // of those, pods whose endpoints all answered their last scrape, whatever they exported
	Silent    int           // pods expected for longer than the lookback and without a sample for as long
	SilentFor time.Duration // how long the longest-silent of them has been silent; at most about an hour
	MeanReady float64       // mean number of ready pods over the grid points at which readiness is known; 0 for an endpoint source
}

// Windows reads the source's windows that end at t, one per range and in their order. Ranges are at least 1 s.
// Nothing but what was stored up to t is read. An error concerns this source alone.
func (e *Engine) Windows(ctx context.Context, q storage.Queryable, b *Bound, t time.Time, ranges ...time.Duration) ([]Window, error) {
	if len(ranges) == 0 {
		return nil, nil
	}
	if shortest := slices.Min(ranges); shortest < step {
		return nil, fmt.Errorf("windows of %s: a range of %s is below the grid's step of %s", b.text, shortest, step)
	}
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	w, err := e.windows(ctx, q, b, t, ranges)
	if err != nil {
		return nil, fmt.Errorf("windows at %s: %w", t.UTC().Format(time.RFC3339), err)
	}
	return w, nil
}

func (e *Engine) windows(ctx context.Context, q storage.Queryable, b *Bound, t time.Time, ranges []time.Duration) ([]Window, error) {
	longest := slices.Max(ranges)
	// Silence is judged over more than one lookback, even when every window is shorter.
	f, err := e.readFacts(ctx, q, b, t, max(longest, e.lookback+2*step), nil)
	if err != nil {
		return nil, err
	}
	r := b.presence.eval(f)
	now := Window{At: t, NewestAge: -1}
	if r.overall != never {
		now.NewestAge = since(t, r.overall)
	}
	f.count(&now, r)
	if err := e.addSilence(ctx, q, b, t, f, r, &now); err != nil {
		return nil, err
	}
	var values []float64
	if !b.windowed {
		if values, err = e.values(ctx, q, b.text, gridOf(t, longest)); err != nil {
			return nil, err
		}
	}
	out := make([]Window, len(ranges))
	for i, d := range ranges {
		n := gridOf(t, d).n
		value := math.NaN()
		covered := f.covered(r, n)
		switch {
		case !b.windowed:
			value = mean(where(values[len(values)-n:], covered))
		case slices.Contains(covered, true):
			if value, err = e.value(ctx, q, b.withRange(d), t); err != nil {
				return nil, err
			}
		}
		out[i] = e.window(now, f, r, d, value, b.owner.ofPods())
	}
	return out, nil
}

// window completes what holds at t by what holds over one range.
func (e *Engine) window(w Window, f *facts, r reports, d time.Duration, value float64, ofPods bool) Window {
	w.Range = d
	n := gridOf(w.At, d).n
	expected, reporting, known := 0, 0, 0
	for i := f.grid.n - n; i < f.grid.n; i++ {
		for j, p := range f.pods {
			if p.expected[i] {
				expected++
				if r.rows[j][i] {
					reporting++
				}
			}
		}
		if f.known[i] {
			known++
		}
	}
	if expected > 0 {
		w.Coverage = float64(reporting) / float64(expected)
	}
	if known > 0 {
		w.MeanReady = float64(expected) / float64(known)
	}
	switch {
	case ofPods && expected == 0:
		w.State = NoPods
		return w
	case math.IsNaN(value):
		w.State = Missing
		return w
	case w.NewestAge < 0 || w.NewestAge >= e.lookback:
		w.State = Stale
	default:
		w.State = Fresh
	}
	w.Value = value
	return w
}

// count counts pods at the grid's end.
func (f *facts) count(w *Window, r reports) {
	end := f.grid.n - 1
	for j, p := range f.pods {
		if !p.expected[end] {
			continue
		}
		w.Expected++
		if r.rows[j][end] {
			w.Reporting++
		}
		if p.ups > 0 && p.answers == p.ups {
			w.Answering++
		}
	}
}

// covered says at which of the last n grid points some pod reports. Elsewhere a value is not data, whatever the expression
// makes of it: (x or vector(0)) without x, or a rate that still sees the samples before an outage.
func (f *facts) covered(r reports, n int) []bool {
	out := make([]bool, n)
	for i := range out {
		out[i] = anyAt(r.rows, f.grid.n-n+i)
	}
	return out
}

// where gives the values at which covered holds, and NaN elsewhere.
func where(values []float64, covered []bool) []float64 {
	out := slices.Clone(values)
	for i := range out {
		if !covered[i] {
			out[i] = math.NaN()
		}
	}
	return out
}

// addSilence counts the silent pods, and looks back further where what was read does not show since when they are, or since when
// the source is.
func (e *Engine) addSilence(ctx context.Context, q storage.Queryable, b *Bound, t time.Time, f *facts, r reports, w *Window) error {
	silent, unclear := f.silent(r, w, e.lookback)
	if r.overall != never && len(unclear) == 0 {
		return nil
	}
	if r.overall == never || b.presence.ofFleet() {
		unclear = nil // read about everybody
	}
	far, err := e.readFacts(ctx, q, b, t, memory, unclear)
	if err != nil {
		return err
	}
	farReports := b.presence.eval(far)
	if r.overall == never && farReports.overall != never {
		w.NewestAge = since(t, farReports.overall)
	}
	if len(silent) > 0 {
		var longer Window
		longer.At = t
		far.silent(farReports, &longer, e.lookback)
		w.SilentFor = max(w.SilentFor, longer.SilentFor)
	}
	return nil
}

// silent finds the pods that were expected for longer than the lookback and have had no sample for as long. unclear are those
// whose silence began before the grid.
func (f *facts) silent(r reports, w *Window, lookback time.Duration) (silent, unclear []string) {
	w.Silent, w.SilentFor = 0, 0
	end := f.grid.n - 1
	for j, p := range f.pods {
		if !p.expected[end] || r.rows[j][end] {
			continue
		}
		began, whole, ok := f.expectedSince(p)
		if !ok {
			continue
		}
		last := max(began, r.newest[j])
		if since(w.At, began) <= lookback || since(w.At, last) < lookback {
			continue
		}
		silent = append(silent, p.uid)
		w.SilentFor = max(w.SilentFor, since(w.At, last))
		if whole && last == began {
			unclear = append(unclear, p.uid)
		}
	}
	w.Silent = len(silent)
	return silent, unclear
}

// expectedSince says when the expectation that holds at the grid's end began, ms. whole says that it reaches back to the grid's
// first point, and so perhaps further. An endpoint is expected from its first scrape on.
func (f *facts) expectedSince(p *pod) (began int64, whole, ok bool) {
	i := f.grid.n - 1
	for i > 0 && p.expected[i-1] {
		i--
	}
	began = f.grid.at(i)
	if f.ofPods {
		return began, i == 0, true
	}
	return max(began, p.upSince), i == 0, p.upSince != never
}

func since(t time.Time, ms int64) time.Duration { return t.Sub(time.UnixMilli(ms)) }
