package decider

import "math"

// rate limits how far one decision goes, counted from the ready pods: up to ceil(rate*ready), down to
// floor(ready/rate), and the way up wins, as in Knative. Ready pods can lag far behind or, while a fleet shrinks,
// be more than the target asks for; so that a limit on rises never lowers and one on falls never raises, neither
// pushes past what there is, except in strict mode.
func (d *draft) rate() {
	ready := float64(d.ready())
	up := count(math.Ceil(d.policy.MaxScaleUpRate * ready))
	down := count(math.Floor(ready / d.policy.MaxScaleDownRate))
	if !d.policy.Strict {
		up, down = max(up, d.in.Replicas), min(down, d.in.Replicas)
	}
	to := min(max(d.proposal, down), up)
	switch {
	case to > d.proposal:
		d.add(Reason{Rule: RuleRate, Case: CaseDown, To: to, Limit: d.policy.MaxScaleDownRate, Ready: d.ready()})
	case to < d.proposal:
		d.add(Reason{Rule: RuleRate, Case: CaseUp, To: to, Limit: d.policy.MaxScaleUpRate, Ready: d.ready()})
	}
}
