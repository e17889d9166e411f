package decider

// bounds keeps the count between the least and the greatest at that time, with or without data.
func (d *draft) bounds() {
	_, most := d.policy.boundsOf(d.active)
	least, why := d.least()
	switch {
	case d.proposal > most:
		d.add(Reason{Rule: RuleBounds, Case: CaseMax, To: most, Limit: float64(most)})
	case d.proposal < least:
		d.add(Reason{Rule: RuleBounds, Case: why, To: least, Limit: float64(least)})
	}
}

// least is the least count, and which case of the rule it is.
func (d *draft) least() (int32, Case) {
	least, _ := d.policy.boundsOf(d.active)
	if least == 0 && !d.policy.wakes() {
		return 1, CaseWake
	}
	return least, CaseMin
}

// wakes says whether some source still has values when there are no pods. Without one, a target at zero would stay
// there for ever, so the least count is one.
func (p Policy) wakes() bool {
	for _, s := range p.Sources {
		if s.SurvivesZero {
			return true
		}
	}
	return false
}
