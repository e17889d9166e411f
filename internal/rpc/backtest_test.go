package rpc

import (
	"context"
	"math"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	decisionv1 "github.com/flyball/flyball/api/decision/v1"
	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/internal/replay"
)

// minute is a world in which a queue has risen and fallen within a minute.
func minute(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, t.TempDir(), nil).serve()
	w.autoscaler("llm")
	for second := range 60 {
		w.clock(float64(second) + 0.5)
		w.queue("llm", 45+40*math.Sin(float64(second)/10))
		w.step(float64(second + 1))
	}
	return w
}

func backtest(t *testing.T, w *world, changes *decisionv1.PolicyChanges) *decisionv1.BacktestResponse {
	t.Helper()
	resp, err := w.client().Backtest(context.Background(), &decisionv1.BacktestRequest{
		Namespace: "a", Name: "llm", StartTime: timestamppb.New(at(10)), EndTime: timestamppb.New(at(60)), Changes: changes,
	})
	require.NoError(t, err)
	return resp
}

func TestABacktestIsThePastAndAnotherPast(t *testing.T) {
	w := minute(t)
	as := backtest(t, w, nil)
	require.Len(t, as.Steps, 51)
	require.Zero(t, as.UnknownSteps)
	for i, s := range as.Steps[:50] {
		require.Equal(t, as.Steps[i+1].Was, s.To, "what was decided was done: nothing was changed")
	}
	past, err := w.client().ListDecisions(context.Background(), &decisionv1.ListDecisionsRequest{Namespace: "a", Name: "llm", StartTime: timestamppb.New(at(11))})
	require.NoError(t, err)
	var made, would []string
	for _, d := range past.Decisions {
		if d.From != d.To {
			made = append(made, d.At.AsTime().String()+d.Reasons[0].Because)
		}
	}
	for _, d := range as.Decisions[1:] {
		would = append(would, d.At.AsTime().String()+d.Reasons[0].Because)
	}
	require.NotEmpty(t, made)
	require.Equal(t, made, would)

	two := int32(2)
	small := backtest(t, w, &decisionv1.PolicyChanges{MaxReplicas: &two})
	for _, s := range small.Steps[1:] {
		require.LessOrEqual(t, s.To, two)
	}
	require.InDelta(t, as.WasReplicaSeconds, small.WasReplicaSeconds, 1e-9, "the past is the same")
	require.Less(t, small.ReplicaSeconds, small.WasReplicaSeconds)
	big := backtest(t, w, &decisionv1.PolicyChanges{Targets: []*decisionv1.SourceTarget{{Source: "queue", Target: 100}}})
	require.Less(t, big.ReplicaSeconds, as.ReplicaSeconds)
	slow := backtest(t, w, &decisionv1.PolicyChanges{ScaleDownDelay: durationpb.New(30 * time.Second)})
	require.Greater(t, slow.ReplicaSeconds, as.ReplicaSeconds)

	// And as JSON, with the changes in the body.
	code, body := w.ask(http.MethodPost, "/api/decision/v1/autoscalers/a/llm/backtest",
		`{"startTime": "2026-01-01T12:00:50Z", "endTime": "2026-01-01T12:00:53Z", "changes": {"minReplicas": 9, "scaleDownDelay": "60s"}}`)
	require.Equal(t, http.StatusOK, code, body)
	golden(t, "backtest", body)
}

func TestABacktestSaysWhatToMend(t *testing.T) {
	w := minute(t)
	n := func(v int32) *int32 { return &v }
	targets := func(source string, v float64) *decisionv1.PolicyChanges {
		return &decisionv1.PolicyChanges{Targets: []*decisionv1.SourceTarget{{Source: source, Target: v}}}
	}
	for name, c := range map[string]struct {
		req   *decisionv1.BacktestRequest
		field string
	}{
		"negative":          {&decisionv1.BacktestRequest{Changes: &decisionv1.PolicyChanges{MinReplicas: n(-1)}}, "changes.min_replicas"},
		"zero":              {&decisionv1.BacktestRequest{Changes: &decisionv1.PolicyChanges{MaxReplicas: n(0)}}, "changes.max_replicas"},
		"crossed":           {&decisionv1.BacktestRequest{Changes: &decisionv1.PolicyChanges{MinReplicas: n(10)}}, "changes.min_replicas"},
		"crossed, both":     {&decisionv1.BacktestRequest{Changes: &decisionv1.PolicyChanges{MinReplicas: n(3), MaxReplicas: n(2)}}, "changes.min_replicas"},
		"a long delay":      {&decisionv1.BacktestRequest{Changes: &decisionv1.PolicyChanges{ScaleUpDelay: durationpb.New(2 * time.Hour)}}, "changes.scale_up_delay"},
		"a negative delay":  {&decisionv1.BacktestRequest{Changes: &decisionv1.PolicyChanges{ScaleDownDelay: durationpb.New(-1)}}, "changes.scale_down_delay"},
		"another source":    {&decisionv1.BacktestRequest{Changes: targets("other", 1)}, "changes.targets[0].source"},
		"no target":         {&decisionv1.BacktestRequest{Changes: targets("queue", 0)}, "changes.targets[0].target"},
		"an endless target": {&decisionv1.BacktestRequest{Changes: targets("queue", math.Inf(1))}, "changes.targets[0].target"},
		"a target of none":  {&decisionv1.BacktestRequest{Changes: targets("queue", math.NaN())}, "changes.targets[0].target"},
		"the future":        {&decisionv1.BacktestRequest{EndTime: timestamppb.New(at(1000))}, "end_time"},
		"backwards":         {&decisionv1.BacktestRequest{StartTime: timestamppb.New(at(5)), EndTime: timestamppb.New(at(4))}, "end_time"},
		"a week":            {&decisionv1.BacktestRequest{StartTime: timestamppb.New(at(-7 * 86400))}, "start_time"},
	} {
		c.req.Namespace, c.req.Name = "a", "llm"
		_, err := w.client().Backtest(context.Background(), c.req)
		refused(t, err, codes.InvalidArgument, reasonInvalidField)
		var field string
		for _, d := range status.Convert(err).Details() {
			if bad, ok := d.(*errdetails.BadRequest); ok {
				field = bad.FieldViolations[0].Field
			}
		}
		require.Equal(t, c.field, field, name)
	}
	_, err := w.client().Backtest(context.Background(), &decisionv1.BacktestRequest{Namespace: "a", Name: "lm"})
	refused(t, err, codes.NotFound, reasonNoAutoscaler)

	// Between a start and the first decision it is not known yet what the sources read.
	before := newWorld(t, t.TempDir(), nil).serve()
	_, err = before.client().Backtest(context.Background(), &decisionv1.BacktestRequest{Namespace: "a", Name: "llm"})
	refused(t, err, codes.Unavailable, reasonNotReady)
}

// Six hours of a policy that changes its mind at every turn are more than a client takes; what is left out is counted.
func TestABacktestThatIsTooLargeSaysWhatItLeavesOut(t *testing.T) {
	d := decider.Decision{From: 1, To: 2, Reasons: []decider.Reason{{Rule: decider.RuleNeed, From: 1, To: 2, Source: strings.Repeat("q", 300)}}}
	steps := make([]replay.Step, 10_800)
	for i := range steps {
		steps[i] = replay.Step{Was: 1, Decision: d}
	}
	resp := newBacktest(replay.Replay{Steps: steps}, 0)
	require.Len(t, resp.Steps, len(steps))
	require.NotZero(t, resp.LeftOutDecisions)
	require.Equal(t, len(steps), len(resp.Decisions)+int(resp.LeftOutDecisions))
	require.InDelta(t, 2*10_800*2, resp.ReplicaSeconds, 1e-6, "every 2 s, unless told otherwise")
}

// The findings of what is there, those of what is refused first.
func TestFindingsAreByAutoscalerAndSeverity(t *testing.T) {
	w := minute(t)
	resp, err := w.client().ListFindings(context.Background(), &decisionv1.ListFindingsRequest{})
	require.NoError(t, err)
	require.Equal(t, "bad", resp.Findings[0].Name)
	require.Equal(t, decisionv1.Severity_SEVERITY_ERROR, resp.Findings[0].Severity)
	require.Equal(t, "spec.minReplicas", resp.Findings[0].Field)
	require.Contains(t, resp.Findings[0].Text, "must not be greater than maxReplicas (9)")
	resp, err = w.client().ListFindings(context.Background(), &decisionv1.ListFindingsRequest{Namespace: "a", Name: "llm"})
	require.NoError(t, err)
	require.NotEmpty(t, resp.Findings)
	for _, f := range resp.Findings {
		require.Equal(t, "llm", f.Name)
		require.NotEqual(t, decisionv1.Severity_SEVERITY_UNSPECIFIED, f.Severity)
	}
	resp, err = w.client().ListFindings(context.Background(), &decisionv1.ListFindingsRequest{Namespace: "b"})
	require.NoError(t, err)
	require.Empty(t, resp.Findings)
}
