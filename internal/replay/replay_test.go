package replay

import (
	"context"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/internal/loop"
	"github.com/flyball/flyball/query"
	"github.com/flyball/flyball/store"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// at is a time of the story, in seconds after noon.
func at(seconds int) time.Time { return noon.Add(time.Duration(seconds) * time.Second) }

// day is a real store, engine and loop that live through some minutes under a hand-set clock. How the target stands is in
// memory: what is decided holds at once.
type day struct {
	t      *testing.T
	ms     atomic.Int64
	store  *store.Store
	engine *query.Engine
	scale  loop.Scale
	a      loop.Autoscaler
	was    map[time.Time]loop.Scale
	made   []decider.Decision
}

func newDay(t *testing.T, manifest string) *day {
	t.Helper()
	d := &day{t: t, was: map[time.Time]loop.Scale{}, scale: loop.Scale{Replicas: 1, StatusReplicas: 1, Ready: 1}}
	d.ms.Store(noon.UnixMilli())
	var err error
	d.store, err = store.Open(store.Options{
		Dir: t.TempDir(), Clock: func() time.Time { return time.UnixMilli(d.ms.Load()) }, Registry: prometheus.NewRegistry(),
	})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, d.store.Close()) })
	d.engine = query.New(query.Options{Lookback: 6 * time.Second})
	pas, err := v1alpha1.Read(strings.NewReader(manifest))
	require.NoError(t, err)
	var errs any
	d.a, _, errs = loop.Binder{}.Bind(pas[0], loop.Target{Kind: "Deployment", Name: "llm", UID: "t-llm"})
	require.Empty(t, errs)
	return d
}

func manifest(strategy, delay, least, most string) string {
	return fmt.Sprintf(`
apiVersion: autoscaling.aibrix.ai/v1alpha1
kind: PodAutoscaler
metadata: {namespace: a, name: llm, uid: u-llm, annotations: {autoscaling.aibrix.ai/scale-down-delay: %s}}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: llm}
  minReplicas: %s
  maxReplicas: %s
  scalingStrategy: %s
  observeWindowSeconds: 20
  panicWindowSeconds: 4
  metricsSources:
  - {metricSourceType: pod, targetMetric: queue, targetValue: "10"}
`, delay, least, most, strategy)
}

func (d *day) Autoscalers(time.Time) []loop.Autoscaler { return []loop.Autoscaler{d.a} }

func (d *day) Scale(_ context.Context, _ loop.Autoscaler, t time.Time) (loop.Scale, error) {
	d.was[t.UTC()] = d.scale
	return d.scale, nil
}

func (d *day) Apply(_ context.Context, _ loop.Autoscaler, made decider.Decision) decider.Outcome {
	d.scale = loop.Scale{Replicas: made.To, StatusReplicas: made.To, Ready: made.To}
	return decider.Outcome{Applied: true, Was: made.From, Now: made.To, At: made.At}
}

func (d *day) Watermark(t time.Time) bool { return d.store.Watermark(t) }

func (d *day) Windows(ctx context.Context, b *query.Bound, t time.Time, ranges ...time.Duration) ([]query.Window, error) {
	return d.engine.Windows(ctx, d.store, b, t, ranges...)
}

// live has the queue reported each second by the one exporter that there is, and decisions made every two.
func (d *day) live(seconds int, queue func(second int) float64) {
	d.t.Helper()
	series := func(metric string, more ...string) *store.Series {
		return &store.Series{Labels: labels.FromStrings(append([]string{
			"__name__", metric, "namespace", "a", "workload_uid", "t-llm", "pod", "llm-0", "pod_uid", "p",
		}, more...)...)}
	}
	ready, up, load := series("flyball_pod_ready"), series("up", "endpoint", "8000/metrics"), series("queue", "endpoint", "8000/metrics")
	l := loop.New(loop.Options{Fleet: d, Windows: d, Journal: d.store.Journal(), Publish: func(r loop.Result) {
		require.NoError(d.t, r.Err)
		d.made = append(d.made, r.Decision)
	}})
	for second := range seconds {
		d.ms.Store(at(second).Add(300 * time.Millisecond).UnixMilli())
		samples := []store.Sample{{Series: ready, Value: 1}, {Series: up, Value: 1}}
		if v := queue(second); !math.IsNaN(v) {
			samples = append(samples, store.Sample{Series: load, Value: v})
		}
		_, err := d.store.Append(samples)
		require.NoError(d.t, err)
		d.ms.Store(at(second + 1).Add(2 * time.Millisecond).UnixMilli())
		require.NoError(d.t, l.Step(d.t.Context(), at(second+1)))
	}
}

// again replays from one second to another with the policy changed.
func (d *day) again(from, to int, change func(*decider.Policy)) Replay {
	d.t.Helper()
	a := d.a
	change(&a.Policy)
	out, err := Run(d.t.Context(), Options{
		Autoscaler: a, Start: at(from), End: at(to), Windows: d, Journal: d.store.Journal(),
		Counts: func(t time.Time) (loop.Scale, bool) { s, ok := d.was[t.UTC()]; return s, ok },
	})
	require.NoError(d.t, err)
	return out
}

// waves is a load that rises and falls, with a gap in it.
func waves(second int) float64 {
	if second >= 100 && second < 112 {
		return math.NaN()
	}
	return 30 + 30*math.Sin(float64(second)/15)
}

func counts(r Replay) (was, to []int32) {
	for _, s := range r.Steps {
		was, to = append(was, s.Was), append(to, s.Decision.To)
	}
	return was, to
}

func same(*decider.Policy) {}

func TestWithNothingChangedThePastIsWhatItWas(t *testing.T) {
	for _, strategy := range []string{"KPA", "APA"} {
		t.Run(strategy, func(t *testing.T) {
			d := newDay(t, manifest(strategy, "10s", "1", "9"))
			d.live(300, waves)
			for _, from := range []int{1, 31, 105, 250} {
				var made []decider.Decision
				for _, m := range d.made {
					if !m.At.Before(at(from)) {
						made = append(made, m)
					}
				}
				past := d.again(from, 300, same)
				require.Zero(t, past.Unknown)
				require.Len(t, past.Steps, len(made))
				for i, s := range past.Steps {
					require.Equal(t, made[i].Explain(), s.Decision.Explain(), "from %d s on, decision %d", from, i)
					require.Equal(t, made[i].From, s.Was)
				}
			}
		})
	}
}

func TestAnotherMaximumMakesAnotherPast(t *testing.T) {
	d := newDay(t, manifest("KPA", "10s", "1", "9"))
	d.live(200, waves)
	past := d.again(40, 200, func(p *decider.Policy) { p.MaxReplicas = 2 })
	was, to := counts(past)
	require.Contains(t, was, int32(6), "so many there were")
	for i, n := range to {
		require.LessOrEqual(t, n, int32(2), "step %d", i)
	}
	for i := 1; i < len(past.Steps); i++ {
		require.Equal(t, to[i-1], past.Steps[i].Decision.From, "each decision starts from where the one before it ended")
	}
}

func TestALongerDelayHoldsTheCountForLonger(t *testing.T) {
	d := newDay(t, manifest("APA", "0s", "1", "9"))
	d.live(120, func(second int) float64 {
		if second < 40 {
			return 60
		}
		return 5
	})
	high := func(r Replay) (n int) {
		for _, s := range r.Steps {
			if s.Decision.To >= 6 {
				n++
			}
		}
		return n
	}
	short := d.again(30, 120, same)
	long := d.again(30, 120, func(p *decider.Policy) { p.ScaleDownDelay = 30 * time.Second })
	require.InDelta(t, high(short)+15, high(long), 1, "30 s are 15 decisions")
}

func TestWhatIsNotKnownOfThePastIsNotMadeUp(t *testing.T) {
	d := newDay(t, manifest("KPA", "0s", "1", "9"))
	d.live(60, waves)
	for second := 20; second < 40; second++ {
		delete(d.was, at(second).UTC()) // flyball did not run
	}
	past := d.again(10, 60, same)
	require.Equal(t, 10, past.Unknown)
	for _, s := range past.Steps {
		require.False(t, !s.Decision.At.Before(at(20)) && s.Decision.At.Before(at(40)))
	}
	require.NotEmpty(t, past.Steps)
}

// A target that flyball put to zero long ago is still its own to wake, in a replay too.
func TestATargetPutToZeroBeforeIsWokenInTheReplay(t *testing.T) {
	external := strings.Replace(manifest("KPA", "0s", "0", "9"), `{metricSourceType: pod, targetMetric: queue,`,
		`{metricSourceType: external, protocolType: http, endpoint: "127.0.0.1:80", path: /metrics, targetMetric: queue,`, 1)
	d := newDay(t, external)
	source := d.a.Policy.Sources[0].Key
	series := &store.Series{Labels: labels.FromStrings("__name__", "queue", "namespace", "a", "autoscaler_uid", "u-llm", "source", source, "endpoint", "80/metrics")}
	up := &store.Series{Labels: labels.FromStrings("__name__", "up", "namespace", "a", "autoscaler_uid", "u-llm", "source", source, "endpoint", "80/metrics")}
	load := 0.0
	l := loop.New(loop.Options{Fleet: d, Windows: d, Journal: d.store.Journal(), Publish: func(r loop.Result) { d.made = append(d.made, r.Decision) }})
	for second := range 400 {
		if second == 380 {
			load = 20
		}
		d.ms.Store(at(second).Add(300 * time.Millisecond).UnixMilli())
		_, err := d.store.Append([]store.Sample{{Series: series, Value: load}, {Series: up, Value: 1}})
		require.NoError(t, err)
		d.ms.Store(at(second + 1).Add(2 * time.Millisecond).UnixMilli())
		require.NoError(t, l.Step(t.Context(), at(second+1)))
	}
	require.Equal(t, int32(2), d.scale.Replicas, "it slept, and was woken: %s", d.made[len(d.made)-1].Explain())
	was, to := counts(d.again(360, 400, same))
	require.Equal(t, int32(0), was[0])
	require.Equal(t, int32(2), to[len(to)-1])
}

func TestAReplayThatIsNoLongerWantedStops(t *testing.T) {
	d := newDay(t, manifest("KPA", "0s", "1", "9"))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := Run(ctx, Options{
		Autoscaler: d.a, Start: at(0), End: at(60), Windows: d, Journal: d.store.Journal(),
		Counts: func(time.Time) (loop.Scale, bool) { return loop.Scale{}, true },
	})
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "replay of a/llm stopped at ")
}
