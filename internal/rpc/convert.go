package rpc

import (
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	decisionv1 "github.com/flyball/flyball/api/decision/v1"
	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/internal/loop"
)

// NewExplanation says an explanation as a message. The text in it is all that flyball explain prints.
func NewExplanation(e loop.Explanation) *decisionv1.ExplainResponse {
	rec := e.Record
	out := &decisionv1.ExplainResponse{
		Decision: newDecision(rec), Inputs: newInputs(rec.Policy, rec.Input), FirstTime: moment(e.First), LastTime: moment(e.Last),
		SameCount: int32(e.Same), SameComplete: e.All, Bounds: newBounds(rec.Policy, rec.Decision.At), Text: utf8(e.String()),
	}
	for _, w := range e.Without {
		out.Counterfactuals = append(out.Counterfactuals, &decisionv1.Counterfactual{Bound: w.Bound, Value: w.Value, To: w.To})
	}
	if at, rule := rec.Decision.Next(); at.IsZero() || !at.Before(e.Last) { // else it has come, and what followed is not known
		out.NextChangeTime, out.NextChangeRule = moment(at), string(rule)
	}
	return out
}

// newAutoscaler says how an autoscaler stands at t.
func newAutoscaler(r loop.Result, t time.Time) *decisionv1.Autoscaler {
	a := r.Autoscaler
	out := &decisionv1.Autoscaler{
		Uid: a.UID, Namespace: a.Namespace, Name: a.Name, Target: newTarget(a.Target),
		Strategy: string(a.Policy.Strategy), Mode: string(a.Policy.Mode), Bounds: newBounds(a.Policy, t),
	}
	if len(r.Decision.Reasons) > 0 {
		out.Decision, out.Inputs = newDecision(r.Record()), newInputs(a.Policy, r.Input)
	}
	if r.Err != nil {
		out.Error = utf8(r.Err.Error())
	}
	return out
}

func newDecision(rec loop.Record) *decisionv1.Decision {
	out := decided(rec.Decision)
	out.Id, out.AutoscalerUid, out.Namespace, out.Name = rec.ID, rec.Autoscaler, rec.Namespace, rec.Name
	out.Target, out.Sequence, out.Outcome = newTarget(rec.Target), rec.Sequence, newOutcome(rec.Decision.Entry.Outcome)
	return out
}

// decided is a decision that is nobody's, as what-if makes them.
func decided(d decider.Decision) *decisionv1.Decision {
	out := &decisionv1.Decision{At: moment(d.At), From: d.From, To: d.To, Verdict: verdicts[d.Verdict]}
	for _, r := range d.Reasons {
		out.Reasons = append(out.Reasons, newReason(r))
	}
	return out
}

var verdicts = map[decider.Verdict]decisionv1.Verdict{
	decider.ScaleUp:   decisionv1.Verdict_VERDICT_SCALE_UP,
	decider.ScaleDown: decisionv1.Verdict_VERDICT_SCALE_DOWN,
	decider.Hold:      decisionv1.Verdict_VERDICT_HOLD,
}

func newReason(r decider.Reason) *decisionv1.Reason {
	out := &decisionv1.Reason{
		Rule: string(r.Rule), Case: given(string(r.Case)), From: r.From, To: r.To, Because: utf8(r.Because()),
		Source: given(r.Source), Target: given(r.Target), TargetType: given(string(r.TargetType)), Ratio: given(r.Ratio),
		Sources: given(r.Sources), Limit: given(r.Limit), Ready: given(r.Ready), Starting: given(r.Starting),
		Unschedulable: given(r.Unschedulable), Quota: given(r.Quota), Resource: given(r.Resource), Schedule: given(r.Schedule),
		MinReplicas: given(r.MinReplicas), MaxReplicas: given(r.MaxReplicas), Until: moment(r.Until), Since: moment(r.Since), Detail: given(utf8(r.Detail)),
	}
	if r.Window != nil {
		out.Window = newWindow(*r.Window)
	}
	for _, a := range r.Absent {
		out.Absent = append(out.Absent, &decisionv1.Absence{Source: a.Source, Case: string(a.Case), Age: age(a.Age), Detail: utf8(a.Detail)})
	}
	if r.Schedule != "" {
		out.MinReplicas, out.MaxReplicas = &r.MinReplicas, &r.MaxReplicas // a schedule may well allow 0
	}
	if r.Delay != 0 {
		out.Delay = durationpb.New(r.Delay)
	}
	return out
}

func newTarget(t loop.Target) *decisionv1.Target {
	return &decisionv1.Target{Kind: t.Kind, Name: t.Name, Uid: t.UID}
}

func newOutcome(o decider.Outcome) *decisionv1.Outcome {
	return &decisionv1.Outcome{Applied: o.Applied, Was: o.Was, Now: o.Now, Why: o.Why, Detail: utf8(o.Detail), At: moment(o.At)}
}

func newBounds(p decider.Policy, t time.Time) *decisionv1.Bounds {
	least, most, schedule, until := p.BoundsAt(t)
	return &decisionv1.Bounds{MinReplicas: least, MaxReplicas: most, Schedule: schedule, Until: moment(until)}
}

func newInputs(p decider.Policy, in decider.Input) *decisionv1.Inputs {
	out := &decisionv1.Inputs{
		Replicas: in.Replicas, StatusReplicas: in.StatusReplicas, Ready: in.Ready, Starting: in.Starting, Unschedulable: in.Unschedulable,
		Delegated: in.Delegated,
	}
	if q := in.Quota; q.Name != "" {
		out.Quota = &decisionv1.Quota{Name: q.Name, Resource: q.Resource, Most: q.Most}
	}
	for i, w := range in.Windows {
		s := &decisionv1.SourceWindows{SourceKey: w.Key, Error: utf8(w.Error)}
		if i < len(p.Sources) {
			s.Source = p.Sources[i].Name
		}
		if w.Error == "" {
			s.Stable = newWindow(w.Stable)
			if p.Strategy == decider.KPA {
				s.Panic = newWindow(w.Panic)
			}
		}
		out.Sources = append(out.Sources, s)
	}
	return out
}

func newWindow(w decider.Window) *decisionv1.Window {
	out := &decisionv1.Window{
		Range: durationpb.New(w.Range), At: moment(w.At), State: states[w.State], NewestAge: age(w.NewestAge), Coverage: w.Coverage,
		Expected: int32(w.Expected), Reporting: int32(w.Reporting), Answering: int32(w.Answering),
		Silent: int32(w.Silent), SilentFor: durationpb.New(w.SilentFor), MeanReady: w.MeanReady,
	}
	if w.State == decider.Fresh || w.State == decider.Stale {
		out.Value = &w.Value
	}
	return out
}

var states = map[decider.State]decisionv1.WindowState{
	decider.Fresh:   decisionv1.WindowState_WINDOW_STATE_FRESH,
	decider.Stale:   decisionv1.WindowState_WINDOW_STATE_STALE,
	decider.Missing: decisionv1.WindowState_WINDOW_STATE_MISSING,
	decider.NoPods:  decisionv1.WindowState_WINDOW_STATE_NO_PODS,
}

// given is nil for what a rule does not have, as the decider leaves it.
func given[T comparable](v T) *T {
	if v == *new(T) {
		return nil
	}
	return &v
}

// moment is nil for no time.
func moment(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// age is nil when there is no sample that could have one.
func age(d time.Duration) *durationpb.Duration {
	if d < 0 {
		return nil
	}
	return durationpb.New(d)
}
