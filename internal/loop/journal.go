package loop

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/store"
)

// Kinds of journal records. Both are keyed by autoscaler UID and target UID, so that a re-created autoscaler or
// workload of the same name has no history.
const (
	KindEntry    = "entry"    // a decider.Entry for every decision
	KindDecision = "decision" // a Record when the count, the verdict, a rule, what is missing or the policy changes
)

// EntryRetention is how long entries are worth keeping: twice the longest window or delay that a policy may have. At a
// decision every 2 s, an autoscaler's entries take 1 MB; those of a week would take 90.
const EntryRetention = 2 * time.Hour

// Record is a decision in full: what it was made from, but for the history, which the entries are, and why.
type Record struct {
	ID              string
	Sequence        uint64 // orders what one store recorded
	Autoscaler      string // its UID
	Namespace, Name string
	Target          Target
	Policy          decider.Policy
	Input           decider.Input // without History
	Decision        decider.Decision
}

// Record is what the journal has of a result, or would have.
func (r Result) Record() Record {
	a := r.Autoscaler
	return Record{
		ID: DecisionID(a, r.Decision.At), Sequence: r.Sequence, Autoscaler: a.UID, Namespace: a.Namespace, Name: a.Name,
		Target: a.Target, Policy: a.Policy, Input: r.Input, Decision: r.Decision,
	}
}

// Key is where the journal keeps the autoscaler's records.
func (a Autoscaler) Key() string { return a.UID + "/" + a.Target.UID }

// DecisionID names a decision: the autoscaler and the second it was made for.
func DecisionID(a Autoscaler, at time.Time) string {
	return a.UID + "-" + strconv.FormatInt(at.Unix(), 36)
}

// reader is how records are read back.
type reader interface {
	Range(kind, key string, from, to time.Time, fn func(store.Record) error) error
	Last(kind, key string, t time.Time) (store.Record, bool, error)
}

// history reads the entries before t that a policy remembers, or, where there is none, the newest one: a target that was
// scaled to zero long ago must still be known as ours.
func history(j reader, key string, memory time.Duration, t time.Time) (decider.History, error) {
	var h decider.History
	before := t.Add(-time.Nanosecond)
	read := func(r store.Record) error {
		var e decider.Entry
		if err := json.Unmarshal(r.Data, &e); err != nil {
			return fmt.Errorf("entry of %s: %w", r.At.Format(time.RFC3339), err)
		}
		h = append(h, e)
		return nil
	}
	if err := j.Range(KindEntry, key, t.Add(-memory), before, read); err != nil || len(h) > 0 {
		return h, err
	}
	newest, ok, err := j.Last(KindEntry, key, before)
	if err != nil || !ok {
		return nil, err
	}
	err = read(newest)
	return h, err
}

// record journals the entry, and the decision in full if it says something that the last one in full did not.
func (l *Loop) record(a Autoscaler, m *memory, r *Result) error {
	r.News = m.hasNews(a, r.Decision)
	return l.write(a, m, r, r.News)
}

// recordOutcome journals entry and decision again, now with the outcome. What was applied is in the journal in full.
func (l *Loop) recordOutcome(a Autoscaler, m *memory, r *Result) error {
	return l.write(a, m, r, r.News || r.Decision.Entry.Outcome.Applied)
}

func (l *Loop) write(a Autoscaler, m *memory, r *Result, inFull bool) error {
	entry, err := json.Marshal(r.Decision.Entry)
	if err != nil {
		return err
	}
	recs := []store.Record{{Kind: KindEntry, Key: a.Key(), At: r.At, Data: entry}}
	var full *Record
	before := r.Sequence
	if inFull {
		if r.Sequence == 0 {
			r.Sequence = l.sequence.next(r.At)
		}
		full = newRecord(*r)
		data, err := json.Marshal(full)
		if err != nil {
			return err
		}
		recs = append(recs, store.Record{Kind: KindDecision, Key: a.Key(), At: r.At, Data: data})
	}
	if err := l.Journal.Append(recs...); err != nil {
		l.memories.lose(a.Key())
		if r.Sequence != before { // nobody will find it
			l.sequence.done(r.Sequence)
			r.Sequence = before
		}
		return err
	}
	m.learn(r.Decision.Entry, full)
	return nil
}

func newRecord(r Result) *Record {
	a, in := r.Autoscaler, r.Input
	in.History = nil
	return &Record{
		ID: DecisionID(a, r.At), Sequence: r.Sequence, Autoscaler: a.UID, Namespace: a.Namespace, Name: a.Name, Target: a.Target,
		Policy: a.Policy, Input: in, Decision: r.Decision,
	}
}
