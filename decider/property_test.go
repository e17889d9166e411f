package decider

import (
	"encoding/json"
	"fmt"
	"math"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func drawPolicy(t *rapid.T) Policy {
	p := Policy{
		Strategy:    rapid.SampledFrom([]Strategy{KPA, APA}).Draw(t, "strategy"),
		Strict:      rapid.IntRange(0, 3).Draw(t, "strict") == 0,
		Mode:        Enforce,
		MinReplicas: rapid.Int32Range(0, 4).Draw(t, "min"),

		ObserveWindow: seconds(t, "window", 6, 60), PanicWindow: 6 * time.Second,
		MaxScaleUpRate:   rapid.SampledFrom([]float64{1.1, 2, 10, 1000}).Draw(t, "up rate"),
		MaxScaleDownRate: rapid.SampledFrom([]float64{1.1, 2, 10}).Draw(t, "down rate"),
		ScaleUpDelay:     seconds(t, "up delay", 0, 20), ScaleDownDelay: seconds(t, "down delay", 0, 60),
		ToleranceUp:     rapid.SampledFrom([]float64{0, 0.1, 0.3}).Draw(t, "tolerance up"),
		ToleranceDown:   rapid.SampledFrom([]float64{0, 0.1, 0.3}).Draw(t, "tolerance down"),
		PanicThreshold:  rapid.SampledFrom([]float64{1.1, 2, 10}).Draw(t, "threshold"),
		ActivationScale: rapid.Int32Range(0, 4).Draw(t, "activation"),
	}
	p.MaxReplicas = max(1, p.MinReplicas) + rapid.Int32Range(0, 60).Draw(t, "max above min")
	drawSchedules(t, &p)
	drawPause(t, &p)
	for i := range rapid.IntRange(1, 3).Draw(t, "sources") {
		p.Sources = append(p.Sources, Source{
			Key: fmt.Sprint(i), Name: fmt.Sprint("source", i),
			Target:       rapid.SampledFrom([]float64{0.01, 0.7, 1, 10}).Draw(t, "target"),
			TargetType:   rapid.SampledFrom([]TargetType{AverageValue, AverageValue, Value}).Draw(t, "target type"),
			SurvivesZero: rapid.Bool().Draw(t, "survives zero"),
		})
	}
	return p
}

// drawSchedules divides the hour around epoch, in which most decisions are, among up to three schedules.
func drawSchedules(t *rapid.T, p *Policy) {
	minutes := rapid.SliceOfNDistinct(rapid.IntRange(12*60-5, 12*60+55), 0, 4, rapid.ID).Draw(t, "minutes")
	slices.Sort(minutes)
	for i := range max(0, len(minutes)-1) {
		if rapid.IntRange(0, 2).Draw(t, "gap") == 0 {
			continue
		}
		s := daily(fmt.Sprint("schedule", i), "00:00-00:01", "")
		s.From, s.To = minutes[i], minutes[i+1]
		least := rapid.Int32Range(0, p.MaxReplicas).Draw(t, "schedule min")
		most := max(1, least, p.MinReplicas) + rapid.Int32Range(0, 60).Draw(t, "schedule max")
		switch rapid.IntRange(0, 2).Draw(t, "which bounds") {
		case 0:
			s.MinReplicas = &least
		case 1:
			s.MaxReplicas = &most
		case 2:
			s.MinReplicas, s.MaxReplicas = &least, &most
		}
		p.Schedules = append(p.Schedules, s)
	}
}

func seconds(t *rapid.T, label string, from, to int) time.Duration {
	return time.Duration(rapid.IntRange(from, to).Draw(t, label)) * time.Second
}

func drawWindow(t *rapid.T, target float64, span time.Duration) Window {
	w := Window{
		Range: span, Value: target * rapid.Float64Range(0, 40).Draw(t, "load over target"),
		State:    rapid.SampledFrom([]State{Fresh, Fresh, Fresh, Fresh, Fresh, Stale, Missing, NoPods}).Draw(t, "state"),
		Coverage: rapid.SampledFrom([]float64{1, 1, 1, 0.95, 0.9}).Draw(t, "coverage"),
		Silent:   max(0, rapid.IntRange(-6, 1).Draw(t, "silent")), MeanReady: rapid.Float64Range(0, 30).Draw(t, "mean ready"),
		Expected: 4, Reporting: 3, Answering: 3, NewestAge: time.Second,
	}
	if rapid.IntRange(0, 30).Draw(t, "odd") == 0 {
		w.Value = rapid.SampledFrom([]float64{math.NaN(), math.Inf(1), -1, 1e300, 1e308}).Draw(t, "odd value")
	}
	return w
}

func drawInput(t *rapid.T, p Policy, at time.Time, history History) Input {
	in := Input{
		At: at, Replicas: rapid.Int32Range(0, 70).Draw(t, "replicas"), Ready: rapid.Int32Range(0, 70).Draw(t, "ready"),
		Starting: max(0, rapid.Int32Range(-4, 6).Draw(t, "starting")), Unschedulable: max(0, rapid.Int32Range(-20, 3).Draw(t, "unschedulable")),
		History: history,
	}
	if rapid.IntRange(0, 5).Draw(t, "quota") == 0 {
		in.Quota = Quota{Name: "gpus", Resource: "requests.nvidia.com/gpu", Most: rapid.Int32Range(0, 40).Draw(t, "most")}
	}
	if len(history) > 0 && rapid.IntRange(0, 5).Draw(t, "by hand") > 0 {
		in.Replicas = history.newest().To
	}
	for _, s := range p.Sources {
		ws := SourceWindows{Key: s.Key, Stable: drawWindow(t, s.Target, p.ObserveWindow), Panic: drawWindow(t, s.Target, p.PanicWindow)}
		if rapid.IntRange(0, 20).Draw(t, "error") == 0 {
			ws.Error = "query: no such function"
		}
		in.Windows = append(in.Windows, ws)
	}
	return in
}

// drawCase is a policy, and an input whose history that policy's decisions made, one tick or an outage after the other.
func drawCase(t *rapid.T) (Policy, Input) {
	p := drawPolicy(t)
	var history History
	at := epoch
	for range rapid.IntRange(0, 25).Draw(t, "ticks before") {
		e := Decide(p, drawInput(t, p, at, history)).Entry
		e.Outcome.Why = rapid.SampledFrom([]string{"", "", Advised, Conflict, NotLeader}).Draw(t, "outcome")
		e.Outcome.Applied = e.Outcome.Why == "" && rapid.Bool().Draw(t, "applied")
		history = append(history, e)
		at = at.Add(time.Duration(rapid.SampledFrom([]int{2, 2, 2, 2, 1, 5, 31, 200}).Draw(t, "step")) * time.Second)
	}
	return p, drawInput(t, p, at, history)
}

// check is what holds of every decision.
func check(t interface {
	Fatalf(string, ...any)
	Helper()
}, p Policy, in Input, d Decision,
) {
	t.Helper()
	if len(d.Reasons) == 0 {
		t.Fatalf("no reason")
	}
	at := d.From
	for _, r := range d.Reasons {
		if r.From != at {
			t.Fatalf("%s starts at %d, the one before ended at %d\n%s", r.Rule, r.From, at, d.Explain())
		}
		at = r.To
	}
	if d.From != in.Replicas || at != d.To {
		t.Fatalf("the chain leads from %d to %d, the decision from %d to %d\n%s", d.From, at, in.Replicas, d.To, d.Explain())
	}
	if d.Verdict != verdict(d.From, d.To) || d.Entry.From != d.From || d.Entry.To != d.To {
		t.Fatalf("verdict or entry contradict the decision: %+v", d)
	}
	checkPause(t, p, d)
	last := d.Reasons[len(d.Reasons)-1]
	switch first := d.Reasons[0].Rule; {
	case last.Rule == RulePause: // see checkPause
	case first == RuleZero || first == RuleDelegated:
		if d.To != d.From {
			t.Fatalf("not left alone\n%s", d.Explain())
		}
	default:
		least, most, _, _ := p.BoundsAt(in.At)
		if !slices.ContainsFunc(p.Sources, func(s Source) bool { return s.SurvivesZero }) {
			least = max(1, least)
		}
		if d.To < least || d.To > most {
			t.Fatalf("out of bounds %d..%d\n%s", least, most, d.Explain())
		}
	}
}

// checkSent says that the decision is the same after it was written to the journal and read again.
func checkSent(t interface {
	Fatalf(string, ...any)
	Helper()
}, d Decision,
) {
	t.Helper()
	data, err := json.Marshal(d)
	if err != nil {
		t.Fatalf("cannot be sent: %v\n%s", err, d.Explain())
	}
	var again Decision
	if err := json.Unmarshal(data, &again); err != nil {
		t.Fatalf("cannot be received: %v\n%s", err, data)
	}
	if !reflect.DeepEqual(d, again) {
		t.Fatalf("sent\n%s%+v\nreceived\n%s%+v", d.Explain(), d, again.Explain(), again)
	}
}

// A load that is a finite number asks for pods that are none: the panic's ratio stays finite, or nothing could be written
// down, and so nothing applied, while the value lasts.
func TestAPanicBeyondAllNumbersCanBeSent(t *testing.T) {
	for _, value := range []float64{1e308, math.MaxFloat64} {
		p, in := newStage().policy, Input{At: epoch, Replicas: 1, Ready: 1}
		p.Sources = []Source{{Key: "a", Name: "a", Target: 0.5, TargetType: AverageValue}}
		in.weigh(p, 1, value)
		d := Decide(p, in)
		if last := d.Reasons[len(d.Reasons)-1]; d.To != 1000 || last.Case != CaseEnter {
			t.Fatalf("no panic:\n%s", d.Explain())
		}
		checkSent(t, d)
	}
}

func TestEveryDecisionIsBoundedAndExplained(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, in := drawCase(t)
		d := Decide(p, in)
		check(t, p, in, d)
		checkSent(t, d)
	})
}

func TestSameInputSameDecision(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, in := drawCase(t)
		before := fmt.Sprintf("%v %v", p, in) // NaN is not equal to itself, its text is
		first := Decide(p, in)
		if fmt.Sprintf("%v %v", p, in) != before {
			t.Fatalf("the input was changed")
		}
		if again := Decide(p, in); !reflect.DeepEqual(first, again) {
			t.Fatalf("first\n%sthen\n%s", first.Explain(), again.Explain())
		}
	})
}

func TestMoreLoadNeverAsksForLess(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, in := drawCase(t)
		more := in
		more.Windows = slices.Clone(in.Windows)
		for i := range more.Windows {
			for _, w := range []*Window{&more.Windows[i].Stable, &more.Windows[i].Panic} {
				if finite(w.Value) && w.Value < 1e9 {
					w.Value += rapid.Float64Range(0, 50).Draw(t, "more")
				}
			}
		}
		if a, b := Decide(p, in), Decide(p, more); b.To < a.To {
			t.Fatalf("less load\n%smore load\n%s", a.Explain(), b.Explain())
		}
	})
}

func TestIncompleteDataNeverLower(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, in := drawCase(t)
		p.Strict, p.Pause.Replicas = false, nil
		ws := &in.Windows[rapid.IntRange(0, len(in.Windows)-1).Draw(t, "which")]
		switch rapid.SampledFrom([]string{"stale", "missing", "no pods", "nan", "error", "silent", "coverage", "absent"}).Draw(t, "how") {
		case "stale":
			ws.Stable.State = Stale
		case "missing":
			ws.Stable.State = Missing
		case "no pods":
			ws.Stable.State = NoPods
		case "nan":
			ws.Stable.Value = math.NaN()
		case "error":
			ws.Error = "timeout"
		case "silent":
			ws.Stable.Silent = 1
		case "coverage":
			ws.Stable.Coverage = 0.9499
		case "absent":
			ws.Key = "another"
		}
		d := Decide(p, in)
		if _, most, _, _ := p.BoundsAt(in.At); d.To < min(d.From, most) {
			t.Fatalf("lowered\n%s", d.Explain())
		}
		if d.Entry.Known && d.Entry.Proposal < d.From {
			t.Fatalf("a lower proposal made of incomplete data is remembered: %+v", d.Entry)
		}
	})
}

func TestHistoryBeyondMemoryChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, in := drawCase(t)
		all := Decide(p, in)
		if n := len(in.History); n > 0 {
			start := min(n-1, n-len(in.History.after(in.At.Add(-p.Memory()))))
			in.History = in.History[start:]
		}
		if trimmed := Decide(p, in); !reflect.DeepEqual(all, trimmed) {
			t.Fatalf("with all history\n%sentry %+v\nwithout the part beyond %s\n%sentry %+v",
				all.Explain(), all.Entry, p.Memory(), trimmed.Explain(), trimmed.Entry)
		}
	})
}

// A fleet whose load does not change comes to rest, and rests at what the load needs.
func TestSteadyLoadComesToRest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := drawPolicy(t)
		p.Schedules, p.Pause.Replicas = nil, nil
		p.MaxReplicas = min(p.MaxReplicas, 30)
		p.MinReplicas = min(p.MinReplicas, p.MaxReplicas)
		loads := make([]float64, len(p.Sources))
		for i, s := range p.Sources {
			loads[i] = s.Target * rapid.Float64Range(0, 40).Draw(t, "load over target")
		}
		replicas := rapid.Int32Range(1, 30).Draw(t, "replicas")
		var history History
		const ticks, rest = 700, 60
		var rested int32
		for i := range ticks {
			in := Input{At: epoch.Add(time.Duration(i) * slot), Replicas: replicas, Ready: replicas, History: history}
			for j, s := range p.Sources {
				in.Windows = append(in.Windows, steadyWindows(s, loads[j], replicas))
			}
			d := Decide(p, in)
			check(t, p, in, d)
			history = append(history.after(in.At.Add(-p.Memory())), d.Entry)
			replicas = d.To
			if i == ticks-rest {
				rested = replicas
			}
			if i > ticks-rest && replicas != rested {
				t.Fatalf("no rest after %d ticks of the same load %v\n%s", i, loads, d.Explain())
			}
		}
	})
}

func steadyWindows(s Source, load float64, ready int32) SourceWindows {
	w := Window{Value: load, State: Fresh, Coverage: 1, MeanReady: float64(ready)}
	if s.TargetType == Value {
		w.Value /= float64(max(1, ready))
	}
	if ready == 0 && !s.SurvivesZero {
		w = Window{State: NoPods}
	}
	return SourceWindows{Key: s.Key, Stable: w, Panic: w}
}

// FuzzDecide feeds numbers that no validated policy and no sound store would hold.
func FuzzDecide(f *testing.F) {
	f.Add(61.2, 80.0, 10.0, 1000.0, 2.0, 0.1, 2.0, int32(4), int32(4), int32(6), 1.0, int64(2), uint8(1), false)
	f.Add(61.2, 80.0, 10.0, 1000.0, 2.0, 0.1, 2.0, int32(4), int32(4), int32(6), 1.0, int64(2), uint8(0b11110101), false)
	f.Add(math.NaN(), math.Inf(1), 0.0, math.NaN(), 0.0, -1.0, math.Inf(-1), int32(math.MaxInt32), int32(math.MinInt32), int32(math.MinInt32), math.NaN(), int64(-1), uint8(0b1010), false)
	f.Add(1e308, -1e308, 5e-324, 1e308, 1e-308, math.Inf(1), 0.0, int32(0), int32(math.MaxInt32), int32(math.MaxInt32), 2.0, int64(math.MaxInt32), uint8(0b100111), false)
	f.Add(1.0, 1e308, 0.5, 1000.0, 2.0, 0.0, 2.0, int32(1), int32(1), int32(0), 1.0, int64(2), uint8(1), true)
	f.Add(101.0, 1e308, -51.5, 7000.0, 2.0, 0.0, -90.0, int32(1), int32(1), int32(0), 1.0, int64(-4), uint8(1), true)
	f.Fuzz(func(t *testing.T, stable, panicky, target, up, down, tolerance, threshold float64, replicas, ready, before int32,
		coverage float64, age int64, flags uint8, fresh bool,
	) {
		p := Policy{
			Strategy: APA, MinReplicas: 1, MaxReplicas: 50, ObserveWindow: time.Minute, PanicWindow: 10 * time.Second,
			MaxScaleUpRate: up, MaxScaleDownRate: down, ScaleUpDelay: 4 * time.Second, ScaleDownDelay: 10 * time.Second,
			ToleranceUp: tolerance, ToleranceDown: tolerance, PanicThreshold: threshold, ActivationScale: 2,
			Sources: []Source{{Key: "a", Name: "a", Target: target}, {Key: "b", Name: "b", Target: target, TargetType: Value}},
		}
		if flags&1 != 0 {
			p.Strategy = KPA
		}
		p.Pause = Pause{All: flags&2 != 0, ScaleIn: flags&4 != 0, ScaleOut: flags&8 != 0}
		if flags&16 != 0 {
			p.Pause.Replicas = &before
		}
		if flags&32 != 0 {
			least, most := int32(3), int32(70)
			p.Schedules = []Schedule{{Name: "day", Days: [7]bool{4: true}, From: 1, To: 1439, MinReplicas: &least, MaxReplicas: &most}}
		}
		at := epoch.Add(time.Duration(age))
		w := Window{State: Fresh, Value: stable, Coverage: coverage, MeanReady: panicky}
		v := Window{State: Fresh, Value: panicky, Coverage: coverage, MeanReady: stable}
		in := Input{
			At: epoch, Replicas: replicas, Ready: ready, Starting: int32(flags >> 6), Unschedulable: before, Quota: Quota{Name: "gpus", Most: ready},
			Windows: []SourceWindows{{Key: "a", Stable: w, Panic: v}, {Key: "b", Stable: v, Panic: w}},
			History: History{{At: at, From: before, Proposal: before, Known: true, PanicSince: at, PanicMax: before, StartSince: at, StartSeen: at, StartFrom: before, To: before}},
		}
		if fresh {
			in.History = nil
		}
		d := Decide(p, in)
		check(t, p, in, d)
		_ = d.Explain()
		if finite(target) && target > 0 && finite(up) && finite(down) && finite(tolerance) && finite(threshold) {
			checkSent(t, d)
		}
	})
}
