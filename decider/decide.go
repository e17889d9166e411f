package decider

import (
	"math"
	"time"
)

// Decide says how many replicas there should be at in.At, and why. It is a pure function: the same policy and input
// give the same decision. It never fails; what is missing is a reason to hold.
//
// Counts saturate at the int32 range. To is within the policy's bounds at that time unless the target is left alone
// (rules zero and delegated) or paused.
func Decide(p Policy, in Input) Decision {
	d := draft{policy: p, in: in, proposal: in.Replicas, proposed: in.Replicas}
	d.recall()
	d.hear()
	d.apply()
	return d.decision()
}

// apply applies the rules: each takes the last proposal and leaves the next one, with a Reason for each change and each
// veto. This is the only place where their order is written down.
func (d *draft) apply() {
	switch {
	case d.policy.Strategy != KPA && d.policy.Strategy != APA:
		d.delegated()
		return
	case d.foreignZero():
		d.zero()
		d.pause()
		return
	case len(d.votes) == 0:
		d.missing()
	case d.policy.Strategy == KPA:
		d.panicTest()
		d.need()
		d.tolerance()
		d.starting()
		d.incomplete()
		d.rate()
		d.activation()
		d.panicHold()
		d.remember()
		d.downDelay()
		d.upDelay()
	default:
		d.need()
		d.tolerance()
		d.starting()
		d.incomplete()
		d.rate()
		d.remember()
		d.downDelay()
		d.upDelay()
	}
	d.schedule()
	d.bounds()
	d.capacity()
	d.pause()
}

// draft is a decision in the making: what the rules read, and the chain that they extend.
type draft struct {
	policy   Policy
	in       Input
	past     History   // in.History as far back as it matters
	active   *Schedule // the schedule in effect; nil: none
	votes    []vote
	absences []absence

	proposal int32 // the last proposal
	reasons  []Reason

	panic    panicMemory
	start    startMemory
	known    bool  // the proposal was made from data; only then will the delays remember it
	proposed int32 // the proposal that the delays will remember
}

// recall reads from the history what the rules need to know of it.
func (d *draft) recall() {
	d.past = d.in.History.after(d.in.At.Add(-d.policy.Memory()))
	d.panic = d.recallPanic()
	d.start = d.recallStart()
	d.active = d.policy.active(d.in.At)
}

// add extends the chain by one step, from the last proposal to r.To.
func (d *draft) add(r Reason) {
	if d.reasons == nil {
		d.reasons = make([]Reason, 0, 2) // most decisions have one or two
	}
	r.From, d.proposal = d.proposal, r.To
	d.reasons = append(d.reasons, r)
}

// ready is the ready pods as rates, ratios and thresholds count them: none counts as one.
func (d *draft) ready() int32 { return max(1, d.in.Ready) }

func (d *draft) decision() Decision {
	from, to := d.in.Replicas, d.proposal
	last := &d.reasons[len(d.reasons)-1]
	since := d.in.At
	if prev := d.past.newest(); to == from && prev.Rule == last.Rule && prev.To == to {
		since = prev.Since
	}
	if last.Since.IsZero() && to == from {
		last.Since = since
	}
	return Decision{
		At: d.in.At, From: from, To: to, Verdict: verdict(from, to), Reasons: d.reasons,
		Entry: Entry{
			At: d.in.At, From: from, Ready: d.in.Ready,
			Proposal: d.proposed, Known: d.known,
			PanicSince: d.panic.since, PanicMax: d.panic.max,
			StartSince: d.start.since, StartSeen: d.start.seen, StartFrom: d.start.from,
			To:     to,
			ToZero: from == 0 && d.in.History.newest().leftAtZero() || from > 0 && to == 0,
			ZeroAt: d.zeroAt(),
			Rule:   last.Rule, Since: since,
		},
	}
}

func verdict(from, to int32) Verdict {
	switch {
	case to > from:
		return ScaleUp
	case to < from:
		return ScaleDown
	}
	return Hold
}

// delegated leaves the count to somebody else.
func (d *draft) delegated() {
	d.known = false
	d.add(Reason{Rule: RuleDelegated, To: d.proposal})
}

// count is x as a number of replicas: at least 0, saturating instead of overflowing, 0 for NaN.
func count(x float64) int32 {
	switch {
	case x >= math.MaxInt32:
		return math.MaxInt32
	case x > 0:
		return int32(x)
	}
	return 0
}

func finite(x float64) bool { return !math.IsNaN(x) && !math.IsInf(x, 0) }

// seen is when something of that age was; the zero time when the age is negative, which means never.
func seen(at time.Time, age time.Duration) time.Time {
	if age < 0 {
		return time.Time{}
	}
	return at.Add(-age)
}
