package loop

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/query"
	"github.com/flyball/flyball/store"
)

// endpointManifest is a KPA on an endpoint of its own.
func endpointManifest(namespace, name, path string) string {
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
  - {metricSourceType: external, endpoint: "127.0.0.1:1", path: %s, targetMetric: suggested_replicas, targetValue: "1"}
`, namespace, name, name, path)
}

func TestTwoSourcesOfOneMetricNameGetTheirOwnResults(t *testing.T) {
	w := newWorld(t, t.TempDir(), 0)
	two := w.autoscaler(Target{Kind: "Deployment", Name: "two", UID: "t2"}, endpointManifest("a", "two", "/two"))
	zero := w.autoscaler(Target{Kind: "Deployment", Name: "zero", UID: "t0"}, endpointManifest("a", "zero", "/zero"))
	w.fleet["t2"], w.fleet["t0"] = Scale{Replicas: 1, Ready: 1}, Scale{Replicas: 1, Ready: 1}
	for second := range 8 {
		w.clock(float64(second) + 0.3)
		for a, v := range map[*Autoscaler]float64{&two: 2, &zero: 0} {
			w.sample("suggested_replicas", v, "namespace=a", "autoscaler_uid="+a.UID, "source="+a.Policy.Sources[0].Key)
		}
		w.step(float64(second + 1))
	}
	require.EqualValues(t, 2, w.last(two).Decision.To)
	require.EqualValues(t, 1, w.last(zero).Decision.To)
	require.InDelta(t, 2, w.last(two).Input.Windows[0].Stable.Value, 0)
	require.InDelta(t, 0, w.last(zero).Input.Windows[0].Stable.Value, 0)
}

func TestOnePodNameInTwoNamespacesKeepsTwoHistories(t *testing.T) {
	w := newWorld(t, t.TempDir(), 0)
	a := w.autoscaler(Target{Kind: "Deployment", Name: "llm", UID: "ta"}, manifest("a", "llm"))
	b := w.autoscaler(Target{Kind: "Deployment", Name: "llm", UID: "tb"}, manifest("b", "llm"))
	w.fleet["ta"], w.fleet["tb"] = Scale{Replicas: 1, Ready: 1}, Scale{Replicas: 1, Ready: 1}
	for second := range 8 {
		w.clock(float64(second) + 0.3)
		w.pod("a", "ta", "llm-0", "uid-a", 45)
		w.pod("b", "tb", "llm-0", "uid-b", 3)
		w.step(float64(second + 1))
	}
	require.EqualValues(t, 5, w.last(a).Decision.To)
	require.EqualValues(t, 1, w.last(b).Decision.To)
}

func TestARecreatedWorkloadOfTheSameNameStartsFresh(t *testing.T) {
	w := newWorld(t, t.TempDir(), 0)
	old := w.autoscaler(Target{Kind: "StatefulSet", Name: "llm", UID: "old"}, manifest("a", "llm"))
	w.fleet["old"] = Scale{Replicas: 1, Ready: 1}
	for second := range 8 {
		w.clock(float64(second) + 0.3)
		w.pod("a", "old", "llm-0", "uid-old", 60)
		w.step(float64(second + 1))
	}
	require.EqualValues(t, 6, w.last(old).Decision.To)
	require.NotZero(t, w.last(old).Decision.Entry.PanicMax, "the old one was in panic")

	w.scalers = nil
	young := w.autoscaler(Target{Kind: "StatefulSet", Name: "llm", UID: "new"}, manifest("a", "llm"))
	require.Equal(t, old.UID, young.UID, "the autoscaler itself is the same")
	w.fleet["new"] = Scale{Replicas: 1, Ready: 1}
	for second := 8; second < 12; second++ {
		w.clock(float64(second) + 0.3)
		w.pod("a", "new", "llm-0", "uid-new", 3)
		w.step(float64(second + 1))
	}
	r := w.last(young)
	require.EqualValues(t, 1, r.Decision.To)
	require.InDelta(t, 3, r.Input.Windows[0].Stable.Value, 1e-9, "no sample of the old pod of the same name")
	require.Less(t, len(r.Input.History), 4, "no entry of the old workload")
}

func TestWhenAllExportersFallSilentReplicasHoldAndTheReasonSaysSinceWhen(t *testing.T) {
	w := newWorld(t, t.TempDir(), 0)
	a := w.autoscaler(Target{Kind: "Deployment", Name: "llm", UID: "ta"}, manifest("a", "llm"))
	w.fleet["ta"] = Scale{Replicas: 4, Ready: 4}
	ready := func() {
		for pod := range 4 {
			w.sample("flyball_pod_ready", 1, "namespace=a", "workload_uid=ta", fmt.Sprintf("pod=p%d", pod), fmt.Sprintf("pod_uid=%d", pod))
		}
	}
	for second := range 90 {
		w.clock(float64(second) + 0.3)
		if second < 20 {
			for pod := range 4 {
				w.pod("a", "ta", fmt.Sprintf("p%d", pod), fmt.Sprint(pod), 9)
			}
		} else {
			ready() // the pods are there; their exporters are not
		}
		w.step(float64(second + 1))
		require.EqualValues(t, 4, w.fleet["ta"].Replicas, "at %ds", second)
	}
	d := w.last(a).Decision
	require.Equal(t, decider.RuleNoData, d.Reasons[0].Rule)
	require.Equal(t, "2026-01-01T12:00:19.3Z", d.Reasons[0].Since.UTC().Format(time.RFC3339Nano))
	require.Contains(t, d.Explain(), "12:00:19")
}

func TestOneSilentPodOfFourNeverScalesDown(t *testing.T) {
	w := newWorld(t, t.TempDir(), 0)
	w.autoscaler(Target{Kind: "Deployment", Name: "llm", UID: "ta"}, manifest("a", "llm"))
	w.fleet["ta"] = Scale{Replicas: 4, Ready: 4}
	for second := range 400 { // past panic, delay (300 s) and everything
		w.clock(float64(second) + 0.3)
		for pod := range 4 {
			if pod == 3 && second > 10 {
				w.sample("flyball_pod_ready", 1, "namespace=a", "workload_uid=ta", "pod=p3", "pod_uid=3")
				continue
			}
			w.pod("a", "ta", fmt.Sprintf("p%d", pod), fmt.Sprint(pod), 1)
		}
		w.step(float64(second + 1))
		require.EqualValues(t, 4, w.fleet["ta"].Replicas, "at %ds", second)
	}
}

func TestADecisionIsJournalledBeforeItIsActedOn(t *testing.T) {
	w := newWorld(t, t.TempDir(), 0)
	a := w.autoscaler(Target{Kind: "Deployment", Name: "llm", UID: "ta"}, manifest("a", "llm"))
	w.fleet["ta"] = Scale{Replicas: 1, Ready: 1}
	applied := 0
	w.onApply = func(a Autoscaler, d decider.Decision) {
		applied++
		rec, ok, err := w.store.Journal().Last(KindDecision, a.Key(), d.At)
		require.NoError(t, err)
		require.True(t, ok)
		require.True(t, rec.At.Equal(d.At))
		var full Record
		require.NoError(t, json.Unmarshal(rec.Data, &full))
		require.Equal(t, d.To, full.Decision.To)
		require.False(t, full.Decision.Entry.Outcome.Applied, "nothing has come of it yet")
	}
	for second := range 6 {
		w.clock(float64(second) + 0.3)
		w.pod("a", "ta", "p0", "0", 60)
		w.step(float64(second + 1))
	}
	require.Equal(t, 1, applied)
	rec, ok, err := w.store.Journal().Last(KindDecision, a.Key(), at(100))
	require.NoError(t, err)
	require.True(t, ok)
	var full Record
	require.NoError(t, json.Unmarshal(rec.Data, &full))
	require.NotEmpty(t, full.ID)

	var entries int
	var wrote []decider.Outcome
	require.NoError(t, w.store.Journal().Range(KindEntry, a.Key(), at(0), at(100), func(r store.Record) error {
		entries++
		var e decider.Entry
		require.NoError(t, json.Unmarshal(r.Data, &e))
		if e.Outcome.Applied {
			wrote = append(wrote, e.Outcome)
		}
		return nil
	}))
	require.Equal(t, 3, entries, "one for every decision")
	require.Len(t, wrote, 1)
	require.EqualValues(t, 1, wrote[0].Was)
}

// Advice that nobody takes is the same at every tick: it is news once, and once in the journal in full.
func TestTheSameAdviceIsNewsOnce(t *testing.T) {
	w := newWorld(t, t.TempDir(), 0)
	a := w.autoscaler(Target{Kind: "Deployment", Name: "llm", UID: "ta"}, manifest("a", "llm"))
	w.scalers[0].Policy.Mode = decider.Advise
	w.fleet["ta"] = Scale{Replicas: 1, Ready: 1}
	for second := range 20 {
		w.clock(float64(second) + 0.3)
		w.pod("a", "ta", "p0", "0", 60)
		w.step(float64(second + 1))
	}
	news, full := 0, 0
	for _, r := range w.results {
		require.EqualValues(t, 6, r.Decision.To)
		if r.News {
			news++
		}
	}
	require.NoError(t, w.store.Journal().Range(KindDecision, a.Key(), at(0), at(100), func(store.Record) error { full++; return nil }))
	require.LessOrEqual(t, news, 2, "the need, and perhaps the panic's end")
	require.Equal(t, news, full)
}

// brokenJournal can't be written.
type brokenJournal struct{ Journal }

func (brokenJournal) Append(...store.Record) error { return errors.New("no space left on device") }

func TestWhatCannotBeWrittenDownIsNotDone(t *testing.T) {
	w := newWorld(t, t.TempDir(), 0)
	w.autoscaler(Target{Kind: "Deployment", Name: "llm", UID: "ta"}, manifest("a", "llm"))
	w.fleet["ta"] = Scale{Replicas: 1, Ready: 1}
	w.loop.Journal = brokenJournal{w.store.Journal()}
	for second := range 6 {
		w.clock(float64(second) + 0.3)
		w.pod("a", "ta", "p0", "0", 60)
		w.step(float64(second + 1))
	}
	require.EqualValues(t, 1, w.fleet["ta"].Replicas)
	require.ErrorContains(t, w.results[len(w.results)-1].Err, "no space left on device")
}

// hanging never answers for one autoscaler until released, whatever its deadline.
type hanging struct {
	*world
	uid     string
	release chan struct{}
}

func (h hanging) Scale(ctx context.Context, a Autoscaler, t time.Time) (Scale, error) {
	if a.UID == h.uid {
		<-h.release
	}
	return h.world.Scale(ctx, a, t)
}

func TestAnAutoscalerThatHangsDelaysNobody(t *testing.T) {
	w := newWorld(t, t.TempDir(), 0)
	stuck := w.autoscaler(Target{Kind: "Deployment", Name: "stuck", UID: "ts"}, manifest("a", "stuck"))
	fine := w.autoscaler(Target{Kind: "Deployment", Name: "fine", UID: "tf"}, manifest("a", "fine"))
	w.fleet["ts"], w.fleet["tf"] = Scale{Replicas: 1, Ready: 1}, Scale{Replicas: 1, Ready: 1}
	h := hanging{world: w, uid: stuck.UID, release: make(chan struct{})}
	w.loop.Fleet = h
	published := make(chan Result, 16)
	w.loop.Publish = func(r Result) { published <- r }

	w.loop.Tick = time.Second // both are due at every step

	w.clock(10.002)
	done := make(chan error, 2)
	go func() { done <- w.loop.Step(context.Background(), at(9)) }()
	r := <-published
	require.Equal(t, fine.UID, r.Autoscaler.UID)
	require.NoError(t, r.Err)

	go func() { done <- w.loop.Step(context.Background(), at(10)) }()
	for range 2 { // the next turn of the fine one, and word that the stuck one has not come back
		if r := <-published; r.Autoscaler.UID == fine.UID {
			require.NoError(t, r.Err)
		} else {
			require.ErrorIs(t, r.Err, ErrBusy)
		}
	}
	close(h.release)
	for range 2 {
		require.NoError(t, <-done)
	}
}

func TestASourceThatCannotBeEvaluatedHoldsItsOwnAutoscalerOnly(t *testing.T) {
	w := newWorld(t, t.TempDir(), 0)
	bad := w.autoscaler(Target{Kind: "Deployment", Name: "bad", UID: "tb"}, manifest("a", "bad"))
	good := w.autoscaler(Target{Kind: "Deployment", Name: "good", UID: "tg"}, manifest("a", "good"))
	w.fleet["tb"], w.fleet["tg"] = Scale{Replicas: 2, Ready: 2}, Scale{Replicas: 1, Ready: 1}
	w.loop.Windows = failing{w, bad.Target.UID}
	for second := range 8 {
		w.clock(float64(second) + 0.3)
		w.pod("a", "tg", "p0", "0", 45)
		w.step(float64(second + 1))
	}
	require.EqualValues(t, 5, w.last(good).Decision.To)
	require.EqualValues(t, 2, w.last(bad).Decision.To)
	require.Contains(t, w.last(bad).Decision.Explain(), "too many samples")
}

type failing struct {
	*world
	workloadUID string
}

func (f failing) Windows(ctx context.Context, b *query.Bound, t time.Time, ranges ...time.Duration) ([]query.Window, error) {
	ws, err := f.world.Windows(ctx, b, t, ranges...)
	for _, s := range f.scalers {
		if s.Target.UID == f.workloadUID && s.Sources[0] == b {
			return nil, errors.New("evaluate: too many samples")
		}
	}
	return ws, err
}

func TestAStepThatIsTooEarlyIsRefused(t *testing.T) {
	w := newWorld(t, t.TempDir(), 5)
	require.ErrorIs(t, w.loop.Step(context.Background(), at(5)), ErrEarly)
}

func TestEveryAutoscalerIsDueOnceATick(t *testing.T) {
	for _, uid := range []string{"a", "b", "c", "0a1b"} {
		n := 0
		for second := range 100 {
			if due(uid, at(float64(second)), DefaultTick) {
				n++
			}
		}
		require.Equal(t, 50, n)
	}
}

// A target that was put to zero longer ago than any window or delay is still known as ours, and wakes with load.
func TestATargetPutToZeroLongAgoWakes(t *testing.T) {
	w := newWorld(t, t.TempDir(), 0)
	a := w.autoscaler(Target{Kind: "Deployment", Name: "llm", UID: "ta"},
		strings.Replace(endpointManifest("a", "llm", "/llm"), "minReplicas: 1", "minReplicas: 0", 1))
	w.scalers[0].Policy.ScaleDownDelay = 4 * time.Second
	w.fleet["ta"] = Scale{Replicas: 1, Ready: 1}
	suggest := func(from, to int, replicas float64) {
		for second := from; second < to; second++ {
			w.clock(float64(second) + 0.3)
			w.sample("suggested_replicas", replicas, "namespace=a", "autoscaler_uid="+a.UID, "source="+a.Policy.Sources[0].Key)
			w.step(float64(second + 1))
		}
	}
	suggest(0, 30, 0)
	require.Zero(t, w.fleet["ta"].Replicas)
	suggest(7200, 7220, 2) // nothing ran for two hours
	require.EqualValues(t, 2, w.fleet["ta"].Replicas, w.last(a).Decision.Explain())
}

// While somebody else has the target, decisions are made and shown with the reason, and none is written.
func TestWhatSomebodyElseScalesIsLeftAlone(t *testing.T) {
	w := newWorld(t, t.TempDir(), 0)
	a := w.autoscaler(Target{Kind: "Deployment", Name: "llm", UID: "llm-uid"}, manifest("a", "llm"))
	w.fleet["llm-uid"] = Scale{Replicas: 1, StatusReplicas: 1, Ready: 1}
	w.scalers[0].Withheld = Withheld{Why: decider.Contested, Detail: "HorizontalPodAutoscaler a/by-hand scales it too"}
	w.onApply = func(Autoscaler, decider.Decision) { t.Error("it was written") }
	for second := 1; second < 20; second++ {
		w.clock(float64(second) - 0.5)
		w.pod("a", "llm-uid", "pod-0", "uid-0", 1000)
		w.step(float64(second))
	}
	r := w.last(a)
	require.Equal(t, decider.ScaleUp, r.Decision.Verdict)
	require.Equal(t, decider.Contested, r.Decision.Entry.Outcome.Why)
	e, err := Records{w.store.Journal()}.Explain("a", "llm", at(100))
	require.NoError(t, err)
	require.Contains(t, e.String(), "by-hand")
}
