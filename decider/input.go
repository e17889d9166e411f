package decider

import (
	"sort"
	"time"
)

// State says whether a window's value may be used. Missing data is a state, never zero.
type State string

const (
	Fresh   State = "Fresh"   // the newest sample is within the lookback
	Stale   State = "Stale"   // there are grid values, but the newest sample is older than the lookback
	Missing State = "Missing" // no grid value at all
	NoPods  State = "NoPods"  // nothing was expected to report
)

// Window is what a source's samples said over one range of time, measured at Input.At.
type Window struct {
	Range time.Duration // look-back of the window
	Value float64       // the average over the range; 0 unless State is Fresh or Stale
	At    time.Time     // when it was evaluated

	State     State
	NewestAge time.Duration // age of the newest sample; negative when none was found as far back as was looked
	Coverage  float64       // reporting pods over expected pods, summed over the grid; 0..1

	Expected  int           // pods expected to report at At (an endpoint source: 1)
	Reporting int           // of those, pods with a sample within the lookback at At
	Answering int           // of those, pods whose exporter answered its last scrape, whatever it exported
	Silent    int           // pods expected for longer than the lookback and without a sample for as long
	SilentFor time.Duration // how long the longest-silent of them has been silent
	MeanReady float64       // mean number of ready pods over the range
}

// SourceWindows are the windows of one source.
type SourceWindows struct {
	Key    string // Source.Key
	Stable Window // over Policy.ObserveWindow
	Panic  Window // over Policy.PanicWindow; the zero Window unless the strategy is KPA
	Error  string // why the source could not be evaluated at all; empty when it could. Counts as Missing.
}

// Input is the state of the world for one decision.
type Input struct {
	At             time.Time
	Replicas       int32 // spec.replicas of the target
	StatusReplicas int32 // status.replicas of the target
	Ready          int32 // ready pods
	Starting       int32 // pods that exist and are not ready yet
	Unschedulable  int32 // pods that no node can take
	Quota          Quota `json:",omitzero"`
	Delegated      bool  `json:",omitempty"` // somebody else writes the count, on this advice, and so a zero too
	Windows        []SourceWindows
	History        History
}

// Quota is what a ResourceQuota leaves to the target's pods.
type Quota struct {
	Name     string // of the ResourceQuota; empty when none limits the target
	Resource string // the one that runs out first, such as requests.nvidia.com/gpu
	Most     int32  // the most pods of this target that it admits, those that exist included
}

// Entry is what one past decision left behind for later ones.
type Entry struct {
	At         time.Time
	From       int32 // replicas before
	Ready      int32
	Proposal   int32     // before delay and bounds; what the delay windows remember
	Known      bool      // Proposal was made from data; false for a hold on missing or incomplete data
	PanicSince time.Time // when the panic threshold was last reached; zero when not in panic
	PanicMax   int32     // the highest count proposed during this panic; not bounded by maxReplicas
	StartSince time.Time `json:",omitzero"`  // when the starts that are going on began; zero when there are none
	StartSeen  time.Time `json:",omitzero"`  // when pods were last starting or had just become ready
	StartFrom  int32     `json:",omitempty"` // the ready pods that there were before those starts
	To         int32     // replicas decided
	ToZero     bool      // the target is at 0 by an earlier decision, and still was at this one, or this one is to put it there
	ZeroAt     time.Time `json:",omitzero"` // when it was put at 0 shortly before, and was not found there at this decision
	Rule       Rule      // the rule that had the last word
	Since      time.Time // since when that rule has had it and To has not changed
	Outcome    Outcome
}

// History is the entries of one autoscaler and one target, oldest first, none left out by choice: every entry
// younger than Policy.Memory, and the newest one whatever its age. Older ones change nothing.
type History []Entry

// newest is the last entry, to be read only; the zero Entry when there is none.
func (h History) newest() *Entry {
	if len(h) == 0 {
		return &Entry{}
	}
	return &h[len(h)-1]
}

// after is the part of the history from t on.
func (h History) after(t time.Time) History {
	return h[sort.Search(len(h), func(i int) bool { return !h[i].At.Before(t) }):]
}

// Outcome is what became of a decision.
type Outcome struct {
	Applied bool      // the target's replica count was written
	Was     int32     // the count found
	Now     int32     // the count left behind
	Why     string    // why nothing was written, or why it failed; one CamelCase word such as Advise, Unchanged, NotLeader, Conflict
	Detail  string    // what the other side said, for people
	At      time.Time // when the write was acknowledged; zero when nothing was written
}
