package main

import (
	"fmt"
	"time"

	"github.com/flyball/flyball/decider"
)

// run is both deciders side by side: Knative's with its state, ours with its history.
type run struct {
	judge    *judge
	policy   decider.Policy
	start    time.Time
	history  decider.History
	replicas int32
	last     decider.Decision
}

// difference is a decision that is not Knative's.
type difference struct {
	knative, flyball int32
	decision         decider.Decision
}

func (d difference) String() string {
	return fmt.Sprintf("Knative wants %d, flyball %d:\n%s\n", d.knative, d.flyball, d.decision.Explain())
}

func begin(p decider.Policy, start time.Time, ready int32) *run {
	r := &run{judge: newJudge(p, ready), policy: p, start: start, replicas: max(1, ready)}
	r.judge.created(start)
	return r
}

// step asks both and fills in what Knative wants. Without data Knative has no answer, and flyball must hold.
func (r *run) step(s *Step) (int32, *difference) {
	now := s.at(r.start)
	if s.Policy != nil {
		r.policy = *s.Policy
	}
	if s.Replicas > 0 {
		r.replicas = s.Replicas
	}
	s.Want = r.judge.scale(now, *s)
	r.last = decider.Decide(r.policy, input(*s, now, r.policy, r.replicas, r.history))
	r.history = append(r.history, r.last.Entry)
	if len(r.history) > 4096 { // Decide looks no further back than Memory, and its cost is the length
		r.history = append(decider.History(nil), r.history[len(r.history)-2048:]...)
	}
	want := s.Want
	if s.NoData {
		want = r.replicas
	}
	want = min(max(want, r.policy.MinReplicas), r.policy.MaxReplicas) // in Knative too they come after, and nothing remembers them
	r.replicas = r.last.To
	if s.NoData != (s.Want < 0) || r.last.To != want {
		return s.Want, &difference{s.Want, r.last.To, r.last}
	}
	return s.Want, nil
}

func input(s Step, now time.Time, p decider.Policy, replicas int32, history decider.History) decider.Input {
	window := func(span time.Duration, value float64) decider.Window {
		if s.NoData {
			return decider.Window{Range: span, At: now, State: decider.Missing, NewestAge: -1, Expected: 1}
		}
		w := decider.Window{
			Range: span, Value: value, At: now, State: decider.Fresh, Coverage: 1,
			Expected: 1, Reporting: 1, Answering: 1, MeanReady: float64(s.Ready),
		}
		if s.Gaps {
			w.Coverage, w.Silent, w.SilentFor = 0.5, 1, span
		}
		return w
	}
	return decider.Input{
		At: now, Replicas: replicas, StatusReplicas: replicas, Ready: s.Ready, Starting: max(0, replicas-s.Ready), Unschedulable: max(0, replicas-s.Ready) / 2,
		Windows: []decider.SourceWindows{{
			Key: p.Sources[0].Key, Stable: window(p.ObserveWindow, s.Stable), Panic: window(p.PanicWindow, s.Panic),
		}},
		History: history,
	}
}
