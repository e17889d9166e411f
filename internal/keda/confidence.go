package keda

import (
	"slices"
	"strconv"

	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/internal/loop"
)

// readConfidence reads a share of samples.
func (t *trigger) readConfidence(text string) error {
	if text == "" {
		return nil
	}
	least, err := strconv.ParseFloat(text, 64)
	if err != nil {
		return t.wrong(keyMinConfidence, "%q is not a number; give one from 0 to 1, such as 0.9", text)
	}
	if !(least >= 0 && least <= 1) { // a NaN is neither
		return t.wrong(keyMinConfidence, "%q is out of range; give a number from 0 to 1, such as 0.9", text)
	}
	t.minConfidence = least
	return nil
}

// confidence is the coverage of the source's stable window: how many of the samples that should be there are. A window
// without a usable value has none.
func confidence(ws decider.SourceWindows) float64 {
	if w := ws.Stable; ws.Error == "" && w.State == decider.Fresh && w.Coverage > 0 { // a NaN is no coverage
		return w.Coverage
	}
	return 0
}

// doubted says that a decision was made from less than minConfidence asks for, and from how much. One that keeps or moves the
// count without data, such as a pause, is not doubted, nor is a source whose pods are not there yet.
func (t trigger) doubted(r loop.Result) (float64, bool) {
	first, last := r.Decision.Reasons[0].Rule, r.Decision.Reasons[len(r.Decision.Reasons)-1].Rule
	if t.minConfidence == 0 || last == decider.RulePause || first != decider.RuleNeed && first != decider.RuleSteady {
		return 1, false
	}
	var all []float64
	for _, ws := range r.Input.Windows {
		if ws.Error != "" || ws.Stable.State != decider.NoPods {
			all = append(all, confidence(ws))
		}
	}
	if len(all) == 0 {
		return 1, false
	}
	least := slices.Min(all)
	if t.mode == load { // each metric has its own; an error here would take the good ones along
		least = slices.Max(all)
	}
	return least, least < t.minConfidence
}
