package sim

import (
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"testing"
	"time"
)

// bench is an engine alone, with the requests that it completed.
type bench struct {
	*engine
	done []*request
	at   []time.Duration
}

func newBench(p EngineProfile) *bench {
	b := &bench{}
	b.engine = newEngine(p, 0, func(r *request, at time.Duration) {
		b.done = append(b.done, r)
		b.at = append(b.at, at)
	})
	return b
}

func (b *bench) send(prompt, output int) *request {
	r := &request{prompt: prompt, output: output, arrived: b.now}
	b.enqueue(r)
	return r
}

// tiny is a small engine with round costs: 10 ms a step, 0.1 ms a prefill token, KV for 640 tokens.
var tiny = EngineProfile{Alpha: 10, Beta: 0.1, ChunkTokens: 64, MaxSeqs: 8, KVBlocks: 40, MaxModelLen: 600}

func TestOneRequestTakesOnePrefillStepAndOneStepPerFurtherToken(t *testing.T) {
	for name, gpu := range gpuProfiles {
		t.Run(string(name), func(t *testing.T) {
			p := gpu.engine
			b := newBench(p)
			r := b.send(1000, 101)
			b.run(time.Hour)
			if len(b.done) != 1 {
				t.Fatalf("%d requests done, want 1", len(b.done))
			}
			near(t, "time to first token", r.first, milliseconds(p.Alpha+1000*p.Beta), time.Microsecond)
			near(t, "decode", b.at[0]-r.first, milliseconds(100*(p.Alpha+p.Delta)+p.Gamma*(100*1000+99*100/2)), time.Microsecond)
			if got := b.m.generationTokens; got != 101 {
				t.Errorf("generation tokens %d, want 101", got)
			}
		})
	}
}

func near(t *testing.T, what string, got, want, within time.Duration) {
	t.Helper()
	if (got - want).Abs() > within {
		t.Errorf("%s %s, want %s ± %s", what, got, want, within)
	}
}

func TestDecodeAtBatch32TakesWhatWasMeasured(t *testing.T) {
	b := newBench(engineA100)
	for range 32 {
		b.send(512, 400)
	}
	b.run(10 * time.Second)
	got := b.m.interToken.sum / float64(b.m.interToken.count) * 1000
	if math.Abs(got-16.1) > 2.5 { // the measured step at batch 32 and 512 tokens of context; here some steps also prefill
		t.Errorf("mean inter-token latency %.2f ms, want about the measured 16.1 ms", got)
	}
}

func TestALongPromptIsPrefilledInChunks(t *testing.T) {
	b := newBench(tiny)
	r := b.send(200, 1) // 64+64+64+8
	b.run(time.Minute)
	near(t, "time to first token", r.first, milliseconds(4*10+200*0.1), time.Microsecond)
	if got := b.m.iterationTokens; got.count != 4 || got.sum != 200 {
		t.Errorf("%d steps with %v tokens, want 4 with 200", got.count, got.sum)
	}
}

func TestRequestsAreServedInTheOrderTheyCame(t *testing.T) {
	b := newBench(tiny)
	var sent []*request
	for range 20 {
		sent = append(sent, b.send(30, 5))
	}
	b.run(time.Minute)
	if !reflect.DeepEqual(b.done, sent) {
		t.Error("requests of equal length were not done in the order they came")
	}
}

func TestNoMoreThanMaxSeqsRunAtOnce(t *testing.T) {
	b := newBench(tiny)
	for range 30 {
		b.send(4, 50)
	}
	for at := time.Duration(0); at < time.Second; at += time.Millisecond {
		b.run(at)
		if len(b.running) > tiny.MaxSeqs {
			t.Fatalf("%d requests run at %s, want at most %d", len(b.running), at, tiny.MaxSeqs)
		}
	}
}

func TestAFullCachePreemptsTheYoungestAndLosesNoToken(t *testing.T) {
	b := newBench(tiny)
	want := 0
	for i := range 8 { // together 8·(40+120) tokens, twice what fits
		b.send(40, 120+i)
		want += 120 + i
	}
	first := b.waiting[0]
	b.run(time.Minute)
	if b.m.preemptions == 0 {
		t.Error("no preemption, though the requests do not fit together")
	}
	if len(b.done) != 8 || b.done[0] != first {
		t.Fatalf("%d requests done, want 8 with the oldest first", len(b.done))
	}
	if got := b.m.generationTokens; got != uint64(want) {
		t.Errorf("%d tokens generated, want %d: a preempted request keeps what it had", got, want)
	}
	if b.blocks != 0 || b.kvTokens != 0 {
		t.Errorf("an empty engine holds %d blocks and %d tokens", b.blocks, b.kvTokens)
	}
}

func TestAShortRequestIsDoneBeforeALongOneThatCameEarlier(t *testing.T) {
	b := newBench(tiny)
	long, short := b.send(10, 100), b.send(10, 5)
	b.run(time.Minute)
	if len(b.done) != 2 || b.done[0] != short || b.done[1] != long {
		t.Errorf("done: %v, want the short request, then the long one", b.done)
	}
	if b.m.generationTokens != 105 || b.m.outputLen.sum != 105 {
		t.Errorf("%d tokens generated, %v in the histogram, want 105", b.m.generationTokens, b.m.outputLen.sum)
	}
}

func TestAStepThatPreemptsAdmitsNobody(t *testing.T) {
	b := newBench(tiny)
	for range 8 {
		b.send(40, 120)
	}
	for b.outstanding() > 0 {
		running, preempted := len(b.running), b.m.preemptions
		b.begin()
		prefilling := 0
		for _, r := range b.running {
			if r.start < 0 {
				prefilling++
			}
		}
		if n := int(b.m.preemptions - preempted); n > 0 && len(b.running) != running-n {
			t.Fatalf("%d of %d requests were preempted, yet %d run", n, running, len(b.running))
		}
		if prefilling > len(b.plan) {
			t.Fatalf("%d requests are in prefill, %d have a share of the step", prefilling, len(b.plan))
		}
		b.finish()
		partial := 0
		for i, r := range b.running {
			if r.start < 0 {
				if partial++; partial > 1 || i != len(b.running)-1 {
					t.Fatal("a request in the middle of its prefill is not the only one and the last")
				}
			}
		}
	}
}

// stepByStep is run without decodeAlone: the definition that decodeAlone must agree with.
func (b *bench) stepByStep(until time.Duration) {
	for b.outstanding() > 0 {
		if !b.stepping {
			b.begin()
		}
		if b.stepEnd > until {
			break
		}
		b.finish()
	}
	b.now = max(b.now, until)
}

func TestDecodeAloneIsExact(t *testing.T) {
	small := engineA100
	small.KVBlocks, small.MaxModelLen, small.MaxSeqs, small.ChunkTokens = 200, 3000, 12, 512
	for _, p := range []EngineProfile{engineA100, engineH100, small} {
		for seed := range uint64(5) {
			t.Run(fmt.Sprintf("%dblocks/%d", p.KVBlocks, seed), func(t *testing.T) {
				rng := rand.New(rand.NewPCG(seed, 1))
				fast, slow := newBench(p), newBench(p)
				for at := time.Duration(0); at < 2*time.Minute; at += time.Duration(rng.ExpFloat64() * float64(300*time.Millisecond)) {
					fast.run(at)
					slow.stepByStep(at)
					prompt, output := 1+rng.IntN(900), 1+rng.IntN(300)
					fast.send(prompt, output)
					slow.send(prompt, output)
				}
				fast.run(time.Hour)
				slow.stepByStep(time.Hour)
				if !reflect.DeepEqual(fast.m, slow.m) {
					t.Errorf("metrics differ:\n fast %+v\n slow %+v", fast.m, slow.m)
				}
				if !reflect.DeepEqual(fast.at, slow.at) {
					t.Error("requests are done at other times")
				}
			})
		}
	}
}

func TestTheCacheIsNeverOverfullAndItsBooksBalance(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 3))
	b := newBench(tiny)
	full := 0
	for at := time.Duration(0); at < 5*time.Minute; at += time.Duration(rng.IntN(60)) * time.Millisecond {
		b.run(at)
		if rng.IntN(3) == 0 {
			r := b.send(1+rng.IntN(300), 1+rng.IntN(100))
			r.cached = r.prompt / 2 / blockTokens * blockTokens
		}
		blocks, tokens, decoding := 0, 0, 0
		for _, r := range b.running {
			blocks += blocksFor(b.kv(r))
			tokens += b.kv(r)
			if r.start >= 0 {
				decoding++
			}
		}
		if b.blocks > tiny.KVBlocks || b.blocks*blockTokens < tokens {
			t.Fatalf("at %s: %d blocks for %d tokens, capacity %d", at, b.blocks, tokens, tiny.KVBlocks)
		}
		if !b.stepping && b.blocks != blocks { // in a step, blocks of its tokens are taken already
			t.Fatalf("at %s: %d blocks booked, requests hold %d", at, b.blocks, blocks)
		}
		if b.kvTokens != tokens || b.decoding != decoding {
			t.Fatalf("at %s: booked %d tokens and %d decoding, requests have %d and %d", at, b.kvTokens, b.decoding, tokens, decoding)
		}
		if b.blocks == tiny.KVBlocks {
			full++
		}
	}
	if full == 0 || b.m.preemptions == 0 {
		t.Errorf("the cache was full %d times, %d preemptions: the test puts no pressure on it", full, b.m.preemptions)
	}
}

func TestCachedPrefixTokensAreNotComputedAgain(t *testing.T) {
	b := newBench(tiny)
	r := b.send(64, 1)
	r.cached = 48
	b.run(time.Minute)
	near(t, "time to first token", r.first, milliseconds(10+16*0.1), time.Microsecond)
	if b.m.prefixQueries != 64 || b.m.prefixHits != 48 {
		t.Errorf("prefix queries %d, hits %d; want 64, 48", b.m.prefixQueries, b.m.prefixHits)
	}
}
