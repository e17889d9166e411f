package loop

import (
	"context"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/store"
)

// few plays a fleet of 3 whose one pod reports a queue that 2 pods could take, where minReplicas is 3.
func few(t *testing.T, seconds int) (*world, Autoscaler) {
	w := newWorld(t, t.TempDir(), 0)
	a := w.autoscaler(Target{Kind: "Deployment", Name: "llm", UID: "ta"}, strings.Replace(manifest("a", "llm"), "minReplicas: 1", "minReplicas: 3", 1))
	w.fleet["ta"] = Scale{Replicas: 1, StatusReplicas: 1, Ready: 1}
	for second := range seconds {
		w.clock(float64(second) + 0.3)
		w.pod("a", "ta", "p0", "0", 15)
		w.step(float64(second + 1))
	}
	return w, a
}

func (w *world) explain(name string, at time.Time) (Explanation, error) {
	return Records{w.store.Journal()}.Explain("a", name, at)
}

func TestADecisionIsExplainedInFullFromWhatWasJournalled(t *testing.T) {
	w, a := few(t, 20)
	first := w.results[0]
	e, err := w.explain("llm", first.At)
	require.NoError(t, err)
	require.Equal(t, `a/llm (Deployment llm), decision `+DecisionID(a, first.At)+`
`+first.Decision.Explain()+
		`outcome: applied at 2026-01-01T12:00:01Z, 1 → 3
since 2026-01-01T12:00:01Z; no decision since
next change: with any decision, if the load changes
inputs: 1 replicas, 1 ready, 0 starting, 0 unschedulable
  queue, stable window: 15 over 12s, newest sample 0.7s old, coverage 100%, 1 of 1 exporters reporting
  queue, panic window: 15 over 4s, newest sample 0.7s old, coverage 100%, 1 of 1 exporters reporting
bounds: minReplicas 3, maxReplicas 10
  without minReplicas 3: 2
`, e.String())
	require.Contains(t, e.String(), "bounds: 3 instead of 2: minReplicas is 3")

	// Later ones that said the same are counted, not repeated.
	e, err = w.explain("llm", at(100))
	require.NoError(t, err)
	last := w.last(a)
	require.Equal(t, last.At.UTC(), e.Last.UTC())
	require.Equal(t, decider.Hold, e.Record.Decision.Verdict)
	since := e.Record.Decision.At
	require.Equal(t, int(last.At.Sub(since)/DefaultTick), e.Same)
	require.Contains(t, e.String(), "decisions since said the same, the last at 2026-01-01T12:00:19Z")
	require.Equal(t, []Without{{"minReplicas", 3, 2}}, e.Without)
}

// With a schedule in effect, its bounds are shown, and what there would be without each of them.
func TestBoundsOfAScheduleAreShownAsInEffect(t *testing.T) {
	w, _ := few(t, 0)
	four, five := int32(4), int32(5)
	w.scalers[0].Policy.Schedules = []decider.Schedule{{
		Name: "noon", Days: [7]bool{true, true, true, true, true, true, true}, From: 12 * 60, To: 13 * 60, MinReplicas: &four, MaxReplicas: &five,
	}}
	w.clock(0.3)
	w.pod("a", "ta", "p0", "0", 15)
	w.step(1)
	e, err := w.explain("llm", at(9))
	require.NoError(t, err)
	require.Equal(t, []Without{{"minReplicas", 4, 2}}, e.Without)
	require.Contains(t, e.String(), "bounds: minReplicas 4, maxReplicas 5, by schedule noon until 2026-01-01T13:00:00Z\n  without minReplicas 4: 2\n")
}

// The times asked for: between two decisions the earlier one answers; at a decision's own second that one; before all
// of them none, and the error says from when on there are some.
func TestTheDecisionAtOrBeforeATimeIsExplained(t *testing.T) {
	w, _ := few(t, 8)
	var decided []time.Time
	for _, r := range w.results {
		decided = append(decided, r.At)
	}
	for i, when := range decided {
		for _, later := range []time.Duration{0, time.Nanosecond, DefaultTick - time.Nanosecond} {
			e, err := w.explain("llm", when.Add(later))
			require.NoError(t, err)
			require.True(t, e.Last.Equal(when))
			require.False(t, e.Record.Decision.At.After(when))
			require.LessOrEqual(t, e.Same, i)
		}
	}
	_, err := w.explain("llm", decided[0].Add(-time.Nanosecond))
	require.ErrorIs(t, err, ErrNoRecord)
	require.ErrorContains(t, err, "the first is of "+decided[0].UTC().Format(time.RFC3339))
}

func TestAnUnknownAutoscalerIsAnsweredWithTheNearestNames(t *testing.T) {
	w, _ := few(t, 0)
	_, err := w.explain("llm", at(9))
	require.ErrorIs(t, err, ErrNoRecord)
	require.EqualError(t, err, "a/llm: no decision is recorded of any autoscaler yet")

	for _, name := range []string{"chat-large", "chat-small", "embed", "rank", "summary", "video", "voice"} {
		w.autoscaler(Target{Kind: "Deployment", Name: name, UID: "t-" + name}, manifest("a", name))
		w.fleet["t-"+name] = Scale{Replicas: 1, Ready: 1}
	}
	w.step(1)
	w.step(2)
	_, err = w.explain("chat-lrage", at(9))
	require.ErrorIs(t, err, ErrNoRecord)
	require.Regexp(t, `^a/chat-lrage: no decision is recorded of that name; the nearest are a/chat-large, a/chat-small, (a/[a-z]+(, )?){3}$`, err.Error())
}

// A workload that was deleted and created again under its name: the time says which of the two is meant.
func TestOfTwoTargetsOfOneNameTheTimeSaysWhich(t *testing.T) {
	w, _ := few(t, 8)
	w.scalers = nil
	w.autoscaler(Target{Kind: "Deployment", Name: "llm", UID: "before-ta"}, manifest("a", "llm"))
	w.fleet["before-ta"] = Scale{Replicas: 7, Ready: 7}
	for second := 20; second < 24; second++ {
		w.step(float64(second))
	}
	for when, uid := range map[float64]string{8: "ta", 19: "ta", 22: "before-ta", 99: "before-ta"} {
		e, err := w.explain("llm", at(when))
		require.NoError(t, err)
		require.Equal(t, uid, e.Record.Target.UID, "at %v s", when)
	}
}

// forgetful is a journal whose entries were dropped, but for the newest, as they are after two hours.
type forgetful struct {
	Reader
	until time.Time
}

func (f forgetful) Range(kind, key string, from, to time.Time, fn func(store.Record) error) error {
	if kind == KindEntry && from.Before(f.until) {
		from = f.until
	}
	return f.Reader.Range(kind, key, from, to, fn)
}

func (f forgetful) Last(kind, key string, t time.Time) (store.Record, bool, error) {
	rec, ok, err := f.Reader.Last(kind, key, t)
	if kind == KindEntry && ok && !rec.At.After(f.until) {
		return store.Record{}, false, nil
	}
	return rec, ok, err
}

// A decision that has held for hours: the entries around it are gone, and what the bounds changed is told all the same.
func TestADecisionWhoseHistoryIsGoneIsStillExplained(t *testing.T) {
	w, _ := few(t, 20)
	for _, moment := range []float64{1, 20} {
		kept, err := w.explain("llm", at(moment))
		require.NoError(t, err)
		gone, err := Records{forgetful{w.store.Journal(), at(1000)}}.Explain("a", "llm", at(moment))
		require.NoError(t, err)
		require.Equal(t, kept.Record, gone.Record)
		require.Equal(t, []Without{{"minReplicas", 3, 2}}, kept.Without)
		require.Equal(t, kept.Without, gone.Without)
		require.True(t, kept.All)
		require.False(t, gone.All)
		require.Contains(t, gone.String(), "they are no longer counted")
	}
}

func TestWhatTheLastBoundChangedIsReadOffTheReasons(t *testing.T) {
	reasons := func(r ...decider.Reason) decider.Decision { return decider.Decision{Reasons: r} }
	wakes := decider.Policy{Sources: []decider.Source{{}, {SurvivesZero: true}}}
	need := decider.Reason{Rule: decider.RuleNeed, From: 3, To: 9}
	for _, c := range []struct {
		p    decider.Policy
		d    decider.Decision
		want []Without
	}{
		{d: reasons(need)},
		{d: reasons(need, decider.Reason{Rule: decider.RuleBounds, Case: decider.CaseMax, From: 9, To: 4}), want: []Without{{"maxReplicas", 4, 9}}},
		{d: reasons(need, decider.Reason{Rule: decider.RuleSchedule, Case: decider.CaseMin, From: 9, To: 12}), want: []Without{{"minReplicas", 12, 9}}},
		{d: reasons(decider.Reason{Rule: decider.RuleBounds, Case: decider.CaseMin, To: 2}), want: []Without{{"minReplicas", 2, 1}}},
		{d: reasons(decider.Reason{Rule: decider.RuleBounds, Case: decider.CaseMin, To: 1})},
		{p: wakes, d: reasons(decider.Reason{Rule: decider.RuleBounds, Case: decider.CaseMin, To: 1}), want: []Without{{"minReplicas", 1, 0}}},
		{d: reasons(decider.Reason{Rule: decider.RuleBounds, Case: decider.CaseWake, To: 1})},
		{d: reasons(decider.Reason{Rule: decider.RuleBounds, Case: decider.CaseMax, From: 9, To: 4}, decider.Reason{Rule: decider.RulePause, From: 4, To: 3})},
	} {
		require.Equal(t, c.want, lastBound(c.p, c.d), "%+v", c.d)
	}
}

func TestOutcomesAreSaidInWords(t *testing.T) {
	w, _ := few(t, 2)
	e, err := w.explain("llm", at(9))
	require.NoError(t, err)
	for want, o := range map[string]decider.Outcome{
		"outcome: NotLeader: another instance writes\n":            {Why: decider.NotLeader},
		"outcome: Advise: shown, not written\n":                    {Why: decider.Advised},
		"outcome: Conflict: replicas were 4\n":                     {Why: decider.Conflict, Detail: "replicas were 4"},
		"outcome: Unchanged: there was nothing to write\n":         {Why: decider.Unchanged},
		"outcome: none written down: the write was under way, or ": {},
	} {
		e.Record.Decision.Entry.Outcome = o
		require.Contains(t, e.String(), want)
	}
}

// A process that died between deciding and writing leaves a decision without an outcome, and says so.
func TestADecisionInTheMiddleOfItsWriteHasNoOutcomeYet(t *testing.T) {
	w, _ := few(t, 0)
	said := ""
	w.onApply = func(Autoscaler, decider.Decision) {
		e, err := w.explain("llm", at(9))
		require.NoError(t, err)
		said = e.String()
	}
	for second := range 2 {
		w.clock(float64(second) + 0.3)
		w.pod("a", "ta", "p0", "0", 15)
		w.clock(float64(second) + 1.002)
		require.NoError(t, w.loop.Step(context.Background(), at(float64(second+1))))
	}
	require.Contains(t, said, "outcome: none written down")
}

func TestMissingDataAreShownAsMissing(t *testing.T) {
	for want, win := range map[string]decider.Window{
		"no value over 1m (Missing), no sample, coverage 0%, 0 of 4 exporters reporting":            {Range: time.Minute, State: decider.Missing, NewestAge: -1, Expected: 4},
		"3.5 over 12s (Stale), newest sample 23s old, coverage 49.9%, 0 of 4 exporters reporting":   {Range: 12 * time.Second, Value: 3.5, State: decider.Stale, NewestAge: 23 * time.Second, Coverage: .4999, Expected: 4},
		"123457 over 1h (Stale), newest sample 1h1m5s old, coverage 0%, 0 of 0 exporters reporting": {Range: time.Hour, Value: 123456.7, State: decider.Stale, NewestAge: 3665 * time.Second},
		"0.0001235 over 4s, newest sample 0s old, coverage 100%, 1 of 1 exporters reporting":        {Range: 4 * time.Second, Value: .00012346, State: decider.Fresh, Coverage: 1, Expected: 1, Reporting: 1},
	} {
		require.Equal(t, want, measured(win))
	}
	require.Equal(t, "0", number(0))
	require.Equal(t, "-Inf", number(math.Inf(-1)))
}

func TestAnExplanationSurvivesJSON(t *testing.T) {
	w, _ := few(t, 8)
	e, err := w.explain("llm", at(9))
	require.NoError(t, err)
	data, err := json.Marshal(e)
	require.NoError(t, err)
	var back Explanation
	require.NoError(t, json.Unmarshal(data, &back))
	require.Equal(t, e.String(), back.String())
}

// An event's id is all that whoever is paged has: it leads to the decision, and to what has been said since in its words.
func TestADecisionIsFoundByItsID(t *testing.T) {
	w, a := few(t, 20)
	records := Records{w.store.Journal()}
	first, last := w.results[0], w.last(a)

	e, err := records.ExplainID(DecisionID(a, first.At))
	require.NoError(t, err)
	require.Equal(t, DecisionID(a, first.At), e.Record.ID)
	require.Zero(t, e.Same, "the next one said something new: there was nothing left to raise")

	// The second said something new, and all after it the same; by whichever's id, it is the second that has the reasons.
	second := w.results[1]
	for _, at := range []time.Time{second.At, w.results[5].At, last.At} {
		e, err = records.ExplainID(DecisionID(a, at))
		require.NoError(t, err)
		require.Equal(t, DecisionID(a, second.At), e.Record.ID)
		require.True(t, e.Last.Equal(last.At))
		require.Equal(t, int(last.At.Sub(second.At)/DefaultTick), e.Same)
	}

	for _, unknown := range []string{"nobody-" + strconv.FormatInt(first.At.Unix(), 36), DecisionID(a, first.At.Add(-time.Second))} {
		_, err = records.ExplainID(unknown)
		require.ErrorIs(t, err, ErrNoRecord, unknown)
	}
	for _, broken := range []string{"", "-", "-tp2vp5", a.UID, a.UID + "-", a.UID + "-!", a.UID + "-zzzzzzzzzzzzz"} {
		_, err = records.ExplainID(broken)
		require.ErrorIs(t, err, ErrID, broken)
	}
}

// A decision that is repeated is recorded once, but what it is made from goes on changing: a loop that runs explains with the
// numbers of now, and the journal says of when its numbers are.
func TestAHeldDecisionIsExplainedWithTheNumbersOfNow(t *testing.T) {
	w, a := few(t, 20)
	records, newest := Records{w.store.Journal()}, w.last(a)
	require.Zero(t, newest.Sequence, "it said nothing new")
	e, err := records.Now(newest)
	require.NoError(t, err)
	recorded, err := records.Explain("a", "llm", newest.At)
	require.NoError(t, err)
	require.Equal(t, DecisionID(a, newest.At), e.Record.ID)
	require.Equal(t, newest.Input.Windows[0].Stable.At, e.Record.Input.Windows[0].Stable.At)
	require.True(t, e.First.Equal(recorded.First) && e.Last.Equal(recorded.Last) && e.Same == recorded.Same && e.Same > 5)
	require.Equal(t, []Without{{"minReplicas", 3, 2}}, e.Without)
	require.Contains(t, e.String(), "\ninputs: 3 replicas")
	require.Contains(t, recorded.String(), "\ninputs, as of "+clock(recorded.First)+": 3 replicas")
	require.Contains(t, recorded.String(), "\nnext change, as of "+clock(recorded.First)+": ")
}

// Of two sources one dies, or a panic ends: the count is held as before, by the same rule, and yet it is news.
func TestAnotherReasonForTheSameCountIsRecorded(t *testing.T) {
	w := newWorld(t, t.TempDir(), 0)
	two := strings.Replace(manifest("a", "llm"), "minReplicas: 1", "minReplicas: 4", 1) +
		"  - {metricSourceType: pod, targetMetric: other, targetValue: \"10\"}\n"
	a := w.autoscaler(Target{Kind: "Deployment", Name: "llm", UID: "ta"}, two)
	w.fleet["ta"] = Scale{Replicas: 4, StatusReplicas: 4, Ready: 1}
	id := []string{"namespace=a", "workload_uid=ta", "pod=p0", "pod_uid=0", "endpoint=8000/metrics"}
	for second := range 60 {
		w.clock(float64(second) + 0.3)
		w.pod("a", "ta", "p0", "0", 5)
		if second < 20 {
			w.sample("other", 5, id...)
		}
		w.step(float64(second + 1))
	}
	e, err := w.explain("llm", w.last(a).At)
	require.NoError(t, err)
	require.Contains(t, e.String(), "1 of 2 sources has data")
	require.True(t, e.First.Before(at(50)), "when it happened, and not before somebody asked")
	news := 0
	for _, r := range w.results {
		if r.News {
			news++
		}
	}
	require.Less(t, news, 8, "and it is news once")
}
