package decider

import "time"

// Strategy names the rules that turn windows into a replica count.
type Strategy string

const (
	KPA Strategy = "KPA" // Knative's: stable and panic windows
	APA Strategy = "APA" // AIBrix's: ratio to target with a tolerance
	HPA Strategy = "HPA" // delegated to a native HorizontalPodAutoscaler
)

// Mode says what may be done with a decision.
type Mode string

const (
	Enforce Mode = "Enforce" // decide and write
	Advise  Mode = "Advise"  // decide and show, write nothing
)

// TargetType says what a source's target value is compared with.
type TargetType string

const (
	// AverageValue: the target is per pod and the source is the fleet's sum S; the need is ceil(S/target).
	AverageValue TargetType = "AverageValue"
	// Value: the source is an average or a maximum V over pods; the need is ceil(mean ready pods * V/target).
	Value TargetType = "Value"
)

// Policy is everything that a decision depends on besides facts. It is validated where it is made
// (api/v1alpha1): no field is left to parse, and the zero value is not a usable policy.
type Policy struct {
	Strategy Strategy
	// Strict makes KPA follow Knative where flyball would otherwise differ: a Fresh window with gaps in it counts
	// as whole, a rate on ready pods may push past what there is, nothing is held for lack of history but by panic, and
	// pods that start or find no node are not thought of.
	Strict  bool
	Mode    Mode
	Sources []Source // at least one; the order is the manifest's

	MinReplicas int32 // >= 0
	MaxReplicas int32 // >= MinReplicas, > 0
	// Schedules have bounds of their own for some of the time; no two are active at once. Zone is the time zone of them all.
	Schedules []Schedule `json:",omitempty"`
	Zone      Zone       `json:",omitzero"`
	Pause     Pause      `json:",omitzero"`

	ObserveWindow time.Duration // the stable window
	PanicWindow   time.Duration // KPA only; <= ObserveWindow

	MaxScaleUpRate   float64 // > 1; one decision raises at most to ceil(rate * ready pods)
	MaxScaleDownRate float64 // > 1; one decision lowers at most to floor(ready pods / rate)

	ScaleUpDelay   time.Duration // a higher count must have been proposed for this long
	ScaleDownDelay time.Duration // a lower count must have been proposed for this long

	ToleranceUp   float64 // a ratio up to 1+ToleranceUp changes nothing
	ToleranceDown float64 // a ratio down to 1-ToleranceDown changes nothing

	PanicThreshold  float64 // KPA: panic when ceil(panic value/target) >= threshold * ready pods
	ActivationScale int32   // KPA: the least count above zero; 0 or 1 means no such floor
}

// Source is the policy's view of one metric source.
type Source struct {
	Key        string  // hash of the normalised source; unique within the policy
	Name       string  // what people call it, such as the targetMetric; unique within the policy
	Target     float64 // > 0
	TargetType TargetType
	// SurvivesZero says that the source still has values when the target has no pods (an endpoint, an
	// external metric). Only with one such source may MinReplicas be 0; otherwise the floor is 1.
	SurvivesZero bool
}

// slot is the grain of the delays: Knative's, and the usual time between two decisions.
const slot = 2 * time.Second

// maxGap is how far apart two decisions made from data may be without the time between them counting as unknown.
const maxGap = 30 * time.Second

// Memory is how far back Decide looks: history older than this, but for its newest entry, changes nothing. It is the
// longest of observe window and delays, plus the slot that a delay may be rounded up by, plus one gap in the data.
func (p Policy) Memory() time.Duration {
	return max(p.ObserveWindow, p.ScaleUpDelay, p.ScaleDownDelay) + slot + maxGap
}
