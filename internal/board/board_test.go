package board

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/internal/loop"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

func scaler(name string) loop.Autoscaler {
	return loop.Autoscaler{UID: "uid-" + name, Namespace: "a", Name: name}
}

// decided is a turn of second n; recorded when sequence is not 0. Everything before it has been published.
func decided(name string, n int, sequence uint64) loop.Result {
	at := noon.Add(time.Duration(n) * time.Second)
	return loop.Result{
		Autoscaler: scaler(name), At: at, Sequence: sequence, Settled: max(sequence, uint64(n)*10),
		Decision: decider.Decision{At: at, From: 1, To: int32(n), Reasons: []decider.Reason{{Rule: decider.RuleNeed, From: 1, To: int32(n)}}},
	}
}

func record(name string, sequence uint64) loop.Record {
	return loop.Record{Autoscaler: "uid-" + name, Namespace: "a", Name: name, Sequence: sequence, Input: decider.Input{At: noon}}
}

// told reads what is pending.
func told(t *testing.T, w *Watch) []Event {
	t.Helper()
	var out []Event
	for {
		e, ok, err := w.next()
		require.NoError(t, err)
		if !ok {
			return out
		}
		out = append(out, e)
	}
}

// said is events in short: name=sequence, with +skipped; -name for a removal; synced or resumed.
func said(events []Event) []string {
	out := []string{}
	for _, e := range events {
		s := ""
		switch e.Kind {
		case Decided:
			s = fmt.Sprintf("%s=%d", e.Result.Autoscaler.Name, e.Result.Sequence)
		case Removed:
			s = "-" + e.Result.Autoscaler.Name
		case Synced:
			s = map[bool]string{false: "synced", true: "resumed"}[e.Resumed]
		}
		if e.Skipped > 0 {
			s += fmt.Sprintf("+%d", e.Skipped)
		}
		out = append(out, s)
	}
	return out
}

func watch(t *testing.T, b *Board, namespace, name, token string) *Watch {
	t.Helper()
	w, err := b.Watch(namespace, name, token)
	require.NoError(t, err)
	t.Cleanup(w.Close)
	return w
}

func TestBeforeTheFirstTurnTheBoardShowsTheJournal(t *testing.T) {
	old := record("x", 5)
	old.Autoscaler = "its predecessor"
	b := New("s", []loop.Record{record("y", 8), old, record("x", 7)})
	r, ok := b.Get("a", "x")
	require.True(t, ok)
	require.Equal(t, "uid-x", r.Autoscaler.UID, "of those that bore the name, the one decided for last")
	require.Nil(t, r.Autoscaler.Sources)
	require.Equal(t, noon, r.At)
	require.Len(t, b.List(), 2)
	require.Equal(t, []string{"x=7", "y=8", "synced"}, said(told(t, watch(t, b, "", "", ""))))
	_, ok = b.Get("a", "z")
	require.False(t, ok)
	require.Equal(t, []string{"a/x", "a/y"}, b.Nearest("a", "xx"))
}

func TestAFailedTurnLeavesTheLastDecisionWithItsAge(t *testing.T) {
	b := New("s", nil)
	failed := loop.Result{Autoscaler: scaler("x"), At: noon, Err: errors.New("no answer")}
	b.Publish(failed)
	r, ok := b.Get("a", "x")
	require.True(t, ok)
	require.Equal(t, failed, r, "there is no decision to keep")

	b.Publish(decided("x", 3, 0))
	failed.At = noon.Add(9 * time.Second)
	b.Publish(failed)
	r, _ = b.Get("a", "x")
	require.EqualValues(t, 3, r.Decision.To)
	require.Equal(t, noon.Add(3*time.Second), r.At)
	require.EqualError(t, r.Err, "no answer")
}

func TestAWatchIsASnapshotThenWhatIsRecorded(t *testing.T) {
	b := New("s", []loop.Record{record("x", 7)})
	all, one, elsewhere := watch(t, b, "", "", ""), watch(t, b, "a", "y", ""), watch(t, b, "b", "", "")
	b.Publish(decided("y", 1, 11))
	b.Publish(decided("x", 2, 0)) // not recorded: no event
	require.Equal(t, []string{"x=7", "synced", "y=11"}, said(told(t, all)))
	require.Equal(t, []string{"synced", "y=11"}, said(told(t, one)))
	require.Equal(t, []string{"synced"}, said(told(t, elsewhere)))
	require.Equal(t, "s/20", elsewhere.Token(), "what others were decided moves the token")
}

func TestASlowReaderGetsTheLatestOfEachAndACount(t *testing.T) {
	b := New("s", nil)
	w := watch(t, b, "", "", "")
	require.Equal(t, []string{"synced"}, said(told(t, w)))
	for n := 1; n <= 100; n++ {
		b.Publish(decided("busy", n, uint64(n*10)))
		if n == 50 {
			b.Publish(decided("quiet", n, uint64(n*10+1)))
		}
	}
	require.Equal(t, 2, w.pending.Len())
	got := told(t, w)
	require.Equal(t, []string{"busy=1000+99", "quiet=501"}, said(got), "the busy one keeps its place, the quiet one is next")
	require.Equal(t, "s/500", got[0].Token, "quiet was not told yet")
	require.Equal(t, "s/1000", got[1].Token)
}

func TestATokenGoesOnWhereItWasGiven(t *testing.T) {
	b := New("s", []loop.Record{record("x", 7), record("y", 8), record("z", 9)})
	w := watch(t, b, "", "", "")
	synced := told(t, w)[3]
	w.Close()
	b.Publish(decided("y", 5, 50))
	b.Present([]loop.Autoscaler{scaler("x"), scaler("y")})
	require.Equal(t, []string{"-z", "y=50", "resumed"}, said(told(t, watch(t, b, "", "", synced.Token))))
	for what, token := range map[string]string{"none": "", "of another store": "other/9", "from the future": "s/51"} {
		require.Equal(t, []string{"x=7", "y=50", "synced"}, said(told(t, watch(t, b, "", "", token))), what)
	}
	for _, token := range []string{"s", "/9", "s/", "s/-1", "s/09", "s/x", "s/9/"} {
		_, err := b.Watch("", "", token)
		require.ErrorIs(t, err, ErrToken, token)
	}
}

func TestWhoIsGoneIsTakenDownAndWhoIsBackIsPutUp(t *testing.T) {
	b := New("s", []loop.Record{record("x", 7)})
	w := watch(t, b, "", "", "")
	before := told(t, w)[1]
	b.Present(nil)
	require.Empty(t, b.List())
	gone := told(t, w)
	require.Equal(t, []string{"-x"}, said(gone))
	b.Present([]loop.Autoscaler{scaler("x")})
	require.Equal(t, []string{"x=7"}, said(told(t, w)), "its decision is no news to the loop, but it is to the watch")
	require.Equal(t, []string{"x=7", "resumed"}, said(told(t, watch(t, b, "", "", gone[0].Token))))
	require.Equal(t, []string{"x=7", "resumed"}, said(told(t, watch(t, b, "", "", before.Token))))

	again := decided("x", 9, 90)
	again.Autoscaler.UID = "another"
	b.Publish(again)
	late := decided("x", 8, 89)
	b.Publish(late) // the deleted one's last turn hung
	require.Equal(t, []string{"-x", "x=90"}, said(told(t, w)))
	r, _ := b.Get("a", "x")
	require.Equal(t, "another", r.Autoscaler.UID)
}

// A reader that has stopped reading costs a slot per autoscaler that it was told of, and one per autoscaler there is.
func TestAReaderThatNeverReadsCostsNoMoreThanWhatThereIs(t *testing.T) {
	b := New("s", []loop.Record{record("x", 7)})
	w := watch(t, b, "", "", "")
	for n := 1; n <= 3000; n++ {
		name := fmt.Sprint("batch-", n)
		b.Publish(decided(name, n, uint64(n*10)))
		b.Present([]loop.Autoscaler{scaler("x"), scaler(name)})
	}
	require.Equal(t, 3, w.pending.Len(), "x, the marker, and the last batch")
	require.Len(t, b.gone, maxGone)
	require.Equal(t, []string{"x=7", "batch-3000=30000", "synced"}, said(told(t, watch(t, b, "", "", "s/7"))),
		"more has gone since than is remembered, so it is a full snapshot")
	require.Equal(t, []string{"-batch-2999", "batch-3000=30000", "resumed"}, said(told(t, watch(t, b, "", "", "s/29991"))))
}

func TestNextWaitsForAnEventTheContextOrTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New("s", nil)
		w, err := b.Watch("", "", "")
		require.NoError(t, err)
		e, err := w.Next(context.Background())
		require.NoError(t, err)
		require.Equal(t, Synced, e.Kind)

		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_, err = w.Next(ctx)
		require.ErrorIs(t, err, context.DeadlineExceeded)

		go func() { synctest.Wait(); b.Publish(decided("x", 1, 10)) }()
		e, err = w.Next(context.Background())
		require.NoError(t, err)
		require.EqualValues(t, 10, e.Result.Sequence)

		go func() { synctest.Wait(); w.Close() }()
		_, err = w.Next(context.Background())
		require.ErrorIs(t, err, ErrClosed)
		require.Empty(t, b.watches)
	})
}

// Whatever a token says, it is good or it is refused; what is refused is not resumed.
func FuzzToken(f *testing.F) {
	for _, s := range []string{"", "s/0", "s/7", "s/8", "other/7", "s/18446744073709551616", "s//7", "\x00/1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, token string) {
		b := New("s", []loop.Record{record("x", 7)})
		w, err := b.Watch("", "", token)
		if err != nil {
			require.ErrorIs(t, err, ErrToken)
			return
		}
		events := told(t, w)
		last := events[len(events)-1]
		require.Equal(t, Synced, last.Kind)
		require.Equal(t, "s/7", last.Token)
		if last.Resumed {
			require.Equal(t, token, b.format(mustParse(t, b, token)))
		} else {
			require.Len(t, events, 2, "a full snapshot")
		}
	})
}

func mustParse(t *testing.T, b *Board, token string) uint64 {
	n, same, err := b.parse(token)
	require.NoError(t, err)
	require.True(t, same)
	return n
}
