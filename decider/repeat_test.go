package decider

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A decision that is made once more at the same time, since its write failed or nobody knows whether it did, is the same
// decision for the same reasons.
func TestRepeatedNothingChanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, in := drawCase(t)
		first := Decide(p, in)
		in.History = append(slices.Clip(in.History), first.Entry)
		again := Decide(p, in)
		if first.To != again.To || !reflect.DeepEqual(chain(first), chain(again)) {
			t.Fatalf("first\n%sthen\n%s", first.Explain(), again.Explain())
		}
	})
}

// chain is the reasons without what repeating them may change: since when they have held, and that a panic, which began with
// the first decision, is one that goes on at the second. Beginning a panic is a reason even where it changes nothing.
func chain(d Decision) []Reason {
	var out []Reason
	for _, r := range d.Reasons {
		if r.Rule == RulePanic {
			if r.From == r.To {
				continue
			}
			r = Reason{Rule: r.Rule, From: r.From, To: r.To, Limit: r.Limit, Ready: r.Ready, Delay: r.Delay, Until: r.Until}
		}
		r.Since = time.Time{}
		out = append(out, r)
	}
	return out
}

// What was decided and written is not written again: asked once more with the new count, the decider stays there.
func TestWrittenNothingChanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, in := drawCase(t)
		first := Decide(p, in)
		first.Entry.Outcome = Outcome{Applied: true, Was: first.From, Now: first.To, At: in.At}
		in.History, in.Replicas = append(slices.Clip(in.History), first.Entry), first.To
		if again := Decide(p, in); again.To != first.To {
			t.Fatalf("first\n%sthen\n%s", first.Explain(), again.Explain())
		}
	})
}

// FuzzTrace feeds whole stories: a policy, and decisions one after the other, drawn from the bytes.
func FuzzTrace(f *testing.F) {
	for _, seed := range []uint64{1, 2, 3} { // a story takes some 20 kB; one for which the bytes do not suffice is passed over
		bytes := make([]byte, 1<<17)
		random := rand.NewChaCha8([32]byte{byte(seed)})
		_, _ = random.Read(bytes)
		f.Add(bytes)
	}
	f.Fuzz(rapid.MakeFuzz(func(t *rapid.T) {
		p, in := drawCase(t)
		d := Decide(p, in)
		check(t, p, in, d)
		if d.Explain() == "" || d.Outlook() == "" {
			t.Fatalf("nothing to say")
		}
	}))
}
