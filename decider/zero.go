package decider

import "time"

// foreignZero says whether the target is at zero and flyball did not put it there. That is how people switch a
// workload off, so it is respected, as the HPA does; but a schedule that asks for pods by itself gets them, as in AIBrix. While somebody else
// writes the count on flyball's advice, nobody can tell whose zero it is: people switch that writer off, not the workload.
func (d *draft) foreignZero() bool {
	if d.in.Delegated {
		return false
	}
	if s := d.active; s != nil && s.MinReplicas != nil && *s.MinReplicas > 0 {
		return false
	}
	return d.in.Replicas == 0 && !d.in.History.newest().leftAtZero()
}

// leftAtZero says whether a target found at zero is there because flyball put it there, or may have: a decision of which
// nobody knows whether it was written counts, and one that another instance or KEDA writes. What was only advised or was
// refused does not. A wake-up that was decided but not written, or of which nobody knows whether it was, changes nothing.
func (e *Entry) leftAtZero() bool {
	switch {
	case e.To > 0 && e.Outcome.Applied:
		return false
	case e.From == 0 || e.To == 0 && !e.Outcome.unwritten():
		return e.ToZero
	}
	return !e.ZeroAt.IsZero() // the count that this decision was made from may have been read before that was written
}

// unwritten says that nobody acts on the decision, or that the write has failed for certain.
func (o *Outcome) unwritten() bool {
	switch o.Why {
	case Advised, Contested, Conflict, TargetGone, Refused:
		return true
	}
	return false
}

// maxLag is how long after a write the count from before it may still be read, since counts come from a watch, and how long
// a write that nobody waits for any more may be on its way.
const maxLag = 10 * time.Second

// zeroAt is when flyball last put the target at zero, or may have, if the zero has not been seen since; the zero time when it
// was never so, or so long ago that the count found now must have been set after it.
func (d *draft) zeroAt() time.Time {
	last := d.in.History.newest()
	at := last.ZeroAt
	switch {
	case last.From > 0 && last.To == 0 && !last.Outcome.unwritten():
		at = last.At
	case last.Outcome.Applied:
		at = time.Time{}
	}
	if d.in.Replicas == 0 || d.in.At.Sub(at) > maxLag {
		return time.Time{}
	}
	return at
}

// zero leaves the target alone.
func (d *draft) zero() {
	d.known = false
	d.add(Reason{Rule: RuleZero, To: 0})
}
