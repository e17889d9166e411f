package decider

import (
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// knative is Knative's decider as it is there: an object with state, one source, floats. Strict KPA, which has no state
// but its history, must say the same at every step.
type knative struct {
	p        Policy
	panicked time.Time
	maxPods  float64
	slots    map[int64]float64
}

func (k *knative) scale(now time.Time, stable, panicky float64, readyPods int32) int32 {
	ready := math.Max(1, float64(readyPods))
	up, down := math.Ceil(k.p.MaxScaleUpRate*ready), math.Floor(ready/k.p.MaxScaleDownRate)
	dspc, dppc := math.Ceil(stable/k.p.Sources[0].Target), math.Ceil(panicky/k.p.Sources[0].Target)
	stablePods, panicPods := math.Min(math.Max(dspc, down), up), math.Min(math.Max(dppc, down), up)
	if least := float64(k.p.ActivationScale); least > 1 {
		if dspc > 0 && least > stablePods {
			stablePods = least
		}
		if dppc > 0 && least > panicPods {
			panicPods = least
		}
	}
	if dppc/ready >= k.p.PanicThreshold {
		k.panicked = now
	} else if !k.panicked.IsZero() && k.panicked.Add(k.p.ObserveWindow).Before(now) {
		k.panicked, k.maxPods = time.Time{}, 0
	}
	want := stablePods
	if !k.panicked.IsZero() {
		k.maxPods = math.Max(k.maxPods, math.Max(want, panicPods))
		want = k.maxPods
	}
	if k.p.ScaleDownDelay > 0 {
		cur, n := now.Unix()/2, int64(math.Ceil(k.p.ScaleDownDelay.Seconds()/2))
		k.slots[cur] = math.Max(k.slots[cur], want)
		for e, v := range k.slots {
			if cur-e >= n {
				delete(k.slots, e)
			} else {
				want = math.Max(want, v)
			}
		}
	}
	return int32(want)
}

func TestStrictIsKnativeStepByStep(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		target := rapid.SampledFrom([]float64{0.01, 0.7, 1, 3.3, 7, 10, 70}).Draw(t, "target")
		p := Policy{
			Strategy: KPA, Strict: true, MaxReplicas: math.MaxInt32,
			ObserveWindow: seconds(t, "window", 6, 65), PanicWindow: 6 * time.Second,
			MaxScaleUpRate:   rapid.SampledFrom([]float64{1.001, 1.1, 2, 10, 1000}).Draw(t, "up rate"),
			MaxScaleDownRate: rapid.SampledFrom([]float64{1.001, 1.1, 2, 10}).Draw(t, "down rate"),
			PanicThreshold:   rapid.SampledFrom([]float64{1.1, 2, 10}).Draw(t, "threshold"),
			ScaleDownDelay:   time.Duration(rapid.SampledFrom([]int{0, 1, 2, 5, 30, 300}).Draw(t, "delay")) * time.Second,
			ActivationScale:  rapid.SampledFrom([]int32{0, 1, 2, 5}).Draw(t, "activation"),
			Sources:          []Source{{Key: "load", Name: "load", Target: target, TargetType: AverageValue, SurvivesZero: true}},
		}
		ready := rapid.Int32Range(0, 8).Draw(t, "ready")
		k := knative{p: p, maxPods: float64(ready), slots: map[int64]float64{}}
		now, replicas := epoch, max(1, ready)
		if ready > 1 {
			k.panicked = now
		}
		var history History
		load := target
		for range rapid.IntRange(20, 120).Draw(t, "steps") {
			if rapid.IntRange(0, 9).Draw(t, "redraw") == 0 {
				load = target * rapid.SampledFrom([]float64{0, 1, 10, 100}).Draw(t, "factor") * rapid.Float64Range(0, 1).Draw(t, "fraction")
			}
			stable, panicky := round6(load*rapid.Float64Range(0.5, 1.5).Draw(t, "stable")), round6(load*rapid.Float64Range(0.5, 1.5).Draw(t, "panic"))
			window := SourceWindows{Key: "load", Stable: Window{State: Fresh, Value: stable}, Panic: Window{State: Fresh, Value: panicky}}
			if rapid.IntRange(0, 19).Draw(t, "no data") == 0 {
				window.Stable.State = Missing
			}
			d := Decide(p, Input{At: now, Replicas: replicas, Ready: ready, Windows: []SourceWindows{window}, History: history})
			if window.Stable.State == Fresh {
				if want := k.scale(now, stable, panicky, ready); d.To != want {
					t.Fatalf("Knative says %d\n%s", want, d.Explain())
				}
			} else if d.To != d.From {
				t.Fatalf("no data, and not held\n%s", d.Explain())
			}
			history = append(history, d.Entry)
			replicas = d.To
			if rapid.Bool().Draw(t, "pods move") {
				ready += (replicas - ready) / 2
			}
			if rapid.IntRange(0, 29).Draw(t, "crash") == 0 {
				ready = rapid.Int32Range(0, 3).Draw(t, "survivors")
			}
			now = now.Add(time.Duration(rapid.IntRange(0, 5000).Draw(t, "step")) * time.Millisecond)
		}
	})
}
