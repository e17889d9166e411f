package cli

import (
	"math"
	"strconv"
	"time"

	"k8s.io/apimachinery/pkg/util/duration"

	decisionv1 "github.com/flyball/flyball/api/decision/v1"
	"github.com/flyball/flyball/decider"
)

// why is why an autoscaler has the replicas it has, in one phrase: what is wrong, or the rule that had the last word.
func why(a *decisionv1.Autoscaler) string {
	if trouble := trouble(a); trouble != "" {
		return trouble
	}
	return whyDecided(a.GetDecision())
}

// trouble is what kept the last turn from a decision, or the decision from being written; empty when nothing did.
func trouble(a *decisionv1.Autoscaler) string {
	switch {
	case a.GetError() != "":
		return "error: " + a.GetError()
	case a.GetDecision() == nil:
		return "no decision yet"
	}
	return unwritten(a.GetDecision())
}

func whyDecided(d *decisionv1.Decision) string {
	if s := unwritten(d); s != "" {
		return s
	}
	reasons := d.GetReasons()
	if len(reasons) == 0 {
		return ""
	}
	return sentence(reasons[len(reasons)-1])
}

func sentence(r *decisionv1.Reason) string { return r.GetRule() + ": " + r.GetBecause() }

// unwritten says why a decision was not written that should have been.
func unwritten(d *decisionv1.Decision) string {
	switch o := d.GetOutcome(); o.GetWhy() {
	case decider.Contested, decider.Conflict, decider.TargetGone, decider.Refused, decider.Unreachable:
		if o.GetDetail() == "" {
			return o.GetWhy()
		}
		return o.GetWhy() + ": " + o.GetDetail()
	}
	return ""
}

// problem is what somebody should look after: trouble, or data that are missing; empty when all is well.
func problem(a *decisionv1.Autoscaler) string {
	if trouble := trouble(a); trouble != "" {
		return trouble
	}
	for _, r := range a.GetDecision().GetReasons() {
		switch decider.Rule(r.GetRule()) {
		case decider.RuleNoData, decider.RuleIncomplete:
			return sentence(r)
		case decider.RuleNeed, decider.RuleSteady:
			if len(r.GetAbsent()) > 0 {
				return sentence(r)
			}
		}
	}
	return ""
}

// asking is the reason with the windows' need; nil when the windows asked for nothing.
func asking(a *decisionv1.Autoscaler) *decisionv1.Reason {
	for _, r := range a.GetDecision().GetReasons() {
		switch decider.Rule(r.GetRule()) {
		case decider.RuleNeed, decider.RuleSteady:
			if r.Window != nil && r.Window.Value != nil && r.GetTarget() > 0 {
				return r
			}
		}
	}
	return nil
}

// perPod is the load of the source that decided as its target counts it: per ready pod, unless it is an average already.
func perPod(r *decisionv1.Reason, in *decisionv1.Inputs) float64 {
	if r.GetTargetType() == string(decider.Value) {
		return r.GetWindow().GetValue()
	}
	return r.GetWindow().GetValue() / float64(max(1, in.GetReady()))
}

// loadRatio is load over target on the ready pods, 1 on target; false when nothing usable was measured.
func loadRatio(a *decisionv1.Autoscaler) (float64, bool) {
	r := asking(a)
	if r == nil {
		return 0, false
	}
	return perPod(r, a.GetInputs()) / r.GetTarget(), true
}

// coverage is the least of the sources' stable windows, 0 to 1, and oldest how long the longest-silent source or pod has been
// silent; false when there is no window, and no sample.
func coverage(a *decisionv1.Autoscaler) (least float64, oldest time.Duration, measured, sampled bool) {
	least = 1
	for _, s := range a.GetInputs().GetSources() {
		w := s.GetStable()
		if w == nil {
			continue
		}
		measured = true
		least = min(least, w.GetCoverage())
		if w.NewestAge != nil {
			sampled = true
			oldest = max(oldest, w.GetNewestAge().AsDuration(), w.GetSilentFor().AsDuration())
		}
	}
	return least, oldest, measured, sampled
}

// panicLeft is how long the panic lasts if nothing changes; false when there is none.
func panicLeft(d *decisionv1.Decision) (time.Duration, bool) {
	for _, r := range d.GetReasons() {
		switch decider.Rule(r.GetRule()) {
		case decider.RuleNeed, decider.RuleSteady, decider.RulePanic:
			if r.Until != nil {
				return max(0, r.GetUntil().AsTime().Sub(d.GetAt().AsTime())), true
			}
		}
	}
	return 0, false
}

// age is how old something is by the server's clock, which is given in whole seconds.
func age(at, now time.Time) string { return duration.HumanDuration(max(0, now.Sub(at))) }

// number has four digits, or all of those before the point.
func number(x float64) string {
	if a := math.Abs(x); a >= 1000 && a < 1e15 {
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	return strconv.FormatFloat(x, 'g', 4, 64)
}

func count(n int32) string { return strconv.Itoa(int(n)) }
