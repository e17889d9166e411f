package loop

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/flyball/flyball/store"
)

// farthest is later than any record.
var farthest = time.Unix(0, math.MaxInt64-1)

// Latest gives the newest decision in full of each autoscaler and target, in no particular order.
func (r Records) Latest() ([]Record, error) {
	keys, err := r.Journal.Keys(KindDecision)
	if err != nil {
		return nil, err
	}
	var all []Record
	for _, key := range keys {
		last, err := lastRecord(r.Journal, key, farthest)
		if err != nil {
			return nil, err
		}
		if last != nil { // else dropped since the keys were listed
			all = append(all, *last)
		}
	}
	return all, nil
}

// Sequence is the last number that was given to a record; 0 when there is none.
func (r Records) Sequence() (uint64, error) {
	all, err := r.Latest()
	if err != nil {
		return 0, fmt.Errorf("read the last decisions: %w", err)
	}
	var last uint64
	for _, rec := range all {
		last = max(last, rec.Sequence)
	}
	return last, nil
}

// Past gives what was recorded in full under a name from one time to another, both included, oldest first, and of one time
// by sequence: at most limit records. Of those of time from, only the ones numbered higher than after: time and number of the
// last record are where to go on. ErrNoRecord says that nothing at all is recorded under that name.
func (r Records) Past(namespace, name string, from, to time.Time, after uint64, limit int) ([]Record, error) {
	keys, err := r.keys(namespace, name)
	if err != nil {
		return nil, fmt.Errorf("%s/%s: %w", namespace, name, err)
	}
	var all []Record
	enough := errors.New("enough of this key")
	for _, key := range keys {
		n := 0
		err := r.Journal.Range(KindDecision, key, from.Add(-time.Nanosecond), to, func(rec store.Record) error {
			var full Record
			if err := json.Unmarshal(rec.Data, &full); err != nil {
				return fmt.Errorf("decision of %s: %w", rec.At.Format(time.RFC3339), err)
			}
			if full.Sequence <= after && full.Input.At.Equal(from) {
				return nil
			}
			all = append(all, full)
			if n++; n == limit {
				return enough
			}
			return nil
		})
		if err != nil && !errors.Is(err, enough) {
			return nil, fmt.Errorf("%s/%s: %w", namespace, name, err)
		}
	}
	slices.SortFunc(all, func(a, b Record) int {
		return cmp.Or(a.Input.At.Compare(b.Input.At), cmp.Compare(a.Sequence, b.Sequence))
	})
	return all[:min(limit, len(all))], nil
}

// ExplainID explains a decision by its id, and what has been decided since, until the next one that said something new. A
// decision that said nothing new was not recorded in full; the one that it repeated is explained.
func (r Records) ExplainID(id string) (Explanation, error) {
	uid, at, err := parseID(id)
	if err != nil {
		return Explanation{}, err
	}
	all, err := r.Journal.Keys(KindDecision)
	if err != nil {
		return Explanation{}, fmt.Errorf("decision %s: %w", id, err)
	}
	keys := slices.DeleteFunc(all, func(key string) bool { return !strings.HasPrefix(key, uid+"/") })
	key, _, err := r.newest(keys, at)
	if err != nil {
		return Explanation{}, fmt.Errorf("decision %s: %w", id, err)
	}
	until, err := r.next(key, at)
	if err != nil {
		return Explanation{}, fmt.Errorf("decision %s: %w", id, err)
	}
	_, last, err := r.newest([]string{key}, until)
	if err != nil {
		return Explanation{}, fmt.Errorf("decision %s: %w", id, err)
	}
	e, err := r.explain(key, last, until)
	if err != nil {
		return Explanation{}, fmt.Errorf("decision %s: %w", id, err)
	}
	return e, nil
}

// next is the last moment before something new is recorded in full after t; the farthest there is when nothing is.
func (r Records) next(key string, t time.Time) (time.Time, error) {
	until := farthest
	enough := errors.New("the next is enough")
	err := r.Journal.Range(KindDecision, key, t, farthest, func(rec store.Record) error {
		until = rec.At.Add(-time.Nanosecond)
		return enough
	})
	if err != nil && !errors.Is(err, enough) {
		return until, err
	}
	return until, nil
}

// ErrID says that a text is no decision's id.
var ErrID = errors.New("a decision's id is the autoscaler's UID, a dash and the time in base 36, as logs and events have it")

// parseID takes apart what DecisionID puts together.
func parseID(id string) (uid string, at time.Time, err error) {
	cut := strings.LastIndexByte(id, '-')
	if cut <= 0 {
		return "", at, fmt.Errorf("%q: %w", id, ErrID)
	}
	seconds, err := strconv.ParseInt(id[cut+1:], 36, 64)
	if err != nil || seconds < 0 || seconds > farthest.Unix() {
		return "", at, fmt.Errorf("%q: %w", id, ErrID)
	}
	return id[:cut], time.Unix(seconds, 0).UTC(), nil
}
