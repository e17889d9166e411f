package decider

// tolerance is the dead band of the HPA, source by source: a ratio within it asks for what there is, and one above or
// below it never moves the count the other way, whatever pods are starting or going. In panic there is no dead band.
func (d *draft) tolerance() {
	p := &d.policy
	if p.ToleranceUp == 0 && p.ToleranceDown == 0 || d.panic.on() {
		return
	}
	to := int32(0)
	var calmed *vote // the one with the highest need whose proposal the band changed
	for i := range d.votes {
		v := &d.votes[i]
		asked := count(v.stable)
		allowed := asked
		switch {
		case v.ratio > 1+p.ToleranceUp:
			allowed = max(asked, d.in.Replicas)
		case v.ratio < 1-p.ToleranceDown:
			allowed = min(asked, d.in.Replicas)
		default:
			allowed = d.in.Replicas
		}
		if allowed != asked && (calmed == nil || v.stable > calmed.stable) {
			calmed = v
		}
		to = max(to, allowed)
	}
	if to == d.proposal {
		return
	}
	r := Reason{
		Rule: RuleTolerance, Case: CaseWithin, To: to, Source: calmed.source.Name, Window: shown(&calmed.windows.Stable),
		Target: calmed.source.Target, TargetType: calmed.source.TargetType,
		Ratio: calmed.ratio, Limit: p.ToleranceUp, Ready: d.in.Ready,
	}
	if calmed.ratio < 1 {
		r.Limit = p.ToleranceDown
	}
	if calmed.ratio > 1+p.ToleranceUp || calmed.ratio < 1-p.ToleranceDown {
		r.Case = CaseAgainst
	}
	d.add(r)
}
