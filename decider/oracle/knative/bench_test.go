package main

import (
	"testing"
	"time"

	"github.com/flyball/flyball/decider"
)

// One step of both, with the same input: Knative's autoscaler keeps its state, flyball folds the history again and says why.
func BenchmarkStep(b *testing.B) {
	p := decider.Policy{
		Strategy: decider.KPA, Strict: true, MaxReplicas: 1000, ObserveWindow: time.Minute, PanicWindow: 6 * time.Second,
		MaxScaleUpRate: 1000, MaxScaleDownRate: 2, PanicThreshold: 2, ScaleDownDelay: 5 * time.Minute,
		Sources: []decider.Source{{Key: "load", Name: "load", Target: 10, TargetType: decider.AverageValue, SurvivesZero: true}},
	}
	for _, c := range []struct {
		name            string
		stable, panicky float64
	}{{"steady", 38, 38}, {"scaling", 58, 61}, {"delayed", 11, 11}, {"panic", 71, 290}} {
		start := time.Unix(1_800_000_000, 0)
		r := begin(p, start, 4)
		s := Step{Ready: 4, Stable: 38, Panic: 38}
		for ; s.Millis < p.Memory().Milliseconds(); s.Millis += 2000 {
			if _, d := r.step(&s); d != nil {
				b.Fatal(d)
			}
		}
		s.Stable, s.Panic = c.stable, c.panicky
		now := s.at(start)
		want := r.judge.scale(now, s)
		in := input(s, now, p, r.replicas, r.history)
		if got := decider.Decide(p, in); got.To != want {
			b.Fatal(difference{want, got.To, got})
		}
		b.Run(c.name+"/knative", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				r.judge.scaler.Scale(quiet, now)
			}
		})
		b.Run(c.name+"/flyball", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				decider.Decide(p, in)
			}
		})
	}
}
