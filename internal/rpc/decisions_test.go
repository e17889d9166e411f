package rpc

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	decisionv1 "github.com/flyball/flyball/api/decision/v1"
	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/query"
)

// refused checks the code and the ErrorInfo's reason, and gives its metadata.
func refused(t testing.TB, err error, code codes.Code, reason string) map[string]string {
	t.Helper()
	require.Equal(t, code, status.Code(err), "%v", err)
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			require.Equal(t, "flyball.dev", info.Domain)
			require.Equal(t, reason, info.Reason, "%v", err)
			return info.Metadata
		}
	}
	require.Fail(t, "no ErrorInfo", "%v", err)
	return nil
}

// After a start and before the first decision, what was recorded is known; what is measured is not.
func TestARestartedServerAnswersFromWhatWasRecorded(t *testing.T) {
	dir, ctx := t.TempDir(), context.Background()
	w := newWorld(t, dir, nil)
	w.autoscaler("llm")
	w.clock(0.5)
	w.queue("llm", 45)
	w.step(1)
	require.NoError(t, w.store.Close())

	w = newWorld(t, dir, nil).serve()
	w.clock(10)
	c := w.client()
	list, err := c.ListAutoscalers(ctx, &decisionv1.ListAutoscalersRequest{})
	require.NoError(t, err)
	require.Len(t, list.Autoscalers, 1)
	require.EqualValues(t, 5, list.Autoscalers[0].Decision.To)
	require.EqualValues(t, 45, *list.Autoscalers[0].Inputs.Sources[0].Stable.Value)
	why, err := c.Explain(ctx, &decisionv1.ExplainRequest{Namespace: "a", Name: "llm"})
	require.NoError(t, err)
	require.Contains(t, why.Text, "1 → 5 ScaleUp")
	past, err := c.ListDecisions(ctx, &decisionv1.ListDecisionsRequest{Namespace: "a", Name: "llm"})
	require.NoError(t, err)
	require.Len(t, past.Decisions, 1)

	_, err = c.GetWindow(ctx, &decisionv1.GetWindowRequest{Namespace: "a", Name: "llm"})
	refused(t, err, codes.Unavailable, "NOT_READY")
	_, err = c.GetAutoscaler(ctx, &decisionv1.GetAutoscalerRequest{Namespace: "a", Name: "new"})
	refused(t, err, codes.Unavailable, "NOT_READY")
	w.ready.Store(true)
	_, err = c.GetWindow(ctx, &decisionv1.GetWindowRequest{Namespace: "a", Name: "llm"})
	refused(t, err, codes.Unavailable, "NOT_READY")
	_, err = c.GetAutoscaler(ctx, &decisionv1.GetAutoscalerRequest{Namespace: "a", Name: "new"})
	require.Equal(t, "a/llm", refused(t, err, codes.NotFound, "NO_AUTOSCALER")["nearest"])

	empty := newWorld(t, t.TempDir(), nil).serve()
	_, err = empty.client().ListAutoscalers(ctx, &decisionv1.ListAutoscalersRequest{})
	refused(t, err, codes.Unavailable, "NOT_READY")
	empty.ready.Store(true)
	list, err = empty.client().ListAutoscalers(ctx, &decisionv1.ListAutoscalersRequest{})
	require.NoError(t, err)
	require.Empty(t, list.Autoscalers, "nobody is decided for, and that is known")
	_, err = empty.client().GetAutoscaler(ctx, &decisionv1.GetAutoscalerRequest{Namespace: "a", Name: "llm"})
	require.NotContains(t, refused(t, err, codes.NotFound, "NO_AUTOSCALER"), "nearest")
}

// A window without a usable value is an error that says which kind of nothing it is, never a zero.
func TestAWindowIsAValueOrAnErrorNeverAZero(t *testing.T) {
	w := busy(t)
	c, ctx := w.client(), context.Background()
	ask := func() (*decisionv1.GetWindowResponse, error) {
		return c.GetWindow(ctx, &decisionv1.GetWindowRequest{Namespace: "a", Name: "llm", Range: durationpb.New(maxRange)})
	}
	got, err := ask()
	require.NoError(t, err)
	require.EqualValues(t, 45, got.Window.GetValue())
	byKey, err := c.GetWindow(ctx, &decisionv1.GetWindowRequest{Namespace: "a", Name: "llm", Source: got.SourceKey, At: timestamppb.New(at(1))})
	require.NoError(t, err)
	require.Equal(t, "queue", byKey.Source)

	w.clock(10)
	about := func(err error, reason string) map[string]string { return refused(t, err, codes.Unavailable, reason) }
	_, err = ask()
	got2 := about(err, "STALE")
	require.Equal(t, "9.5s", got2["newest_age"])
	require.Equal(t, "queue", got2["source"])
	w.sample("flyball_pod_ready", 1, "namespace=a", "workload_uid=t-llm", "pod=llm-0", "pod_uid=p-llm")
	_, err = c.GetWindow(ctx, &decisionv1.GetWindowRequest{Namespace: "a", Name: "llm"})
	about(err, "MISSING")
	w.clock(3700)
	_, err = c.GetWindow(ctx, &decisionv1.GetWindowRequest{Namespace: "a", Name: "llm"})
	require.NotContains(t, about(err, "NO_PODS"), "newest_age", "none was found as far back as was looked")
	refused(t, blind("queue", query.Window{State: query.Fresh, Value: math.Inf(1)}, nil), codes.Unavailable, "NOT_NUMBER")
	require.NoError(t, blind("queue", query.Window{State: query.Fresh}, nil), "a measured zero is a value")
}

func TestASourceIsFoundByNameOrKey(t *testing.T) {
	w := busy(t)
	r, _ := w.board.Get("a", "llm")
	source := func(name, key string) decider.Source { return decider.Source{Name: name, Key: key} }
	r.Autoscaler.Policy.Sources = []decider.Source{source("queue", "k1"), source("queue", "k2"), source("kv", "k3")}
	r.Autoscaler.Sources = append(r.Autoscaler.Sources, r.Autoscaler.Sources[0], r.Autoscaler.Sources[0])
	for asked, key := range map[string]string{"k1": "k1", "k2": "k2", "kv": "k3"} {
		s, _, err := sourceOf(r, asked)
		require.NoError(t, err)
		require.Equal(t, key, s.Key)
	}
	_, _, err := sourceOf(r, "queue")
	require.ErrorContains(t, err, "two sources are named queue; give a key")
	_, _, err = sourceOf(r, "")
	require.ErrorContains(t, err, "a/llm has queue, queue, kv")
	r.Autoscaler.Policy.Strategy = decider.HPA
	_, _, err = sourceOf(r, "kv")
	refused(t, err, codes.FailedPrecondition, "DELEGATED")
}

// Whatever the size of the pages, together they are everything, once and in order.
func TestPagesTogetherAreEverything(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil).serve()
	for i := range 7 {
		w.autoscaler(fmt.Sprint("x", i))
	}
	for second := 1; second <= 8; second++ {
		w.clock(float64(second) - 0.5)
		for i := range 7 {
			w.queue(fmt.Sprint("x", i), float64(second*10)) // one more each second, so that each decision is news
		}
		w.step(float64(second))
	}
	c, ctx := w.client(), context.Background()
	for size := int32(1); size <= 9; size++ {
		var names, times []string
		for token := ""; ; {
			resp, err := c.ListAutoscalers(ctx, &decisionv1.ListAutoscalersRequest{PageSize: size, PageToken: token})
			require.NoError(t, err)
			require.LessOrEqual(t, len(resp.Autoscalers), int(size))
			for _, a := range resp.Autoscalers {
				names = append(names, a.Name)
			}
			if token = resp.NextPageToken; token == "" {
				break
			}
		}
		require.Equal(t, "x0 x1 x2 x3 x4 x5 x6", strings.Join(names, " "))
		for token := ""; ; {
			resp, err := c.ListDecisions(ctx, &decisionv1.ListDecisionsRequest{
				Namespace: "a", Name: "x3", PageSize: size, PageToken: token, StartTime: timestamppb.New(at(2)), EndTime: timestamppb.New(at(7)),
			})
			require.NoError(t, err)
			require.LessOrEqual(t, len(resp.Decisions), int(size))
			for _, d := range resp.Decisions {
				times = append(times, fmt.Sprint(d.At.AsTime().Second(), "→", d.To))
			}
			if token = resp.NextPageToken; token == "" {
				break
			}
		}
		require.Equal(t, "2→2 3→3 4→4 5→5 6→6 7→7", strings.Join(times, " "))
	}
	none, err := c.ListAutoscalers(ctx, &decisionv1.ListAutoscalersRequest{Namespace: "b"})
	require.NoError(t, err)
	require.Empty(t, none.Autoscalers)
}

// A page that would be more than a gRPC client takes ends early.
func TestAPageEndsBeforeAClientWouldRefuseIt(t *testing.T) {
	p, err := newPage(1000)
	require.NoError(t, err)
	big := &decisionv1.Decision{Name: strings.Repeat("x", 1<<20)}
	n := 0
	for p.fits(big) {
		n++
	}
	require.Equal(t, 2, n)
	p, _ = newPage(1)
	require.True(t, p.fits(&decisionv1.Decision{Name: strings.Repeat("x", 5<<20)}), "the first is sent whatever it takes")
	require.False(t, p.fits(big))
}

// Whatever a page token says, it is one that was given out, or it is refused by name.
func FuzzPageToken(f *testing.F) {
	for _, s := range []string{"", "a/llm", "a/", "/", "1767268801000000000/1767268801000001", "0/0", "-1/1", "01/1", "1/-1", "9223372036854775808/1", "1/1/1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, token string) {
		if at, sequence, err := parseTimeToken(token); err == nil {
			require.Equal(t, token, timeToken(at, sequence))
		} else {
			refused(t, err, codes.InvalidArgument, "INVALID_FIELD")
		}
		if namespace, name, err := parseNameToken(token); err != nil {
			refused(t, err, codes.InvalidArgument, "INVALID_FIELD")
		} else if token != "" {
			require.Equal(t, token, nameToken(namespace, name))
		}
	})
}

// Times from outside are bounded to what the journal can hold.
func TestTimesFarAwayAreTheFarthestThereAre(t *testing.T) {
	w := busy(t)
	c, ctx := w.client(), context.Background()
	all, err := c.ListDecisions(ctx, &decisionv1.ListDecisionsRequest{
		Namespace: "a", Name: "llm", StartTime: &timestamppb.Timestamp{Seconds: -60_000_000_000}, EndTime: &timestamppb.Timestamp{Seconds: 200_000_000_000},
	})
	require.NoError(t, err)
	require.Len(t, all.Decisions, 1)
	_, err = c.ListDecisions(ctx, &decisionv1.ListDecisionsRequest{Namespace: "a", Name: "llm", StartTime: &timestamppb.Timestamp{Nanos: -1}})
	require.Equal(t, "start_time", refused(t, err, codes.InvalidArgument, "INVALID_FIELD")["field"])
	for _, req := range []*decisionv1.ExplainRequest{{Name: "llm"}, {Namespace: "a"}} {
		_, err = c.Explain(ctx, req)
		refused(t, err, codes.InvalidArgument, "INVALID_FIELD")
	}
	_, err = c.Explain(ctx, &decisionv1.ExplainRequest{Namespace: "a", Name: "llm", Time: &decisionv1.ExplainRequest_Ago{Ago: durationpb.New(maxRange)}})
	refused(t, err, codes.NotFound, "NO_RECORD")
}

// Asked now, the explanation has the numbers of the newest decision; asked about then, of the one that was recorded.
func TestTheExplanationOfNowIsOfNow(t *testing.T) {
	w := newWorld(t, t.TempDir(), nil).serve()
	w.autoscaler("llm")
	for second := range 30 {
		w.clock(float64(second) + 0.5)
		w.queue("llm", 41+float64(second)/10)
		w.step(float64(second + 1))
	}
	ask := func(req *decisionv1.ExplainRequest) *decisionv1.ExplainResponse {
		req.Namespace, req.Name = "a", "llm"
		why, err := w.client().Explain(context.Background(), req)
		require.NoError(t, err)
		return why
	}
	now := ask(&decisionv1.ExplainRequest{})
	require.Equal(t, at(30), now.Decision.At.AsTime())
	require.InDelta(t, 43.9, *now.Inputs.Sources[0].Stable.Value, 1e-9)
	require.Equal(t, at(2), now.FirstTime.AsTime(), "the second decision held what the first had raised")
	require.Equal(t, at(30), now.LastTime.AsTime())
	require.EqualValues(t, 28, now.SameCount)
	then := ask(&decisionv1.ExplainRequest{Time: &decisionv1.ExplainRequest_At{At: timestamppb.New(at(20))}})
	require.Equal(t, at(2), then.Decision.At.AsTime())
	require.Contains(t, then.Text, "inputs, as of 2026-01-01T12:00:02Z")
	require.NotContains(t, now.Text, "as of")
	live, err := w.client().GetAutoscaler(context.Background(), &decisionv1.GetAutoscalerRequest{Namespace: "a", Name: "llm"})
	require.NoError(t, err)
	require.Equal(t, live.Autoscaler.Decision.String(), now.Decision.String(), "both say what was decided last")
}
