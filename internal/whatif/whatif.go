package whatif

import (
	"bytes"
	"fmt"
	"math"
	"time"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/decider"
)

// MaxSteps is how many steps one question may have: eleven hours at a decision every 2 s. More would take minutes if all
// are at once, since each looks back at those before it.
const MaxSteps = 20_000

// Step is how a target stands at a time, and what its sources measure then.
type Step struct {
	T             float64 // seconds since 1970, 0 to 1e11; not before the step before it
	Replicas      int32   // of the target's spec and status
	Ready         int32   // ready pods
	Pending       int32   // pods that exist and are not ready yet, but for the unschedulable
	Unschedulable int32   // pods that no node can take
	Windows       []Window
}

// Window is what one source measured. A nil value, or a source without a Window, is missing data.
type Window struct {
	Source int      // its index in metricsSources
	Stable *float64 // over the stable window, in the source's unit
	Panic  *float64 // over the panic window, strategy KPA only
}

// Error says what is wrong with a question.
type Error struct {
	Field   string // such as steps[3].windows[0].panic
	Problem string // what is wrong, and what to give instead
}

func (e *Error) Error() string { return e.Field + ": " + e.Problem }

// in puts the field below another.
func (e *Error) in(format string, args ...any) *Error {
	return &Error{Field: fmt.Sprintf(format, args...) + "." + e.Field, Problem: e.Problem}
}

// Decide answers each step with a decision. Each step knows those before it, whose decisions count as applied at once. What
// the autoscaler's author should know comes as warnings. Errors are of type *Error.
func Decide(autoscaler []byte, steps []Step) (decisions []decider.Decision, warnings []string, err error) {
	policy, warnings, err := readPolicy(autoscaler)
	if err != nil {
		return nil, nil, &Error{Field: "autoscaler", Problem: err.Error()}
	}
	switch {
	case len(steps) == 0:
		return nil, nil, &Error{Field: "steps", Problem: "missing; give at least one"}
	case len(steps) > MaxSteps:
		return nil, nil, &Error{Field: "steps", Problem: fmt.Sprintf("%d are too many; give at most %d", len(steps), MaxSteps)}
	}
	inputs := make([]decider.Input, len(steps))
	for i, s := range steps {
		in, wrong := s.input(policy)
		if wrong == nil && i > 0 && s.T < steps[i-1].T {
			wrong = &Error{Field: "t", Problem: fmt.Sprintf("%v is before the step before it; put the steps in the order of time", s.T)}
		}
		if wrong != nil {
			return nil, nil, wrong.in("steps[%d]", i)
		}
		inputs[i] = in
	}
	var past decider.History
	for _, in := range inputs {
		for len(past) > 1 && past[0].At.Before(in.At.Add(-policy.Memory())) {
			past = past[1:] // as the service forgets; the newest stays, whatever its age
		}
		in.History = past
		d := decider.Decide(policy, in)
		past = append(past, applied(d))
		decisions = append(decisions, d)
	}
	return decisions, warnings, nil
}

// readPolicy reads the autoscaler as strictly as lint does.
func readPolicy(raw []byte) (decider.Policy, []string, error) {
	pas, err := v1alpha1.Read(bytes.NewReader(raw))
	switch {
	case err != nil:
		return decider.Policy{}, nil, err
	case len(pas) == 0:
		return decider.Policy{}, nil, fmt.Errorf("missing; give a PodAutoscaler")
	case len(pas) > 1:
		return decider.Policy{}, nil, fmt.Errorf("these are %d; give one PodAutoscaler", len(pas))
	}
	policy, warnings, errs := pas[0].Policy()
	if len(errs) > 0 {
		return decider.Policy{}, nil, errs.ToAggregate()
	}
	var texts []string
	for _, w := range warnings {
		texts = append(texts, w.String())
	}
	return policy, texts, nil
}

// input is what the decider is asked at this step, but for the history.
func (s Step) input(p decider.Policy) (decider.Input, *Error) {
	if !(s.T >= 0 && s.T <= 1e11) { // a NaN is neither
		return decider.Input{}, &Error{Field: "t", Problem: fmt.Sprintf("%v is out of range; give seconds since 1970, or from 0 on", s.T)}
	}
	for _, count := range []struct {
		field string
		n     int32
	}{{"replicas", s.Replicas}, {"ready", s.Ready}, {"pending", s.Pending}, {"unschedulable", s.Unschedulable}} {
		if count.n < 0 {
			return decider.Input{}, &Error{Field: count.field, Problem: fmt.Sprintf("%d is negative; give 0 or more", count.n)}
		}
	}
	sec, frac := math.Modf(s.T)
	in := decider.Input{
		At:       time.Unix(int64(sec), int64(frac*1e9)).UTC(),
		Replicas: s.Replicas, StatusReplicas: s.Replicas, Ready: s.Ready, Starting: s.Pending, Unschedulable: s.Unschedulable,
	}
	given := make([]*Window, len(p.Sources))
	for i, w := range s.Windows {
		if wrong := w.check(p, given); wrong != nil {
			return in, wrong.in("windows[%d]", i)
		}
		given[w.Source] = &s.Windows[i]
	}
	for i, w := range given {
		if w == nil {
			w = &Window{Source: i}
		}
		in.Windows = append(in.Windows, w.windows(p, in))
	}
	return in, nil
}

// check says what is wrong with a window, next to those that were given before it.
func (w Window) check(p decider.Policy, given []*Window) *Error {
	switch {
	case w.Source < 0 || w.Source >= len(given):
		return &Error{Field: "source", Problem: fmt.Sprintf("there is no metricsSources[%d]; give 0 to %d", w.Source, len(given)-1)}
	case given[w.Source] != nil:
		return &Error{Field: "source", Problem: fmt.Sprintf("%d is there twice; remove one", w.Source)}
	case w.Panic != nil && p.Strategy != decider.KPA:
		return &Error{Field: "panic", Problem: fmt.Sprintf("strategy %s has no panic window; remove it", p.Strategy)}
	}
	return nil
}

// windows are what the source's exporters would have given if all of them, or none, had answered throughout.
func (w Window) windows(p decider.Policy, in decider.Input) decider.SourceWindows {
	s := p.Sources[w.Source]
	exporters := int(in.Ready)
	if s.SurvivesZero {
		exporters = 1 // its own endpoint, whatever the pods
	}
	window := func(span time.Duration, value *float64) decider.Window {
		w := decider.Window{Range: span, At: in.At, State: decider.Missing, NewestAge: -1, Expected: exporters, MeanReady: float64(in.Ready)}
		if value != nil {
			w.State, w.Value, w.NewestAge, w.Coverage = decider.Fresh, *value, 0, 1
			w.Reporting, w.Answering = exporters, exporters
		}
		return w
	}
	out := decider.SourceWindows{Key: s.Key, Stable: window(p.ObserveWindow, w.Stable)}
	if p.Strategy == decider.KPA {
		out.Panic = window(p.PanicWindow, w.Panic)
	}
	return out
}

// applied is the decision's entry as if it had been written to the target at once.
func applied(d decider.Decision) decider.Entry {
	e := d.Entry
	e.Outcome = decider.Outcome{Was: d.From, Now: d.To, Why: decider.Unchanged}
	if d.To != d.From {
		e.Outcome = decider.Outcome{Applied: true, Was: d.From, Now: d.To, At: d.At}
	}
	return e
}
