package keda_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	pb "github.com/flyball/flyball/api/externalscaler"
	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/internal/board"
	"github.com/flyball/flyball/internal/keda"
	"github.com/flyball/flyball/internal/loop"
	"github.com/flyball/flyball/query"
	"github.com/flyball/flyball/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const step = loop.DefaultTick

// llm is scaled by a gateway's queue, which is there while there are no pods.
const llm = `apiVersion: autoscaling.aibrix.ai/v1alpha1
kind: PodAutoscaler
metadata:
  namespace: chat
  name: llm
  annotations: {autoscaling.aibrix.ai/scale-down-delay: 0s}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: llm}
  scalingStrategy: APA
  minReplicas: 0
  maxReplicas: 20
  metricsSources:
  - {metricSourceType: external, endpoint: "127.0.0.1:1", targetMetric: "gateway:queue", targetValue: "10"}
`

// world is a real store, loop, board, scaler and gRPC server, under a hand-set clock. What the sources say and how the
// targets stand is in memory.
type world struct {
	t     testing.TB
	store *store.Store
	board *board.Board
	loop  *loop.Loop

	mu       sync.Mutex
	now      time.Time
	scalers  []loop.Autoscaler
	replicas map[string]int32              // by target UID; a target that is not here can not be read
	windows  map[*query.Bound]query.Window // a source that is not here is Missing
}

func newWorld(t testing.TB, manifests ...string) *world {
	w := &world{
		t: t, now: time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC),
		replicas: map[string]int32{}, windows: map[*query.Bound]query.Window{},
	}
	var err error
	w.store, err = store.Open(store.Options{Dir: t.TempDir(), Clock: w.clock})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.store.Close()) })
	for _, m := range manifests {
		w.apply(m)
	}
	w.start()
	return w
}

// start begins with what the journal holds.
func (w *world) start() {
	records := loop.Records{Journal: w.store.Journal()}
	latest, err := records.Latest()
	require.NoError(w.t, err)
	sequence, err := records.Sequence()
	require.NoError(w.t, err)
	w.board = board.New(w.store.ID(), latest)
	w.loop = loop.New(loop.Options{Fleet: w, Windows: w, Journal: w.store.Journal(), Publish: w.board.Publish, Sequence: sequence})
}

// apply creates or changes an autoscaler, as kubectl does; its target has one replica at first.
func (w *world) apply(manifest string) loop.Autoscaler {
	pas, err := v1alpha1.Read(strings.NewReader(manifest))
	require.NoError(w.t, err)
	pa := pas[0]
	uid := pa.Namespace + "/" + pa.Name
	target := loop.Target{Kind: "Deployment", Name: pa.Name, UID: uid}
	a, _, errs := loop.Binder{NativeHPAs: true}.Bind(pa, target)
	require.Empty(w.t, errs)
	a.UID, a.Withheld = uid, loop.Withheld{Why: decider.Delegated}
	w.mu.Lock()
	defer w.mu.Unlock()
	if _, there := w.replicas[uid]; !there {
		w.replicas[uid] = 1
	}
	for i, old := range w.scalers {
		if old.UID == uid {
			for n := range min(len(a.Sources), len(old.Sources)) {
				w.windows[a.Sources[n]] = w.windows[old.Sources[n]]
			}
			w.scalers[i] = a
			return a
		}
	}
	w.scalers = append(w.scalers, a)
	return a
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

// pass lets time go by, with no decision.
func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// measure sets what an autoscaler's source says from now on; NaN: it is silent.
func (w *world) measure(name string, source int, value float64) {
	window := query.Window{Value: value, State: query.Fresh, Coverage: 1, Expected: 1, Reporting: 1, Answering: 1, MeanReady: 1}
	if math.IsNaN(value) {
		window = query.Window{State: query.Missing, NewestAge: -1, Expected: 1}
	}
	w.window(name, source, window)
}

func (w *world) window(name string, source int, window query.Window) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.scalers {
		if a.Name == name {
			w.windows[a.Sources[source]] = window
		}
	}
}

// scale is what KEDA and its HPA do to a target; a negative count makes it unreadable.
func (w *world) scale(uid string, replicas int32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.replicas[uid] = replicas; replicas < 0 {
		delete(w.replicas, uid)
	}
}

// decide turns the crank for all autoscalers, and gives the latest result of the first.
func (w *world) decide() loop.Result {
	w.t.Helper()
	for range int(step / time.Second) {
		w.pass(time.Second)
		w.board.Present(w.Autoscalers(w.clock()))
		require.NoError(w.t, w.loop.Step(context.Background(), w.clock()))
	}
	first := w.Autoscalers(w.clock())[0]
	r, ok := w.board.Get(first.Namespace, first.Name)
	require.True(w.t, ok)
	return r
}

func (w *world) Autoscalers(time.Time) []loop.Autoscaler {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]loop.Autoscaler(nil), w.scalers...)
}

func (w *world) Scale(_ context.Context, a loop.Autoscaler, _ time.Time) (loop.Scale, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	n, ok := w.replicas[a.Target.UID]
	if !ok {
		return loop.Scale{}, errors.New("the API server does not answer")
	}
	return loop.Scale{Replicas: n, StatusReplicas: n, Ready: n}, nil
}

func (w *world) Apply(context.Context, loop.Autoscaler, decider.Decision) decider.Outcome {
	panic("BUG: KEDA acts, not flyball")
}

func (w *world) Watermark(time.Time) bool { return true }

func (w *world) Windows(_ context.Context, b *query.Bound, t time.Time, ranges ...time.Duration) ([]query.Window, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	out := make([]query.Window, len(ranges))
	for i, r := range ranges {
		if out[i] = w.windows[b]; out[i].State == "" {
			out[i].State = query.Missing
		}
		out[i].Range, out[i].At = r, t
	}
	return out, nil
}

// server is the scaler on loopback. It ends as the service does: a drain first, which ends the streams.
type server struct {
	*keda.Scaler
	address string
	stop    func()
}

// serve serves at an address, or at a free one.
func (w *world) serve(address string, tick time.Duration) *server {
	w.t.Helper()
	if address == "" {
		address = "127.0.0.1:0"
	}
	listener, err := net.Listen("tcp", address)
	require.NoError(w.t, err)
	scaler := keda.New(keda.Options{Results: w.board, Now: w.clock, Tick: tick})
	running, drain := context.WithCancel(context.Background())
	g := grpc.NewServer(grpc.StreamInterceptor(func(srv any, stream grpc.ServerStream, _ *grpc.StreamServerInfo, handle grpc.StreamHandler) error {
		ctx, cancel := context.WithCancel(stream.Context())
		defer cancel()
		defer context.AfterFunc(running, cancel)()
		return handle(srv, draining{stream, ctx})
	}))
	scaler.Register(g)
	done := make(chan error, 1)
	go func() { done <- g.Serve(listener) }()
	var once sync.Once
	s := &server{Scaler: scaler, address: listener.Addr().String(), stop: func() {
		once.Do(func() {
			drain()
			g.GracefulStop()
			require.NoError(w.t, <-done)
		})
	}}
	w.t.Cleanup(s.stop)
	return s
}

type draining struct {
	grpc.ServerStream
	ctx context.Context
}

func (d draining) Context() context.Context { return d.ctx }

// client asks as KEDA does: everything over one connection.
type client struct {
	pb.ExternalScalerClient
	t testing.TB
}

func (w *world) connect(address string) *client {
	w.t.Helper()
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig": [{"round_robin":{}}]}`))
	require.NoError(w.t, err)
	w.t.Cleanup(func() { require.NoError(w.t, conn.Close()) })
	return &client{pb.NewExternalScalerClient(conn), w.t}
}

// ref is a trigger of a ScaledObject in namespace chat; keys and values take turns.
func ref(name string, metadata ...string) *pb.ScaledObjectRef {
	out := &pb.ScaledObjectRef{Namespace: "chat", Name: name, ScalerMetadata: map[string]string{
		"scalerAddress": "flyball.flyball:8091", "enableTLS": "true", "caCert": "x", "tlsClientCert": "x", "tlsClientKey": "x", "unsafeSsl": "false",
	}}
	for i := 0; i < len(metadata); i += 2 {
		out.ScalerMetadata[metadata[i]] = metadata[i+1]
	}
	return out
}

// polled is what KEDA makes of one poll: what its HPA would scale to, and whether the target is to have pods at all.
type polled struct {
	replicas int32
	active   bool
}

// poll asks for each metric's value and then for activity, as KEDA does at each of its polls and each of the HPA's.
func (c *client) poll(r *pb.ScaledObjectRef) (polled, error) {
	ctx := c.t.Context()
	specs, err := c.GetMetricSpec(ctx, r)
	if err != nil {
		return polled{}, err
	}
	var out polled
	for _, spec := range specs.GetMetricSpecs() {
		values, err := c.GetMetrics(ctx, &pb.GetMetricsRequest{ScaledObjectRef: r, MetricName: spec.GetMetricName()})
		if err != nil {
			return polled{}, err
		}
		require.Len(c.t, values.GetMetricValues(), 1, "the HPA adds up what it gets")
		value, target := float64(values.GetMetricValues()[0].GetMetricValue()), float64(spec.GetTargetSize())
		if v := values.GetMetricValues()[0].GetMetricValueFloat(); v > 0 {
			value = v
		}
		if v := spec.GetTargetSizeFloat(); v > 0 {
			target = v
		}
		out.replicas = max(out.replicas, int32(math.Ceil(value/target)))
		active, err := c.IsActive(ctx, r)
		if err != nil {
			return polled{}, err
		}
		out.active = active.GetResult()
	}
	return out, nil
}

// act polls and scales the target as KEDA and its HPA do; it gives the count left behind.
func (w *world) act(c *client, r *pb.ScaledObjectRef, uid string) int32 {
	w.t.Helper()
	p, err := c.poll(r)
	require.NoError(w.t, err)
	w.mu.Lock()
	n := w.replicas[uid]
	w.mu.Unlock()
	switch {
	case !p.active: // cooldownPeriod: 0
		n = 0
	case n == 0:
		n = 1
	default:
		n = p.replicas
	}
	w.scale(uid, n)
	return n
}

// requireError says that an error has this code and reason, and gives its text.
func requireError(t *testing.T, err error, code codes.Code, reason string) string {
	t.Helper()
	st, ok := status.FromError(err)
	require.True(t, ok && err != nil, "%v", err)
	require.Equal(t, code, st.Code(), st.Message())
	for _, d := range st.Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			require.Equal(t, "flyball.dev", info.GetDomain())
			require.Equal(t, reason, info.GetReason(), st.Message())
			return st.Message()
		}
	}
	require.Fail(t, "no ErrorInfo", st.Message())
	return ""
}

// decideFailing is a turn that failed before anything was ever decided.
func (w *world) decideFailing() loop.Result {
	a := w.Autoscalers(w.clock())[0]
	_, err := w.Scale(context.Background(), a, w.clock())
	return loop.Result{Autoscaler: a, At: w.clock(), Err: fmt.Errorf("read scale of %s/%s: %w", a.Namespace, a.Name, err)}
}
