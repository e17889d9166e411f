package decider

import "time"

// Next says when the count can change next if neither the load nor the pods do, and which rule holds it until then. It is
// empty when no rule holds anything back: then any decision may change the count as soon as its input does. A rule without a
// time is one that waits for something other than time to pass: for people (pause, zero), for another controller
// (delegated), for data (no-data, incomplete), for pods (rate) or for room (capacity).
//
// The time is the earliest Until among the reasons, if one of the rules panic, down-delay, up-delay, starting and schedule
// held something back; a panic that holds nothing itself counts too if another rule does, since its end may lower what that
// rule holds. Until then the same input leads to the same count, for decisions at most 30 s apart, unless a schedule that has
// no reason yet begins or ends. At that time, or at the first decision after it, the count changes or there is another Next.
// Next is At itself when the time is up and the next decision is the first one after it.
func (d Decision) Next() (at time.Time, rule Rule) {
	r := d.hold()
	return r.Until, r.Rule
}

// hold is the reason that Next speaks of; the zero Reason when nothing is held.
func (d Decision) hold() Reason {
	var held, next Reason
	for _, r := range d.Reasons {
		if r.Rule == RulePause && (r.Case == CaseAll || r.Case == CaseReplicas) {
			return Reason{Rule: r.Rule, Case: r.Case}
		}
		if r.holds() {
			held = r
		}
		if r.Until.IsZero() || !next.Until.IsZero() && !r.Until.Before(next.Until) {
			continue
		}
		if next = r; r.Rule == RuleNeed || r.Rule == RuleSteady {
			next.Rule = RulePanic
		}
	}
	if held.Rule == "" || next.Rule == "" {
		return held
	}
	return next
}

// holds says whether the count would be another one without the cause of r, other than the load.
func (r Reason) holds() bool {
	switch r.Rule {
	case RulePanic, RuleUpDelay, RuleDownDelay, RuleStarting, RuleCapacity:
		return r.From != r.To
	case RuleRate, RuleSchedule, RuleIncomplete, RuleNoData, RulePause, RuleZero, RuleDelegated:
		return true
	}
	return false
}

// Outlook says in one line when the count can change next.
func (d Decision) Outlook() string { return "next change: " + d.hold().outlook(d.At) }

func (r Reason) outlook(now time.Time) string {
	if !r.Until.IsZero() {
		at, what := clock(r.Until), string(r.Rule)
		if r.Until.Sub(now) < 24*time.Hour {
			at = r.Until.UTC().Format("15:04:05Z")
		}
		if r.Rule == RuleSchedule {
			what += " " + r.Schedule
		}
		return "at " + at + " at the earliest, when " + what + " is over, unless load or pods change first"
	}
	switch r.Rule {
	case RuleRate:
		if r.Case == CaseDown {
			return "when fewer pods are ready"
		}
		return "when more pods are ready"
	case RulePause:
		return "when " + r.pausedBy() + " is taken away"
	case RuleZero:
		return "when the target is scaled to 1 or more"
	case RuleDelegated:
		return "when the HorizontalPodAutoscaler makes one"
	case RuleNoData:
		return "when there are data again"
	case RuleIncomplete:
		return "with more load, or when the missing data are there"
	case RuleCapacity:
		if r.Case == CaseQuota {
			return "when the ResourceQuota " + r.Quota + " admits more, or with less load"
		}
		return "when no pod is unschedulable, or with less load"
	}
	return "with any decision, if the load changes"
}
