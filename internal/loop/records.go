package loop

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/prometheus/util/strutil"

	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/store"
)

// Reader is how what was journalled is found again; store.Journal is one.
type Reader interface {
	Keys(kind string) ([]string, error)
	Range(kind, key string, from, to time.Time, fn func(store.Record) error) error
	Last(kind, key string, t time.Time) (store.Record, bool, error)
}

// Records reads back what a loop has journalled, whether that loop still runs or not.
type Records struct{ Journal Reader }

// Explanation is a decision as it was recorded, and what can be said of it later.
type Explanation struct {
	Record  Record    // of First, or, where a running loop still knows it, of Last
	First   time.Time // of the decision that said so first
	Last    time.Time // of the newest decision up to the time asked for
	Same    int       // decisions after First, up to Last, that said the same and so were not recorded in full
	All     bool      // Same counts all of them; false when some are so old that they were dropped
	Without []Without // what each bound changed; empty when they changed nothing
}

// Without is what would have been decided without one of the bounds in effect, all else being equal.
type Without struct {
	Bound string // minReplicas or maxReplicas
	Value int32  // what it was
	To    int32  // replicas that would have been decided
}

// ErrNoRecord says that no decision is recorded of an autoscaler, or none at or before a time.
var ErrNoRecord = errors.New("no decision is recorded")

// Explain finds the last decision of an autoscaler at or before t. Of several autoscalers or targets that bore the
// name one after the other, it is the one that was decided for last.
func (r Records) Explain(namespace, name string, t time.Time) (Explanation, error) {
	keys, err := r.keys(namespace, name)
	if err != nil {
		return Explanation{}, fmt.Errorf("%s/%s: %w", namespace, name, err)
	}
	key, last, err := r.newest(keys, t)
	if err != nil {
		return Explanation{}, fmt.Errorf("%s/%s: %w", namespace, name, err)
	}
	e, err := r.explain(key, last, t)
	if err != nil {
		return Explanation{}, fmt.Errorf("%s/%s: %w", namespace, name, err)
	}
	return e, nil
}

// Now explains a running loop's newest result of an autoscaler, with the numbers that it has. What was recorded in full has
// those of the first decision that said the same, which may be hours old.
func (r Records) Now(newest Result) (Explanation, error) {
	a := newest.Autoscaler
	e, err := r.recorded(a.Key(), newest.At, newest.At)
	if err == nil {
		if !e.First.Equal(newest.At) {
			e.Record = newest.Record()
		}
		e.Without, err = r.without(a.Key(), e.Record)
	}
	if err != nil {
		return Explanation{}, fmt.Errorf("%s/%s: %w", a.Namespace, a.Name, err)
	}
	return e, nil
}

// keys are those under which a name has records. Without any, the error says which names are near.
func (r Records) keys(namespace, name string) ([]string, error) {
	all, err := r.Journal.Keys(KindDecision)
	if err != nil {
		return nil, err
	}
	var keys, names []string
	for _, key := range all {
		rec, ok, err := r.Journal.Last(KindDecision, key, farthest)
		if err != nil {
			return nil, err
		}
		if !ok {
			continue // dropped since the keys were listed
		}
		var who struct{ Namespace, Name string }
		if err := json.Unmarshal(rec.Data, &who); err != nil {
			return nil, fmt.Errorf("decision of %s: %w", rec.At.Format(time.RFC3339), err)
		}
		if who.Namespace == namespace && who.Name == name {
			keys = append(keys, key)
		}
		names = append(names, who.Namespace+"/"+who.Name)
	}
	switch {
	case len(keys) > 0:
		return keys, nil
	case len(names) == 0:
		return nil, fmt.Errorf("%w of any autoscaler yet", ErrNoRecord)
	}
	return nil, fmt.Errorf("%w of that name; the nearest are %s", ErrNoRecord, strings.Join(nearest(namespace+"/"+name, names), ", "))
}

// nearest are the names most like the one that was asked for, at most five.
func nearest(name string, names []string) []string {
	like := strutil.NewJaroWinklerMatcher(name)
	slices.Sort(names)
	names = slices.Compact(names)
	slices.SortStableFunc(names, func(a, b string) int { return cmp.Compare(like.Score(b), like.Score(a)) })
	return names[:min(len(names), 5)]
}

// newest is the one of the keys that was decided for last, up to t, and when.
func (r Records) newest(keys []string, t time.Time) (key string, last time.Time, err error) {
	for _, k := range keys {
		for _, kind := range []string{KindDecision, KindEntry} {
			rec, ok, err := r.Journal.Last(kind, k, t)
			if err != nil {
				return "", last, err
			}
			if ok && rec.At.After(last) {
				key, last = k, rec.At
			}
		}
	}
	if key != "" {
		return key, last, nil
	}
	if len(keys) == 0 {
		return "", last, ErrNoRecord
	}
	first := farthest.UTC()
	enough := errors.New("the first is enough")
	for _, k := range keys {
		err := r.Journal.Range(KindDecision, k, t, first, func(rec store.Record) error {
			first = rec.At
			return enough
		})
		if err != nil && !errors.Is(err, enough) {
			return "", last, err
		}
	}
	return "", last, fmt.Errorf("%w at or before %s; the first is of %s", ErrNoRecord, clock(t), clock(first))
}

func (r Records) explain(key string, last, t time.Time) (Explanation, error) {
	e, err := r.recorded(key, last, t)
	if err != nil {
		return e, err
	}
	e.Without, err = r.without(key, e.Record)
	return e, err
}

// recorded is the explanation without its Without.
func (r Records) recorded(key string, last, t time.Time) (Explanation, error) {
	e := Explanation{Last: last}
	rec, ok, err := r.Journal.Last(KindDecision, key, t)
	if err != nil {
		return e, err
	}
	if !ok {
		return e, fmt.Errorf("%w in full at or before %s; what was is older than the retention", ErrNoRecord, clock(t))
	}
	if err := json.Unmarshal(rec.Data, &e.Record); err != nil {
		return e, fmt.Errorf("decision of %s: %w", rec.At.Format(time.RFC3339), err)
	}
	e.First = rec.At
	// Entries are dropped oldest first: if the record's own is there, so are all that followed.
	err = r.Journal.Range(KindEntry, key, rec.At.Add(-time.Nanosecond), t, func(entry store.Record) error {
		if entry.At.Equal(rec.At) {
			e.All = true
		} else {
			e.Same++
		}
		return nil
	})
	return e, err
}

// without decides again, as it was and then without each bound. Where the first does not give the recorded decision,
// since the history that it was made from is dropped by now, the decision's own last reason has to do.
func (r Records) without(key string, rec Record) ([]Without, error) {
	p, in, was := rec.Policy, rec.Input, rec.Decision
	var err error
	if in.History, err = history(r.Journal, key, p.Memory(), in.At); err != nil {
		return nil, err
	}
	if decider.Decide(p, in).Explain() != was.Explain() {
		return lastBound(p, was), nil
	}
	var out []Without
	without := func(bound string, value, least, most int32) {
		free := p
		free.MinReplicas, free.MaxReplicas, free.Schedules = least, most, nil
		if d := decider.Decide(free, in); d.To != was.To {
			out = append(out, Without{bound, value, d.To})
		}
	}
	least, most, _, _ := p.BoundsAt(in.At)
	without("minReplicas", least, 0, most)
	without("maxReplicas", most, least, math.MaxInt32)
	return out, nil
}

// lastBound is what a bound changed that had the last word. A bound that had not changed nothing in the end.
func lastBound(p decider.Policy, d decider.Decision) []Without {
	r := d.Reasons[len(d.Reasons)-1]
	switch {
	case r.Rule != decider.RuleBounds && r.Rule != decider.RuleSchedule:
	case r.Case == decider.CaseMax:
		return []Without{{"maxReplicas", r.To, r.From}}
	case r.Case == decider.CaseMin:
		to := r.From
		if !slices.ContainsFunc(p.Sources, func(s decider.Source) bool { return s.SurvivesZero }) {
			to = max(1, to) // without a source that could wake it, no target goes to zero
		}
		if to != r.To {
			return []Without{{"minReplicas", r.To, to}}
		}
	}
	return nil
}
