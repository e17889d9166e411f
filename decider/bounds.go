package decider

// bounds keeps the count between minReplicas and maxReplicas, with or without data.
func bounds(d *draft) {
	p := d.policy
	least, why := p.MinReplicas, CaseMin
	if least == 0 && !p.wakes() {
		least, why = 1, CaseWake
	}
	switch {
	case d.proposal > p.MaxReplicas:
		d.add(Reason{Rule: RuleBounds, Case: CaseMax, To: p.MaxReplicas, Limit: float64(p.MaxReplicas)})
	case d.proposal < least:
		d.add(Reason{Rule: RuleBounds, Case: why, To: least, Limit: float64(least)})
	}
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
