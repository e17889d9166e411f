package frames

import (
	"fmt"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/data"

	decisionv1 "github.com/flyball/flyball/api/decision/v1"
)

// Explanation is why a count is what it is: the chain of rules, what the sources had measured, and the pods as they were.
func Explanation(e *decisionv1.ExplainResponse, page string) data.Frames {
	type reason = *decisionv1.Reason
	d := e.GetDecision()
	rules := table("chain",
		column("rule", d.GetReasons(), reason.GetRule),
		column("from", d.GetReasons(), reason.GetFrom),
		column("to", d.GetReasons(), reason.GetTo),
		column("because", d.GetReasons(), reason.GetBecause),
		column("source", d.GetReasons(), func(r reason) *string { return r.Source }),
		column("until", d.GetReasons(), func(r reason) *time.Time { return moment(r.GetUntil()) }),
		linked(column("decision", d.GetReasons(), func(reason) *string { return text(d.GetId()) }), page),
	)
	rules.Meta.Custom = map[string]any{"text": e.GetText()}
	rules.AppendNotices(standing(e)...)
	return data.Frames{rules, sources(e.GetInputs().GetSources()), pods(e)}
}

// standing says how long the decision has held, when it can change, and what the bounds changed.
func standing(e *decisionv1.ExplainResponse) []data.Notice {
	d, info := e.GetDecision(), data.NoticeSeverityInfo
	line := fmt.Sprintf("%s: decided at %s", who(d.GetNamespace(), d.GetName()), clock(d.GetAt().AsTime()))
	switch {
	case !e.GetSameComplete():
		line += "; those since then that said the same are no longer counted"
	case e.GetSameCount() > 0:
		line += fmt.Sprintf("; %d since said the same, the last at %s", e.GetSameCount(), clock(e.GetLastTime().AsTime()))
	}
	if o := outcome(d.GetOutcome()); o != "" {
		line += "; " + o
	}
	out := []data.Notice{{Severity: info, Text: line}}
	if e.GetNextChangeTime() != nil {
		out = append(out, data.Notice{Severity: info, Text: fmt.Sprintf(
			"if the load stays as it is, the count can change next at %s (%s)", clock(e.GetNextChangeTime().AsTime()), e.GetNextChangeRule())})
	}
	for _, c := range e.GetCounterfactuals() {
		out = append(out, data.Notice{Severity: info, Text: fmt.Sprintf("without %s %d it would be %d", c.GetBound(), c.GetValue(), c.GetTo())})
	}
	var stale []string
	for _, s := range e.GetInputs().GetSources() {
		if problem := unusable(s); problem != "" {
			stale = append(stale, "source "+s.GetSource()+": "+problem)
		}
	}
	return append(out, Warnings(stale...)...)
}

func clock(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05Z") }

// sources is what the decision was made from, a row for each source.
func sources(all []*decisionv1.SourceWindows) *data.Frame {
	type source = *decisionv1.SourceWindows
	return table("inputs",
		column("source", all, source.GetSource),
		column("stable", all, func(s source) *float64 { return value(s.GetStable()) }),
		column("stable state", all, func(s source) *string { return state(s.GetStable()) }),
		column("panic", all, func(s source) *float64 { return value(s.GetPanic()) }),
		column("panic state", all, func(s source) *string { return state(s.GetPanic()) }),
		unit(column("newest sample", all, func(s source) *float64 { return seconds(s.GetStable().GetNewestAge()) }), "s"),
		unit(column("coverage", all, func(s source) *float64 { return given(s.GetStable() != nil, s.GetStable().GetCoverage()) }), "percentunit"),
		column("expected pods", all, func(s source) *int32 { return given(s.GetStable() != nil, s.GetStable().GetExpected()) }),
		column("reporting pods", all, func(s source) *int32 { return given(s.GetStable() != nil, s.GetStable().GetReporting()) }),
		column("error", all, func(s source) *string { return text(s.GetError()) }),
	)
}

func value(w *decisionv1.Window) *float64 {
	if w == nil {
		return nil
	}
	return w.Value
}

// pods is the target as it was, and the bounds that were in effect, in one row; none when that is not recorded.
func pods(e *decisionv1.ExplainResponse) *data.Frame {
	type in = *decisionv1.Inputs
	var rows []in
	if e.GetInputs() != nil {
		rows = append(rows, e.GetInputs())
	}
	b := e.GetBounds()
	return table("pods",
		column("replicas", rows, in.GetReplicas),
		column("ready", rows, in.GetReady),
		column("starting", rows, in.GetStarting),
		column("unschedulable", rows, in.GetUnschedulable),
		column("min", rows, func(in) *int32 { return given(b != nil, b.GetMinReplicas()) }),
		column("max", rows, func(in) *int32 { return given(b != nil, b.GetMaxReplicas()) }),
		column("schedule", rows, func(in) *string { return text(b.GetSchedule()) }),
		column("quota", rows, func(i in) *string { return text(i.GetQuota().GetName()) }),
		column("quota admits", rows, func(i in) *int32 { return given(i.GetQuota() != nil, i.GetQuota().GetMost()) }),
	)
}
