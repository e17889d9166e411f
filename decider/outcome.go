package decider

// Why nothing was written, as Outcome.Why says it.
const (
	Unchanged   = "Unchanged"   // the decision was to keep the count
	Advised     = "Advise"      // mode Advise: decide and show
	NotLeader   = "NotLeader"   // another instance writes; no request was sent
	Delegated   = "Delegated"   // KEDA asks flyball and writes itself
	Contested   = "Contested"   // something else scales the same target
	Conflict    = "Conflict"    // the target is no longer as it was when the decision was made
	TargetGone  = "TargetGone"  // the target was deleted, or deleted and created again
	Refused     = "Refused"     // the API server said no: permissions, quota, validation
	Unreachable = "Unreachable" // the API server gave no answer that settles it: the count may have been written
)
