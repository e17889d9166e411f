package decider

import "time"

// Verdict sums up a decision.
type Verdict string

const (
	ScaleUp   Verdict = "ScaleUp"
	ScaleDown Verdict = "ScaleDown"
	Hold      Verdict = "Hold" // no change
)

// Decision is the answer to "how many replicas, and why?".
type Decision struct {
	At      time.Time
	From    int32 // replicas before
	To      int32 // replicas wanted
	Verdict Verdict
	// Reasons lead from From to To: the first starts at From, each starts where the one before ended, and the
	// last ends at To. A rule that changed nothing has a reason only when it vetoed a change or explains a hold.
	Reasons []Reason
	// Entry is what later decisions need to know of this one; its Outcome is filled in after acting.
	Entry Entry
}

// Reason is one step of the chain. Numbers stay typed here; text is rendered at the edges by String.
type Reason struct {
	Rule Rule
	From int32
	To   int32

	Source string  `json:",omitempty"` // the name of the source that decided, where one did
	Window *Window `json:",omitempty"` // the window that decided
	Target float64 `json:",omitempty"` // the source's target, in the source's unit per pod

	Limit     float64       `json:",omitempty"` // the rate, bound, threshold or tolerance that applied
	Ready     int32         `json:",omitempty"` // the ready pods that a rate or threshold was applied to
	Delay     time.Duration `json:",omitempty"` // the delay that applied
	Remaining time.Duration `json:",omitempty"` // how much of the delay or panic is left if nothing changes
	Since     time.Time     `json:",omitzero"`  // since when the cause has held
	Detail    string        `json:",omitempty"` // an error's text, for a source that could not be evaluated
}

// Rule names a rule; one file, one script and one section of docs/policy.md bear the same name.
type Rule string

const (
	RuleNeed       Rule = "need"       // what the windows ask for
	RuleNoData     Rule = "no-data"    // no source has usable data: hold
	RuleIncomplete Rule = "incomplete" // some data are missing: never scale down on it
	RuleTolerance  Rule = "tolerance"  // the ratio is within the dead band
	RuleRate       Rule = "rate"       // change limited per decision
	RuleActivation Rule = "activation" // the least count above zero
	RulePanic      Rule = "panic"      // entered or held panic: never fewer than the panic's highest
	RuleUpDelay    Rule = "up-delay"   // a rise not asked for long enough
	RuleDownDelay  Rule = "down-delay" // a fall not asked for long enough
	RuleBounds     Rule = "bounds"     // minReplicas and maxReplicas
	RuleZero       Rule = "zero"       // a target at zero that we did not put there is left alone
	RuleSteady     Rule = "steady"     // the need equals what there is
)
