package decider

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

// leftAtZero says whether a target found at zero is there because flyball put it there. A wake-up that was decided but not
// written, or of which nobody knows whether it was, changes nothing about that.
func (e *Entry) leftAtZero() bool { return e.ToZero && !(e.To > 0 && e.Outcome.Applied) }

// zero leaves the target alone.
func (d *draft) zero() {
	d.known = false
	d.add(Reason{Rule: RuleZero, To: 0})
}
