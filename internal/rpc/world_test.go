package rpc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	decisionv1 "github.com/flyball/flyball/api/decision/v1"
	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/internal/board"
	"github.com/flyball/flyball/internal/lint"
	"github.com/flyball/flyball/internal/loop"
	"github.com/flyball/flyball/internal/replay"
	"github.com/flyball/flyball/query"
	"github.com/flyball/flyball/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// at is a time of the story, in seconds after noon.
func at(seconds float64) time.Time { return noon.Add(time.Duration(seconds * float64(time.Second))) }

// world is a real store, query engine, loop, board and server under a hand-set clock; only the fleet is in memory.
type world struct {
	t      testing.TB
	ms     atomic.Int64
	store  *store.Store
	engine *query.Engine
	board  *board.Board
	loop   *loop.Loop
	server *Server
	ready  atomic.Bool

	address string
	stop    func()

	mu      sync.Mutex
	scales  map[string]loop.Scale // by target UID
	was     map[time.Time]loop.Scale
	scalers []loop.Autoscaler
	series  map[string]*store.Series
}

func newWorld(t testing.TB, dir string, tune func(*Options)) *world {
	t.Helper()
	w := &world{t: t, scales: map[string]loop.Scale{}, was: map[time.Time]loop.Scale{}, series: map[string]*store.Series{}}
	w.clock(0)
	var err error
	w.store, err = store.Open(store.Options{Dir: dir, Clock: w.now})
	require.NoError(t, err)
	t.Cleanup(func() { _ = w.store.Close() })
	w.engine = query.New(query.Options{Lookback: 6 * time.Second})
	records := loop.Records{Journal: w.store.Journal()}
	last, err := records.Latest()
	require.NoError(t, err)
	sequence, err := records.Sequence()
	require.NoError(t, err)
	w.board = board.New(w.store.ID(), last)
	w.loop = loop.New(loop.Options{
		Fleet: w, Windows: w, Journal: w.store.Journal(), Tick: time.Second, Publish: w.board.Publish, Sequence: sequence,
	})
	o := Options{
		Board: w.board, Records: records, Windows: w, Now: w.now, Log: zap.NewNop(), Tick: time.Second,
		Counts: func(context.Context, string, string, time.Time, time.Time) (replay.Counts, error) {
			return func(t time.Time) (loop.Scale, bool) { s, ok := w.was[t.UTC()]; return s, ok }, nil
		},
		Findings: func() []lint.Finding {
			return lint.Check([]lint.File{{Data: []byte(manifest("llm"))}, {Data: []byte(strings.Replace(manifest("bad"), "minReplicas: 1", "minReplicas: 11", 1))}}, loop.Binder{}).Findings
		},
		Ready: func() error {
			if !w.ready.Load() {
				return errors.New("no decision yet")
			}
			return nil
		},
	}
	if tune != nil {
		tune(&o)
	}
	w.server, err = New(o)
	require.NoError(t, err)
	return w
}

// serve serves until the test ends, or until w.stop.
func (w *world) serve() *world {
	w.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(w.t, err)
	w.address = l.Addr().String()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- w.server.Serve(ctx, l) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		require.NoError(w.t, <-done)
	})
	w.t.Cleanup(w.stop)
	return w
}

// client is a connection of its own.
func (w *world) client(opts ...grpc.DialOption) decisionv1.DecisionServiceClient {
	return decisionv1.NewDecisionServiceClient(w.dial(opts...))
}

func (w *world) dial(opts ...grpc.DialOption) *grpc.ClientConn {
	w.t.Helper()
	if len(opts) == 0 {
		opts = []grpc.DialOption{grpc.WithTransportCredentials(insecure.NewCredentials())}
	}
	conn, err := grpc.NewClient(w.address, opts...)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func (w *world) clock(seconds float64) { w.ms.Store(at(seconds).UnixMilli()) }

func (w *world) now() time.Time { return time.UnixMilli(w.ms.Load()).UTC() }

func (w *world) Autoscalers(time.Time) []loop.Autoscaler { return w.scalers }

func (w *world) Scale(_ context.Context, a loop.Autoscaler, t time.Time) (loop.Scale, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s, ok := w.scales[a.Target.UID]
	if !ok {
		return s, errors.New("the target is gone")
	}
	if a.Name == "llm" {
		w.was[t.UTC()] = s
	}
	return s, nil
}

// Apply makes the replicas so at once, and all of them ready.
func (w *world) Apply(_ context.Context, a loop.Autoscaler, d decider.Decision) decider.Outcome {
	w.scale(a.Target.UID, d.To)
	return decider.Outcome{Applied: true, Was: d.From, Now: d.To, At: d.At}
}

func (w *world) scale(targetUID string, n int32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.scales[targetUID] = loop.Scale{Replicas: n, StatusReplicas: n, Ready: n}
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

// queue reports the queue of the only pod of a workload in namespace a, and that the pod is ready.
func (w *world) queue(workload string, v float64) {
	w.t.Helper()
	id := []string{"namespace=a", "workload_uid=t-" + workload, "pod=" + workload + "-0", "pod_uid=p-" + workload}
	w.sample("flyball_pod_ready", 1, id...)
	id = append(id, "endpoint=8000/metrics")
	w.sample("up", 1, id...)
	w.sample("queue", v, id...)
}

// step turns the crank for the whole second, just after it.
func (w *world) step(second float64) {
	w.t.Helper()
	w.clock(second + 0.002)
	require.NoError(w.t, w.loop.Step(context.Background(), at(second)))
	w.ready.Store(true)
}

// autoscaler adds an APA in namespace a on the queue of its workload, which has one replica.
func (w *world) autoscaler(name string) loop.Autoscaler {
	w.t.Helper()
	pas, err := v1alpha1.Read(strings.NewReader(manifest(name)))
	require.NoError(w.t, err)
	a, _, errs := loop.Binder{}.Bind(pas[0], loop.Target{Kind: "Deployment", Name: name, UID: "t-" + name})
	require.Empty(w.t, errs)
	w.scale("t-"+name, 1)
	w.scalers = append(w.scalers, a)
	return a
}

func manifest(name string) string {
	return fmt.Sprintf(`
apiVersion: autoscaling.aibrix.ai/v1alpha1
kind: PodAutoscaler
metadata: {namespace: a, name: %s, uid: u-%s, annotations: {autoscaling.aibrix.ai/scale-down-delay: 0s}}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: %s}
  minReplicas: 1
  maxReplicas: 9
  scalingStrategy: APA
  observeWindowSeconds: 1
  metricsSources:
  - {metricSourceType: pod, targetMetric: queue, targetValue: "10"}
`, name, name, name)
}

// get asks the gateway.
func (w *world) get(target string) (int, string) { return w.ask(http.MethodGet, target, "") }
