package loop

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/flyball/flyball/decider"
)

// forget is how long after its last turn an autoscaler is remembered.
const forget = time.Minute

// memories keep what the journal holds of each autoscaler and target at hand: reading 170 entries of JSON takes 0.5 ms,
// which at a thousand autoscalers would be a quarter of a core. They are filled from the journal and follow what is written to it,
// so they say what it says.
type memories struct {
	mu    sync.Mutex
	known map[string]*memory // by Autoscaler.Key
}

// memory is used by one turn at a time, but for used, which the lock of memories guards.
type memory struct {
	reach   time.Duration // how far back history goes
	history decider.History
	last    *Record // the newest in full; nil for none
	used    time.Time
}

// recall finds what is remembered of an autoscaler before t. If its policy looks further back than before, or the clock was
// set back, the journal is read again.
func (m *memories) recall(j reader, a Autoscaler, t time.Time) (*memory, error) {
	reach := a.Policy.Memory()
	m.mu.Lock()
	known := m.known[a.Key()]
	if known != nil {
		known.used = t
	}
	m.mu.Unlock()
	if known == nil || known.reach < reach || !known.before(t) {
		past, err := history(j, a.Key(), reach, t)
		if err != nil {
			return nil, err
		}
		last, err := lastRecord(j, a.Key(), t)
		if err != nil {
			return nil, err
		}
		known = &memory{reach: reach, history: past, last: last, used: t}
		m.mu.Lock()
		m.known[a.Key()] = known
		m.mu.Unlock()
	}
	known.drop(t)
	return known, nil
}

// lastRecord is the newest decision in full before t.
func lastRecord(j reader, key string, t time.Time) (*Record, error) {
	rec, ok, err := j.Last(KindDecision, key, t.Add(-time.Nanosecond))
	if err != nil || !ok {
		return nil, err
	}
	last := &Record{}
	if err := json.Unmarshal(rec.Data, last); err != nil {
		return nil, fmt.Errorf("decision of %s: %w", rec.At.Format(time.RFC3339), err)
	}
	return last, nil
}

// before says whether all of it is older than t.
func (m *memory) before(t time.Time) bool {
	n := len(m.history)
	return n == 0 || m.history[n-1].At.Before(t)
}

// drop lets go of entries that are too old to matter, but not of the newest.
func (m *memory) drop(t time.Time) {
	old := 0
	for old < len(m.history)-1 && m.history[old].At.Before(t.Add(-m.reach)) {
		old++
	}
	m.history = m.history[old:]
}

// learn adds what was journalled. An entry of the same time replaces the one before.
func (m *memory) learn(e decider.Entry, full *Record) {
	if n := len(m.history); n > 0 && m.history[n-1].At.Equal(e.At) {
		m.history = m.history[: n-1 : n-1] // the decision may still hold the history
	}
	m.history = append(m.history, e)
	if full != nil {
		m.last = full
	}
}

// hasNews says whether a decision says something that the last one in full did not.
func (m *memory) hasNews(a Autoscaler, d decider.Decision) bool {
	return m.last == nil || d.To != m.last.Decision.To || d.Verdict != m.last.Decision.Verdict ||
		!slices.EqualFunc(d.Reasons, m.last.Decision.Reasons, alike) || !reflect.DeepEqual(a.Policy, m.last.Policy)
}

// alike says whether two reasons differ in their numbers alone. Numbers change with every decision; what is said of them, by
// which rule, and without which sources, does not.
func alike(a, b decider.Reason) bool {
	return a.Rule == b.Rule && a.Case == b.Case && a.Quota == b.Quota && a.Schedule == b.Schedule &&
		slices.EqualFunc(a.Absent, b.Absent, func(a, b decider.Absence) bool { return a.Source == b.Source && a.Case == b.Case })
}

// sweep forgets autoscalers that have had no turn for a while.
func (m *memories) sweep(t time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, known := range m.known {
		if t.Sub(known.used) > forget {
			delete(m.known, key)
		}
	}
}

// lose forgets one autoscaler: what its journal holds is not known for sure.
func (m *memories) lose(key string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.known, key)
}
