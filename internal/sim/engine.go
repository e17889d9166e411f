package sim

import "time"

// request is one call of a client. Times are since the plant's start.
type request struct {
	prompt, output int  // tokens, both at least 1
	cached         int  // prompt tokens found in the prefix cache
	capped         bool // the output was cut: it ends with finished_reason "length"

	arrived   time.Duration // at the gateway
	queued    time.Duration // at the engine
	scheduled time.Duration // first step that worked on it; before that -1
	first     time.Duration // first token
	last      time.Duration // newest token at a preemption

	computed  int   // tokens in the KV cache when the decode began, or so far while it prefills
	target    int   // tokens to compute before it decodes: the prompt, after a preemption also what it had generated
	generated int   // tokens generated when the decode began
	start     int64 // engine tick at which the decode began; -1 while it prefills
}

// reset forgets what an engine did for the request, so that the gateway can send it to another.
func (r *request) reset() {
	r.scheduled, r.computed, r.generated, r.target, r.start = -1, 0, 0, r.prompt, -1
}

// chunk is the share of a step's token budget that a prefilling request got.
type chunk struct {
	r      *request
	tokens int
}

// engine is one vLLM engine core with continuous batching. A step is planned when it begins (begin) and its results appear when it ends
// (finish). In every step each decoding request gains one token, so what a request has is known from the tick at which it began: a step costs
// O(1) however many requests run, and no steps need to be merged or approximated.
type engine struct {
	p        EngineProfile
	now      time.Duration
	waiting  []*request
	running  []*request // in the order they were admitted; the last is preempted first
	decoding int        // of running
	kvTokens int        // resident KV tokens
	blocks   int        // KV blocks in use

	tick       int64            // steps done
	nextFinish int64            // tick at which the next decoding request is done
	opens      [blockTokens]int // opens[tick%16]: decoding requests whose token of that tick opens a new block

	stepping  bool
	stepEnd   time.Duration
	stepTime  time.Duration
	plan      []chunk
	planned   int // tokens in plan
	completed func(r *request, at time.Duration)

	m engineMetrics
}

// engineMetrics is what the engine's page shows besides its present state.
type engineMetrics struct {
	promptTokens, generationTokens   uint64
	prefixQueries, prefixHits        uint64
	preemptions                      uint64
	stopped, lengthCapped            uint64
	ttft, interToken, e2e            histogram
	queueTime, prefillTime           histogram
	decodeTime, promptLen, outputLen histogram
	iterationTokens                  histogram
	computeBound, bandwidthBound     time.Duration // of steps done, for the GPU exporter
}

func newEngine(p EngineProfile, now time.Duration, completed func(*request, time.Duration)) *engine {
	tokens := tokenBuckets(p.MaxModelLen)
	return &engine{
		p: p, now: now, completed: completed,
		m: engineMetrics{
			ttft: newHistogram(ttftBuckets), interToken: newHistogram(interTokenBuckets), e2e: newHistogram(requestBuckets),
			queueTime: newHistogram(requestBuckets), prefillTime: newHistogram(requestBuckets), decodeTime: newHistogram(requestBuckets),
			promptLen: newHistogram(tokens), outputLen: newHistogram(tokens), iterationTokens: newHistogram(iterationBuckets),
		},
	}
}

// outstanding is what the load balancer compares: requests accepted and not done.
func (e *engine) outstanding() int { return len(e.running) + len(e.waiting) }

// enqueue accepts a request at e.now.
func (e *engine) enqueue(r *request) {
	r.reset()
	r.queued = e.now
	e.waiting = append(e.waiting, r)
}

// run lets the engine work until the given time. A step that would end later stays in progress.
func (e *engine) run(until time.Duration) {
	for {
		if !e.stepping {
			if e.outstanding() == 0 {
				break
			}
			e.decodeAlone(until)
			if e.tick == e.nextFinish && e.decoding > 0 {
				e.collectFinished()
				continue
			}
			e.begin()
		}
		if e.stepEnd > until {
			break
		}
		e.finish()
	}
	e.now = max(e.now, until)
}

// decodeAlone runs whole steps in which nothing but decoding can happen: no request prefills and none can be admitted, and since decoding
// only takes blocks, none can be until one is done. It stops before a step that would end after until or that needs a preemption.
// It is begin and finish reduced to their arithmetic; TestDecodeAloneIsExact compares the two.
func (e *engine) decodeAlone(until time.Duration) {
	if e.decoding == 0 || e.decoding < len(e.running) || e.canAdmit() {
		return
	}
	h, bucket := &e.m.interToken, 0
	fixed := e.p.Alpha + e.p.Delta*float64(e.decoding)
	n := 0
	for e.tick < e.nextFinish {
		opens := e.opens[e.tick%blockTokens]
		took := milliseconds(fixed + e.p.Gamma*float64(e.kvTokens))
		if e.now+took > until || e.blocks+opens > e.p.KVBlocks {
			break
		}
		e.now += took
		e.tick++
		e.blocks += opens
		e.kvTokens += e.decoding
		s := took.Seconds()
		for bucket < len(h.bounds) && s > h.bounds[bucket] { // a step takes no less time than the one before
			bucket++
		}
		h.counts[bucket] += uint64(e.decoding)
		h.sum += s * float64(e.decoding)
		e.m.bandwidthBound += took
		n++
	}
	if n == 0 {
		return
	}
	h.count += uint64(n * e.decoding)
	e.m.generationTokens += uint64(n * e.decoding)
	e.m.iterationTokens.observe(float64(e.decoding), n)
}

// finish ends the step in progress.
func (e *engine) finish() {
	e.stepping, e.now = false, e.stepEnd
	e.tick++
	e.kvTokens += e.decoding + e.planned
	e.m.generationTokens += uint64(e.decoding)
	prefill := time.Duration(float64(e.stepTime) * e.computeShare())
	e.m.computeBound += prefill
	e.m.bandwidthBound += e.stepTime - prefill
	e.m.iterationTokens.observe(float64(e.decoding+e.planned), 1)
	if e.decoding > 0 {
		e.m.interToken.observe(e.stepTime.Seconds(), e.decoding)
	}
	for _, c := range e.plan {
		c.r.computed += c.tokens
		if c.r.computed == c.r.target {
			e.startDecode(c.r)
		}
	}
	e.plan, e.planned = e.plan[:0], 0
	e.collectFinished()
}

// computeShare is the part of the step in progress that its prefill tokens take.
func (e *engine) computeShare() float64 {
	return min(1, float64(milliseconds(e.p.Beta*float64(e.planned)))/float64(max(1, e.stepTime)))
}

// startDecode counts the token that the last prefill chunk yields and lets the request decode from the next step on.
func (e *engine) startDecode(r *request) {
	if r.generated == 0 {
		r.first = e.now
		e.m.promptTokens += uint64(r.prompt)
		e.m.ttft.observe((e.now - r.queued).Seconds(), 1)
	} else {
		e.m.interToken.observe((e.now - r.last).Seconds(), 1)
	}
	e.m.generationTokens++
	r.generated++
	r.start = e.tick
	e.decoding++
	e.opens[opensAt(r)]++
	finish := r.start + int64(r.output-r.generated)
	if e.decoding == 1 || finish < e.nextFinish {
		e.nextFinish = finish
	}
}

// opensAt is the tick, modulo 16, at which the request's KV cache is a whole number of blocks and its next token opens another.
func opensAt(r *request) int64 {
	return ((r.start-int64(r.computed))%blockTokens + blockTokens) % blockTokens
}

// kv is the number of tokens the request has in the KV cache.
func (e *engine) kv(r *request) int {
	if r.start < 0 {
		return r.computed
	}
	return r.computed + int(e.tick-r.start)
}

// collectFinished completes the requests that have all their tokens.
func (e *engine) collectFinished() {
	if e.decoding == 0 || e.tick < e.nextFinish {
		return
	}
	kept := e.running[:0]
	next := int64(-1)
	for _, r := range e.running {
		if r.start < 0 {
			kept = append(kept, r)
			continue
		}
		finish := r.start + int64(r.output-r.generated)
		if finish <= e.tick {
			e.release(r)
			e.complete(r)
			continue
		}
		if next < 0 || finish < next {
			next = finish
		}
		kept = append(kept, r)
	}
	clear(e.running[len(kept):])
	e.running, e.nextFinish = kept, next
}

func (e *engine) complete(r *request) {
	m := &e.m
	if r.capped {
		m.lengthCapped++
	} else {
		m.stopped++
	}
	m.e2e.observe((e.now - r.queued).Seconds(), 1)
	m.queueTime.observe((r.scheduled - r.queued).Seconds(), 1)
	m.prefillTime.observe((r.first - r.scheduled).Seconds(), 1)
	m.decodeTime.observe((e.now - r.first).Seconds(), 1)
	m.promptLen.observe(float64(r.prompt), 1)
	m.outputLen.observe(float64(r.output), 1)
	e.completed(r, e.now)
}

// milliseconds converts a model time to a duration.
func milliseconds(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }
