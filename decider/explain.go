package decider

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// Explain says the whole decision in plain sentences: one line for what was decided, then one for each reason. It is
// the only rendering: CLI, status, events, gRPC and the page all show it.
func (d Decision) Explain() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d → %d %s at %s\n", d.From, d.To, d.Verdict, clock(d.At))
	for _, r := range d.Reasons {
		fmt.Fprintf(&b, "  %s\n", r)
	}
	return b.String()
}

// String is the rule and its sentence.
func (r Reason) String() string { return string(r.Rule) + ": " + r.Because() }

// Because says the reason in one plain sentence, with its numbers and units.
func (r Reason) Because() string {
	say, ok := sentences[r.Rule]
	if !ok {
		return fmt.Sprintf("%d → %d", r.From, r.To)
	}
	return say(r)
}

var sentences = map[Rule]func(Reason) string{
	RuleNeed:       Reason.need,
	RuleSteady:     Reason.need,
	RuleNoData:     func(r Reason) string { return fmt.Sprintf("hold at %d: ", r.To) + r.absence() },
	RuleIncomplete: func(r Reason) string { return r.instead() + r.absence() + "; what is missing never lowers" },
	RuleTolerance:  Reason.tolerance,
	RuleRate:       Reason.rate,
	RuleActivation: func(r Reason) string {
		return r.instead() + fmt.Sprintf("with any load at all there are at least %d (activation scale)", r.To)
	},
	RulePanic:     Reason.panic,
	RuleUpDelay:   func(r Reason) string { return r.delay("more") },
	RuleDownDelay: func(r Reason) string { return r.delay("fewer") },
	RuleStarting:  Reason.starting,
	RuleCapacity:  Reason.capacity,
	RuleSchedule:  Reason.schedule,
	RuleBounds:    Reason.bounds,
	RulePause:     Reason.pause,
	RuleZero: func(r Reason) string {
		return "left at 0: flyball did not scale it to zero; scale it to 1 or more to hand it back" + r.held()
	},
	RuleDelegated: func(r Reason) string {
		return fmt.Sprintf("left at %d: a native HorizontalPodAutoscaler decides", r.To) + r.held()
	},
}

// instead begins a sentence about a change of the proposal.
func (r Reason) instead() string {
	if r.From == r.To {
		return fmt.Sprintf("hold at %d: ", r.To)
	}
	return fmt.Sprintf("%d instead of %d: ", r.To, r.From)
}

// held ends a sentence about a hold that has lasted.
func (r Reason) held() string {
	if r.Since.IsZero() {
		return ""
	}
	return " (since " + clock(r.Since) + ")"
}

func (r Reason) need() string {
	as := ""
	if r.Rule == RuleSteady {
		as = ", as many as there are" + r.held()
	}
	return fmt.Sprintf("%s asks for %d%s: ", r.Source, r.To, as) + r.load() + "; " + r.reporting() + r.without()
}

// without names the sources that have no say, with what is wrong.
func (r Reason) without() string {
	if len(r.Absent) == 0 {
		return ""
	}
	have, names := "have", make([]string, len(r.Absent))
	if int(r.Sources)-len(names) == 1 {
		have = "has"
	}
	for i, a := range r.Absent {
		names[i] = a.String()
	}
	return fmt.Sprintf("; %d of %d sources %s data; no data from ", int(r.Sources)-len(names), r.Sources, have) + strings.Join(names, ", from ")
}

// String says which source it is and what is wrong with it, in a few words.
func (a Absence) String() string {
	what := "no sample as far back as was looked"
	switch {
	case a.Case == CaseError:
		what = a.Detail
	case a.Case == CaseNotNumber:
		what = "not a finite number"
	case a.Case == CaseNoPods:
		what = "no pods to come from"
	case a.Age >= 0:
		what = "no sample for " + span(a.Age)
	}
	return a.Source + ": " + what
}

// load is what the window measured, against what.
func (r Reason) load() string {
	w := r.Window
	if w == nil {
		return "no window"
	}
	window := fmt.Sprintf("%s over %s (%s window)", number(w.Value), span(w.Range), r.Case)
	if r.TargetType == Value {
		return window + fmt.Sprintf(" on %s pods, against a target of %s", number(math.Max(1, w.MeanReady)), number(r.Target))
	}
	return window + fmt.Sprintf(" at %s per pod", number(r.Target))
}

func (r Reason) reporting() string {
	w := r.Window
	if w == nil {
		return "nothing reporting"
	}
	who := fmt.Sprintf("%d of %d exporters reporting", w.Reporting, w.Expected)
	if w.NewestAge >= 0 {
		who += ", newest sample " + span(w.NewestAge) + " old"
	}
	return who
}

// absence says what is wrong with a source's data.
func (r Reason) absence() string {
	w := Window{NewestAge: -1}
	if r.Window != nil {
		w = *r.Window
	}
	switch r.Case {
	case CaseNoSource:
		return "there is no source to ask" + r.held()
	case CaseError:
		return fmt.Sprintf("%s could not be evaluated%s: %s", r.Source, r.held(), r.Detail)
	case CaseNotNumber:
		return fmt.Sprintf("%s over %s is not a finite number%s; %s", r.Source, span(w.Range), r.held(), r.reporting())
	case CaseNoPods:
		return r.noPods() + r.held()
	case CaseSilent:
		return fmt.Sprintf("%d of %d exporters silent on %s, the longest for %s%s", w.Silent, w.Expected, r.Source, span(w.SilentFor), r.held())
	case CaseCoverage:
		return fmt.Sprintf("only %s of the samples of %s over %s are there, less than %s%s",
			percent(w.Coverage), r.Source, span(w.Range), percent(r.Limit), r.held())
	}
	what := r.Source + " has had no sample as far back as was looked"
	if w.NewestAge >= 0 {
		what = r.Source + " has had no sample for " + span(w.NewestAge)
	}
	return what + r.held() + "; " + answering(w)
}

func answering(w Window) string {
	if w.Answering > 0 && w.Reporting == 0 {
		return fmt.Sprintf("%d of %d exporters answer but none exports it: check targetMetric", w.Answering, w.Expected)
	}
	return fmt.Sprintf("%d of %d exporters answer", w.Answering, w.Expected)
}

func (r Reason) noPods() string {
	switch {
	case r.To == 0:
		return r.Source + " has no pods to come from: the target is at 0"
	case r.Ready == 0 && r.Starting > 0:
		return fmt.Sprintf("%s has no pods to come from: all %d are still starting", r.Source, r.Starting)
	case r.Ready == 0:
		return fmt.Sprintf("%s has no pods to come from: %d wanted, none there", r.Source, r.To)
	}
	return fmt.Sprintf("%s has no pods to come from yet: %d are ready", r.Source, r.Ready)
}

func (r Reason) tolerance() string {
	side := "above"
	if r.Ratio < 1 {
		side = "below"
	}
	at := fmt.Sprintf("%s is at %s of its target on %s", r.Source, percent(r.Ratio), readyPods(r.Ready))
	if r.Case == CaseAgainst {
		return r.instead() + at + ", and " + side + " target never moves the count the other way" + r.held()
	}
	return r.instead() + at + ", and up to " + percent(r.Limit) + " " + side + " changes nothing" + r.held()
}

func (r Reason) rate() string {
	ready := float64(r.Ready)
	if r.Case == CaseUp {
		s := fmt.Sprintf("one decision raises at most to %s times the %s", number(r.Limit), readyPods(r.Ready))
		if float64(r.To) > math.Ceil(r.Limit*ready) {
			s += fmt.Sprintf(", but does not lower the %d there are", r.To)
		}
		return r.instead() + s + r.held()
	}
	s := fmt.Sprintf("one decision lowers at most to the %s over %s", readyPods(r.Ready), number(r.Limit))
	if float64(r.To) < math.Floor(ready/r.Limit) {
		s += fmt.Sprintf(", but does not raise the %d there are", r.To)
	}
	return r.instead() + s + r.held()
}

func (r Reason) panic() string {
	switch r.Case {
	case CaseEnter:
		return fmt.Sprintf("entered: the panic window of %s asks for %s times the %s, and panic begins at %s times; nothing is lowered before %s",
			r.Source, number(r.Ratio), readyPods(r.Ready), number(r.Limit), clock(r.Until))
	case CaseStart:
		return r.instead() + fmt.Sprintf("there is no history, so nothing is lowered before %s", clock(r.Until))
	}
	return r.instead() + fmt.Sprintf("nothing is lowered within %s of a panic or of a start without history (%s), so until %s",
		span(r.Delay), clock(r.Since), clock(r.Until))
}

func (r Reason) delay(asked string) string {
	return fmt.Sprintf("%d instead of %d until %s: %s must be asked for throughout %s, and have been asked for since %s",
		r.To, r.From, clock(r.Until), asked, span(r.Delay), clock(r.Since))
}

func (r Reason) bounds() string {
	switch r.Case {
	case CaseMax:
		return r.instead() + fmt.Sprintf("maxReplicas is %d", r.To) + r.held()
	case CaseWake:
		return r.instead() + "minReplicas is 0, but no source has values while there are no pods, so none could wake it again" + r.held()
	}
	return r.instead() + fmt.Sprintf("minReplicas is %d", r.To) + r.held()
}

// number has at most three decimals, or three digits if it is small.
func number(x float64) string {
	switch a := math.Abs(x); {
	case a >= 1e9 || a > 0 && a < 1:
		return strconv.FormatFloat(x, 'g', 3, 64)
	case a >= 1e4:
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	s := strconv.FormatFloat(x, 'f', 3, 64)
	return strings.TrimRight(strings.TrimRight(s, "0"), ".")
}

// percent is rounded down to a tenth, so that what is less than a limit does not look equal to it.
func percent(x float64) string { return number(math.Floor(x*1000+1e-6)/10) + "%" }

// span is a duration: tenths of a second below ten seconds, else whole seconds.
func span(d time.Duration) string {
	if d.Abs() < 10*time.Second {
		return strconv.FormatFloat(d.Round(100*time.Millisecond).Seconds(), 'f', -1, 64) + "s"
	}
	s := d.Round(time.Second).String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

func readyPods(n int32) string {
	if n == 1 {
		return "1 ready pod"
	}
	return fmt.Sprintf("%d ready pods", n)
}

// clock is a time with its date, in UTC: a hold may be days old.
func clock(t time.Time) string { return t.UTC().Format(time.RFC3339) }
