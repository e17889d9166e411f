package decider

import "fmt"

// Pause is what people have stopped for a while. What the data ask for is worked out and remembered all the same.
type Pause struct {
	All      bool   // nothing changes
	Replicas *int32 // the count is this one; wins over the others
	ScaleIn  bool   // nothing is lowered
	ScaleOut bool   // nothing is raised
}

// pause has the last word: over bounds and schedules too, and over a target at zero where a count is given.
func (d *draft) pause() {
	p, to, what := d.policy.Pause, d.in.Replicas, CaseAll
	switch {
	case p.Replicas != nil:
		to, what = *p.Replicas, CaseReplicas
	case p.All || p.ScaleIn && p.ScaleOut:
	case p.ScaleIn && d.proposal < to:
		what = CaseScaleIn
	case p.ScaleOut && d.proposal > to:
		what = CaseScaleOut
	default:
		return
	}
	d.add(Reason{Rule: RulePause, Case: what, To: to})
}

func (r Reason) pause() string {
	switch r.Case {
	case CaseReplicas:
		return r.instead() + fmt.Sprintf("paused at %d by %s, whatever the bounds", r.To, r.pausedBy()) + r.held()
	case CaseScaleIn:
		return r.instead() + "scaling in is paused by " + r.pausedBy() + r.held()
	case CaseScaleOut:
		return r.instead() + "scaling out is paused by " + r.pausedBy() + r.held()
	}
	return r.instead() + "scaling is paused" + r.held()
}

// pausedBy is the annotation that pauses; All may be had by more than one.
func (r Reason) pausedBy() string {
	switch r.Case {
	case CaseReplicas:
		return "flyball.dev/paused-replicas"
	case CaseScaleIn:
		return "flyball.dev/paused-scale-in"
	case CaseScaleOut:
		return "flyball.dev/paused-scale-out"
	}
	return "the pause"
}
