package actuator

import (
	"math"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flyball/flyball/decider"
)

// troubles are what may be wrong with a source's window, worst first, and how the message names them.
var troubles = []struct{ reason, words string }{
	{SignalsError, "can't be evaluated"},
	{SignalsMissing, "no samples at all"},
	{SignalsStale, "no recent samples"},
	{SignalsSilent, "none from some pods"},
	{NoPods, "no pods to come from"},
}

// signalsFresh has the worst reason of all sources, and names every source that has one. Where all that is missing are
// pods, it is Unknown: nothing is wrong with the source.
func signalsFresh(prev metav1.Condition, t Turn) metav1.Condition {
	if c, ok := unlooked(SignalsFresh, t); ok {
		return c
	}
	switch {
	case t.Policy.Strategy == decider.HPA:
		return metav1.Condition{
			Type: SignalsFresh, Status: metav1.ConditionUnknown, Reason: Delegated,
			Message: "not looked at, since a native HorizontalPodAutoscaler reads the metrics",
		}
	case !t.decided():
		return prev
	}
	bad := map[string][]string{}
	for _, s := range t.Policy.Sources {
		if why := trouble(s, t.Input.Windows); why != "" {
			bad[why] = append(bad[why], s.Name)
		}
	}
	c := metav1.Condition{Type: SignalsFresh, Status: metav1.ConditionTrue, Reason: AsExpected, Message: "every source has a recent value"}
	var texts []string
	for _, t := range troubles {
		if len(bad[t.reason]) == 0 {
			continue
		}
		if len(texts) == 0 {
			c.Status, c.Reason = metav1.ConditionFalse, t.reason
			if t.reason == NoPods {
				c.Status = metav1.ConditionUnknown
			}
		}
		texts = append(texts, t.words+": "+strings.Join(bad[t.reason], ", "))
	}
	if len(texts) > 0 {
		c.Message = strings.Join(texts, "; ")
	}
	return c
}

// trouble is what is wrong with the source's window; empty when nothing is.
func trouble(s decider.Source, all []decider.SourceWindows) string {
	at := slices.IndexFunc(all, func(w decider.SourceWindows) bool { return w.Key == s.Key })
	if at < 0 {
		return SignalsError
	}
	w := all[at]
	switch {
	case w.Error != "", math.IsNaN(w.Stable.Value), math.IsInf(w.Stable.Value, 0):
		return SignalsError
	case w.Stable.State == decider.NoPods:
		return NoPods
	case w.Stable.State == decider.Stale:
		return SignalsStale
	case w.Stable.State != decider.Fresh:
		return SignalsMissing
	case w.Stable.Silent > 0:
		return SignalsSilent
	}
	return ""
}
