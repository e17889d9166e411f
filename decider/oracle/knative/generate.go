package main

import (
	"math"
	"math/rand/v2"
	"time"

	"github.com/flyball/flyball/decider"
)

// seen counts what a run met, so that a million steps that never panic don't pass for a proof.
type seen struct{ valid, panics, held int }

// drawTrace draws a trace and compares it on the way, since the ready pods follow what Knative wants. It ends at the
// first difference.
func drawTrace(seed, number uint64) (Trace, *difference, seen) {
	g := &generator{Rand: rand.New(rand.NewPCG(seed, number))}
	t := Trace{Policy: g.policy(), Start: time.Unix(1_800_000_000+g.Int64N(1000), 1e6*g.Int64N(1000)).UTC()}
	g.pick(t.Policy)
	n := 30 + g.IntN(300)
	r := begin(t.Policy, t.Start, g.ready)
	var met seen
	for range n {
		s := g.next(r)
		want, d := r.step(&s)
		t.Steps = append(t.Steps, s)
		met.count(r.last, s)
		if d != nil {
			return t, d, met
		}
		g.follow(want)
	}
	return t, nil, met
}

func (m *seen) count(d decider.Decision, s Step) {
	if s.NoData {
		return
	}
	m.valid++
	for _, r := range d.Reasons {
		switch r.Rule {
		case decider.RulePanic:
			m.panics++
		case decider.RuleDownDelay:
			m.held++
		}
	}
}

// generator draws what a target may live through. Values sit on boundaries more often than chance would have it.
type generator struct {
	*rand.Rand
	millis  int64
	ready   int32
	load    float64 // in pods
	outage  int     // steps without data to come
	ticks   int     // how the time passes; see tick
	changes bool    // whether the policy changes on the way
	calm    bool    // whether load and pods change seldom, so that panics and delays run out
}

func one[T any](g *generator, of ...T) T { return of[g.IntN(len(of))] }

func (g *generator) chance(n int) bool { return g.IntN(n) == 0 }

func (g *generator) policy() decider.Policy {
	p := decider.Policy{
		Strategy: decider.KPA, Strict: true, Mode: decider.Enforce, MaxReplicas: math.MaxInt32,
		PanicWindow:      6 * time.Second,
		ObserveWindow:    one(g, 6*time.Second, time.Duration(6+g.IntN(60))*time.Second, time.Minute, 3*time.Minute),
		MaxScaleUpRate:   one(g, 1.001, 1.1, 2, 10, 1000),
		MaxScaleDownRate: one(g, 1.001, 1.1, 2, 10),
		PanicThreshold:   one(g, 1.1, 1.5, 2, 3, 10),
		ActivationScale:  one[int32](g, 0, 1, 2, 5, 50),
		Sources: []decider.Source{{
			Key: "load", Name: "load", TargetType: decider.AverageValue, SurvivesZero: true,
			Target: one(g, 0.01, 0.7, 1, 3.3, 7, 10, 70, 0.01+100*g.Float64()),
		}},
	}
	p.ScaleDownDelay = one(g, 0, 0, time.Duration(1+g.IntN(6))*time.Second, 2500*time.Millisecond, 30*time.Second,
		time.Duration(g.IntN(120))*time.Second, 5*time.Minute, time.Duration(g.IntN(601))*time.Second)
	if g.chance(3) {
		p.MinReplicas = g.Int32N(4)
		p.MaxReplicas = p.MinReplicas + 1 + g.Int32N(50)
	}
	return p
}

// pick settles what stays the same for the trace.
func (g *generator) pick(p decider.Policy) {
	g.ready = one[int32](g, 0, 1, 2, 3, g.Int32N(10), g.Int32N(600))
	g.ticks, g.changes, g.calm = g.IntN(5), g.chance(5), g.chance(2)
	g.load = float64(g.ready)
}

func (g *generator) next(r *run) Step {
	var s Step
	policy, first := r.policy, len(r.history) == 0
	if g.changes && !first && g.chance(40) {
		policy = g.policy()
		policy.ScaleDownDelay = r.policy.ScaleDownDelay // Knative's delay is that of the creation
		s.Policy = &policy
	}
	if !first {
		g.millis += g.tick(policy)
	}
	s.Millis, s.Ready = g.millis, g.ready
	if !first && g.chance(60) {
		s.Replicas = 1 + g.Int32N(20)
	}
	switch {
	case g.outage > 0:
		g.outage--
		s.NoData = true
	case g.chance(150):
		g.outage = 1 + g.IntN(40)
		fallthrough
	default:
		s.Stable, s.Panic = g.values(policy)
		s.Gaps = g.chance(10)
	}
	return s
}

// tick is the time since the last step in milliseconds. A gap is at most what the decider remembers; after a longer one it
// starts anew by design, and Knative does not.
func (g *generator) tick(p decider.Policy) int64 {
	if g.chance(80) {
		return g.Int64N(p.Memory().Milliseconds() + 1)
	}
	switch g.ticks {
	case 0:
		return 1000 * g.Int64N(6)
	case 1:
		return g.Int64N(5001)
	case 2:
		return 1900 + g.Int64N(201)
	}
	return 2000
}

// values draws the load in both windows.
func (g *generator) values(p decider.Policy) (stable, panicky float64) {
	target, every := p.Sources[0].Target, 10
	if g.calm {
		every = 60
	}
	if g.chance(every) {
		g.load = one(g, 0, 1, float64(g.ready), float64(g.ready)*p.PanicThreshold, 10*g.Float64(), 100*g.Float64(), 1000*g.Float64())
	}
	if g.chance(100) {
		return g.odd(target), g.odd(target)
	}
	if g.chance(8) { // quiet
		return g.load * target * one(g, 0, 0.5), 0
	}
	if g.calm {
		return target * g.load, target * math.Floor(g.load*(0.8+0.4*g.Float64()))
	}
	return target * g.load * one(g, 1, 0.5+g.Float64()), target * g.load * one(g, 1, 0.5+g.Float64())
}

// odd is a value at an end of the range, or next to a whole number of pods.
func (g *generator) odd(target float64) float64 {
	whole := target * float64(g.IntN(20))
	return one(g, 0, 4e-7, 4.9999e-7, 5e-7, 6e-7, 1e-6, whole, whole+4e-7, whole+6e-7, math.Max(0, whole-4e-7), 1e9*target, 1e15, 1e300, math.MaxFloat64, -1)
}

// follow lets the ready pods go half of the way to what is wanted, or fail.
func (g *generator) follow(want int32) {
	if want >= 0 && g.chance(2) {
		d := min(want, 1000) - g.ready
		g.ready += d / 2
		if d == 1 || d == -1 || g.chance(4) {
			g.ready += d - d/2
		}
	}
	every := 30
	if g.calm {
		every = 200
	}
	if g.chance(every) {
		g.ready = one(g, 0, g.Int32N(4), g.Int32N(30), g.Int32N(800))
	}
}
