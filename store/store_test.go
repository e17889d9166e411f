package store

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/stretchr/testify/require"
)

// epoch is a whole second, and a whole hour, so that blocks begin where tests expect.
var epoch = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// clock is a hand-set clock.
type clock struct{ ms atomic.Int64 }

func clockAt(t time.Time) *clock        { c := &clock{}; c.set(t); return c }
func (c *clock) set(t time.Time)        { c.ms.Store(t.UnixMilli()) }
func (c *clock) add(d time.Duration)    { c.ms.Add(d.Milliseconds()) }
func (c *clock) now() time.Time         { return time.UnixMilli(c.ms.Load()) }
func series(kv ...string) *Series       { return &Series{Labels: labels.FromStrings(kv...)} }
func one(s *Series, v float64) []Sample { return []Sample{{Series: s, Value: v}} }

func openAt(t *testing.T, dir string, c *clock) *Store {
	t.Helper()
	s, err := Open(Options{Dir: dir, Clock: c.now})
	require.NoError(t, err)
	return s
}

// read gives "seconds-since-epoch:value" for each sample of the metric, stale markers as "stale".
func read(t *testing.T, s *Store, metric string) string {
	t.Helper()
	q, err := s.Querier(epoch.UnixMilli(), epoch.Add(1000*time.Hour).UnixMilli())
	require.NoError(t, err)
	defer q.Close()
	var out []string
	set := q.Select(context.Background(), true, nil, labels.MustNewMatcher(labels.MatchEqual, "__name__", metric))
	for set.Next() {
		it := set.At().Iterator(nil)
		for it.Next() == chunkenc.ValFloat {
			ts, v := it.At()
			val := fmt.Sprint(v)
			if value.IsStaleNaN(v) {
				val = "stale"
			}
			out = append(out, fmt.Sprintf("%g:%s", float64(ts-epoch.UnixMilli())/1000, val))
		}
	}
	require.NoError(t, set.Err())
	return strings.Join(out, " ")
}

func TestSamplesAreStampedByTheStoresClock(t *testing.T) {
	c := clockAt(epoch.Add(time.Second))
	s := openAt(t, t.TempDir(), c)
	defer s.Close()
	q := series("__name__", "queue", "pod_uid", "a")

	at, err := s.Append(one(q, 1))
	require.NoError(t, err)
	require.True(t, at.Equal(epoch.Add(time.Second)), at)

	// Within the same millisecond a series still moves on: a stale marker right after a sample is not lost.
	_, err = s.Append(one(q, StaleMarker()))
	require.NoError(t, err)

	// The clock steps back five seconds; stamps do not.
	c.add(-5 * time.Second)
	_, err = s.Append(one(q, 3))
	require.NoError(t, err)

	require.Equal(t, "1:1 1.001:stale 1.002:3", read(t, s, "queue"))
}

func TestAnAppendIsAllOrNothing(t *testing.T) {
	s := openAt(t, t.TempDir(), clockAt(epoch.Add(time.Second)))
	defer s.Close()
	_, err := s.Append([]Sample{{Series: series("__name__", "good"), Value: 1}, {Series: series(), Value: 2}})
	require.Error(t, err)
	require.Empty(t, read(t, s, "good"))
}

func TestRestartKeepsSamplesAndRecords(t *testing.T) {
	dir, c := t.TempDir(), clockAt(epoch.Add(time.Second))
	s := openAt(t, dir, c)
	_, err := s.Append(one(series("__name__", "queue"), 7))
	require.NoError(t, err)
	require.NoError(t, s.Journal().Append(Record{Kind: "entry", Key: "uid", At: epoch, Data: []byte("x")}))

	_, err = Open(Options{Dir: dir, Clock: c.now})
	require.ErrorContains(t, err, "is another flyball using the directory?")
	require.NoError(t, s.Close())

	c.add(time.Second)
	s = openAt(t, dir, c)
	defer s.Close()
	_, err = s.Append(one(series("__name__", "queue"), 8))
	require.NoError(t, err)
	require.Equal(t, "1:7 2:8", read(t, s, "queue"))
	rec, ok, err := s.Journal().Last("entry", "uid", epoch)
	require.NoError(t, err)
	require.True(t, ok)
	require.Equal(t, "x", string(rec.Data))
}

func TestAClockSetBackIsRefusedAtOpen(t *testing.T) {
	dir, c := t.TempDir(), clockAt(epoch.Add(time.Hour))
	s := openAt(t, dir, c)
	_, err := s.Append(one(series("__name__", "queue"), 7))
	require.NoError(t, err)
	require.NoError(t, s.Close())

	c.set(epoch)
	_, err = Open(Options{Dir: dir, Clock: c.now})
	require.ErrorContains(t, err, "the newest sample is 1h0m0s ahead of the clock; set the clock right")

	c.set(epoch.Add(time.Hour - maxClockBehind)) // a small step back is lived with
	s = openAt(t, dir, c)
	require.NoError(t, s.Close())
}

// A child process appends, says so, and is killed without warning.
func TestKilledProcessLosesNothingThatWasAppended(t *testing.T) {
	if dir := os.Getenv("FLYBALL_STORE_CHILD"); dir != "" {
		s, err := Open(Options{Dir: dir, Clock: clockAt(epoch.Add(time.Second)).now})
		require.NoError(t, err)
		_, err = s.Append(one(series("__name__", "queue"), 7))
		require.NoError(t, err)
		require.NoError(t, s.Journal().Append(Record{Kind: "entry", Key: "uid", At: epoch, Data: []byte("x")}))
		fmt.Println("appended")
		select {}
	}
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	cmd.Env = append(os.Environ(), "FLYBALL_STORE_CHILD="+dir)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	buf := make([]byte, 64)
	n, err := out.Read(buf)
	require.NoError(t, err)
	require.Contains(t, string(buf[:n]), "appended")
	require.NoError(t, cmd.Process.Kill())
	require.Error(t, cmd.Wait())

	s := openAt(t, dir, clockAt(epoch.Add(2*time.Second)))
	defer s.Close()
	require.Equal(t, "1:7", read(t, s, "queue"))
	_, ok, err := s.Journal().Last("entry", "uid", epoch)
	require.NoError(t, err)
	require.True(t, ok)
}

// A watermark is a promise: once it has said yes to t, a sample stamped t or earlier never turns up.
func TestNoSampleArrivesBelowAWatermark(t *testing.T) {
	c := clockAt(epoch)
	s := openAt(t, t.TempDir(), c)
	defer s.Close()
	require.False(t, s.Watermark(epoch), "the present millisecond is not over")

	var promised atomic.Int64
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			q := series("__name__", "queue", "w", fmt.Sprint(w))
			for range 300 {
				before := promised.Load()
				at, err := s.Append(one(q, 1))
				if err != nil || at.UnixMilli() <= before {
					t.Errorf("stamp %d after watermark %d: %v", at.UnixMilli(), before, err)
				}
			}
		})
	}
	wg.Go(func() {
		for range 300 {
			t := c.now()
			c.add(time.Millisecond)
			if s.Watermark(t) {
				promised.Store(t.UnixMilli())
			}
		}
	})
	wg.Wait()
	require.Positive(t, promised.Load())
}

func TestRetentionByTimeAndBySize(t *testing.T) {
	for name, o := range map[string]Options{
		"time": {Retention: 3 * time.Hour},
		"size": {Retention: 100 * time.Hour, MaxBytes: 1},
	} {
		t.Run(name, func(t *testing.T) {
			c := clockAt(epoch)
			o.Dir, o.Clock = t.TempDir(), c.now
			opts := tsdb.DefaultOptions()
			opts.MinBlockDuration = blockRange.Milliseconds()
			opts.MaxBlockDuration = blockRange.Milliseconds()
			s, err := open(o, opts)
			require.NoError(t, err)
			defer s.Close()
			s.db.DisableCompactions() // the background ones; this test compacts when it says so
			q := series("__name__", "queue")
			for range 12 * 4 {
				_, err := s.Append(one(q, 1))
				require.NoError(t, err)
				require.NoError(t, s.Journal().Append(Record{Kind: "entry", Key: "uid", At: c.now(), Data: []byte("x")}))
				c.add(15 * time.Minute)
			}
			s.db.EnableCompactions()
			require.NoError(t, s.db.Compact(context.Background()))
			require.NoError(t, s.Prune())

			first := strings.Split(read(t, s, "queue"), ":")[0]
			require.NotEqual(t, "0", first, "the oldest samples are gone")
			require.NotEmpty(t, first, "the newest are not")
			var kept int
			require.NoError(t, s.Journal().Range("entry", "uid", time.Time{}, c.now(), func(Record) error { kept++; return nil }))
			if name == "time" {
				require.Equal(t, 12, kept, "three hours of records, one each 15 minutes")
			}
		})
	}
}

// Entries are many and soon of no use; decisions are few and kept. The newest entry of each key outlives its time, since
// it may be all that is known of a target.
func TestBriefRecordsGoEarlyButTheNewestStays(t *testing.T) {
	c := clockAt(epoch)
	s, err := Open(Options{Dir: t.TempDir(), Clock: c.now, Retention: 10 * time.Hour, Brief: Brief{"entry": time.Hour}})
	require.NoError(t, err)
	defer s.Close()
	for _, key := range []string{"a", "ab", "b"} {
		for m := range 3 {
			at := epoch.Add(time.Duration(m) * time.Minute)
			require.NoError(t, s.Journal().Append(Record{Kind: "entry", Key: key, At: at}, Record{Kind: "decision", Key: key, At: at}))
		}
	}
	count := func(kind, key string) (n int) {
		require.NoError(t, s.Journal().Range(kind, key, time.Time{}, c.now(), func(Record) error { n++; return nil }))
		return n
	}
	for _, step := range []struct {
		after              time.Duration
		entries, decisions int
	}{
		{time.Hour, 3, 3},
		{time.Hour + time.Minute + time.Second, 1, 3}, // two are past the hour, the third is the newest
		{9 * time.Hour, 1, 3},
		{10*time.Hour + 3*time.Minute, 0, 0},
	} {
		c.set(epoch.Add(step.after))
		require.NoError(t, s.Prune())
		for _, key := range []string{"a", "ab", "b"} {
			require.Equal(t, step.entries, count("entry", key), "entries of %s after %s", key, step.after)
			require.Equal(t, step.decisions, count("decision", key), "decisions of %s after %s", key, step.after)
		}
	}
}

func TestOpenNamesWhatIsWrong(t *testing.T) {
	_, err := Open(Options{})
	require.ErrorContains(t, err, "no directory given")
	file := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(file, nil, 0o644))
	_, err = Open(Options{Dir: file})
	require.ErrorContains(t, err, "not a directory")
}
