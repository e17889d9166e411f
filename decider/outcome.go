package decider

// Why nothing was written, as Outcome.Why says it.
const (
	Unchanged = "Unchanged" // the decision was to keep the count
	Advised   = "Advise"    // mode Advise: decide and show
)
