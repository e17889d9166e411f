package board

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/flyball/flyball/internal/loop"
)

// client keeps what it was told, over as many watches as it takes.
type client struct {
	watch    *Watch
	token    string
	known    map[string]uint64 // autoscaler UID -> the last sequence told
	snapshot map[string]bool   // told in the snapshot under way; nil after it
	told     map[uint64]bool
	skipped  int
}

func (c *client) read() bool {
	e, ok, err := c.watch.next()
	if err != nil || !ok {
		return false
	}
	c.token = e.Token
	uid := e.Result.Autoscaler.UID
	c.skipped += e.Skipped
	switch e.Kind {
	case Decided:
		c.known[uid] = e.Result.Sequence
		c.told[e.Result.Sequence] = true
		if c.snapshot != nil {
			c.snapshot[uid] = true
		}
	case Removed:
		delete(c.known, uid)
	case Synced:
		if !e.Resumed {
			for uid := range c.known {
				if !c.snapshot[uid] {
					delete(c.known, uid)
				}
			}
		}
		c.snapshot = nil
	}
	return true
}

func (c *client) connect(t *rapid.T, b *Board) {
	if c.watch != nil {
		c.watch.Close()
	}
	w, err := b.Watch("", "", c.token)
	require.NoError(t, err)
	c.watch, c.snapshot = w, map[string]bool{}
}

// A client that reads when it likes, and comes back with its last token when it likes, ends up knowing what the board shows:
// while decisions are recorded in one order and published in another, and autoscalers come, go and come back.
func TestAClientThatComesBackKnowsInTheEndWhatTheBoardShows(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := New("s", []loop.Record{record("0", 1), record("1", 2)})
		c := &client{known: map[string]uint64{}, told: map[uint64]bool{}}
		c.connect(t, b)
		last, second := uint64(2), 0
		open := map[string]uint64{} // recorded and not yet published, by name
		settled := func(of uint64) uint64 {
			to := last
			for _, n := range open {
				if n != of {
					to = min(to, n-1)
				}
			}
			return to
		}
		name := rapid.SampledFrom([]string{"0", "1", "2", "3"})
		t.Repeat(map[string]func(*rapid.T){
			"record": func(t *rapid.T) {
				if who := name.Draw(t, "who"); open[who] == 0 {
					last += uint64(rapid.IntRange(1, 3).Draw(t, "step"))
					open[who] = last
				}
			},
			"publish": func(t *rapid.T) {
				who := name.Draw(t, "who")
				second++
				r := decided(who, 1, open[who])
				r.At, r.Settled = noon.Add(time.Duration(second)*time.Second), settled(open[who])
				b.Publish(r)
				delete(open, who)
			},
			"present": func(t *rapid.T) {
				var all []loop.Autoscaler
				for _, who := range rapid.SliceOfDistinct(name, rapid.ID).Draw(t, "who") {
					all = append(all, scaler(who))
				}
				b.Present(all)
			},
			"read":      func(*rapid.T) { c.read() },
			"reconnect": func(t *rapid.T) { c.connect(t, b) },
			"": func(t *rapid.T) {
				require.LessOrEqual(t, c.watch.pending.Len(), 5+len(b.gone), "one per autoscaler, and the marker")
			},
		})
		for c.read() {
		}
		shown := map[string]uint64{}
		for _, s := range b.shown {
			if s.recorded != nil {
				shown[s.recorded.Autoscaler.UID] = s.recorded.Sequence
			}
		}
		require.Equal(t, shown, c.known)
		c.watch.Close()
	})
}

// Over one watch, however it is read, each decision is told or counted.
func TestEachDecisionIsToldOrCounted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		b := New("s", nil)
		c := &client{known: map[string]uint64{}, told: map[uint64]bool{}}
		c.connect(t, b)
		n := rapid.IntRange(0, 50).Draw(t, "decisions")
		for i := 1; i <= n; i++ {
			b.Publish(decided(fmt.Sprint(rapid.IntRange(0, 3).Draw(t, "who")), i, uint64(i*10)))
			for range rapid.IntRange(0, 2).Draw(t, "reads") {
				c.read()
			}
		}
		for c.read() {
		}
		require.Equal(t, n, len(c.told)+c.skipped)
		c.watch.Close()
	})
}

// What a watch costs the loop: nothing is read by any of them, which is the worst.
func BenchmarkPublish(b *testing.B) {
	for _, watches := range []int{0, 500} {
		b.Run(fmt.Sprintf("watches=%d", watches), func(b *testing.B) {
			board := New("s", nil)
			for range watches {
				w, err := board.Watch("", "", "")
				require.NoError(b, err)
				defer w.Close()
			}
			results := make([]loop.Result, 100)
			for i := range results {
				results[i] = decided(fmt.Sprint(i), 1, 1)
			}
			var took []time.Duration
			n := uint64(0)
			for b.Loop() {
				n++
				r := results[n%100]
				r.Sequence, r.Settled = n, n
				start := time.Now()
				board.Publish(r)
				took = append(took, time.Since(start))
			}
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)*99/100].Nanoseconds()), "p99-ns")
		})
	}
}
