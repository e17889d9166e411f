package decider

import "time"

// said is a count that was proposed at a time.
type said struct {
	at    time.Time
	count int32
}

// remember notes the proposal that later decisions' delays will look back at.
func remember(d *draft) { d.proposed = d.proposal }

// downDelay lowers only as far as every proposal within the delay would have. KPA takes the highest proposal within the
// delay, as Knative does, even if that is more than there is; APA stays at what there is, as the HPA does.
func downDelay(d *draft) {
	to := d.proposal
	all := d.within(d.policy.ScaleDownDelay)
	for _, s := range all {
		to = max(to, s.count)
	}
	if d.policy.Strategy != KPA {
		to = min(to, max(d.proposal, d.in.Replicas))
	}
	if to > d.proposal {
		d.add(d.delayed(RuleDownDelay, to, d.policy.ScaleDownDelay, all, func(n int32) bool { return n >= to }))
	}
}

// upDelay raises only as far as every proposal within the delay would have, and never lowers what there is.
func upDelay(d *draft) {
	to := d.proposal
	all := d.within(d.policy.ScaleUpDelay)
	for _, s := range all {
		to = min(to, s.count)
	}
	to = max(to, min(d.proposal, d.in.Replicas))
	if to < d.proposal {
		d.add(d.delayed(RuleUpDelay, to, d.policy.ScaleUpDelay, all, func(n int32) bool { return n <= to }))
	}
}

// within is what was proposed within the delay, oldest first. Decisions without data proposed nothing. If nothing is
// known of the beginning of the delay, the count found at the first decision after that counts as proposed then, as in
// the HPA: so a start without history waits for the whole delay, either way. Strict mode has no such rule.
func (d *draft) within(delay time.Duration) []said {
	if delay <= 0 {
		return nil
	}
	var out []said
	first, before := said{d.in.At, d.in.Replicas}, time.Time{}
	for _, e := range d.past {
		switch {
		case !e.Known:
		case slotOf(d.in.At)-slotOf(e.At) >= slots(delay):
			before = e.At
		default:
			if len(out) == 0 {
				first = said{e.At, e.From}
			}
			out = append(out, said{e.At, e.Proposal})
		}
	}
	if !d.policy.Strict && (before.IsZero() || first.at.Sub(before) > maxGap) {
		out = append([]said{first}, out...)
	}
	return out
}

// delayed is the Reason of a delay. It is binding until the newest proposal that is binding has left the delay, and has
// been since the proposals after that one began.
func (d *draft) delayed(rule Rule, to int32, delay time.Duration, all []said, binds func(int32) bool) Reason {
	r := Reason{Rule: rule, To: to, Delay: delay, Since: d.in.At}
	for _, s := range all {
		switch {
		case binds(s.count):
			r.Until = time.Unix((slotOf(s.at)+slots(delay))*int64(slot/time.Second), 0).UTC()
			r.Since = time.Time{}
		case r.Since.IsZero():
			r.Since = s.at
		}
	}
	if r.Since.IsZero() {
		r.Since = d.in.At
	}
	return r
}

// slotOf numbers the slots of two seconds that delays are counted in, as Knative's are.
func slotOf(t time.Time) int64 { return t.Unix() / int64(slot/time.Second) }

// slots is the delay in slots, rounded up.
func slots(delay time.Duration) int64 { return int64((delay + slot - 1) / slot) }
