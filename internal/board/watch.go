package board

import (
	"cmp"
	"container/list"
	"context"
	"errors"
	"slices"

	"github.com/flyball/flyball/internal/loop"
)

// Kind is what an Event tells of.
type Kind int

// Kinds of events.
const (
	Decided Kind = iota // Result was recorded
	Synced              // the snapshot is complete
	Removed             // Result.Autoscaler is no longer decided for
)

// Event is one thing that a watch tells.
type Event struct {
	Kind    Kind
	Result  loop.Result // of Decided and Removed; its Sequence is never 0
	Skipped int         // how many decisions of the autoscaler were recorded since the last event of it and are not told
	Resumed bool        // of Synced: the token was good, so that the snapshot left out what had not changed
	Token   string      // where to go on after this event
}

// Watch tells of the decisions that are recorded, to one reader.
type Watch struct {
	board *Board
	only  who           // empty fields: all
	wake  chan struct{} // something is pending, or the watch is closed

	// Under the board's lock. One event per autoscaler is pending at most: a later one takes the place of an earlier one, in
	// its turn, so that no autoscaler that changes often keeps another from being told of.
	pending *list.List               // of *slot
	slots   map[string]*list.Element // by autoscaler UID
	closed  bool
}

// slot is a pending event.
type slot struct {
	kind    Kind
	result  *loop.Result // one for all watches: 500 copies of a result take longer than all else
	skipped int
	resumed bool
	// before is a number such that everything up to it has been told once this slot is first in line. It grows along the line.
	before uint64
	// unknown says that the reader has not heard of the autoscaler, so that its removal is no news.
	unknown bool
}

// ErrClosed is what Next says of a closed watch.
var ErrClosed = errors.New("the watch is closed")

// Watch starts with a snapshot: the last recorded decision of each autoscaler, or with the token of an earlier watch what has
// changed since; then Synced; then what is recorded from now on. Empty names mean all. What is recorded is told at least once,
// or counted as skipped. A token of another store, or from the future, is as good as none. The error is ErrToken.
func (b *Board) Watch(namespace, name, token string) (*Watch, error) {
	from, sameStore, err := b.parse(token)
	if err != nil {
		return nil, err
	}
	w := &Watch{
		board: b, only: who{namespace, name}, wake: make(chan struct{}, 1),
		pending: list.New(), slots: map[string]*list.Element{},
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	resumed := sameStore && from <= b.settled && from >= b.forgotten
	if !resumed {
		from = 0
	}
	var first []slot
	for id, s := range b.shown {
		if r := s.recorded; r != nil && w.wants(id) && (r.Sequence > from || s.revived > from) {
			first = append(first, slot{kind: Decided, result: r, before: max(from, min(r.Sequence-1, b.settled)), unknown: !resumed})
		}
	}
	slices.SortFunc(first, func(x, y slot) int { return cmp.Compare(x.result.Sequence, y.result.Sequence) })
	if resumed {
		// What was there when the token was given, its client must be told of; what was not, it may.
		var left []slot
		for _, g := range b.gone {
			if w.wants(g.who) && g.mark > from {
				left = append(left, slot{kind: Removed, result: g.state.recorded, before: from})
			}
		}
		first = append(left, first...)
	}
	for _, s := range first {
		w.push(s)
	}
	w.push(slot{kind: Synced, resumed: resumed, before: b.settled})
	b.watches[w] = true
	return w, nil
}

// Next waits for the next event. The error is the context's, or ErrClosed.
func (w *Watch) Next(ctx context.Context) (Event, error) {
	for {
		if err := ctx.Err(); err != nil {
			return Event{}, err
		}
		e, ok, err := w.next()
		if err != nil || ok {
			return e, err
		}
		select {
		case <-ctx.Done():
		case <-w.wake:
		}
	}
}

func (w *Watch) next() (Event, bool, error) {
	w.board.mu.Lock()
	defer w.board.mu.Unlock()
	if w.closed {
		return Event{}, false, ErrClosed
	}
	first := w.pending.Front()
	if first == nil {
		return Event{}, false, nil
	}
	s := w.drop(first)
	e := Event{Kind: s.kind, Skipped: s.skipped, Resumed: s.resumed, Token: w.token()}
	if s.result != nil {
		e.Result = *s.result
	}
	return e, true, nil
}

// Token is where to go on when nothing is told for long: what others than those watched were decided moves it too.
func (w *Watch) Token() string {
	w.board.mu.Lock()
	defer w.board.mu.Unlock()
	return w.token()
}

// Close ends the watch.
func (w *Watch) Close() {
	w.board.mu.Lock()
	defer w.board.mu.Unlock()
	w.closed = true
	w.pending, w.slots = list.New(), map[string]*list.Element{}
	delete(w.board.watches, w)
	w.rouse()
}

func (w *Watch) wants(id who) bool {
	return (w.only.namespace == "" || w.only.namespace == id.namespace) && (w.only.name == "" || w.only.name == id.name)
}

// token is as of now, after what was told; the board's lock is held.
func (w *Watch) token() string {
	if first := w.pending.Front(); first != nil {
		return w.board.format(first.Value.(*slot).before)
	}
	return w.board.format(w.board.settled)
}

// decided puts a decision in line, or in the place of an older one of that autoscaler.
func (w *Watch) decided(r *loop.Result, before uint64, unknown bool) {
	e := w.slots[r.Autoscaler.UID]
	if e == nil {
		w.push(slot{kind: Decided, result: r, before: before, unknown: unknown})
		return
	}
	s := e.Value.(*slot)
	if s.kind == Decided {
		s.skipped++
	}
	s.kind, s.result = Decided, r
}

// removed puts a removal in line, or in the place of a decision; one that the reader never heard of just leaves.
func (w *Watch) removed(last *loop.Result, before uint64) {
	e := w.slots[last.Autoscaler.UID]
	if e == nil {
		w.push(slot{kind: Removed, result: last, before: before})
		return
	}
	s := e.Value.(*slot)
	if s.unknown {
		w.drop(e)
		return
	}
	if s.kind == Decided {
		s.skipped++
	}
	s.kind, s.result = Removed, last
}

func (w *Watch) push(s slot) {
	e := w.pending.PushBack(&s)
	if s.kind != Synced {
		w.slots[s.result.Autoscaler.UID] = e
	}
	w.rouse()
}

func (w *Watch) drop(e *list.Element) *slot {
	s := w.pending.Remove(e).(*slot)
	if s.kind != Synced {
		delete(w.slots, s.result.Autoscaler.UID)
	}
	return s
}

func (w *Watch) rouse() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}
