package decider

import (
	"testing"

	"pgregory.net/rapid"
)

// While pods wait for a node nothing is raised but by minReplicas; once none waits, they change nothing.
func TestWaitingPodsAreNotAddedTo(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, in := drawCase(t)
		p.Strict, p.Pause = false, Pause{}
		in.Unschedulable = rapid.Int32Range(1, 9).Draw(t, "waiting")
		d := Decide(p, in)
		least, _, _, _ := p.BoundsAt(in.At)
		if d.To > max(d.From, least, 1) {
			t.Fatalf("raised\n%s", d.Explain())
		}
		in.Unschedulable = 0
		if free := Decide(p, in); d.To > max(free.To, d.From) || free.To < min(d.To, free.From) {
			t.Fatalf("waiting\n%snone waiting\n%s", d.Explain(), free.Explain())
		}
	})
}
