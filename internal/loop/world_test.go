package loop

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/query"
	"github.com/flyball/flyball/store"
)

var epoch = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// at is a time of the story, in seconds after noon.
func at(seconds float64) time.Time {
	return epoch.Add(time.Duration(seconds * float64(time.Second)))
}

// world is a real store, query engine and decider under a hand-set clock; only the fleet is in memory.
type world struct {
	t      *testing.T
	ms     atomic.Int64
	store  *store.Store
	engine *query.Engine
	loop   *Loop
	series map[string]*store.Series

	mu      sync.Mutex
	fleet   map[string]Scale // by target UID
	scalers []Autoscaler
	results []Result
	onApply func(Autoscaler, decider.Decision)
}

func newWorld(t *testing.T, dir string, start float64) *world {
	t.Helper()
	w := &world{t: t, series: map[string]*store.Series{}, fleet: map[string]Scale{}}
	w.ms.Store(at(start).UnixMilli())
	var err error
	w.store, err = store.Open(store.Options{Dir: dir, Clock: func() time.Time { return time.UnixMilli(w.ms.Load()) }})
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.store.Close() })
	w.engine = query.New(query.Options{Lookback: 6 * time.Second})
	w.loop = New(Options{Fleet: w, Windows: w, Journal: w.store.Journal(), Publish: w.publish})
	return w
}

func (w *world) publish(r Result) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.results = append(w.results, r)
}

func (w *world) Autoscalers(time.Time) []Autoscaler { return w.scalers }

func (w *world) Scale(_ context.Context, a Autoscaler, _ time.Time) (Scale, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s, ok := w.fleet[a.Target.UID]
	if !ok {
		return Scale{}, fmt.Errorf("target %s is gone", a.Target.Name)
	}
	return s, nil
}

// Apply makes the replicas so at once, and all of them ready.
func (w *world) Apply(_ context.Context, a Autoscaler, d decider.Decision) decider.Outcome {
	if w.onApply != nil {
		w.onApply(a, d)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fleet[a.Target.UID] = Scale{Replicas: d.To, StatusReplicas: d.To, Ready: d.To}
	return decider.Outcome{Applied: true, Was: d.From, Now: d.To, At: d.At}
}

func (w *world) Watermark(t time.Time) bool { return w.store.Watermark(t) }

func (w *world) Windows(ctx context.Context, b *query.Bound, t time.Time, ranges ...time.Duration) ([]query.Window, error) {
	return w.engine.Windows(ctx, w.store, b, t, ranges...)
}

// sample appends one value now; the labels are name=value pairs.
func (w *world) sample(metric string, v float64, lbls ...string) {
	w.t.Helper()
	key := metric + strings.Join(lbls, ",")
	if w.series[key] == nil {
		b := labels.NewBuilder(labels.FromStrings("__name__", metric))
		for _, l := range lbls {
			name, value, _ := strings.Cut(l, "=")
			b.Set(name, value)
		}
		w.series[key] = &store.Series{Labels: b.Labels()}
	}
	_, err := w.store.Append([]store.Sample{{Series: w.series[key], Value: v}})
	require.NoError(w.t, err)
}

// pod reports a pod's queue and that it is ready.
func (w *world) pod(namespace, workloadUID, pod, uid string, queue float64) {
	w.t.Helper()
	id := []string{"namespace=" + namespace, "workload_uid=" + workloadUID, "pod=" + pod, "pod_uid=" + uid}
	w.sample("flyball_pod_ready", 1, id...)
	id = append(id, "endpoint=8000/metrics")
	w.sample("up", 1, id...)
	w.sample("queue", queue, id...)
}

func (w *world) clock(seconds float64) { w.ms.Store(at(seconds).UnixMilli()) }

// step turns the crank for the whole second, just after it.
func (w *world) step(second float64) {
	w.t.Helper()
	w.clock(second + 0.002)
	require.NoError(w.t, w.loop.Step(context.Background(), at(second)))
}

// autoscaler binds a manifest to a target.
func (w *world) autoscaler(target Target, manifest string) Autoscaler {
	w.t.Helper()
	pas, err := v1alpha1.Read(strings.NewReader(manifest))
	require.NoError(w.t, err)
	require.Len(w.t, pas, 1)
	a, _, errs := Binder{}.Bind(pas[0], target)
	require.Empty(w.t, errs)
	w.scalers = append(w.scalers, a)
	return a
}

// last is the newest result of the autoscaler.
func (w *world) last(a Autoscaler) Result {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := len(w.results) - 1; i >= 0; i-- {
		if r := w.results[i]; r.Autoscaler.UID == a.UID && r.Autoscaler.Target.UID == a.Target.UID {
			require.NoError(w.t, r.Err)
			return r
		}
	}
	w.t.Fatalf("no result of %s/%s", a.Namespace, a.Name)
	return Result{}
}

// manifest is a KPA on the pods' queue.
func manifest(namespace, name string, rest ...string) string {
	return fmt.Sprintf(`
apiVersion: autoscaling.aibrix.ai/v1alpha1
kind: PodAutoscaler
metadata: {namespace: %s, name: %s}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: %s}
  minReplicas: 1
  maxReplicas: 10
  scalingStrategy: KPA
  observeWindowSeconds: 12
  panicWindowSeconds: 4
  metricsSources:
  - {metricSourceType: pod, targetMetric: queue, targetValue: "10"}
`, namespace, name, name) + strings.Join(rest, "")
}
