package query

import (
	"context"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"pgregory.net/rapid"

	"github.com/flyball/flyball/store"
)

// Presence is computed from raw samples. It must be what the engine's own selector sees at every grid point.
func TestPresenceIsTheEnginesSelector(t *testing.T) {
	w := newWorld(t)
	e := New(Options{})
	b := bind(t, Source{Query: "sum(x)"}, chat)
	rapid.Check(t, func(rt *rapid.T) {
		began := w.now.Add(time.Minute) // out of sight of the run before
		at := 0
		for range rapid.IntRange(1, 25).Draw(rt, "appends") {
			at += rapid.SampledFrom([]int{1, 500, 1000, 1700, 2000, 5999, 6000, 6001, 9000}).Draw(rt, "gap ms")
			w.now = began.Add(time.Duration(at) * time.Millisecond)
			var samples []store.Sample
			for _, pod := range []string{"a", "b"} {
				switch rapid.SampledFrom([]string{"value", "value", "none", "stale"}).Draw(rt, pod) {
				case "value":
					samples = append(samples, store.Sample{Series: w.series(`x{pod="` + pod + `"}`), Value: 1})
				case "stale":
					samples = append(samples, store.Sample{Series: w.series(`x{pod="` + pod + `"}`), Value: store.StaleMarker()})
				}
			}
			if _, err := w.store.Append(samples); err != nil {
				rt.Fatal(err)
			}
		}
		end := began.Add(time.Duration(at+rapid.IntRange(0, 8000).Draw(rt, "later ms")) * time.Millisecond)
		f, err := e.readFacts(context.Background(), w.store, b, end, 20*s, nil)
		if err != nil {
			rt.Fatal(err)
		}
		res, err := e.Range(context.Background(), w.store, `max by (pod_uid) (x{namespace="prod",workload_uid="w-chat"})`,
			time.UnixMilli(f.grid.first), time.UnixMilli(f.grid.last()), step)
		if err != nil {
			rt.Fatal(err)
		}
		want := map[string]map[int64]bool{}
		for _, series := range res.Value.(promql.Matrix) {
			seen := map[int64]bool{}
			for _, p := range series.Floats {
				seen[p.T] = true
			}
			want[series.Metric.Get("pod_uid")] = seen
		}
		for _, p := range f.pods {
			for i, has := range p.reports[0] {
				if has != want[p.uid][f.grid.at(i)] {
					rt.Fatalf("%s at %v: reports %v, the engine says %v", p.uid, time.UnixMilli(f.grid.at(i)).Sub(began), has, !has)
				}
			}
			delete(want, p.uid)
		}
		if len(want) > 0 {
			rt.Fatalf("pods not seen: %v", want)
		}
	})
}

func TestPresenceOfQueries(t *testing.T) {
	metrics := []string{"a", "b", "c"}
	for query, want := range map[string]string{
		`sum(a)`:                   "a",
		`sum(a) / sum(b)`:          "all(a b)",
		`sum(a) + sum(b) * sum(a)`: "all(a b)",
		`sum(a or b)`:              "either(a b)",
		`sum(a or b or c)`:         "either(a b c)",
		`sum(rate(a[1m]) or on (pod_uid) rate(b[1m]))`: "either(a b)",
		`sum(a or on (pod) b)`:                         "either(a b)",
		`sum(a or ignoring (engine) b)`:                "either(a b)",
		`sum(sum by (pod) (a) or sum by (pod) (b))`:    "either(a b)",
		`sum(sum without (le) (a) or b)`:               "either(a b)",
		`sum(a or on () b)`:                            "first(a b)",
		`sum(a or ignoring (pod) b)`:                   "first(a b)",
		`sum(a) or sum(b)`:                             "first(a b)",
		`sum(sum without (pod_uid) (a) or b)`:          "first(a b)",
		`sum(a) or vector(0)`:                          "a",
		`sum(a or vector(0)) + (sum(b) or vector(1))`:  "all(a b)",
		`sum(a unless b)`:                              "all(a b)",
		`(sum(a) or sum(b)) / sum(c)`:                  "all(first(a b) c)",
		`max_over_time((sum(a) or sum(b))[1m:1s])`:     "first(a b)",
		`sum(topk(scalar(sum(b)), a))`:                 "all(a b)",
	} {
		expr, _, err := parseWithWindow(query)
		if err != nil {
			t.Fatal(err)
		}
		if got := presenceOf(expr, metrics).text(metrics); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
}

func (p *presence) text(metrics []string) string {
	if p.kind == isMetric {
		return metrics[p.metric]
	}
	out := map[presenceKind]string{allOf: "all", eitherOf: "either", firstOf: "first"}[p.kind] + "("
	for i, part := range p.parts {
		if i > 0 {
			out += " "
		}
		out += part.text(metrics)
	}
	return out + ")"
}

// One Engine and one Bound serve all goroutines.
func TestWindowsConcurrently(t *testing.T) {
	w := newWorld(t).load(0, s, `
		flyball_pod_ready{pod="a"}: 1*31
		x{pod="a"}: 0+1*31`)
	e := New(Options{Lookback: 15 * s})
	b := bind(t, Source{Query: "sum(max_over_time(x[$window]))"}, chat)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			got, err := e.Windows(context.Background(), w.store, b, noon.Add(time.Duration(20+i)*s), 10*s, 5*s)
			if err != nil || got[0].Value != float64(20+i) || got[1].Range != 5*s {
				t.Errorf("%+v %v", got, err)
			}
		})
	}
	wg.Wait()
	// With a lookback of 15 s, the sample at 30 still speaks at 44, and no more at 45.
	for at, want := range map[int]State{44: Fresh, 45: Stale} {
		got, err := e.Windows(context.Background(), w.store, b, noon.Add(time.Duration(at)*s), 30*s)
		if err != nil || got[0].State != want {
			t.Errorf("at %d: %+v %v, want %s", at, got, err, want)
		}
	}
}

func TestGrid(t *testing.T) {
	for _, tt := range []struct {
		at          float64
		rng         time.Duration
		first, last float64
	}{
		{10, 10 * s, 1, 10}, // (0, 10]: left-open
		{10.4, 10 * s, 1, 10},
		{10.999, s, 10, 10},
		{-3.5, 2 * s, -5, -4}, // before the epoch too
	} {
		g := gridOf(time.UnixMilli(int64(math.Round(tt.at*1000))), tt.rng)
		if g.first != int64(tt.first*1000) || g.last() != int64(tt.last*1000) {
			t.Errorf("(%v-%s, %v]: %d..%d ms, want %v..%v s", tt.at, tt.rng, tt.at, g.first, g.last(), tt.first, tt.last)
		}
	}
}
