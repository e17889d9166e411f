package replay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/internal/loop"
	"github.com/flyball/flyball/query"
)

// Counts says how a target stood at t, and false when that is not known.
type Counts func(t time.Time) (loop.Scale, bool)

// Windows are the facts of the past; query.Engine over a store is one.
type Windows interface {
	Windows(ctx context.Context, b *query.Bound, t time.Time, ranges ...time.Duration) ([]query.Window, error)
}

// Options say what is tried, and on which past.
type Options struct {
	Autoscaler loop.Autoscaler // with the policy to try; Mode and Withheld count for nothing
	Start, End time.Time       // both included; End has passed
	Tick       time.Duration   // between two decisions, as it was; 0 means loop.DefaultTick
	Counts     Counts
	Windows    Windows
	Journal    loop.Reader // what was decided before; it is only read
}

// Step is one decision that would have been made.
type Step struct {
	Was      int32 // replicas as they were when the decision would have been made
	Decision decider.Decision
}

// Replay is the past as it would have been.
type Replay struct {
	Steps   []Step // oldest first
	Unknown int    // times at which a decision would have been due, and how the target stood is not known
}

// Run decides again from Start to End. Every decision counts as applied at once. The load is what it was: where the count
// differs from the one that was, ready pods differ by as much, and nothing else does. What Counts does not tell, such as a
// quota, limits nothing. Decisions look back at what was really
// decided, and before Start at what the policy would have said of the counts as they were, for as long as it remembers.
//
// With the policy that was in force, the counts that were and no other writer, the decisions are those that were made.
func Run(ctx context.Context, o Options) (Replay, error) {
	a := o.Autoscaler
	a.Policy.Mode, a.Withheld = decider.Enforce, loop.Withheld{}
	begin := o.Start.Add(-a.Policy.Memory()).Truncate(time.Second)
	p := &past{Options: o, a: a}
	l := loop.New(loop.Options{
		Fleet: p, Windows: settled{o.Windows}, Journal: &journal{before: o.Journal, begin: begin}, Tick: o.Tick, Publish: p.publish,
	})
	for t := begin; !t.After(o.End); t = t.Add(time.Second) {
		if err := ctx.Err(); err != nil {
			return Replay{}, fmt.Errorf("replay of %s/%s stopped at %s: %w", a.Namespace, a.Name, t.UTC().Format(time.RFC3339), err)
		}
		if err := l.Step(ctx, t); err != nil {
			return Replay{}, fmt.Errorf("replay of %s/%s at %s: %w", a.Namespace, a.Name, t.UTC().Format(time.RFC3339), err)
		}
	}
	return p.out, p.err
}

var errUnknown = errors.New("how the target stood is not known")

// past is a fleet of one autoscaler whose target stands as it stood, but for what the replay has changed.
type past struct {
	Options
	a   loop.Autoscaler
	was loop.Scale // at the turn under way

	begun    bool // a turn at or after Start has read the scale
	replicas int32

	out Replay
	err error
}

// Autoscalers implements loop.Fleet.
func (p *past) Autoscalers(time.Time) []loop.Autoscaler { return []loop.Autoscaler{p.a} }

// Scale implements loop.Fleet.
func (p *past) Scale(_ context.Context, _ loop.Autoscaler, t time.Time) (loop.Scale, error) {
	var ok bool
	if p.was, ok = p.Counts(t); !ok {
		return loop.Scale{}, errUnknown
	}
	if t.Before(p.Start) {
		return p.was, nil
	}
	if !p.begun {
		p.begun, p.replicas = true, p.was.Replicas
	}
	s, more := p.was, p.replicas-p.was.Replicas
	s.Replicas, s.StatusReplicas, s.Ready = p.replicas, max(0, s.StatusReplicas+more), max(0, s.Ready+more)
	return s, nil
}

// Apply implements loop.Fleet.
func (p *past) Apply(_ context.Context, _ loop.Autoscaler, d decider.Decision) decider.Outcome {
	if p.begun {
		p.replicas = d.To
	}
	return decider.Outcome{Applied: true, Was: d.From, Now: d.To, At: d.At}
}

func (p *past) publish(r loop.Result) {
	switch {
	case errors.Is(r.Err, errUnknown):
		if !r.At.Before(p.Start) {
			p.out.Unknown++
		}
	case r.Err != nil:
		p.err = errors.Join(p.err, r.Err)
	case !r.At.Before(p.Start):
		p.out.Steps = append(p.out.Steps, Step{Was: p.was.Replicas, Decision: r.Decision})
	}
}

// settled are windows of a past in which every sample has arrived.
type settled struct{ facts Windows }

// Watermark implements loop.Windows.
func (settled) Watermark(time.Time) bool { return true }

// Windows implements loop.Windows.
func (s settled) Windows(ctx context.Context, b *query.Bound, t time.Time, ranges ...time.Duration) ([]query.Window, error) {
	return s.facts.Windows(ctx, b, t, ranges...)
}
