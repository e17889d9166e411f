package actuator

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/decider"
)

// statusEvery is how long a status stands before what changed in its numbers alone is written again.
const statusEvery = 30 * time.Second

// maxHistory is how many changes of the replica count a status holds.
const maxHistory = 5

// Status is the autoscaler's status after the turn: a pure function of the status before and of the turn.
func Status(prev v1alpha1.PodAutoscalerStatus, t Turn) v1alpha1.PodAutoscalerStatus {
	next := *prev.DeepCopy()
	next.ObservedGeneration = t.Autoscaler.Generation
	next.ScheduledBounds = scheduledBounds(t)
	next.Conditions = conditions(prev.Conditions, t)
	switch {
	case len(t.Invalid) > 0 || t.TargetReason != "":
		next.Targets = ""
	case t.decided():
		d := t.Decision
		next.DesiredScale, next.ActualScale = d.To, t.Input.StatusReplicas
		next.Targets = targets(t.Policy, t.Input)
		if t.HPA.involved() {
			next.Targets = t.HPA.targets()
		}
		next.ScalingHistory = remember(prev.ScalingHistory, d)
		if out := d.Entry.Outcome; out.Applied {
			at := seconds(out.At)
			next.LastScaleTime = &at
		}
	}
	return next
}

// scheduledBounds are the bounds in effect; nil where there are no schedules, or no policy to have any.
func scheduledBounds(t Turn) *v1alpha1.ScheduledBoundsStatus {
	if len(t.Policy.Schedules) == 0 {
		return nil
	}
	least, most, schedule, _ := t.Policy.BoundsAt(t.At)
	return &v1alpha1.ScheduledBoundsStatus{ActiveSchedule: schedule, EffectiveMinReplicas: least, EffectiveMaxReplicas: most}
}

// remember adds the change that was made or attempted. A failure that repeats the last entry adds nothing: a decision every
// 2 s would otherwise push out everything else within ten seconds.
func remember(history []v1alpha1.ScalingDecision, d decider.Decision) []v1alpha1.ScalingDecision {
	out := d.Entry.Outcome
	if !out.Applied && !failed(out) {
		return history
	}
	now := v1alpha1.ScalingDecision{
		Timestamp: seconds(d.At), PreviousScale: d.From, NewScale: d.To, Reason: Because(d), Success: out.Applied,
	}
	if !out.Applied {
		now.Error = failureText(out)
	}
	if len(history) > 0 && !out.Applied {
		last := history[len(history)-1]
		if !last.Success && last.PreviousScale == now.PreviousScale && last.NewScale == now.NewScale && why(last.Error) == out.Why {
			return history
		}
	}
	return newest(append(slices.Clone(history), now))
}

func newest(history []v1alpha1.ScalingDecision) []v1alpha1.ScalingDecision {
	return history[max(0, len(history)-maxHistory):]
}

// why is the Outcome.Why that a failureText begins with.
func why(text string) string {
	w, _, _ := strings.Cut(text, ": ")
	return w
}

// targets is each source's value over its target, as kubectl shows an HPA's: per ready pod where the target is per pod. A
// source without usable data has no value.
func targets(p decider.Policy, in decider.Input) string {
	out := make([]string, len(p.Sources))
	for i, s := range p.Sources {
		value := "<unknown>"
		at := slices.IndexFunc(in.Windows, func(w decider.SourceWindows) bool { return w.Key == s.Key })
		if at >= 0 && usable(in.Windows[at]) {
			v := in.Windows[at].Stable.Value
			if s.TargetType != decider.Value {
				v /= float64(max(1, in.Ready))
			}
			value = rounded(v)
		}
		out[i] = value + "/" + strconv.FormatFloat(s.Target, 'f', -1, 64)
	}
	return strings.Join(out, ", ")
}

func usable(w decider.SourceWindows) bool {
	v := w.Stable.Value
	return w.Error == "" && w.Stable.State == decider.Fresh && !math.IsNaN(v) && !math.IsInf(v, 0)
}

// rounded has two significant digits: what moves less than that is not news.
func rounded(v float64) string {
	text := strconv.FormatFloat(v, 'g', 2, 64)
	short, err := strconv.ParseFloat(text, 64)
	switch a := math.Abs(short); {
	case a == 0:
		return "0" // not -0
	case err != nil || a >= 1e15 || a < 1e-6: // an error: rounded up to infinity
		return text
	}
	return strconv.FormatFloat(short, 'f', -1, 64)
}

// urgency is how soon a status must replace the one that was written.
type urgency int

const (
	noNews urgency = iota // says the same, but for numbers within sentences
	soon                  // no more often than statusEvery
	atOnce                // a condition or a replica count changed
)

// news says what next has that written has not.
func news(written, next v1alpha1.PodAutoscalerStatus) urgency {
	if written.DesiredScale != next.DesiredScale || written.ActualScale != next.ActualScale ||
		written.ObservedGeneration != next.ObservedGeneration || len(written.Conditions) != len(next.Conditions) ||
		!equality.Semantic.DeepEqual(written.ScheduledBounds, next.ScheduledBounds) {
		return atOnce
	}
	for _, c := range next.Conditions {
		if old := find(written.Conditions, c.Type); old.Status != c.Status || old.Reason != c.Reason {
			return atOnce
		}
	}
	if sameTargets(written.Targets, next.Targets) && equality.Semantic.DeepEqual(gist(written), gist(next)) {
		return noNews
	}
	return soon
}

// gist is the status without what is always a little different: the numbers in its conditions' messages, the explanations
// of those that are as they should be, and the targets. An explanation has a new age in it every tick, and under a steady load
// now this source, now that one asks for the same count; when something comes of it, a count or a reason changes too.
func gist(s v1alpha1.PodAutoscalerStatus) v1alpha1.PodAutoscalerStatus {
	s = *s.DeepCopy()
	s.Targets = ""
	for i := range s.Conditions {
		c := &s.Conditions[i]
		if calm(*c) {
			c.Message = ""
			continue
		}
		c.Message = strings.Map(func(r rune) rune {
			if '0' <= r && r <= '9' || r == '.' {
				return -1
			}
			return r
		}, c.Message)
	}
	return s
}

// calm says whether the condition is as it should be, so that its message is no news by itself.
func calm(c metav1.Condition) bool {
	switch c.Type {
	case ScalingLimited:
		return true
	case ValidSpec:
		return c.Reason == AsExpected // a misplaced setting may become another one
	case Conflict, Paused, Delegated:
		return c.Status == metav1.ConditionFalse
	}
	return c.Status == metav1.ConditionTrue
}

// A value is another one when it has moved by more than a tenth of itself and by more than a fiftieth of its target: a steady
// load of independent requests moves by as much from one window to the next.
const (
	moved         = 0.1
	movedOfTarget = 0.02
)

// sameTargets compares two renderings of targets: the values roughly, everything else exactly.
func sameTargets(a, b string) bool {
	if a == b {
		return true
	}
	all, others := strings.Split(a, ", "), strings.Split(b, ", ")
	return slices.EqualFunc(all, others, func(a, b string) bool {
		value, target, _ := strings.Cut(a, "/")
		other, same, _ := strings.Cut(b, "/")
		if target != same || value == other {
			return target == same
		}
		x, okX := amount(value)
		y, okY := amount(other)
		of, okOf := amount(target)
		d := math.Abs(x - y)
		return okX && okY && okOf && (d <= moved*max(math.Abs(x), math.Abs(y)) || d <= movedOfTarget*of)
	})
}

// amount is the number that a rendering stands for, in percent or not.
func amount(text string) (float64, bool) {
	v, err := strconv.ParseFloat(strings.TrimSuffix(text, "%"), 64)
	return v, err == nil
}
