package decider

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func drawPause(t *rapid.T, p *Policy) {
	switch rapid.IntRange(0, 9).Draw(t, "pause") {
	case 0:
		p.Pause.All = true
	case 1:
		n := rapid.Int32Range(0, 70).Draw(t, "paused replicas")
		p.Pause.Replicas = &n
	case 2:
		p.Pause.ScaleIn = true
	case 3:
		p.Pause.ScaleOut = true
	}
}

// checkPause is what holds of every decision of a policy that is paused.
func checkPause(t interface {
	Fatalf(string, ...any)
	Helper()
}, p Policy, d Decision,
) {
	t.Helper()
	want := d.From
	switch {
	case d.Reasons[0].Rule == RuleDelegated:
		return
	case p.Pause.Replicas != nil:
		want = *p.Pause.Replicas
	case p.Pause.All:
	case p.Pause.ScaleIn:
		want = max(d.From, d.To)
	case p.Pause.ScaleOut:
		want = min(d.From, d.To)
	default:
		want = d.To
	}
	if d.To != want {
		t.Fatalf("%d, but paused at %d\n%s", d.To, want, d.Explain())
	}
}

// A pause is a lid: beneath it everything is worked out and remembered as it would be without.
func TestAPauseLeavesNoTraceInMemory(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, in := drawCase(t)
		free := p
		free.Pause = Pause{}
		a, b := Decide(p, in).Entry, Decide(free, in).Entry
		for _, e := range []*Entry{&a, &b} {
			e.To, e.ToZero, e.Rule, e.Since = 0, false, "", time.Time{}
		}
		if a != b {
			t.Fatalf("paused\n%+v\nnot paused\n%+v", a, b)
		}
	})
}
