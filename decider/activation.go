package decider

// activation is Knative's activation scale: with any load at all, at least this many. It comes after the rates and may
// exceed them.
func (d *draft) activation() {
	least := d.policy.ActivationScale
	if least <= 1 || d.proposal >= least || !d.wanted() {
		return
	}
	d.add(Reason{Rule: RuleActivation, To: least, Limit: float64(least)})
}

// wanted says whether any source that counts at the moment asks for a pod.
func (d *draft) wanted() bool {
	for i := range d.votes {
		if v := &d.votes[i]; v.stable > 0 || d.panic.on() && v.panic > 0 {
			return true
		}
	}
	return false
}
