package replay

import (
	"slices"
	"time"

	"github.com/flyball/flyball/internal/loop"
	"github.com/flyball/flyball/store"
)

// journal is in memory from begin on. What was written down before is read from the real one.
type journal struct {
	before loop.Reader
	begin  time.Time
	own    map[string][]store.Record // by kind and key, oldest first
}

func (j *journal) of(kind, key string) []store.Record { return j.own[kind+"\x00"+key] }

// Append implements loop.Journal.
func (j *journal) Append(recs ...store.Record) error {
	if j.own == nil {
		j.own = map[string][]store.Record{}
	}
	for _, r := range recs {
		all := j.of(r.Kind, r.Key)
		at, found := slices.BinarySearchFunc(all, r.At, func(r store.Record, t time.Time) int { return r.At.Compare(t) })
		if found {
			all[at] = r
		} else {
			all = slices.Insert(all, at, r)
		}
		j.own[r.Kind+"\x00"+r.Key] = all
	}
	return nil
}

// Range implements loop.Journal.
func (j *journal) Range(kind, key string, from, to time.Time, fn func(store.Record) error) error {
	if real := j.real(to); from.Before(real) {
		if err := j.before.Range(kind, key, from, real, fn); err != nil {
			return err
		}
	}
	for _, r := range j.of(kind, key) {
		if r.At.After(from) && !r.At.After(to) {
			if err := fn(r); err != nil {
				return err
			}
		}
	}
	return nil
}

// Last implements loop.Journal.
func (j *journal) Last(kind, key string, t time.Time) (store.Record, bool, error) {
	for _, r := range slices.Backward(j.of(kind, key)) {
		if !r.At.After(t) {
			return r, true, nil
		}
	}
	return j.before.Last(kind, key, j.real(t))
}

// real is t, or where the real journal is no longer asked.
func (j *journal) real(t time.Time) time.Time {
	if last := j.begin.Add(-time.Nanosecond); t.After(last) {
		return last
	}
	return t
}
