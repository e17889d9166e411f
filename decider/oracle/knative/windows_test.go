package main

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"knative.dev/serving/pkg/autoscaler/aggregation"

	"github.com/flyball/flyball/query"
	"github.com/flyball/flyball/store"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// pair is the same samples in both kinds of window: Knative's buckets, and one pod's series in a store.
type pair struct {
	t       *testing.T
	buckets *aggregation.TimedFloat64Buckets
	window  time.Duration
	now     time.Time

	store       *store.Store
	ready, load *store.Series
	source      *query.Bound
}

func newPair(t *testing.T, window time.Duration) *pair {
	t.Helper()
	p := &pair{t: t, window: window, buckets: aggregation.NewTimedFloat64Buckets(window, time.Second)}
	series := func(name string) *store.Series {
		return &store.Series{Labels: labels.FromStrings("__name__", name, "namespace", "prod", "workload_uid", "w", "pod", "a", "pod_uid", "a", "endpoint", "8000/metrics")}
	}
	p.ready, p.load = series("flyball_pod_ready"), series("load")
	var err error
	if p.store, err = store.Open(store.Options{Dir: t.TempDir(), Clock: func() time.Time { return p.now }}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.store.Close() })
	owner := query.Owner{Namespace: "prod", WorkloadUID: "w", Endpoint: "8000/metrics"}
	if p.source, err = query.Bind(query.Source{Query: "sum(load)"}, owner, nil); err != nil {
		t.Fatal(err)
	}
	return p
}

// sample gives the value to both at the second.
func (p *pair) sample(second, value float64) {
	p.t.Helper()
	p.now = at(second)
	p.buckets.Record(p.now, value)
	p.append(store.Sample{Series: p.ready, Value: 1}, store.Sample{Series: p.load, Value: value})
}

// silence says that the pod is ready at the second, and no more.
func (p *pair) silence(second float64) {
	p.t.Helper()
	p.now = at(second)
	p.append(store.Sample{Series: p.ready, Value: 1})
}

func (p *pair) append(samples ...store.Sample) {
	p.t.Helper()
	if _, err := p.store.Append(samples); err != nil {
		p.t.Fatal(err)
	}
}

func at(second float64) time.Time { return noon.Add(time.Duration(second * float64(time.Second))) }

// read is both averages at the second, and how usable ours is.
func (p *pair) read(second float64) (knative, flyball float64, state query.State) {
	p.t.Helper()
	w, err := query.New(query.Options{}).Windows(context.Background(), p.store, p.source, at(second), p.window)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.buckets.WindowAverage(at(second)), w[0].Value, w[0].State
}

// With one sample a second on whole seconds the averages are the same while the window fills and afterwards: Knative's is
// rounded to six decimals, ours is rounded where it is used.
func TestWindowsOfOneSampleASecondAreKnatives(t *testing.T) {
	g := rand.New(rand.NewPCG(1, 1))
	for _, seconds := range []int{1, 2, 6, 10, 37, 60, 61} {
		t.Run(fmt.Sprint(seconds, "s"), func(t *testing.T) {
			p := newPair(t, time.Duration(seconds)*time.Second)
			scale := 1.0
			for i := range 2*seconds + 20 {
				if g.IntN(10) == 0 {
					scale = math.Pow(10, float64(g.IntN(8)-4))
				}
				p.sample(float64(i), scale*g.Float64())
				knative, flyball, state := p.read(float64(i))
				if math.Abs(knative-flyball) > 0.5e-6+1e-9 || state != query.Fresh {
					t.Fatalf("at %d s: Knative's average is %v, ours %v (%s)", i, knative, flyball, state)
				}
			}
		})
	}
}

// Where samples are missing the two differ, by design: there a second without a sample is a zero, and a window of them
// is a valid zero. Here the last sample speaks for its lookback of 6 s, and after that nothing is known.
func TestWindowsDifferWhereSamplesAreMissing(t *testing.T) {
	type reading struct {
		second  float64
		knative float64
		flyball float64
		state   query.State
	}
	for _, tt := range []struct {
		name    string
		samples map[float64]float64 // by second
		want    []reading
	}{
		{
			// Half of Knative's seconds are empty, so its average of a steady 8 is 4.
			name:    "a sample every other second",
			samples: map[float64]float64{0: 8, 2: 8, 4: 8, 6: 8, 8: 8, 10: 8},
			want:    []reading{{10, 4, 8, query.Fresh}},
		},
		{
			// Knative adds them up: 9 seconds of 8 and one of 16.
			name:    "two samples in one second",
			samples: map[float64]float64{1: 8, 2: 8, 3: 8, 4: 8, 5: 8, 5.5: 8, 6: 8, 7: 8, 8: 8, 9: 8, 10: 8},
			want:    []reading{{10, 8.8, 8, query.Fresh}},
		},
		{
			// Knative averages what is left of the window, and exactly one window after the last sample says zero, which
			// would lower the count.
			name:    "silence",
			samples: map[float64]float64{1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 7, 8: 8, 9: 9, 10: 10},
			want: []reading{
				{10, 5.5, 5.5, query.Fresh},
				{15, 8, (6 + 7 + 8 + 9 + 10*6) / 10.0, query.Fresh},
				{16, 8.5, (7 + 8 + 9 + 10*6) / 9.0, query.Stale},
				{19, 10, 10, query.Stale},
				{20, 0, 10, query.Stale},
				{26, 0, 0, query.Missing},
			},
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			p := newPair(t, 10*time.Second)
			read := 0
			for second := 0.0; read < len(tt.want); second += 0.5 {
				if value, ok := tt.samples[second]; ok {
					p.sample(second, value)
				} else {
					p.silence(second)
				}
				want := tt.want[read]
				if second < want.second {
					continue
				}
				read++
				knative, flyball, state := p.read(second)
				if math.Abs(knative-want.knative) > 1e-9 || math.Abs(flyball-want.flyball) > 1e-9 || state != want.state {
					t.Errorf("at %v s: Knative's average is %v, ours %v (%s), want %+v", second, knative, flyball, state, want)
				}
			}
		})
	}
}

// Knative's window takes a longer range for one that was full of zeros before: three seconds of ten become 30/60 = 0.5.
// Ours is read from the store, so a new range is simply another question.
func TestALongerWindowDoesNotCollapse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := aggregation.NewTimedFloat64Buckets(time.Minute, time.Second)
		for range 3 {
			time.Sleep(time.Second)
			b.Record(time.Now(), 10)
		}
		if before := b.WindowAverage(time.Now()); before != 10 {
			t.Errorf("before the resize Knative's average is %v", before)
		}
		b.ResizeWindow(90 * time.Second)
		if after := b.WindowAverage(time.Now()); after != 0.5 {
			t.Errorf("after the resize Knative's average is %v", after)
		}
	})
	p := newPair(t, 90*time.Second)
	for second := range 3 {
		p.sample(float64(second), 10)
	}
	if _, flyball, state := p.read(2); flyball != 10 || state != query.Fresh {
		t.Errorf("ours is %v (%s)", flyball, state)
	}
}
