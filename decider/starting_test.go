package decider

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// A constant load that some pods' worth of a Value source can carry. However slowly and in whatever order the pods start,
// never more of them are asked for than that, though the values lag behind the ready pods by a window.
func TestASlowStartNeverCascades(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := Policy{
			Strategy: rapid.SampledFrom([]Strategy{KPA, APA}).Draw(t, "strategy"), Mode: Enforce, MinReplicas: 1, MaxReplicas: 1000,
			ObserveWindow: seconds(t, "window", 6, 60), PanicWindow: 6 * time.Second, PanicThreshold: 2,
			MaxScaleUpRate: rapid.SampledFrom([]float64{2, 1000}).Draw(t, "up rate"), MaxScaleDownRate: 2,
			ScaleDownDelay: seconds(t, "down delay", 0, 120),
			Sources:        []Source{{Key: "a", Name: "ttft", Target: 1, TargetType: Value}},
		}
		load := rapid.Float64Range(1, 20).Draw(t, "load, in pods")
		enough := int32(math.Ceil(load))
		cold := rapid.SliceOfN(rapid.IntRange(1, 40), 24, 24).Draw(t, "ticks to start")
		replicas := rapid.Int32Range(1, enough).Draw(t, "ready at first")
		readyAt := make([]int, replicas) // by pod; the tick
		values, readies := []float64{}, []float64{}
		var history History
		for tick := range 400 {
			ready := int32(0)
			for _, at := range readyAt {
				if at <= tick {
					ready++
				}
			}
			values, readies = append(values, load/float64(ready)), append(readies, float64(ready))
			in := Input{At: epoch.Add(time.Duration(tick) * slot), Replicas: replicas, Ready: ready, Starting: replicas - ready, History: history}
			in.Windows = []SourceWindows{{Key: "a", Stable: lately(values, readies, p.ObserveWindow), Panic: lately(values, readies, p.PanicWindow)}}
			d := Decide(p, in)
			if d.To > enough || d.To < replicas {
				t.Fatalf("tick %d: %d are enough, %d are ready\n%s", tick, enough, ready, d.Explain())
			}
			for ; replicas < d.To; replicas++ {
				readyAt = append(readyAt, tick+cold[replicas])
			}
			history = append(history.after(in.At.Add(-p.Memory())), d.Entry)
		}
		if replicas != enough {
			t.Fatalf("settled at %d, not at %d", replicas, enough)
		}
	})
}

// lately is the window over the last ticks.
func lately(values, readies []float64, span time.Duration) Window {
	w := Window{Range: span, State: Fresh, Coverage: 1}
	n := min(len(values), int(span/slot))
	for i := len(values) - n; i < len(values); i++ {
		w.Value += values[i] / float64(n)
		w.MeanReady += readies[i] / float64(n)
	}
	return w
}
