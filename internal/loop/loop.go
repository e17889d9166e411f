package loop

import (
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"sync"
	"time"

	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/query"
	"github.com/flyball/flyball/store"
)

// Autoscaler is one PodAutoscaler, validated and bound to the target that it scales at the moment.
type Autoscaler struct {
	UID, Namespace, Name string

	Target    Target
	Policy    decider.Policy
	Sources   []*query.Bound // one per Policy.Sources, in the same order
	Endpoints []Endpoint     // likewise
	Withheld  Withheld
}

// Withheld is why decisions are not acted on, though the policy's mode is Enforce: somebody else scales the target. The zero
// value: they are acted on.
type Withheld struct{ Why, Detail string } // as in decider.Outcome

// Target is the workload whose replicas are counted. A re-created workload of the same name is another Target.
type Target struct{ Kind, Name, UID string }

// Scale is how a target stands.
type Scale struct {
	Replicas, StatusReplicas, Ready, Starting, Unschedulable int32

	Quota decider.Quota // what a ResourceQuota leaves to it
}

// Fleet is the outside: who is to be scaled, how the targets stand, and how to change them.
type Fleet interface {
	// Autoscalers gives those that can be decided for at t.
	Autoscalers(t time.Time) []Autoscaler
	// Scale reads how the autoscaler's target stands at t.
	Scale(ctx context.Context, a Autoscaler, t time.Time) (Scale, error)
	// Apply makes d.To the target's replica count. It is called only for a change, in mode Enforce.
	Apply(ctx context.Context, a Autoscaler, d decider.Decision) decider.Outcome
}

// Windows are the facts that decisions are made from.
type Windows interface {
	// Watermark says whether every sample up to t is in and none can still arrive.
	Watermark(t time.Time) bool
	// Windows evaluates the source at t over each range.
	Windows(ctx context.Context, b *query.Bound, t time.Time, ranges ...time.Duration) ([]query.Window, error)
}

// Journal keeps what was decided; store.Journal is one.
type Journal interface {
	Append(recs ...store.Record) error
	Range(kind, key string, from, to time.Time, fn func(store.Record) error) error
	Last(kind, key string, t time.Time) (store.Record, bool, error)
}

// Result is what one autoscaler's turn came to. Err says why there is no decision, or why it was not acted on.
type Result struct {
	Autoscaler Autoscaler
	At         time.Time
	Input      decider.Input
	Decision   decider.Decision
	News       bool // the decision says something that the last one journalled in full did not
	// Sequence is the Record's; 0 if the decision was not journalled in full. All that are recorded with numbers up to
	// Settled are published by the time that this one is.
	Sequence, Settled uint64
	Err               error
}

// Options are the loop's edges. Publish may be called from several goroutines at once.
type Options struct {
	Fleet   Fleet
	Windows Windows
	Journal Journal
	Publish func(Result)
	Tick    time.Duration // between two decisions of one autoscaler, whole seconds; also each turn's deadline
	// Sequence is the last number that the journal holds, as Records.Sequence says it.
	Sequence uint64
	// Timed does one stage of a turn, one of Stages, and may measure it: the loop has no clock. Nil just does it. It may be
	// called from several goroutines at once.
	Timed func(stage string, do func())
}

// Stages are the stages of a turn in their order, as Options.Timed names them.
func Stages() []string {
	return []string{stageScale, stageWindows, stageHistory, stageDecide, stageJournal, stageAct, stageOutcome}
}

const (
	stageScale   = "scale"
	stageWindows = "windows"
	stageHistory = "history"
	stageDecide  = "decide"
	stageJournal = "journal"
	stageAct     = "act"
	stageOutcome = "outcome"
)

// DefaultTick is how often each autoscaler is decided for.
const DefaultTick = 2 * time.Second

// turns is how many autoscalers are stepped at once. Most of a turn is spent waiting, for the journal's disk or for
// an API server, so it is far more than there are cores; each turn ends within one tick.
const turns = 64

// Loop turns the crank. It starts nothing by itself; Step does the work.
type Loop struct {
	Options
	slots    chan struct{}
	memories memories
	sequence sequence

	mu   sync.Mutex
	busy map[string]bool // autoscaler UIDs whose turn has not ended
}

// New makes a loop over the edges.
func New(o Options) *Loop {
	if o.Tick == 0 {
		o.Tick = DefaultTick
	}
	if o.Timed == nil {
		o.Timed = func(_ string, do func()) { do() }
	}
	return &Loop{
		Options: o, slots: make(chan struct{}, turns), busy: map[string]bool{},
		memories: memories{known: map[string]*memory{}}, sequence: sequence{last: o.Sequence, open: map[uint64]bool{}},
	}
}

// ErrEarly says that samples up to the step's time can still arrive.
var ErrEarly = errors.New("step: samples up to this time can still arrive; step later")

// ErrBusy is the Result of an autoscaler whose previous turn has not ended.
var ErrBusy = errors.New("the previous turn has not ended; the target or the store hangs")

// Step gives a turn to each autoscaler that is due at t, a whole second that has passed. It returns when all turns have
// ended; each has a deadline of one tick, so that one that hangs delays nobody but itself.
func (l *Loop) Step(ctx context.Context, t time.Time) error {
	if !l.Windows.Watermark(t) {
		return ErrEarly
	}
	var all sync.WaitGroup
	for _, a := range l.Fleet.Autoscalers(t) {
		if !due(a.UID, t, l.Tick) {
			continue
		}
		if !l.enter(a.UID) {
			l.Publish(Result{Autoscaler: a, At: t, Err: ErrBusy})
			continue
		}
		all.Go(func() {
			defer l.leave(a.UID)
			l.slots <- struct{}{}
			defer func() { <-l.slots }()
			ctx, cancel := context.WithTimeout(ctx, l.Tick)
			defer cancel()
			l.publish(l.turn(ctx, a, t))
		})
	}
	all.Wait()
	l.memories.sweep(t)
	return nil
}

// publish says in whose order results were recorded.
func (l *Loop) publish(r Result) {
	r.Settled = l.sequence.settled(r.Sequence)
	l.Publish(r)
	l.sequence.done(r.Sequence)
}

// due spreads autoscalers over the whole seconds of a tick, each always at the same offset.
func due(uid string, t time.Time, tick time.Duration) bool {
	seconds := int64(tick / time.Second)
	h := fnv.New32a()
	h.Write([]byte(uid))
	return (t.Unix()-int64(h.Sum32()))%seconds == 0
}

func (l *Loop) enter(uid string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.busy[uid] {
		return false
	}
	l.busy[uid] = true
	return true
}

func (l *Loop) leave(uid string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.busy, uid)
}

// turn is one turn of the crank for one autoscaler.
func (l *Loop) turn(ctx context.Context, a Autoscaler, t time.Time) Result {
	r := Result{Autoscaler: a, At: t}
	d := &r.Decision
	var scale Scale
	var windows []decider.SourceWindows
	var memory *memory
	var err error
	fail := func(doing string, err error) Result {
		r.Err = fmt.Errorf("%s of %s/%s: %w", doing, a.Namespace, a.Name, err)
		return r
	}

	// 1. How does the target stand?
	l.Timed(stageScale, func() { scale, err = l.Fleet.Scale(ctx, a, t) })
	if err != nil {
		return fail("read scale", err)
	}
	// 2. What do the sources say?
	l.Timed(stageWindows, func() { windows = l.windows(ctx, a, t) })
	// 3. What was decided before?
	l.Timed(stageHistory, func() { memory, err = l.memories.recall(l.Journal, a, t) })
	if err != nil {
		return fail("read history", err)
	}
	// 4. Decide.
	r.Input = decider.Input{
		At: t, Replicas: scale.Replicas, StatusReplicas: scale.StatusReplicas, Ready: scale.Ready,
		Starting: scale.Starting, Unschedulable: scale.Unschedulable, Quota: scale.Quota, Delegated: a.Withheld.Why == decider.Delegated, Windows: windows, History: memory.history,
	}
	l.Timed(stageDecide, func() { *d = decider.Decide(a.Policy, r.Input) })
	d.Entry.Outcome = unapplied(a, *d)
	// 5. Write it down before acting.
	l.Timed(stageJournal, func() { err = l.record(a, memory, &r) })
	if err != nil {
		return fail("journal decision", err)
	}
	if d.Entry.Outcome.Why != "" {
		return r
	}
	// 6. Act.
	l.Timed(stageAct, func() { d.Entry.Outcome = l.Fleet.Apply(ctx, a, *d) })
	// 7. Write down what came of it.
	l.Timed(stageOutcome, func() { err = l.recordOutcome(a, memory, &r) })
	if err != nil {
		return fail("journal outcome", err)
	}
	return r
}

// unapplied is the outcome of a decision that is not acted on; without a Why when it is to be.
func unapplied(a Autoscaler, d decider.Decision) decider.Outcome {
	out := decider.Outcome{Was: d.From, Now: d.From}
	switch {
	case d.To == d.From:
		out.Why = decider.Unchanged
	case a.Policy.Mode == decider.Advise:
		out.Why = decider.Advised
	default:
		out.Why, out.Detail = a.Withheld.Why, a.Withheld.Detail
	}
	return out
}
