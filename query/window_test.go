package query

import (
	"context"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
)

func TestWindowStories(t *testing.T) {
	for _, tt := range slices.Concat(podStories, sourceStories) {
		t.Run(tt.name, func(t *testing.T) {
			if tt.every == 0 {
				tt.every = s
			}
			if tt.src == (Source{}) {
				tt.src = Source{Metric: "vllm:num_requests_waiting"}
			}
			if tt.owner == (Owner{}) {
				tt.owner = chat
			}
			w := newWorld(t).load(0, tt.every, tt.story)
			got := w.windows(bind(t, tt.src, tt.owner), tt.at, tt.rng)[0]
			tt.want.Range, tt.want.At = tt.rng, got.At
			checkWindow(t, got, tt.want)
		})
	}
}

// checkWindow compares; floats to 1e-12 of their size, since a story's arithmetic is written down in another order.
func checkWindow(t *testing.T, got, want Window) {
	t.Helper()
	near := func(a, b float64) bool { return math.Abs(a-b) <= 1e-12*math.Max(1, math.Abs(b)) }
	if !near(got.Value, want.Value) || !near(got.Coverage, want.Coverage) || !near(got.MeanReady, want.MeanReady) {
		t.Errorf("value %v coverage %v mean ready %v, want %v %v %v",
			got.Value, got.Coverage, got.MeanReady, want.Value, want.Coverage, want.MeanReady)
	}
	got.Value, got.Coverage, got.MeanReady = want.Value, want.Coverage, want.MeanReady
	if got != want {
		t.Errorf("window\n got %+v\nwant %+v", got, want)
	}
}

func TestWindowsOfOneCallAreThoseOfManyCalls(t *testing.T) {
	w := newWorld(t).load(0, s, `
		flyball_pod_ready{pod="a"}: 1*61
		flyball_pod_ready{pod="b"}: _*30 1*31
		queue{pod="a"}: 0+1*50 _*11
		queue{pod="b"}: _*30 5*31`)
	b := bind(t, Source{Query: "sum(queue)"}, chat)
	ranges := []time.Duration{10 * s, 60 * s, s, 30 * s}
	for i, got := range w.windows(b, 60, ranges...) {
		if want := w.windows(b, 60, ranges[i])[0]; got != want {
			t.Errorf("range %s\n together %+v\n    alone %+v", ranges[i], got, want)
		}
	}
}

// The mean over the grid must be avg_over_time's, to the bit.
func TestValueIsAvgOverTime(t *testing.T) {
	w := newWorld(t).load(0, s, `
		flyball_pod_ready{pod="a"}: 1*61
		queue{pod="a"}: 0.1+0.3*20 1e16 0.7+0.1*40
		queue{pod="b"}: 0.7+0.01*61`)
	b := bind(t, Source{Query: "sum(queue)"}, chat)
	for second := 10.0; second <= 60; second++ {
		got := w.windows(b, second, 10*s)[0].Value
		res, err := New(Options{}).Instant(context.Background(), w.store,
			"avg_over_time(("+b.String()+")[10s:1s])", noon.Add(time.Duration(second)*s))
		if err != nil {
			t.Fatal(err)
		}
		v, err := res.Vector()
		if err != nil || len(v) != 1 {
			t.Fatalf("%v %v", v, err)
		}
		if math.Float64bits(got) != math.Float64bits(v[0].F) {
			t.Errorf("at %v: %v, avg_over_time says %v", second, got, v[0].F)
		}
	}
}

func TestOnePodNameInTwoNamespacesAndWorkloads(t *testing.T) {
	w := newWorld(t).load(0, s, `
		flyball_pod_ready{pod="a"}: 1*11
		flyball_pod_ready{pod="a",namespace="test",pod_uid="u2",workload_uid="w-test"}: 1*11
		queue{pod="a"}: 3*11
		queue{pod="a",namespace="test",pod_uid="u2",workload_uid="w-test"}: 40*11
		queue{pod="a",pod_uid="u3",workload_uid="w-other"}: 500*11
		queue{pod="a",endpoint="9000/metrics"}: 6000*11`)
	for owner, want := range map[Owner]float64{
		chat: 3,
		{Namespace: "prod", WorkloadUID: "w-chat"}: 6003,
		{Namespace: "test", WorkloadUID: "w-test"}: 40,
	} {
		got := w.windows(bind(t, Source{Metric: "queue"}, owner), 10, 10*s)[0]
		if got.Value != want || got.State != Fresh || got.Expected != 1 {
			t.Errorf("%+v: %+v, want value %v of one pod", owner, got, want)
		}
	}
}

// A workload that is deleted and made again under the same names has a new UID, and so no past.
func TestRecreatedWorkloadStartsFresh(t *testing.T) {
	w := newWorld(t).load(0, s, `
		flyball_pod_ready{pod="a"}: 1*21 x
		flyball_pod_ready{pod="a",pod_uid="u2",workload_uid="w-chat-2"}: _*25 1*6
		queue{pod="a"}: 1000*21 x
		queue{pod="a",pod_uid="u2",workload_uid="w-chat-2"}: _*25 2*6`)
	again := Owner{Namespace: "prod", WorkloadUID: "w-chat-2", Endpoint: "8000/metrics"}
	got := w.windows(bind(t, Source{Metric: "queue"}, again), 30, 20*s)[0]
	checkWindow(t, got, Window{
		Range: 20 * s, At: got.At, Value: 2, State: Fresh, Coverage: 1, Expected: 1, Reporting: 1, MeanReady: 1,
	})
}

// What is stored later does not change a window of the past.
func TestWindowsReadNothingLater(t *testing.T) {
	story := `
		flyball_pod_ready{pod="a"}: 1*11
		up{pod="a"}: 1*11
		queue{pod="a"}: 3*11`
	w := newWorld(t).load(0, s, story)
	b := bind(t, Source{Metric: "queue"}, chat)
	before := w.windows(b, 10, 10*s, 5*s)
	w.load(11, s, `
		flyball_pod_ready{pod="a"}: 0*30
		flyball_pod_ready{pod="b"}: 1*30
		up{pod="a"}: 0*30
		queue{pod="a"}: 99*30`)
	for i, after := range w.windows(b, 10, 10*s, 5*s) {
		if after != before[i] {
			t.Errorf("then %+v\n now %+v", before[i], after)
		}
	}
}

func TestWindowErrors(t *testing.T) {
	w := newWorld(t).load(0, s, `
		flyball_pod_ready{pod="a"}: 1*11
		depth{autoscaler_uid="a-1",queue="x"}: 1*11
		depth{autoscaler_uid="a-1",queue="y"}: 1*11`)
	endpoint := Owner{Namespace: "prod", AutoscalerUID: "a-1", Source: "s1"}
	b := bind(t, Source{Query: "depth"}, endpoint)
	e := New(Options{})
	at := noon.Add(10 * s)

	_, err := e.Windows(context.Background(), w.store, b, at, 10*s)
	if err == nil || !strings.Contains(err.Error(), "more than one series") || !strings.Contains(err.Error(), "sum(…)") {
		t.Errorf("two series: %v", err)
	}
	_, err = e.Windows(context.Background(), w.store, b, at, 500*time.Millisecond)
	if err == nil || !strings.Contains(err.Error(), "below the grid's step") {
		t.Errorf("short range: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err = e.Windows(ctx, w.store, b, at, 10*s); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
	sum := bind(t, Source{Query: "sum(depth)"}, endpoint)
	if _, err = e.Windows(context.Background(), partial{w.store}, sum, at, 10*s); err == nil || !strings.Contains(err.Error(), "in part") {
		t.Errorf("partial answer: %v", err)
	}
	if got, err := e.Windows(context.Background(), w.store, sum, at); err != nil || got != nil {
		t.Errorf("no ranges: %v %v", got, err)
	}
}

// partial is a storage of which one part did not answer.
type partial struct{ storage.Queryable }

func (p partial) Querier(mint, maxt int64) (storage.Querier, error) {
	q, err := p.Queryable.Querier(mint, maxt)
	return partialQuerier{q}, err
}

type partialQuerier struct{ storage.Querier }

func (q partialQuerier) Select(ctx context.Context, sorted bool, h *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	return partialSet{q.Querier.Select(ctx, sorted, h, ms...)}
}

type partialSet struct{ storage.SeriesSet }

func (partialSet) Warnings() annotations.Annotations {
	return annotations.New().Add(errors.New("shard 3 is away"))
}
