package decider

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// While neither load nor pods change, nothing changes before Next, and when it has come there is another one.
func TestNothingChangesBeforeNext(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p, in := drawCase(t)
		if sparse(append(in.History, Entry{At: in.At, Known: true})) {
			t.Skip("the history has gaps that the delays notice")
		}
		d := Decide(p, in)
		for range 60 {
			at, rule := d.Next()
			if !at.IsZero() && (at.Before(d.At) || rule == "") {
				t.Fatalf("Next is %s, %s\n%s", at, rule, d.Explain())
			}
			in.At, in.Replicas, in.History = in.At.Add(slot), d.To, append(in.History, d.Entry)
			next := Decide(p, in)
			waits := rule != "" && (at.IsZero() || in.At.Before(at))
			if waits && next.To != d.To && p.active(d.At) == p.active(in.At) {
				t.Fatalf("Next is %s, %s\n%sbut\n%s", at, rule, d.Explain(), next.Explain())
			}
			if after, _ := next.Next(); !at.IsZero() && in.At.After(at) && !after.After(at) && !after.IsZero() {
				t.Fatalf("Next is %s and stays there\n%s", at, next.Explain())
			}
			d = next
		}
	})
}

// sparse says whether any two decisions made from data are further apart than the delays take as one.
func sparse(h History) bool {
	var last time.Time
	for _, e := range h {
		if e.Known {
			if !last.IsZero() && e.At.Sub(last) > maxGap {
				return true
			}
			last = e.At
		}
	}
	return false
}

// What people read after the last decision of a story.
func TestOutlook(t *testing.T) {
	const (
		apa   = "policy strategy=APA min=1 max=20 down-delay=5m\nsource queue target=10\n"
		kpa   = "policy min=1 max=20\nsource queue target=10\nsettled\n"
		queue = "t=0s replicas=8 queue=80\n"
	)
	for _, c := range []struct{ story, want string }{
		{apa + queue, "with any decision, if the load changes"},
		{apa + queue + "t=2s queue=30", "at 12:05:00Z at the earliest, when down-delay is over, unless load or pods change first"},
		{
			"policy strategy=APA max=20 up-delay=48h\nsource queue target=10\n" + queue + "t=2s queue=90",
			"at 2026-01-03T12:00:00Z at the earliest, when up-delay is over, unless load or pods change first",
		},
		{
			kpa + "t=2s replicas=2 queue=25/60\nt=4s queue=25/10",
			"at 12:01:02Z at the earliest, when panic is over, unless load or pods change first",
		},
		{ // the panic holds nothing, but when it is over the pause no longer does either
			kpa + "policy pause=scale-out\nt=2s replicas=2 queue=5/60\nt=4s queue=5/60 ready=5",
			"at 12:01:02Z at the earliest, when panic is over, unless load or pods change first",
		},
		{
			apa + "policy schedule=noon,12:00-13:00,9..\n" + queue,
			"at 13:00:00Z at the earliest, when schedule noon is over, unless load or pods change first",
		},
		{
			"policy strategy=APA max=20\nsource ttft target=0.5 type=Value\n" +
				"t=0s replicas=2 ttft=2\nt=20s ready=2 starting=6 ttft=2\nt=40s ready=3 starting=5 ttft=2",
			"at 12:01:40Z at the earliest, when starting is over, unless load or pods change first",
		},
		{apa + "policy down-delay=0s\n" + queue + "t=2s queue=10", "when fewer pods are ready"},
		{apa + "policy up-rate=2 max=50\n" + queue + "t=2s queue=300", "when more pods are ready"},
		{apa + "policy pause=all\n" + queue + "t=2s queue=30", "when the pause is taken away"},
		{apa + "policy pause=scale-out\n" + queue + "t=2s queue=90", "when flyball.dev/paused-scale-out is taken away"},
		{apa + queue + "t=2s replicas=0 queue=nopods", "when the target is scaled to 1 or more"},
		{apa + queue + "t=2s queue=missing", "when there are data again"},
		{apa + queue + "t=2s queue=30,silent=1", "with more load, or when the missing data are there"},
		{apa + queue + "t=2s unschedulable=1 queue=90", "when no pod is unschedulable, or with less load"},
		{apa + queue + "t=2s quota=team-a:8:pods queue=90", "when the ResourceQuota team-a admits more, or with less load"},
		{apa + "policy strategy=HPA\n" + queue, "when the HorizontalPodAutoscaler makes one"},
	} {
		d, err := last(c.story)
		if err != nil {
			t.Fatalf("%s: %v", c.story, err)
		}
		if got := strings.TrimPrefix(d.Outlook(), "next change: "); got != c.want {
			t.Errorf("want %q\n got %q\n%s", c.want, got, d.Explain())
		}
	}
}

// last plays a script, without arrows, and gives the last decision.
func last(script string) (d Decision, err error) {
	s := newStage()
	for i, l := range strings.Split(strings.TrimSpace(script), "\n") {
		d, err = s.line(strings.Fields(l))
		if err != nil {
			return d, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	return d, nil
}
