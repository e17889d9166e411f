package store

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// The journal against its dumb twin, a sorted slice.
func TestJournalEqualsASortedSlice(t *testing.T) {
	n := 0
	dir := t.TempDir()
	rapid.Check(t, func(rt *rapid.T) {
		n++
		j, err := openJournal(fmt.Sprintf("%s/%d.db", dir, n))
		require.NoError(rt, err)
		defer j.close()
		twin := map[string]map[int64]string{} // key -> second -> data
		keys := rapid.SampledFrom([]string{"a", "b", "ab", "a/b"})
		for i := range rapid.IntRange(0, 20).Draw(rt, "records") {
			key, sec, data := keys.Draw(rt, "key"), rapid.Int64Range(0, 9).Draw(rt, "sec"), fmt.Sprint(i)
			require.NoError(rt, j.Append(Record{Kind: "k", Key: key, At: time.Unix(sec, 0), Data: []byte(data)}))
			if twin[key] == nil {
				twin[key] = map[int64]string{}
			}
			twin[key][sec] = data
		}
		key := keys.Draw(rt, "asked key")
		from, to := rapid.Int64Range(0, 9).Draw(rt, "from"), rapid.Int64Range(0, 9).Draw(rt, "to")
		var secs []int64
		for sec := range twin[key] {
			secs = append(secs, sec)
		}
		sort.Slice(secs, func(a, b int) bool { return secs[a] < secs[b] })
		var want []string
		last := ""
		for _, sec := range secs {
			if sec > from && sec <= to {
				want = append(want, twin[key][sec])
			}
			if sec <= to {
				last = twin[key][sec]
			}
		}
		var got []string
		require.NoError(rt, j.Range("k", key, time.Unix(from, 0), time.Unix(to, 0), func(r Record) error {
			got = append(got, string(r.Data))
			return nil
		}))
		require.Equal(rt, want, got)
		rec, ok, err := j.Last("k", key, time.Unix(to, 0))
		require.NoError(rt, err)
		require.Equal(rt, last != "", ok)
		require.Equal(rt, last, string(rec.Data))
		names, err := j.Keys("k")
		require.NoError(rt, err)
		require.Equal(rt, slices.Sorted(maps.Keys(twin)), names)
	})
}

func TestRecordsOfTheZeroTimeSortFirst(t *testing.T) {
	j, err := openJournal(t.TempDir() + "/j.db")
	require.NoError(t, err)
	defer j.close()
	require.NoError(t, j.Append(Record{Kind: "k", Key: "a", At: time.Unix(1, 0), Data: []byte("x")}))
	seen := 0
	require.NoError(t, j.Range("k", "a", time.Time{}, time.Unix(5, 0), func(Record) error { seen++; return nil }))
	require.Equal(t, 1, seen)
}

// What a stopped process left can be read, by several at once, and is not changed by it; a running one is not disturbed.
func TestReadJournalReadsAStoppedStoreOnly(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(Options{Dir: dir})
	require.NoError(t, err)
	require.NoError(t, s.Journal().Append(Record{Kind: "k", Key: "a", At: time.Unix(1, 0), Data: []byte("x")}))
	require.ErrorIs(t, ReadJournal(dir, nil), ErrInUse)
	require.NoError(t, s.Close())

	before, err := os.ReadFile(filepath.Join(dir, journalFile))
	require.NoError(t, err)
	require.NoError(t, ReadJournal(dir, func(j *Journal) error {
		return ReadJournal(dir, func(*Journal) error {
			rec, ok, err := j.Last("k", "a", time.Unix(9, 0))
			require.NoError(t, err)
			require.True(t, ok)
			require.Equal(t, "x", string(rec.Data))
			keys, err := j.Keys("none such")
			require.Empty(t, keys)
			return err
		})
	}))
	after, err := os.ReadFile(filepath.Join(dir, journalFile))
	require.NoError(t, err)
	require.Equal(t, before, after)

	absent := filepath.Join(dir, "absent")
	require.ErrorIs(t, ReadJournal(absent, nil), os.ErrNotExist)
	require.NoDirExists(t, absent)
}
