package loop

import (
	"context"
	"time"

	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/query"
)

// windows evaluates each source of the autoscaler. A source that can't be evaluated is a window with an error, so that
// the decider knows it as missing and the other sources still speak.
func (l *Loop) windows(ctx context.Context, a Autoscaler, t time.Time) []decider.SourceWindows {
	ranges := []time.Duration{a.Policy.ObserveWindow}
	if a.Policy.Strategy == decider.KPA {
		ranges = append(ranges, a.Policy.PanicWindow)
	}
	out := make([]decider.SourceWindows, len(a.Sources))
	for i, b := range a.Sources {
		out[i].Key = a.Policy.Sources[i].Key
		ws, err := l.Windows.Windows(ctx, b, t, ranges...)
		if err != nil {
			out[i].Error = err.Error()
			continue
		}
		out[i].Stable = window(ws[0])
		if len(ws) > 1 {
			out[i].Panic = window(ws[1])
		}
	}
	return out
}

// window carries a fact over to judgement: the two leaves don't know each other.
func window(w query.Window) decider.Window {
	return decider.Window{
		Range: w.Range, Value: w.Value, At: w.At,
		State: decider.State(w.State), NewestAge: w.NewestAge, Coverage: w.Coverage,
		Expected: w.Expected, Reporting: w.Reporting, Answering: w.Answering,
		Silent: w.Silent, SilentFor: w.SilentFor, MeanReady: w.MeanReady,
	}
}
