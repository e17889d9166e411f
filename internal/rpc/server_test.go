package rpc

import (
	"context"
	"fmt"
	"net"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/grpc/status"

	decisionv1 "github.com/flyball/flyball/api/decision/v1"
	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/internal/board"
	"github.com/flyball/flyball/internal/loop"
)

// A stream on which nothing happens says every 10 s that it is alive, and where to go on.
func TestAHeartbeatComesWhenNothingElseDoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := board.New("s", nil)
		d := newDecisions(Options{Board: b, Now: time.Now})
		w, err := b.Watch("", "", "")
		require.NoError(t, err)
		defer w.Close()
		ctx, cancel := context.WithCancel(context.Background())
		e, err := d.next(ctx, w)
		require.NoError(t, err)
		require.Equal(t, "s", e.GetSynced().GetStoreId())
		start := time.Now()
		for i := 1; i <= 3; i++ {
			e, err = d.next(ctx, w)
			require.NoError(t, err)
			require.Equal(t, time.Duration(i)*10*time.Second, time.Since(start))
			require.WithinDuration(t, time.Now(), e.GetHeartbeat().GetAt().AsTime(), 0)
			require.Equal(t, "s/0", e.ResumeToken)
		}
		time.AfterFunc(9*time.Second, func() { b.Publish(result("x", 1)) })
		e, err = d.next(ctx, w)
		require.NoError(t, err)
		require.Equal(t, "x", e.GetDecision().GetName())
		time.AfterFunc(time.Second, func() { b.Present(nil) })
		e, err = d.next(ctx, w)
		require.NoError(t, err)
		require.Equal(t, "x", e.GetRemoved().GetName())
		require.Equal(t, "u-x", e.GetRemoved().GetUid())
		cancel()
		_, err = d.next(ctx, w)
		require.ErrorIs(t, err, context.Canceled)
	})
}

// result is a recorded decision.
func result(name string, sequence uint64) loop.Result {
	at := noon.Add(time.Duration(sequence) * time.Second)
	return loop.Result{
		Autoscaler: loop.Autoscaler{UID: "u-" + name, Namespace: "a", Name: name}, At: at, Sequence: sequence, Settled: sequence,
		Decision: decider.Decision{At: at, To: int32(sequence), Verdict: decider.Hold, Reasons: []decider.Reason{{Rule: decider.RuleSteady}}},
	}
}

// A client that stops reading holds nobody up, and finds when it reads again that each decision was told or counted.
func TestAClientThatDoesNotReadHoldsNobodyUp(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil).serve()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	slow, err := w.client().WatchDecisions(ctx, &decisionv1.WatchDecisionsRequest{})
	require.NoError(t, err)
	quick, err := w.client().WatchDecisions(ctx, &decisionv1.WatchDecisionsRequest{})
	require.NoError(t, err)
	for _, stream := range []grpc.ServerStreamingClient[decisionv1.WatchDecisionsResponse]{slow, quick} {
		first, err := stream.Recv()
		require.NoError(t, err)
		require.NotNil(t, first.GetSynced())
	}
	const all = 5000 // some 600 kB: many times what is under way on a connection
	for n := uint64(1); n <= all; n++ {
		w.board.Publish(result("llm", n))
		if n%500 == 0 { // the quick one keeps up
			for {
				e, err := quick.Recv()
				require.NoError(t, err)
				if e.GetDecision().GetSequence() == n {
					break
				}
			}
		}
	}
	told, skipped, last := 0, 0, uint64(0)
	for last < all {
		e, err := slow.Recv()
		require.NoError(t, err)
		require.Greater(t, e.GetDecision().GetSequence(), last)
		told, skipped, last = told+1, skipped+int(e.Skipped), e.GetDecision().GetSequence()
	}
	require.Equal(t, all, told+skipped)
	require.Less(t, told, all, "it fell behind")
	t.Logf("%d told, %d skipped", told, skipped)
}

func TestHealthFollowsReadinessAndDrainComesBeforeTheEnd(t *testing.T) {
	w := newWorld(t, t.TempDir(), func(o *Options) {
		o.Register = func(r grpc.ServiceRegistrar) { r.RegisterService(&slowService, nil) }
	}).serve()
	ctx, conn := context.Background(), w.dial()
	h := healthv1.NewHealthClient(conn)
	names := []string{"", "flyball.decision.v1.DecisionService", "test.Slow"}
	var streams []grpc.ServerStreamingClient[healthv1.HealthCheckResponse]
	await := func(stream grpc.ServerStreamingClient[healthv1.HealthCheckResponse], want healthv1.HealthCheckResponse_ServingStatus) {
		t.Helper()
		for {
			got, err := stream.Recv()
			require.NoError(t, err)
			if got.Status == want {
				return
			}
		}
	}
	for _, name := range names {
		stream, err := h.Watch(ctx, &healthv1.HealthCheckRequest{Service: name})
		require.NoError(t, err)
		await(stream, healthv1.HealthCheckResponse_NOT_SERVING)
		streams = append(streams, stream)
	}
	w.ready.Store(true)
	for _, stream := range streams {
		await(stream, healthv1.HealthCheckResponse_SERVING)
	}
	watch, err := w.client().WatchDecisions(ctx, &decisionv1.WatchDecisionsRequest{})
	require.NoError(t, err)
	_, err = watch.Recv()
	require.NoError(t, err)

	start := time.Now()
	w.stop()
	for _, stream := range streams {
		await(stream, healthv1.HealthCheckResponse_NOT_SERVING)
		_, err := stream.Recv()
		refused(t, err, codes.Unavailable, "STOPPING")
	}
	_, err = watch.Recv()
	refused(t, err, codes.Unavailable, "STOPPING")
	require.Less(t, time.Since(start), stopTimeout, "nothing was under way that had to be waited for")
}

// slowService has a call that does not end and one that has a bug.
var slowService = grpc.ServiceDesc{ServiceName: "test.Slow", Methods: []grpc.MethodDesc{
	{MethodName: "Hang", Handler: handler(func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() })},
	{MethodName: "Bug", Handler: handler(func(context.Context) error { panic("a bug") })},
}, Streams: []grpc.StreamDesc{{StreamName: "Bugs", ServerStreams: true, Handler: func(any, grpc.ServerStream) error { panic("bugs") }}}}

func handler(call func(context.Context) error) grpc.MethodHandler {
	return func(_ any, ctx context.Context, decode func(any) error, guard grpc.UnaryServerInterceptor) (any, error) {
		in := &healthv1.HealthCheckRequest{}
		if err := decode(in); err != nil {
			return nil, err
		}
		return guard(ctx, in, &grpc.UnaryServerInfo{FullMethod: "/test.Slow/x"}, func(ctx context.Context, _ any) (any, error) { return in, call(ctx) })
	}
}

func TestABugInACallEndsThatCallAlone(t *testing.T) {
	core, logs := observer.New(zap.ErrorLevel)
	w := newWorld(t, t.TempDir(), func(o *Options) {
		o.Log = zap.New(core)
		o.Register = func(r grpc.ServiceRegistrar) { r.RegisterService(&slowService, nil) }
	}).serve()
	conn, ctx, in := w.dial(), context.Background(), &healthv1.HealthCheckRequest{}
	err := conn.Invoke(ctx, "/test.Slow/Bug", in, in)
	refused(t, err, codes.Internal, "INTERNAL_ERROR")
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, "/test.Slow/Bugs")
	require.NoError(t, err)
	require.NoError(t, stream.CloseSend())
	refused(t, stream.RecvMsg(in), codes.Internal, "INTERNAL_ERROR")
	require.Len(t, logs.All(), 2)
	require.Equal(t, "a bug", logs.All()[0].ContextMap()["panic"])

	short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
	defer cancel()
	require.Equal(t, codes.DeadlineExceeded, status.Code(conn.Invoke(short, "/test.Slow/Hang", in, in)))
}

// A call has no more than 30 s, whatever its client would allow.
func TestACallIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{Options: Options{Log: zap.NewNop()}}
		start := time.Now()
		_, err := s.guardUnary(context.Background(), nil, &grpc.UnaryServerInfo{}, func(ctx context.Context, _ any) (any, error) {
			<-ctx.Done()
			return nil, fmt.Errorf("evaluate: %w", ctx.Err())
		})
		refused(t, err, codes.DeadlineExceeded, "DEADLINE")
		require.Equal(t, 30*time.Second, time.Since(start))
	})
}

// A call that does not end holds the stop up for 2 s, no longer.
func TestAStopWaitsForCallsTwoSecondsAtMost(t *testing.T) {
	hanging := make(chan struct{})
	service := grpc.ServiceDesc{ServiceName: "test.Slow", Methods: []grpc.MethodDesc{{MethodName: "Hang", Handler: handler(func(ctx context.Context) error {
		close(hanging)
		<-ctx.Done()
		return ctx.Err()
	})}}}
	w := newWorld(t, t.TempDir(), func(o *Options) { o.Register = func(r grpc.ServiceRegistrar) { r.RegisterService(&service, nil) } }).serve()
	failed := make(chan error, 1)
	in := &healthv1.HealthCheckRequest{}
	go func() { failed <- w.dial().Invoke(context.Background(), "/test.Slow/Hang", in, in) }()
	<-hanging
	start := time.Now()
	w.stop()
	took := time.Since(start)
	require.GreaterOrEqual(t, took, stopTimeout)
	require.Less(t, took, stopTimeout+2*time.Second)
	require.Equal(t, codes.Unavailable, status.Code(<-failed))
}

func TestAnAddressThatFailsEndsServe(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	require.ErrorContains(t, w.server.Serve(context.Background(), l), "serve grpc on 127.0.0.1:")
}

// What 500 watches, one of which is never read, cost the loop's step: decisions for 50 autoscalers, each of them news.
func BenchmarkStep(b *testing.B) {
	for _, watches := range []int{0, 500} {
		b.Run(fmt.Sprintf("watches=%d", watches), func(b *testing.B) {
			w := newWorld(b, b.TempDir(), nil).serve()
			for i := range 50 {
				w.autoscaler(fmt.Sprint("x", i))
			}
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			c := w.client()
			for i := range watches {
				stream, err := c.WatchDecisions(ctx, &decisionv1.WatchDecisionsRequest{})
				require.NoError(b, err)
				if i > 0 {
					go func() {
						for err := error(nil); err == nil; _, err = stream.Recv() {
						}
					}()
				}
			}
			var took []time.Duration
			second := 0.0
			for b.Loop() {
				b.StopTimer()
				second++
				w.clock(second - 0.5)
				for i := range 50 {
					w.queue(fmt.Sprint("x", i), 10+40*float64(int(second)%2))
				}
				b.StartTimer()
				start := time.Now()
				w.step(second)
				took = append(took, time.Since(start))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
		})
	}
}
