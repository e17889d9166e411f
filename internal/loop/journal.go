package loop

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"time"

	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/store"
)

// Kinds of journal records. Both are keyed by autoscaler UID and target UID, so that a re-created autoscaler or
// workload of the same name has no history.
const (
	KindEntry    = "entry"    // a decider.Entry for every decision
	KindDecision = "decision" // a Record when the count, the verdict, the binding rule or the policy changes
)

// EntryRetention is how long entries are worth keeping: twice the longest window or delay that a policy may have. At a
// decision every 2 s, an autoscaler's entries take 1 MB; those of a week would take 90.
const EntryRetention = 2 * time.Hour

// Record is a decision in full: what it was made from, but for the history, which the entries are, and why.
type Record struct {
	ID              string
	Namespace, Name string
	Target          Target
	Policy          decider.Policy
	Input           decider.Input // without History
	Decision        decider.Decision
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
func (l *Loop) record(a Autoscaler, r *Result) error {
	var err error
	if r.News, err = l.saysNew(a, *r); err != nil {
		return err
	}
	return l.write(a, *r, r.News)
}

// recordOutcome journals entry and decision again, now with the outcome. What was applied is in the journal in full.
func (l *Loop) recordOutcome(a Autoscaler, r Result) error {
	return l.write(a, r, r.News || r.Decision.Entry.Outcome.Applied)
}

func (l *Loop) write(a Autoscaler, r Result, inFull bool) error {
	entry, err := json.Marshal(r.Decision.Entry)
	if err != nil {
		return err
	}
	recs := []store.Record{{Kind: KindEntry, Key: a.Key(), At: r.At, Data: entry}}
	if inFull {
		full, err := encode(a, r)
		if err != nil {
			return err
		}
		recs = append(recs, full)
	}
	return l.Journal.Append(recs...)
}

func encode(a Autoscaler, r Result) (store.Record, error) {
	in := r.Input
	in.History = nil
	data, err := json.Marshal(Record{
		ID: DecisionID(a, r.At), Namespace: a.Namespace, Name: a.Name, Target: a.Target,
		Policy: a.Policy, Input: in, Decision: r.Decision,
	})
	return store.Record{Kind: KindDecision, Key: a.Key(), At: r.At, Data: data}, err
}

func (l *Loop) saysNew(a Autoscaler, r Result) (bool, error) {
	prev, ok, err := l.Journal.Last(KindDecision, a.Key(), r.At)
	if err != nil || !ok {
		return true, err
	}
	var last Record
	if err := json.Unmarshal(prev.Data, &last); err != nil {
		return false, fmt.Errorf("decision of %s: %w", prev.At.Format(time.RFC3339), err)
	}
	d := r.Decision
	return d.To != last.Decision.To || d.Verdict != last.Decision.Verdict ||
		binding(d) != binding(last.Decision) || !reflect.DeepEqual(a.Policy, last.Policy), nil
}

// binding is the rule that had the last word.
func binding(d decider.Decision) decider.Rule { return d.Reasons[len(d.Reasons)-1].Rule }
