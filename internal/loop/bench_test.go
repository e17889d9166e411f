package loop

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/store"
)

// The history of one decision, five minutes at a decision every 2 s: read from the journal, or remembered.
func BenchmarkHistory(b *testing.B) {
	s, err := store.Open(store.Options{Dir: b.TempDir()})
	require.NoError(b, err)
	b.Cleanup(func() { _ = s.Close() })
	a := Autoscaler{UID: "u", Target: Target{UID: "t"}, Policy: decider.Policy{ObserveWindow: time.Minute, ScaleDownDelay: 5 * time.Minute}}
	var recs []store.Record
	for second := 0; second < 400; second += 2 {
		e := decider.Entry{At: at(float64(second)), From: 3, Ready: 3, Proposal: 3, Known: true, To: 3, Rule: decider.RuleSteady, Since: epoch}
		data, err := json.Marshal(e)
		require.NoError(b, err)
		recs = append(recs, store.Record{Kind: KindEntry, Key: a.Key(), At: e.At, Data: data})
	}
	require.NoError(b, s.Journal().Append(recs...))
	now := at(400)
	b.Run("journal", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			h, err := history(s.Journal(), a.Key(), a.Policy.Memory(), now)
			if err != nil || len(h) < 150 {
				b.Fatal(len(h), err)
			}
		}
	})
	b.Run("remembered", func(b *testing.B) {
		m := memories{known: map[string]*memory{}}
		b.ReportAllocs()
		for b.Loop() {
			if got, err := m.recall(s.Journal(), a, now); err != nil || len(got.history) < 150 {
				b.Fatal(err)
			}
		}
	})
}
