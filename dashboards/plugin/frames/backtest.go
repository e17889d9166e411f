package frames

import (
	"fmt"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/data"

	decisionv1 "github.com/flyball/flyball/api/decision/v1"
)

// Backtest is the past as it was and as it would have been, as two series, and the decisions that would have changed the count.
func Backtest(r *decisionv1.BacktestResponse, namespace, name, page string) data.Frames {
	var was, to series
	gap := widest(r.GetSteps())
	for i, s := range r.GetSteps() {
		at := s.GetAt().AsTime()
		if i > 0 {
			if last := r.GetSteps()[i-1].GetAt().AsTime(); at.Sub(last) > gap {
				hole := last.Add(gap) // nothing is known of the pods in between
				was.add(hole, nil)
				to.add(hole, nil)
			}
		}
		was.add(at, count(s.GetWas()))
		to.add(at, count(s.GetTo()))
	}
	first := was.frame("was", namespace, name, "as it was")
	first.AppendNotices(summary(r)...)
	changes := Decisions(r.GetDecisions(), page)
	changes.Name = "changes"
	return data.Frames{first, to.frame("to", namespace, name, "as it would have been"), changes}
}

// widest is how far apart two steps may be that have none missing between them: one and a half times the nearest two.
func widest(steps []*decisionv1.BacktestStep) time.Duration {
	least := time.Duration(0)
	for i := 1; i < len(steps); i++ {
		if d := steps[i].GetAt().AsTime().Sub(steps[i-1].GetAt().AsTime()); least == 0 || d < least {
			least = d
		}
	}
	return least + least/2
}

// summary is the difference in replica-hours, and what it does not know.
func summary(r *decisionv1.BacktestResponse) []data.Notice {
	was, would := r.GetWasReplicaSeconds()/3600, r.GetReplicaSeconds()/3600
	line := fmt.Sprintf("%.3g replica-hours instead of %.3g: %+.3g", would, was, would-was)
	if was > 0 {
		line += fmt.Sprintf(", %+.1f %%", 100*(would-was)/was)
	}
	out := []data.Notice{{Severity: data.NoticeSeverityInfo, Text: line + ". The load is taken as it was."}}
	if n := r.GetUnknownSteps(); n > 0 {
		out = append(out, data.Notice{Severity: data.NoticeSeverityWarning, Text: fmt.Sprintf(
			"%d steps are left out: nothing is stored of the pods at those times", n)})
	}
	if len(r.GetSteps()) == 0 {
		out = append(out, data.Notice{Severity: data.NoticeSeverityWarning, Text: "no step could be decided again in this range; choose one in which flyball ran"})
	}
	return out
}
