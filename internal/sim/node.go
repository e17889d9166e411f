package sim

import (
	"fmt"
	"time"
)

// node is a machine with GPUs and the GPU exporter that watches them.
type node struct {
	spec        NodeSpec
	profile     gpuProfile
	gpus        []*gpu
	address     string
	nextCollect time.Duration
}

// gpu is one card.
type gpu struct {
	uuid  string
	busID string
	pod   *pod // who holds it
	seen  gpuReading
	from  engineReading
}

// gpuReading is what the exporter saw at its last look.
type gpuReading struct {
	namespace, pod            string
	util, memCopy             float64 // %
	active, tensor, dram      float64 // 0–1
	framebufferUsed           float64 // MiB
	watts, celsius, megahertz float64
	millijoules               float64 // since the plant's start
}

// engineReading is the engine's counters at the exporter's last look.
type engineReading struct {
	engine           *engine
	compute, reading time.Duration
}

func (p *Plant) newNode(spec NodeSpec) *node {
	n := &node{spec: spec, profile: gpuProfiles[spec.GPU], address: p.addresses.node()}
	for i := range spec.GPUs {
		n.gpus = append(n.gpus, &gpu{
			uuid:  "GPU-" + p.newUID(),
			busID: fmt.Sprintf("00000000:%02X:00.0", 7+8*i),
			seen:  gpuReading{celsius: idleCelsius},
		})
	}
	return n
}

// free returns count free GPUs of the model, or nil.
func (n *node) free(model GPU, count int) []*gpu {
	if n.spec.GPU != model {
		return nil
	}
	var out []*gpu
	for _, g := range n.gpus {
		if g.pod == nil {
			out = append(out, g)
		}
		if len(out) == count {
			return out
		}
	}
	return nil
}

// What a busy card shows. These are plausible levels, not measurements: a large-model decode keeps the memory pipes about 0.85 active, a
// prefill the tensor pipes about 0.6; prefill draws nearly full power, decode about two thirds of the way there.
const (
	tensorPrefill, tensorDecode = 0.60, 0.05
	dramPrefill, dramDecode     = 0.35, 0.85
	powerPrefill, powerDecode   = 0.95, 0.62

	idleCelsius, hotCelsius = 32, 76
	thermalTime             = 20 * time.Second // time constant of the temperature

	// vLLM allocates gpu_memory_utilization of the card before it serves and never gives it back; the driver holds some of an idle card.
	servingMemory, idleMemoryMiB = 0.9, 550
)

// collect is the exporter's look at its GPUs at now, an interval after the last one.
func (n *node) collect(now, interval time.Duration) {
	for _, g := range n.gpus {
		g.collect(n.profile, now, interval)
	}
}

func (g *gpu) collect(profile gpuProfile, now, interval time.Duration) {
	s := gpuReading{framebufferUsed: idleMemoryMiB, celsius: g.seen.celsius, millijoules: g.seen.millijoules, megahertz: profile.idleMHz}
	var prefill, decode float64 // share of the interval
	if d := g.pod; d != nil {
		s.namespace, s.pod = d.workload.spec.Namespace, d.name
		serving := servingMemory * profile.memoryMiB
		s.framebufferUsed += (serving - idleMemoryMiB) * d.loaded(now)
		prefill, decode = g.shares(d.engine, interval)
	}
	s.active = min(prefill+decode, 1)
	s.util = percent(s.active)
	s.tensor = tensorPrefill*prefill + tensorDecode*decode
	s.dram = dramPrefill*prefill + dramDecode*decode
	s.memCopy = percent(s.dram)
	s.watts = profile.idleWatts + (profile.maxWatts-profile.idleWatts)*(powerPrefill*prefill+powerDecode*decode)
	if s.active > 0 {
		s.megahertz = profile.maxMHz
	}
	heat := (s.watts - profile.idleWatts) / (profile.maxWatts - profile.idleWatts)
	target := idleCelsius + (hotCelsius-idleCelsius)*heat
	s.celsius += (target - s.celsius) * min(1, interval.Seconds()/thermalTime.Seconds())
	s.millijoules += s.watts * interval.Seconds() * 1000
	g.seen = s
}

// shares is how much of the interval the engine spent bound by compute (prefill) and by memory bandwidth (decode), from its counters. An
// engine that the exporter sees for the first time has been idle before.
func (g *gpu) shares(e *engine, interval time.Duration) (prefill, decode float64) {
	if e == nil || interval == 0 {
		g.from = engineReading{}
		return 0, 0
	}
	if g.from.engine != e {
		g.from = engineReading{engine: e}
	}
	to := engineReading{engine: e, compute: e.m.computeBound, reading: e.m.bandwidthBound}
	if e.stepping { // count the part of the step in progress that lies before now, at the step's own mix
		done := max(0, e.stepTime-(e.stepEnd-e.now))
		compute := time.Duration(float64(done) * e.computeShare())
		to.compute += compute
		to.reading += done - compute
	}
	prefill = float64(to.compute-g.from.compute) / float64(interval)
	decode = float64(to.reading-g.from.reading) / float64(interval)
	g.from = to
	if sum := prefill + decode; sum > 1 { // an engine older than the exporter's interval grid
		prefill, decode = prefill/sum, decode/sum
	}
	return prefill, decode
}

// loaded is how much of its memory the pod has taken: it rises evenly over the cold start.
func (d *pod) loaded(now time.Duration) float64 {
	if d.phase != Starting || d.workload.spec.ColdStart == 0 {
		return 1
	}
	return 1 - float64(d.readyAt-now)/float64(d.workload.spec.ColdStart)
}

func percent(x float64) float64 { return float64(int(100*x + 0.5)) }
