package decider

import (
	"testing"
	"time"
)

// benchmark is a policy as most have it, with the delay that is the default, and an input with all the history that
// counts: some 170 entries.
func benchmark(sources ...Source) (Policy, Input) {
	p := newStage().policy
	p.MinReplicas, p.ScaleDownDelay, p.Sources = 1, 5*time.Minute, sources
	in := Input{At: epoch, Replicas: 4, Ready: 4, StatusReplicas: 4}
	in.weigh(p, 38, 38)
	for i := time.Duration(0); i < p.Memory(); i += slot {
		in.At = epoch.Add(i)
		in.History = append(in.History, Decide(p, in).Entry)
	}
	in.At = in.At.Add(slot)
	return p, in
}

// weigh gives each source of the policy that load.
func (in *Input) weigh(p Policy, stable, panicky float64) {
	in.Windows = nil
	for _, s := range p.Sources {
		w := Window{
			Range: p.ObserveWindow, Value: stable, At: in.At, State: Fresh, NewestAge: time.Second, Coverage: 1,
			Expected: 4, Reporting: 4, Answering: 4, MeanReady: float64(in.Ready),
		}
		v := w
		v.Range, v.Value = p.PanicWindow, panicky
		in.Windows = append(in.Windows, SourceWindows{Key: s.Key, Stable: w, Panic: v})
	}
}

var queue = Source{Key: "queue", Name: "queue", Target: 10, TargetType: AverageValue}

// Decisions are made every 2 s for each autoscaler, and by the million in a replay.
func BenchmarkDecide(b *testing.B) {
	for _, c := range []struct {
		name            string
		sources         []Source
		stable, panicky float64
		want            Rule // the rule with the last word
	}{
		{"steady", []Source{queue}, 38, 38, RuleSteady},
		{"scaling", []Source{queue}, 58, 61, RuleNeed},
		{"delayed", []Source{queue}, 11, 11, RuleDownDelay},
		{"panic", []Source{queue}, 71, 290, RulePanic},
		{"three-sources", []Source{queue, {Key: "running", Name: "running", Target: 16}, {Key: "ttft", Name: "ttft", Target: 70, TargetType: Value}}, 38, 38, RuleSteady},
	} {
		b.Run(c.name, func(b *testing.B) {
			p, in := benchmark(c.sources...)
			in.weigh(p, c.stable, c.panicky)
			d := Decide(p, in)
			if last := d.Reasons[len(d.Reasons)-1].Rule; last != c.want {
				b.Fatalf("not what it is to measure:\n%s", d.Explain())
			}
			b.ReportAllocs()
			for b.Loop() {
				Decide(p, in)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "decisions/s")
		})
	}
}

func BenchmarkExplain(b *testing.B) {
	p, in := benchmark(queue)
	in.weigh(p, 11, 11)
	d := Decide(p, in)
	b.ReportAllocs()
	for b.Loop() {
		_ = d.Explain()
	}
}
