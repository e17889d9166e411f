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

// Reason is one step of the chain. Numbers stay typed here; String, in explain.go, is the one rendering as text.
type Reason struct {
	Rule Rule
	Case Case `json:",omitempty"` // which of the rule's cases applied, where it has several
	From int32
	To   int32

	Source     string     `json:",omitempty"` // the name of the source that decided, where one did
	Window     *Window    `json:",omitempty"` // the window that decided
	Target     float64    `json:",omitempty"` // the source's target, in the source's unit per pod
	TargetType TargetType `json:",omitempty"` // how Window.Value and Target compare
	Ratio      float64    `json:",omitempty"` // load over target on the ready pods; 1 is on target

	Sources int32     `json:",omitempty"` // how many sources there are, where some of them are absent
	Absent  []Absence `json:",omitempty"` // the sources that the need was worked out without

	Limit         float64       `json:",omitempty"` // the rate, bound, threshold or tolerance that applied
	Ready         int32         `json:",omitempty"` // the ready pods that a rate or threshold was applied to
	Starting      int32         `json:",omitempty"` // pods that exist and are not ready yet
	Unschedulable int32         `json:",omitempty"` // pods that no node can take
	Quota         string        `json:",omitempty"` // the ResourceQuota's name
	Resource      string        `json:",omitempty"` // what that quota runs out of first
	Schedule      string        `json:",omitempty"` // the active schedule's name
	MinReplicas   int32         `json:",omitempty"` // the least count by that schedule, or the one that holds against the capacity
	MaxReplicas   int32         `json:",omitempty"` // the greatest count by that schedule
	Delay         time.Duration `json:",omitempty"` // the delay or the length of the panic that applied
	Until         time.Time     `json:",omitzero"`  // when the delay, the panic, the starts or the schedule are over if nothing changes
	Since         time.Time     `json:",omitzero"`  // since when the cause has held
	Detail        string        `json:",omitempty"` // an error's text, for a source that could not be evaluated
}

// Absence is a source without usable data.
type Absence struct {
	Source string        // its name
	Case   Case          // what is wrong: error, not-number, stale, missing or no-pods
	Age    time.Duration `json:",omitempty"` // of its newest sample; negative when none was found as far back as was looked
	Detail string        `json:",omitempty"` // an error's text
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
	RuleStarting   Rule = "starting"   // pods that start are not asked for again
	RuleCapacity   Rule = "capacity"   // no node can take more, or a quota admits no more; or not all that is asked for can run
	RuleSchedule   Rule = "schedule"   // the bounds of the active schedule
	RuleBounds     Rule = "bounds"     // minReplicas and maxReplicas
	RulePause      Rule = "pause"      // paused by annotation
	RuleZero       Rule = "zero"       // a target at zero that we did not put there is left alone
	RuleSteady     Rule = "steady"     // the need equals what there is
	RuleDelegated  Rule = "delegated"  // strategy HPA: a native HorizontalPodAutoscaler decides
)

// Case tells the cases of one rule apart.
type Case string

const (
	CaseStable Case = "stable" // need, steady: the stable window asks
	CasePanic  Case = "panic"  // need, steady: the panic window asks

	CaseWithin  Case = "within"  // tolerance: the ratio is within the dead band
	CaseAgainst Case = "against" // tolerance: the ratio is above the band and the need below the count, or the other way round

	CaseUp   Case = "up"   // rate: a rise was limited
	CaseDown Case = "down" // rate: a fall was limited

	CaseEnter Case = "enter" // panic: the threshold was reached at this decision
	CaseHold  Case = "hold"  // panic: it was reached before
	CaseStart Case = "start" // panic: there is no history, which counts as panic

	CaseMin  Case = "min"  // bounds, schedule: minReplicas
	CaseMax  Case = "max"  // bounds, schedule: maxReplicas
	CaseOpen Case = "open" // schedule: its bounds allow what the spec's would not
	CaseWake Case = "wake" // bounds: minReplicas is 0, but no source could wake the target again

	CaseUnschedulable Case = "unschedulable" // capacity: pods wait for a node
	CaseQuota         Case = "quota"         // capacity: a ResourceQuota admits no more

	CaseAll      Case = "all"       // pause: nothing changes
	CaseReplicas Case = "replicas"  // pause: held at a given count
	CaseScaleIn  Case = "scale-in"  // pause: nothing is lowered
	CaseScaleOut Case = "scale-out" // pause: nothing is raised

	CaseError     Case = "error"      // no-data, incomplete: the source could not be evaluated
	CaseNotNumber Case = "not-number" // no-data, incomplete: NaN or infinite
	CaseStale     Case = "stale"      // no-data, incomplete: State Stale
	CaseMissing   Case = "missing"    // no-data, incomplete: State Missing
	CaseNoPods    Case = "no-pods"    // no-data, incomplete: State NoPods
	CaseNoSource  Case = "no-source"  // no-data: the policy has no source
	CaseSilent    Case = "silent"     // incomplete: Fresh, but some pods are silent
	CaseCoverage  Case = "coverage"   // incomplete: Fresh, but the coverage is below 0.95
)
