package loop

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/store"
)

// What is remembered of an autoscaler is, at each turn, what the journal says: through changes that are applied, silence, a
// delay that is made longer and so looks further back, and a clock that is set back.
func TestMemoryIsWhatTheJournalSays(t *testing.T) {
	w := newWorld(t, t.TempDir(), 0)
	a := w.autoscaler(Target{Kind: "Deployment", Name: "llm", UID: "llm-uid"}, manifest("a", "llm"))
	w.fleet["llm-uid"] = Scale{Replicas: 2, StatusReplicas: 2, Ready: 2}
	applied := 0
	w.onApply = func(Autoscaler, decider.Decision) { applied++ }
	compare := func(second float64) {
		w.results = nil
		w.step(second)
		for _, r := range w.results {
			require.NoError(t, r.Err)
			want, err := history(w.store.Journal(), a.Key(), r.Autoscaler.Policy.Memory(), r.At)
			require.NoError(t, err)
			require.Equal(t, fmt.Sprint(want), fmt.Sprint(r.Input.History), "second %v", second)
		}
	}
	for second := 1; second < 120; second++ {
		compare(float64(second))
		queue := float64(second)
		if second > 60 {
			queue = 1
		}
		if second < 80 || second > 95 {
			w.clock(float64(second) + 0.3)
			w.pod("a", "llm-uid", "pod-0", "uid-0", queue)
		}
		if second == 100 {
			w.scalers[0].Policy.ScaleDownDelay = 10 * time.Minute
		}
	}
	require.Greater(t, applied, 2, "a story in which nothing is applied proves nothing")
	w.clock(119.9)
	for _, second := range []float64{40, 41} { // the clock was set back
		w.results = nil
		require.NoError(t, w.loop.Step(t.Context(), at(second)))
		for _, r := range w.results {
			for _, e := range r.Input.History {
				require.True(t, e.At.Before(r.At), "an entry of the future")
			}
		}
	}
}

// brittle is a journal that fails when told to.
type brittle struct {
	*store.Journal
	fail error
}

func (b *brittle) Append(recs ...store.Record) error {
	if b.fail != nil {
		return b.fail
	}
	return b.Journal.Append(recs...)
}

// What could not be written down is not remembered either.
func TestWhatIsNotJournalledIsNotRemembered(t *testing.T) {
	w := newWorld(t, t.TempDir(), 0)
	w.autoscaler(Target{Kind: "Deployment", Name: "llm", UID: "llm-uid"}, manifest("a", "llm"))
	w.fleet["llm-uid"] = Scale{Replicas: 2, StatusReplicas: 2, Ready: 2}
	journal := &brittle{Journal: w.store.Journal()}
	w.loop.Journal = journal
	for second := range 10 {
		w.step(float64(second + 1))
	}
	before := len(w.results[len(w.results)-1].Input.History)
	journal.fail = errors.New("disk full")
	w.results = nil
	w.clock(10.5)
	w.pod("a", "llm-uid", "pod-0", "uid-0", 90) // news
	w.step(11)
	w.step(12)
	require.ErrorContains(t, w.results[0].Err, "disk full")
	require.Zero(t, w.results[0].Sequence)
	require.Empty(t, w.loop.sequence.open)
	journal.fail = nil
	w.results = nil
	w.step(13)
	w.step(14)
	require.NoError(t, w.results[0].Err)
	require.Len(t, w.results[0].Input.History, before+1)
}

// Each record has a number of its own, higher than those before it, also over a restart; and what is said to be settled has
// been published.
func TestRecordsAreNumberedInOrder(t *testing.T) {
	dir := t.TempDir()
	var last uint64
	var told []uint64 // what a reader has seen, restarts included
	run := func(from, to int) {
		w := newWorld(t, dir, float64(from)-0.4)
		defer w.store.Close()
		var err error
		w.loop.sequence.last, err = Records{w.store.Journal()}.Sequence()
		require.NoError(t, err)
		require.Equal(t, last, w.loop.sequence.last)
		for i := range 20 {
			uid := fmt.Sprint("uid-", i)
			w.autoscaler(Target{Kind: "Deployment", Name: uid, UID: uid}, manifest("a", uid))
			w.fleet[uid] = Scale{Replicas: 1, StatusReplicas: 1, Ready: 1}
		}
		for second := from; second < to; second++ {
			w.results = nil
			w.step(float64(second))
			for _, r := range w.results {
				require.NoError(t, r.Err)
				if r.Sequence != 0 {
					told = append(told, r.Sequence)
					last = max(last, r.Sequence)
				}
				for n := range w.loop.sequence.open {
					t.Fatalf("%d is never published", n)
				}
			}
			for i := range 20 {
				w.clock(float64(second) + 0.3)
				w.pod("a", fmt.Sprint("uid-", i), "pod", fmt.Sprint("pod-uid-", i), float64(second*(i+1)%17))
			}
		}
	}
	run(1, 20)
	run(20, 40)
	slices.Sort(told)
	require.Greater(t, len(told), 40)
	require.Equal(t, told, slices.Compact(slices.Clone(told)), "a number was given out twice")
}

// While a turn with a lower number is under way, nothing above it is settled.
func TestSettledWaitsForTurnsUnderWay(t *testing.T) {
	s := sequence{open: map[uint64]bool{}}
	slow, quick := s.next(epoch), s.next(epoch)
	require.Equal(t, slow+1, quick)
	require.Equal(t, slow-1, s.settled(quick), "the slow one is not published")
	s.done(quick)
	require.Equal(t, quick, s.settled(slow))
	s.done(slow)
	require.Equal(t, quick, s.settled(0))
	require.Equal(t, uint64(epoch.Add(time.Second).UnixMicro()), s.next(epoch.Add(time.Second)))
}

// History is read page by page, and nothing is left out or told twice.
func TestThePastIsReadInPages(t *testing.T) {
	w := newWorld(t, t.TempDir(), 0)
	w.autoscaler(Target{Kind: "Deployment", Name: "llm", UID: "llm-uid"}, manifest("a", "llm"))
	w.fleet["llm-uid"] = Scale{Replicas: 2, StatusReplicas: 2, Ready: 2}
	var recorded []uint64
	for second := 1; second < 90; second++ {
		w.results = nil
		w.step(float64(second))
		for _, r := range w.results {
			if r.Sequence != 0 {
				recorded = append(recorded, r.Sequence)
			}
		}
		w.clock(float64(second) + 0.3)
		w.pod("a", "llm-uid", "pod-0", "uid-0", float64(second*7%40))
	}
	require.Greater(t, len(recorded), 5)
	r := Records{w.store.Journal()}
	for _, limit := range []int{1, 2, 3, 1000} {
		var got []uint64
		from, after := at(0), uint64(0)
		for {
			page, err := r.Past("a", "llm", from, at(100), after, limit)
			require.NoError(t, err)
			if len(page) == 0 {
				break
			}
			for _, rec := range page {
				got = append(got, rec.Sequence)
			}
			from, after = page[len(page)-1].Input.At, page[len(page)-1].Sequence
		}
		require.Equal(t, recorded, got, "pages of %d", limit)
	}
	_, err := r.Past("a", "lm", at(0), at(100), 0, 10)
	require.ErrorContains(t, err, "a/llm")
	latest, err := r.Latest()
	require.NoError(t, err)
	require.Len(t, latest, 1)
	require.Equal(t, recorded[len(recorded)-1], latest[0].Sequence)
}

// Steps may overlap, when a target hangs: what is remembered is swept while others remember.
func TestMemoriesAreSweptWhileTheyAreUsed(t *testing.T) {
	w := newWorld(t, t.TempDir(), 0)
	a := Autoscaler{UID: "u", Target: Target{UID: "t"}, Policy: decider.Policy{ObserveWindow: time.Minute}}
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			b := a
			b.UID = fmt.Sprint("u", i)
			for second := range 200 {
				_, err := w.loop.memories.recall(w.store.Journal(), b, at(float64(second)))
				require.NoError(t, err)
				w.loop.memories.sweep(at(float64(second)))
			}
		})
	}
	all.Wait()
	w.loop.memories.sweep(at(1000))
	require.Empty(t, w.loop.memories.known)
}
