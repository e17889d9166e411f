package frames

import (
	"fmt"
	"strings"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/data"

	decisionv1 "github.com/flyball/flyball/api/decision/v1"
)

// Autoscalers is how each stands now, a row each. What is not known yet is null.
func Autoscalers(all []*decisionv1.Autoscaler, page string) *data.Frame {
	type pa = *decisionv1.Autoscaler
	inputs := func(count func(*decisionv1.Inputs) int32) func(pa) *int32 {
		return func(a pa) *int32 { return given(a.GetInputs() != nil, count(a.GetInputs())) }
	}
	f := table("autoscalers",
		column("namespace", all, pa.GetNamespace),
		column("name", all, pa.GetName),
		column("target", all, func(a pa) string { return a.GetTarget().GetKind() + " " + a.GetTarget().GetName() }),
		column("strategy", all, pa.GetStrategy),
		column("mode", all, pa.GetMode),
		column("replicas", all, inputs((*decisionv1.Inputs).GetReplicas)),
		column("wanted", all, func(a pa) *int32 { return given(a.GetDecision() != nil, a.GetDecision().GetTo()) }),
		column("ready", all, inputs((*decisionv1.Inputs).GetReady)),
		column("min", all, func(a pa) *int32 { return given(a.GetBounds() != nil, a.GetBounds().GetMinReplicas()) }),
		column("max", all, func(a pa) *int32 { return given(a.GetBounds() != nil, a.GetBounds().GetMaxReplicas()) }),
		column("verdict", all, func(a pa) *string { return verdict(a.GetDecision().GetVerdict()) }),
		column("rule", all, func(a pa) *string { return text(binding(a.GetDecision()).GetRule()) }),
		column("why", all, func(a pa) *string { return text(binding(a.GetDecision()).GetBecause()) }),
		column("error", all, func(a pa) *string { return text(a.GetError()) }),
		column("decided", all, func(a pa) *time.Time { return moment(a.GetDecision().GetAt()) }),
		linked(column("decision", all, func(a pa) *string { return text(a.GetDecision().GetId()) }), page),
	)
	f.Meta.UniqueRowIDFields = []int{0, 1}
	var troubles []string
	for _, a := range all {
		troubles = append(troubles, trouble(a)...)
	}
	f.AppendNotices(Warnings(troubles...)...)
	return f
}

// trouble is what a reader of the numbers must know: that the last turn failed, or that a source has no usable data.
func trouble(a *decisionv1.Autoscaler) []string {
	var out []string
	if a.GetError() != "" {
		out = append(out, fmt.Sprintf("%s: the last turn ended with an error: %s", who(a.GetNamespace(), a.GetName()), a.GetError()))
	}
	for _, s := range a.GetInputs().GetSources() {
		if problem := unusable(s); problem != "" {
			out = append(out, fmt.Sprintf("%s: source %s: %s", who(a.GetNamespace(), a.GetName()), s.GetSource(), problem))
		}
	}
	return out
}

// unusable says why a source's stable window has no usable value; empty when it has one.
func unusable(s *decisionv1.SourceWindows) string {
	w := s.GetStable()
	switch {
	case s.GetError() != "":
		return s.GetError()
	case w.GetState() == decisionv1.WindowState_WINDOW_STATE_STALE && w.GetNewestAge() != nil:
		return fmt.Sprintf("stale: its newest sample is %s old", w.GetNewestAge().AsDuration().Round(100*time.Millisecond))
	case w.GetState() != decisionv1.WindowState_WINDOW_STATE_FRESH && state(w) != nil:
		return strings.ToLower(*state(w))
	}
	return ""
}
