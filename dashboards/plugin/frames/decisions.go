package frames

import (
	"fmt"
	"strings"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/data"

	decisionv1 "github.com/flyball/flyball/api/decision/v1"
)

// Decisions is history, a row for each decision, in the order given.
func Decisions(all []*decisionv1.Decision, page string) *data.Frame {
	type d = *decisionv1.Decision
	f := table("decisions",
		column("time", all, func(d d) *time.Time { return moment(d.GetAt()) }),
		column("namespace", all, d.GetNamespace),
		column("name", all, d.GetName),
		column("from", all, d.GetFrom),
		column("to", all, d.GetTo),
		column("verdict", all, func(d d) *string { return verdict(d.GetVerdict()) }),
		column("rule", all, func(d d) *string { return text(binding(d).GetRule()) }),
		column("why", all, func(d d) *string { return text(binding(d).GetBecause()) }),
		column("chain", all, func(d d) string { return chain(d) }),
		column("applied", all, func(d d) *bool { return given(d.GetOutcome() != nil, d.GetOutcome().GetApplied()) }),
		column("outcome", all, func(d d) *string { return text(outcome(d.GetOutcome())) }),
		linked(column("id", all, func(d d) *string { return text(d.GetId()) }), page),
	)
	return f
}

// chain is the rules in their order, each with the count that it left.
func chain(d *decisionv1.Decision) string {
	var b strings.Builder
	for _, r := range d.GetReasons() {
		fmt.Fprintf(&b, "%s %d → %d; ", r.GetRule(), r.GetFrom(), r.GetTo())
	}
	return strings.TrimSuffix(b.String(), "; ")
}

// outcome is what became of a decision, in a few words; empty when that is not known.
func outcome(o *decisionv1.Outcome) string {
	switch {
	case o.GetApplied():
		return "applied"
	case o.GetDetail() != "":
		return o.GetWhy() + ": " + o.GetDetail()
	}
	return o.GetWhy()
}

// Annotations are the scale events among decisions: those that wanted another count. What was not written says so.
func Annotations(all []*decisionv1.Decision) *data.Frame {
	type d = *decisionv1.Decision
	var events []d
	for _, e := range all {
		if e.GetTo() != e.GetFrom() {
			events = append(events, e)
		}
	}
	f := table("annotations",
		column("time", events, func(d d) *time.Time { return moment(d.GetAt()) }),
		column("title", events, title),
		column("text", events, func(d d) string { return binding(d).GetRule() + ": " + binding(d).GetBecause() }),
		column("tags", events, func(d d) string {
			return strings.Join([]string{d.GetNamespace(), d.GetName(), *verdict(d.GetVerdict()), binding(d).GetRule()}, ",")
		}),
		column("id", events, func(d d) *string { return text(d.GetId()) }),
	)
	f.Meta.DataTopic = data.DataTopicAnnotations
	return f
}

func title(d *decisionv1.Decision) string {
	w := who(d.GetNamespace(), d.GetName())
	if d.GetOutcome().GetApplied() {
		return fmt.Sprintf("%s %d → %d", w, d.GetFrom(), d.GetTo())
	}
	why := outcome(d.GetOutcome())
	if why == "" {
		why = "no outcome written down"
	}
	return fmt.Sprintf("%s wanted %d instead of %d; not written: %s", w, d.GetTo(), d.GetFrom(), why)
}
