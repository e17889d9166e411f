package keda_test

import (
	"context"
	"fmt"
	"io"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	pb "github.com/flyball/flyball/api/externalscaler"
)

const chatLLM = "chat/llm"

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

// heard collects what a stream says; its end comes as an error.
type heard[T any] struct {
	t    testing.TB
	said chan T
	end  chan error
}

func listen[T any](t testing.TB, recv func() (T, error)) *heard[T] {
	h := &heard[T]{t: t, said: make(chan T, 100), end: make(chan error, 1)}
	go func() {
		for {
			v, err := recv()
			if err != nil {
				h.end <- err
				return
			}
			h.said <- v
		}
	}()
	return h
}

func (h *heard[T]) next() T {
	h.t.Helper()
	select {
	case v := <-h.said:
		return v
	case err := <-h.end:
		require.NoError(h.t, err, "the stream ended")
	case <-time.After(patience):
		require.Fail(h.t, "the stream says nothing")
	}
	panic("BUG: not reached")
}

func (h *heard[T]) ended() error {
	h.t.Helper()
	select {
	case err := <-h.end:
		return err
	case <-time.After(patience):
		require.Fail(h.t, "the stream goes on")
	}
	panic("BUG: not reached")
}

func (c *client) activity(ctx context.Context, r *pb.ScaledObjectRef) *heard[bool] {
	c.t.Helper()
	stream, err := c.StreamIsActive(ctx, r)
	require.NoError(c.t, err)
	return listen(c.t, func() (bool, error) {
		m, err := stream.Recv()
		return m.GetResult(), err
	})
}

func (c *client) specs(ctx context.Context, r *pb.ScaledObjectRef) *heard[*pb.GetMetricSpecResponse] {
	c.t.Helper()
	stream, err := c.StreamMetricSpec(ctx, r)
	require.NoError(c.t, err)
	return listen(c.t, stream.Recv)
}

func TestTheLoadRisesAndTheCountFollows(t *testing.T) {
	w := newWorld(t, llm)
	c := w.connect(w.serve("", 0).address)
	for _, now := range []struct {
		load  float64
		count int32
	}{{5, 1}, {75, 8}, {75, 8}, {131, 14}, {1e6, 20}, {120, 12}} {
		w.measure("llm", 0, now.load)
		d := w.decide().Decision
		require.Equal(t, now.count, d.To, d.Explain())
		p, err := c.poll(ref("llm"))
		require.NoError(t, err)
		require.Equal(t, polled{replicas: d.To, active: true}, p)
		require.Equal(t, now.count, w.act(c, ref("llm"), chatLLM))
	}
}

// A push for each activation, whatever else happens in between: KEDA takes each for new activity, and would never scale to zero.
func TestEachActivationIsPushedOnce(t *testing.T) {
	w := newWorld(t, llm)
	w.measure("llm", 0, 25)
	w.decide()
	c := w.connect(w.serve("", 0).address)
	pushed := c.activity(t.Context(), ref("llm"))
	require.True(t, pushed.next(), "the state at the beginning")
	for range 3 {
		for _, load := range []float64{25, 180, 41, math.NaN(), 25, 0} { // news of all kinds, but always active
			w.measure("llm", 0, load)
			if d := w.decide().Decision; load > 0 || math.IsNaN(load) {
				require.Positive(t, d.To, d.Explain())
				if !math.IsNaN(load) {
					w.act(c, ref("llm"), chatLLM)
				}
			}
		}
		for left := int32(1); left > 0; { // down by the rate of two
			w.decide()
			left = w.act(c, ref("llm"), chatLLM)
		}
		require.False(t, pushed.next(), "next to nothing but the end of the activity")
		require.False(t, w.decide().Decision.To > 0)
		w.measure("llm", 0, 25)
		require.Positive(t, w.decide().Decision.To)
		require.True(t, pushed.next(), "the wake-up")
		w.act(c, ref("llm"), chatLLM)
	}
	require.Empty(t, pushed.said)
	require.Empty(t, pushed.end)
}

// Blind is an error, since KEDA would believe a zero and the HPA an old number. A stream outlives it.
func TestABlindPhaseIsAnErrorAndThenOver(t *testing.T) {
	w := newWorld(t, llm)
	tick := 10 * time.Millisecond // how often a stream looks whether it sees again; the decisions keep their own
	c := w.connect(w.serve("", tick).address)
	r := ref("llm", "maxStaleness", "6s")
	w.scale(chatLLM, -1)
	w.board.Publish(w.decideFailing())
	blind := func(reason, text string) {
		t.Helper()
		_, err := c.IsActive(t.Context(), r)
		requireError(t, err, codes.Unavailable, reason)
		_, err = c.GetMetrics(t.Context(), &pb.GetMetricsRequest{ScaledObjectRef: r, MetricName: "desired_replicas"})
		require.Contains(t, requireError(t, err, codes.Unavailable, reason), "autoscaler chat/llm: "+text)
		specs, err := c.GetMetricSpec(t.Context(), r)
		require.NoError(t, err, "the target is known all the same")
		require.Len(t, specs.GetMetricSpecs(), 1)
	}
	blind("TURN_FAILED", "nothing has been decided yet: read scale of chat/llm: the API server does not answer")
	pushed := c.activity(t.Context(), r)
	w.scale(chatLLM, 1)
	w.measure("llm", 0, math.NaN())
	w.decide()
	blind("NO_DATA", "no-data: hold at 1: gateway:queue has had no sample")
	w.measure("llm", 0, 25)
	last := w.decide()
	require.EqualValues(t, 3, last.Decision.To)
	require.True(t, pushed.next(), "it opened while there was nothing to say")
	sees := func() {
		t.Helper()
		p, err := c.poll(r)
		require.NoError(t, err)
		require.Equal(t, polled{3, true}, p)
	}
	sees()
	w.pass(last.At.Add(6 * time.Second).Sub(w.clock()))
	sees()
	w.pass(time.Second)
	blind("RESULT_STALE", "the last decision is 7s old, more than maxStaleness (6s)")
	w.decide()
	sees()
	w.scale(chatLLM, -1)
	w.decide()
	sees() // one failed turn is no blindness
	for range 3 {
		last = w.decide()
	}
	w.pass(last.At.Add(10 * time.Second).Sub(w.clock()))
	blind("TURN_FAILED", "nothing has been decided for 10s, more than maxStaleness (6s): read scale of chat/llm")
	w.scale(chatLLM, 1)
	w.decide()
	sees()
	require.Empty(t, pushed.said, "active before and after")
	require.Empty(t, pushed.end)
}

// A count that the policy asks for by itself is an answer, with or without data.
func TestAScheduleIsToldWithoutData(t *testing.T) {
	w := newWorld(t, strings.Replace(llm, "minReplicas: 0", "minReplicas: 4", 1))
	w.measure("llm", 0, math.NaN())
	w.decide()
	c := w.connect(w.serve("", 0).address)
	require.EqualValues(t, 4, w.act(c, ref("llm"), chatLLM))
	w.decide()
	_, err := c.poll(ref("llm"))
	requireError(t, err, codes.Unavailable, "NO_DATA")
}

// KEDA's streams end without an error when the server does, since KEDA then comes back after 2 s, and say what is so when
// they are opened again. What the journal holds is an answer until it is too old.
func TestAfterARestartTheStreamsComeBack(t *testing.T) {
	w := newWorld(t, llm)
	w.measure("llm", 0, 25)
	w.decide()
	s := w.serve("", 10*time.Millisecond)
	c := w.connect(s.address)
	r := ref("llm", "maxStaleness", "10s")
	for restart := range 3 {
		pushed, specs := c.activity(t.Context(), r), c.specs(t.Context(), r)
		if restart == 2 { // the hour before, nothing was decided; this decision is no news, so the board tells nobody of it
			require.Empty(t, pushed.said)
			w.decide()
		}
		require.True(t, pushed.next())
		require.Equal(t, "desired_replicas", specs.next().GetMetricSpecs()[0].GetMetricName())
		s.stop()
		require.ErrorIs(t, pushed.ended(), io.EOF)
		require.ErrorIs(t, specs.ended(), io.EOF)
		w.start()
		if restart > 0 {
			w.pass(time.Hour)
		}
		s = w.serve(s.address, 10*time.Millisecond)
		require.Eventually(t, func() bool {
			_, err := c.GetMetricSpec(t.Context(), r)
			return err == nil
		}, patience, 10*time.Millisecond)
		if _, err := c.poll(r); restart > 0 {
			requireError(t, err, codes.Unavailable, "RESULT_STALE")
		} else {
			require.NoError(t, err)
		}
	}
}

// 300 triggers: 600 streams and the polls over one connection.
func TestHundredsOfTriggersShareOneConnection(t *testing.T) {
	const triggers = 300
	w := newWorld(t)
	for i := range triggers {
		w.apply(strings.ReplaceAll(llm, "llm", fmt.Sprintf("llm-%d", i)))
		w.measure(fmt.Sprintf("llm-%d", i), 0, 0)
		w.scale(fmt.Sprintf("chat/llm-%d", i), 1)
	}
	w.decide()
	s := w.serve("", 0)
	c := w.connect(s.address)
	var pushed []*heard[bool]
	for i := range triggers {
		r := ref(fmt.Sprintf("llm-%d", i))
		pushed = append(pushed, c.activity(t.Context(), r))
		require.Len(t, c.specs(t.Context(), r).next().GetMetricSpecs(), 1)
	}
	for i, p := range pushed {
		require.False(t, p.next(), "the state at the beginning")
		w.scale(fmt.Sprintf("chat/llm-%d", i), 0)
	}
	w.decide()
	w.measure("llm-7", 0, 95)
	w.decide()
	require.True(t, pushed[7].next())
	for i, p := range pushed {
		require.Empty(t, p.said, "those of the others")
		got, err := c.poll(ref(fmt.Sprintf("llm-%d", i)))
		require.NoError(t, err)
		require.Equal(t, i == 7, got.active)
	}
	require.Len(t, s.Asking(), triggers)
}

// A stream stays while its autoscaler is gone, and ends with its client.
func TestAStreamSurvivesItsAutoscaler(t *testing.T) {
	w := newWorld(t, llm)
	w.measure("llm", 0, 25)
	w.decide()
	c := w.connect(w.serve("", 10*time.Millisecond).address)
	ctx, leave := context.WithCancel(t.Context())
	pushed := c.activity(ctx, ref("llm", "maxStaleness", "6s"))
	require.True(t, pushed.next())
	w.board.Present(nil)
	_, err := c.IsActive(t.Context(), ref("llm"))
	requireError(t, err, codes.NotFound, "NO_AUTOSCALER")
	w.scale(chatLLM, 0)
	w.measure("llm", 0, 0)
	require.Zero(t, w.decide().Decision.To)
	require.False(t, pushed.next())
	leave()
	require.Error(t, pushed.ended())
}

func TestTheTargetOfALoadIsStreamedWhenItChanges(t *testing.T) {
	w := newWorld(t, llm)
	w.measure("llm", 0, 25)
	w.decide()
	c := w.connect(w.serve("", 0).address)
	r := ref("llm", "mode", "load")
	streamed := c.specs(t.Context(), r)
	for _, target := range []string{"10", "12.5", "0.25", "0.8"} {
		w.apply(strings.Replace(llm, `targetValue: "10"`, fmt.Sprintf("targetValue: %q", target), 1))
		w.decide()
		first := streamed.next()
		asked, err := c.GetMetricSpec(t.Context(), r)
		require.NoError(t, err)
		require.True(t, proto.Equal(first, asked), "%v\n%v", first, asked)
	}
	require.Empty(t, streamed.said)
	w.apply(strings.Replace(llm, `targetValue: "10"`, `targetValue: "10", targetType: Value`, 1))
	w.decide()
	require.Contains(t, requireError(t, streamed.ended(), codes.FailedPrecondition, "TARGET_TYPE"), "use mode desiredReplicas")
}

// KEDA reads that nothing is wanted, then a decision wakes the target, and then KEDA writes the zero that it read: that zero is
// nobody's wish, and the next decision wakes the target again.
func TestAZeroThatKEDAWritesTooLateIsNotForGood(t *testing.T) {
	w := newWorld(t, llm)
	w.measure("llm", 0, 0)
	require.Zero(t, w.decide().Decision.To)
	w.measure("llm", 0, 25)
	require.Positive(t, w.decide().Decision.To)
	w.scale(chatLLM, 0)
	require.Positive(t, w.decide().Decision.To)
}
