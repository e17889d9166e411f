package decider

import (
	"math"
	"time"
)

// remember notes the proposal that later decisions' delays will look back at.
func (d *draft) remember() { d.proposed = d.proposal }

// downDelay lowers only as far as every proposal within the delay would have. KPA takes the highest proposal within the
// delay, as Knative does, even if that is more than there is; APA stays at what there is, as the HPA does.
func (d *draft) downDelay() {
	limit := int32(math.MaxInt32)
	if d.policy.Strategy != KPA {
		limit = max(d.proposal, d.in.Replicas)
	}
	d.delay(RuleDownDelay, d.policy.ScaleDownDelay, binding{sign: 1}, limit)
}

// upDelay raises only as far as every proposal within the delay would have, and never lowers what there is.
func (d *draft) upDelay() {
	d.delay(RuleUpDelay, d.policy.ScaleUpDelay, binding{sign: -1}, min(d.proposal, d.in.Replicas))
}

// delay changes the proposal to the binding one within the delay, but not beyond the limit. Decisions without data proposed
// nothing. If nothing is known of the beginning of the delay, the count found at the first decision after that counts as
// proposed then, as in the HPA: so a start without history waits for the whole delay, either way. Strict mode has no such
// rule.
func (d *draft) delay(rule Rule, delay time.Duration, b binding, limit int32) {
	if delay <= 0 {
		return
	}
	now := len(d.past) // decisions are numbered as in the history, and this is the next one
	b.limit, b.most, b.at, b.newer = b.sign*int64(limit), b.sign*int64(d.proposal), -1, now
	if d.known || rule == RuleUpDelay { // this decision's own: after rule down-delay the proposal may be higher, without anybody asking for it
		b.weigh(d.proposed, now)
	}
	left := slotOf(d.in.At) - slots(delay)                  // the newest slot that has left the delay
	first, count, before := now, d.in.Replicas, time.Time{} // the first decision within the delay, and when the one before was
	for i := now - 1; i >= 0; i-- {
		e := &d.past[i]
		if !e.Known {
			continue
		}
		if slotOf(e.At) <= left {
			before = e.At
			break
		}
		b.weigh(e.Proposal, i)
		first, count = i, e.From
	}
	if !d.policy.Strict && (before.IsZero() || d.when(first).Sub(before) > maxGap) {
		b.weigh(count, first)
	}
	if b.at < 0 {
		return
	}
	until := time.Unix((slotOf(d.when(b.at))+slots(delay))*int64(slot/time.Second), 0).UTC()
	d.add(Reason{Rule: rule, To: int32(b.sign * b.most), Delay: delay, Until: until, Since: d.when(b.since)})
}

// when is the time of that decision in the history; of this one, if it is the next.
func (d *draft) when(i int) time.Time {
	if i == len(d.past) {
		return d.in.At
	}
	return d.past[i].At
}

// binding is the newest of the highest proposals weighed so far, from the newest to the oldest. It binds until it has left
// the delay, and what is asked for now has been asked for since the proposals after it began.
type binding struct {
	sign        int64 // 1; -1 where the lowest proposal is looked for
	most, limit int64 // times sign
	at, since   int   // the decision that made it, and the next one
	newer       int   // the decision weighed last
}

func (b *binding) weigh(count int32, decision int) {
	if n := min(b.sign*int64(count), b.limit); n > b.most {
		b.most, b.at, b.since = n, decision, b.newer
	}
	b.newer = decision
}

// slotOf numbers the slots of two seconds that delays are counted in, as Knative's are.
func slotOf(t time.Time) int64 { return t.Unix() / int64(slot/time.Second) }

// slots is the delay in slots, rounded up.
func slots(delay time.Duration) int64 { return int64((delay + slot - 1) / slot) }
