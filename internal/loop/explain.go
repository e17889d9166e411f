package loop

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"github.com/flyball/flyball/decider"
)

// String says the explanation in plain words: the decision as decider.Decision.Explain says it, what became of it,
// how long it has held, when it can change, and what it was made from.
func (e Explanation) String() string {
	rec := e.Record
	d, in := rec.Decision, rec.Input
	var b strings.Builder
	fmt.Fprintf(&b, "%s/%s (%s %s), decision %s\n", rec.Namespace, rec.Name, rec.Target.Kind, rec.Target.Name, rec.ID)
	b.WriteString(d.Explain())
	fmt.Fprintf(&b, "outcome: %s\n", outcome(d.Entry.Outcome))
	asOf := ""
	if e.Last.After(d.At) { // the numbers of those since are not known any more
		asOf = ", as of " + clock(d.At)
	}
	outlook, _ := strings.CutPrefix(d.Outlook(), "next change: ")
	b.WriteString(e.since() + "next change" + asOf + ": " + outlook + "\n")
	fmt.Fprintf(&b, "inputs"+asOf+": %d replicas, %d ready, %d starting, %d unschedulable\n", in.Replicas, in.Ready, in.Starting, in.Unschedulable)
	for i, w := range in.Windows {
		name := w.Key
		if i < len(rec.Policy.Sources) {
			name = rec.Policy.Sources[i].Name
		}
		if w.Error != "" {
			fmt.Fprintf(&b, "  %s: %s\n", name, w.Error)
			continue
		}
		fmt.Fprintf(&b, "  %s, stable window: %s\n", name, measured(w.Stable))
		if rec.Policy.Strategy == decider.KPA {
			fmt.Fprintf(&b, "  %s, panic window: %s\n", name, measured(w.Panic))
		}
	}
	least, most, schedule, until := rec.Policy.BoundsAt(d.At)
	fmt.Fprintf(&b, "bounds: minReplicas %d, maxReplicas %d", least, most)
	if schedule != "" {
		b.WriteString(", by schedule " + schedule)
	}
	if !until.IsZero() {
		b.WriteString(" until " + clock(until))
	}
	b.WriteString("\n")
	for _, w := range e.Without {
		fmt.Fprintf(&b, "  without %s %d: %d\n", w.Bound, w.Value, w.To)
	}
	return b.String()
}

// since says how long the decision has held.
func (e Explanation) since() string {
	at := clock(e.First)
	switch {
	case !e.All:
		return fmt.Sprintf("since %s; any decision after it, up to the time asked for, said the same; they are no longer counted\n", at)
	case e.Same == 0:
		return "since " + at + "; no decision since\n"
	case e.Same == 1:
		return fmt.Sprintf("since %s; 1 decision since said the same, at %s\n", at, clock(e.Last))
	}
	return fmt.Sprintf("since %s; %d decisions since said the same, the last at %s\n", at, e.Same, clock(e.Last))
}

// outcome says what became of a decision.
func outcome(o decider.Outcome) string {
	if o.Applied {
		return fmt.Sprintf("applied at %s, %d → %d", clock(o.At), o.Was, o.Now)
	}
	why := map[string]string{
		"":                "none written down: the write was under way, or flyball was stopped during it",
		decider.Unchanged: decider.Unchanged + ": there was nothing to write",
		decider.Advised:   decider.Advised + ": shown, not written",
		decider.NotLeader: decider.NotLeader + ": another instance writes",
	}
	s, ok := why[o.Why]
	if !ok {
		s = o.Why
	}
	if o.Detail != "" {
		s += ": " + o.Detail
	}
	return s
}

// measured says what a window measured, from whom, and how fresh and whole that is.
func measured(w decider.Window) string {
	s := "no value"
	if w.State == decider.Fresh || w.State == decider.Stale {
		s = number(w.Value)
	}
	s += " over " + span(w.Range)
	if w.State != decider.Fresh {
		s += " (" + string(w.State) + ")"
	}
	if w.NewestAge < 0 {
		s += ", no sample"
	} else {
		s += ", newest sample " + span(w.NewestAge) + " old"
	}
	return s + fmt.Sprintf(", coverage %s%%, %d of %d exporters reporting",
		number(math.Floor(w.Coverage*1000+1e-6)/10), w.Reporting, w.Expected)
}

// number has four digits, or all of those before the point.
func number(x float64) string {
	if a := math.Abs(x); a >= 1000 && a < 1e15 {
		return strconv.FormatFloat(x, 'f', 0, 64)
	}
	return strconv.FormatFloat(x, 'g', 4, 64)
}

// span is a duration: tenths of a second below ten seconds, else whole seconds.
func span(d time.Duration) string {
	if d < 10*time.Second {
		return strconv.FormatFloat(d.Round(100*time.Millisecond).Seconds(), 'f', -1, 64) + "s"
	}
	return model.Duration(d.Round(time.Second)).String()
}

func clock(t time.Time) string { return t.UTC().Format(time.RFC3339) }
