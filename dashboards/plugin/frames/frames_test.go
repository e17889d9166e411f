package frames

import (
	"fmt"
	"testing"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/data"
	"github.com/stretchr/testify/require"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	decisionv1 "github.com/flyball/flyball/api/decision/v1"
)

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func at(seconds int) *timestamppb.Timestamp {
	return timestamppb.New(noon.Add(time.Duration(seconds) * time.Second))
}

func decided(t, from, to int) *decisionv1.Decision {
	return &decisionv1.Decision{At: at(t), From: int32(from), To: int32(to)}
}

// held is an explanation: the decision made at t for a count, last repeated at a time.
func held(t, to, last int) *decisionv1.ExplainResponse {
	return &decisionv1.ExplainResponse{Decision: decided(t, to, to), LastTime: at(last)}
}

// steps is a series in short: seconds and values, - for null.
func steps(f *data.Frame) []string {
	var out []string
	for i := range f.Fields[0].Len() {
		v, ok := f.ConcreteAt(1, i)
		s := "-"
		if ok {
			s = fmt.Sprint(v)
		}
		out = append(out, fmt.Sprintf("%g:%s", f.Fields[0].At(i).(time.Time).Sub(noon).Seconds(), s))
	}
	return out
}

func texts(f *data.Frame) []string {
	var out []string
	for _, n := range f.Meta.Notices {
		out = append(out, n.Text)
	}
	return out
}

func TestWantedBeginsWithWhatHeldAndEndsWhereDecidingEnded(t *testing.T) {
	from, to := noon, noon.Add(300*time.Second)
	for _, c := range []struct {
		name   string
		past   Past
		want   []string
		notice string
	}{
		{"a count that held throughout", Past{Before: held(-500, 3, -2), Last: held(-500, 3, 300)}, []string{"0:3", "300:3"}, ""},
		{
			"steps in between",
			Past{Before: held(-500, 3, -2), Decisions: []*decisionv1.Decision{decided(100, 3, 5)}, Last: held(100, 5, 298)},
			[]string{"0:3", "100:5", "298:5"},
			"",
		},
		{"nothing before", Past{Decisions: []*decisionv1.Decision{decided(100, 1, 2)}, Last: held(100, 2, 300)}, []string{"100:2", "300:2"}, ""},
		{
			"nobody decided at the beginning",
			Past{Before: held(-500, 3, -400), Decisions: []*decisionv1.Decision{decided(100, 1, 2)}, Last: held(100, 2, 300)},
			[]string{"100:2", "300:2"},
			"",
		},
		{
			"flyball stopped in the range",
			Past{Before: held(-500, 3, -2), Decisions: []*decisionv1.Decision{decided(100, 3, 0)}, Last: held(100, 0, 120)},
			[]string{"0:3", "100:0", "120:0"},
			"a/x: nothing was decided after 2026-01-01T12:02:00Z, up to the range's end",
		},
		{
			"a decision at the beginning itself",
			Past{Before: held(0, 4, 0), Decisions: []*decisionv1.Decision{decided(0, 3, 4)}, Last: held(0, 4, 300)},
			[]string{"0:4", "300:4"},
			"",
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.past.Namespace, c.past.Name = "a", "x"
			f := Wanted(c.past, from, to)
			require.Equal(t, c.want, steps(f))
			if c.notice == "" {
				require.Empty(t, f.Meta.Notices)
			} else {
				require.Equal(t, []string{c.notice}, texts(f))
			}
		})
	}
	require.Nil(t, Wanted(Past{Before: held(-500, 3, -400), Last: held(-500, 3, -400)}, from, to), "flyball was off throughout")
	require.Nil(t, Wanted(Past{}, from, to))
}

func TestABacktestHasAHoleWhereNothingIsKnown(t *testing.T) {
	r := &decisionv1.BacktestResponse{WasReplicaSeconds: 7200, ReplicaSeconds: 3600, UnknownSteps: 4}
	for _, s := range []int{0, 2, 4, 14, 16} {
		r.Steps = append(r.Steps, &decisionv1.BacktestStep{At: at(s), Was: 2, To: int32(s / 14)})
	}
	fs := Backtest(r, "a", "x", "")
	require.Equal(t, []string{"0:2", "2:2", "4:2", "7:-", "14:2", "16:2"}, steps(fs[0]))
	require.Equal(t, []string{"0:0", "2:0", "4:0", "7:-", "14:1", "16:1"}, steps(fs[1]))
	require.Equal(t, []string{
		"1 replica-hours instead of 2: -1, -50.0 %. The load is taken as it was.", "4 steps are left out: nothing is stored of the pods at those times",
	}, texts(fs[0]))
	none := Backtest(&decisionv1.BacktestResponse{}, "a", "x", "")
	require.Contains(t, texts(none[0])[1], "no step could be decided again")
}

func TestWhatIsNotKnownIsNull(t *testing.T) {
	f := Autoscalers([]*decisionv1.Autoscaler{{Namespace: "a", Name: "x", Error: "the API server is away"}}, "")
	for _, name := range []string{"replicas", "wanted", "ready", "min", "max", "verdict", "rule", "why", "decided", "decision"} {
		field, _ := f.FieldByName(name)
		require.True(t, field.NilAt(0), name)
	}
	require.Equal(t, []string{"a/x: the last turn ended with an error: the API server is away"}, texts(f))

	e := Explanation(&decisionv1.ExplainResponse{
		Decision: &decisionv1.Decision{Namespace: "a", Name: "x", At: at(0)}, SameComplete: true,
		Inputs: &decisionv1.Inputs{Sources: []*decisionv1.SourceWindows{
			{Source: "queue", Stable: &decisionv1.Window{State: decisionv1.WindowState_WINDOW_STATE_MISSING}},
			{Source: "cache", Stable: &decisionv1.Window{State: decisionv1.WindowState_WINDOW_STATE_STALE, NewestAge: durationpb.New(42 * time.Second), Value: new(float64)}},
			{Source: "other", Error: "no such metric"},
		}},
	}, "")
	stable, _ := e[1].FieldByName("stable")
	require.Equal(t, []bool{true, false, true}, []bool{stable.NilAt(0), stable.NilAt(1), stable.NilAt(2)}, "0 that was measured is 0")
	require.Equal(t, []string{
		"a/x: decided at 2026-01-01 12:00:00Z", "source queue: missing", "source cache: stale: its newest sample is 42s old", "source other: no such metric",
	}, texts(e[0]))
	coverage, _ := e[1].FieldByName("coverage")
	require.True(t, coverage.NilAt(2))
}

func TestAnEventSaysWhetherItWasWritten(t *testing.T) {
	up := decisionv1.Verdict_VERDICT_SCALE_UP
	because := []*decisionv1.Reason{{Rule: "need", Because: "queue asks for 2"}}
	var all []*decisionv1.Decision
	for _, o := range []*decisionv1.Outcome{{Applied: true, Was: 1, Now: 2}, {Why: "Advise"}, {Why: "Conflict", Detail: "the target has changed"}, nil} {
		all = append(all, &decisionv1.Decision{Namespace: "a", Name: "x", At: at(0), From: 1, To: 2, Verdict: up, Reasons: because, Outcome: o})
	}
	all = append(all, decided(1, 2, 2)) // no event
	f := Annotations(all)
	var titles []string
	title, _ := f.FieldByName("title")
	for i := range title.Len() {
		titles = append(titles, title.At(i).(string))
	}
	require.Equal(t, []string{
		"a/x 1 → 2", "a/x wanted 2 instead of 1; not written: Advise", "a/x wanted 2 instead of 1; not written: Conflict: the target has changed",
		"a/x wanted 2 instead of 1; not written: no outcome written down",
	}, titles)
	tags, _ := f.FieldByName("tags")
	require.Equal(t, "a,x,ScaleUp,need", tags.At(0))
}

func TestNoticesAboveAPanelAreFew(t *testing.T) {
	var many []string
	for i := range 20 {
		many = append(many, fmt.Sprint(i))
	}
	got := Warnings(many...)
	require.Len(t, got, maxNotices+1)
	require.Equal(t, "and 12 more", got[maxNotices].Text)
}
