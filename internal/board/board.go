package board

import (
	"cmp"
	"slices"
	"sync"

	"github.com/prometheus/prometheus/util/strutil"

	"github.com/flyball/flyball/internal/loop"
)

// maxGone is how many removed autoscalers are remembered, for watches that come back. A watch that was away for longer than
// that gets a full snapshot.
const maxGone = 1024

// Board is safe for concurrent use.
type Board struct {
	storeID string

	mu      sync.Mutex
	shown   map[who]*state
	gone    []gone // oldest first, at most maxGone
	watches map[*Watch]bool
	// settled is the highest number up to which everything recorded has been published here.
	settled uint64
	// forgotten is the mark of the newest removal that gone had no room for.
	forgotten uint64
}

// who is an autoscaler by name; at any time, one autoscaler bears it.
type who struct{ namespace, name string }

// state is what is known of one autoscaler.
type state struct {
	latest   loop.Result
	recorded *loop.Result // the latest with a Sequence; nil for none. Never written to: watches share it
	revived  uint64       // mark of its coming back after a removal; 0 for never removed
}

// gone is an autoscaler that is no longer decided for.
type gone struct {
	who   who
	state *state
	mark  uint64
}

// New makes a board of a store that shows what the journal held at the start: the newest record of each name.
func New(storeID string, recorded []loop.Record) *Board {
	b := &Board{storeID: storeID, shown: map[who]*state{}, watches: map[*Watch]bool{}}
	for _, rec := range recorded {
		b.settled = max(b.settled, rec.Sequence)
		id := who{rec.Namespace, rec.Name}
		if s := b.shown[id]; s != nil && s.latest.Sequence >= rec.Sequence {
			continue
		}
		r := loop.Result{
			Autoscaler: loop.Autoscaler{
				UID: rec.Autoscaler, Namespace: rec.Namespace, Name: rec.Name, Target: rec.Target, Policy: rec.Policy,
			},
			At: rec.Input.At, Input: rec.Input, Decision: rec.Decision, News: true, Sequence: rec.Sequence, Settled: rec.Sequence,
		}
		s := &state{latest: r}
		if r.Sequence != 0 {
			s.recorded = &r
		}
		b.shown[id] = s
	}
	return b
}

// StoreID names the store that sequence numbers are of.
func (b *Board) StoreID() string { return b.storeID }

// Publish shows a result, and tells the watches of one that was recorded. It waits for nobody. Results of one autoscaler come
// in the order of time.
func (b *Board) Publish(r loop.Result) {
	b.mu.Lock()
	defer b.mu.Unlock()
	id := who{r.Autoscaler.Namespace, r.Autoscaler.Name}
	s := b.shown[id]
	stale := false
	if s != nil && s.latest.Autoscaler.UID != r.Autoscaler.UID {
		if stale = r.At.Before(s.latest.At); !stale {
			b.remove(id)
			s = nil
		}
	}
	// Nothing up to the old settled was still to come, so this one is numbered higher.
	before := b.settled
	b.settled = max(b.settled, r.Settled)
	if stale {
		return // the last turn of an autoscaler that was deleted and created again under its name
	}
	if s == nil {
		s = &state{}
		b.shown[id] = s
	}
	first := s.recorded == nil
	s.show(r)
	if r.Sequence == 0 {
		return
	}
	s.recorded = &r
	for w := range b.watches {
		if w.wants(id) {
			w.decided(&r, before, first)
		}
	}
}

// show makes r the latest. A turn that ended without a decision leaves the one before as it is, but for Err: At keeps saying
// how old the decision is.
func (s *state) show(r loop.Result) {
	if r.Err != nil && len(r.Decision.Reasons) == 0 && len(s.latest.Decision.Reasons) > 0 {
		s.latest.Err = r.Err
		return
	}
	s.latest = r
}

// Present says who is decided for, by UID. The others are removed, and who was removed and is back is shown again. Until the
// first call, everyone who was recorded counts as present.
func (b *Board) Present(all []loop.Autoscaler) {
	present := make(map[string]bool, len(all))
	for _, a := range all {
		present[a.UID] = true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for id, s := range b.shown {
		if !present[s.latest.Autoscaler.UID] {
			b.remove(id)
		}
	}
	for _, a := range all {
		if id := (who{a.Namespace, a.Name}); b.shown[id] == nil {
			b.revive(id, a.UID)
		}
	}
}

// remove takes an autoscaler down; b.mu is held. Whoever has never had a recorded decision is nobody that a watch was told of.
func (b *Board) remove(id who) {
	s := b.shown[id]
	delete(b.shown, id)
	if s.recorded == nil {
		return
	}
	b.gone = append(b.gone, gone{id, s, b.mark()})
	if len(b.gone) > maxGone {
		b.forgotten = b.gone[0].mark
		b.gone = slices.Delete(b.gone, 0, 1)
	}
	for w := range b.watches {
		if w.wants(id) {
			w.removed(s.recorded, b.settled)
		}
	}
}

// revive puts up again what was known of an autoscaler before it was removed; b.mu is held. Its decision need not be news to
// the loop, so nothing else would tell the watches.
func (b *Board) revive(id who, uid string) {
	i := slices.IndexFunc(b.gone, func(g gone) bool { return g.state.recorded.Autoscaler.UID == uid })
	if i < 0 {
		return
	}
	s := b.gone[i].state
	b.gone = slices.Delete(b.gone, i, i+1)
	s.revived = b.mark()
	b.shown[id] = s
	for w := range b.watches {
		if w.wants(id) {
			w.decided(s.recorded, b.settled, false)
		}
	}
}

// mark is for what has no number of its own: it is past every token given out so far. A later token may equal it, and the
// change is then told again.
func (b *Board) mark() uint64 { return b.settled + 1 }

// Get gives the latest result of an autoscaler. If the last turn ended without a decision, it is the last one with a decision,
// with that turn's Err: At says how old it is. Before the first live result it has what the journal's record has, and no
// Autoscaler.Sources.
func (b *Board) Get(namespace, name string) (loop.Result, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if s := b.shown[who{namespace, name}]; s != nil {
		return s.latest, true
	}
	return loop.Result{}, false
}

// List gives what Get gives for each autoscaler, by namespace and name.
func (b *Board) List() []loop.Result {
	b.mu.Lock()
	all := make([]loop.Result, 0, len(b.shown))
	for _, s := range b.shown {
		all = append(all, s.latest)
	}
	b.mu.Unlock()
	slices.SortFunc(all, func(x, y loop.Result) int {
		return cmp.Or(cmp.Compare(x.Autoscaler.Namespace, y.Autoscaler.Namespace), cmp.Compare(x.Autoscaler.Name, y.Autoscaler.Name))
	})
	return all
}

// Nearest gives the names, as namespace/name, that are most like one that is not there; at most five.
func (b *Board) Nearest(namespace, name string) []string {
	var names []string
	for _, r := range b.List() {
		names = append(names, r.Autoscaler.Namespace+"/"+r.Autoscaler.Name)
	}
	like := strutil.NewJaroWinklerMatcher(namespace + "/" + name)
	slices.SortStableFunc(names, func(x, y string) int { return cmp.Compare(like.Score(y), like.Score(x)) })
	return names[:min(len(names), 5)]
}
