package decider

import (
	"fmt"
	"math"
	"time"
)

// maxStart is how long starts are waited for: as long as a Deployment waits for progress. A pod that crashes again and
// again is starting for ever.
const maxStart = 10 * time.Minute

// startMemory is what is known of starts that are going on, or were within the last observe window, whose values
// still come from the fewer pods.
type startMemory struct {
	since time.Time // when they began; zero when there are none
	seen  time.Time // when pods were last starting, or had become ready since the decision before
	from  int32     // the ready pods that there were before
}

func (m startMemory) on() bool { return !m.since.IsZero() }

// recallStart reads the starts from history and adds what is seen now.
func (d *draft) recallStart() startMemory {
	last := d.past.newest()
	m := startMemory{since: last.StartSince, seen: last.StartSeen, from: last.StartFrom}
	if d.in.At.Sub(m.since) > maxStart || d.in.At.Sub(m.seen) > d.policy.ObserveWindow {
		m = startMemory{}
	}
	known := len(d.past) > 0
	if d.in.Starting <= 0 && !(known && d.in.Ready > last.Ready) { // a quick start is over before anybody sees it
		return m
	}
	if !m.on() {
		m.since, m.from = d.in.At, d.in.Ready
		if known && last.StartSince.IsZero() {
			m.from = last.Ready
		}
	}
	m.seen = d.in.At
	return m
}

// starting keeps a slow start from being asked for twice. A Value source says by what factor the ready pods are too few;
// while some of the pods that it asked for are ready and its value has not come down yet, it would ask for that factor
// again, and again of those. So for as long as pods start it may ask for that factor of the ready pods that there were
// before. The need of an AverageValue source does not depend on how many pods there are. Knative has no such rule.
func (d *draft) starting() {
	if d.policy.Strict || !d.start.on() || d.proposal <= d.in.Replicas {
		return
	}
	most := math.Inf(-1)
	for i := range d.votes {
		v := &d.votes[i]
		most = math.Max(most, math.Min(v.stable, d.start.limit(v.source, &v.windows.Stable, v.stable)))
		if d.panic.on() {
			most = math.Max(most, math.Min(v.panic, d.start.limit(v.source, &v.windows.Panic, v.panic)))
		}
	}
	if to := max(count(most), d.in.Replicas); to < d.proposal {
		d.add(Reason{
			Rule: RuleStarting, To: to, Ready: max(1, d.start.from), Starting: d.in.Starting,
			Since: d.start.since, Until: d.start.over(d.policy),
		})
	}
}

// limit is the most that a source may ask for, where its need is the given one.
func (m startMemory) limit(s *Source, w *Window, need float64) float64 {
	if s.TargetType != Value || need == 0 {
		return need
	}
	return pods(w.Value*math.Max(1, float64(m.from)), s.Target)
}

// over is when the starts count as over if no more pods start.
func (m startMemory) over(p Policy) time.Time {
	t := m.seen.Add(p.ObserveWindow)
	if last := m.since.Add(maxStart); last.Before(t) {
		return last
	}
	return t
}

func (r Reason) starting() string {
	return r.instead() + fmt.Sprintf("pods have been starting since %s (%d now); counted on the %s before that, no more are needed",
		clock(r.Since), r.Starting, readyPods(r.Ready))
}
