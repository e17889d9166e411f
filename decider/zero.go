package decider

// foreignZero says whether the target is at zero and flyball did not put it there. That is how people switch a
// workload off, so it is respected, as the HPA does; but a schedule that asks for pods by itself gets them, as in AIBrix.
func (d *draft) foreignZero() bool {
	if s := d.policy.active(d.in.At); s != nil && s.MinReplicas != nil && *s.MinReplicas > 0 {
		return false
	}
	return d.in.Replicas == 0 && !d.in.History.newest().ToZero
}

// zero leaves the target alone.
func zero(d *draft) {
	d.known = false
	d.add(Reason{Rule: RuleZero, To: 0})
}
