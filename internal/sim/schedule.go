package sim

// This file is the engine's scheduler: which tokens the next step works on, after vLLM v1.

// blocksFor is the number of KV blocks that hold n tokens.
func blocksFor(n int) int { return (n + blockTokens - 1) / blockTokens }

// begin plans the next step and starts it: decoding requests first, then the one in the middle of its prefill, then, if nothing had to be preempted, waiting
// requests in the order they came. The caller has made sure that there is a request.
func (e *engine) begin() {
	preempted := false
	for e.blocks+e.opens[e.tick%blockTokens] > e.p.KVBlocks {
		e.preemptLast()
		preempted = true
	}
	e.blocks += e.opens[e.tick%blockTokens]
	budget := e.p.ChunkTokens - e.decoding
	// Admission stops at the first request that the budget cuts short, so at most one is in the middle of its prefill: the last.
	if last := len(e.running) - 1; last >= 0 && e.running[last].start < 0 {
		r := e.running[last]
		n := min(r.target-r.computed, budget)
		if need := blocksFor(r.computed+n) - blocksFor(r.computed); e.blocks+need > e.p.KVBlocks {
			e.preemptLast()
			preempted = true
		} else {
			e.blocks += need
			budget -= n
			e.plan = append(e.plan, chunk{r, n})
		}
	}
	if !preempted {
		e.admit(budget)
	}
	for _, c := range e.plan {
		e.planned += c.tokens
	}
	e.stepTime = milliseconds(e.p.Alpha + e.p.Beta*float64(e.planned) + e.p.Delta*float64(e.decoding) + e.p.Gamma*float64(e.kvTokens))
	e.stepping, e.stepEnd = true, e.now+e.stepTime
}

// admission is the number of prompt tokens that the head of the queue would get from the budget; 0 if it cannot be admitted now.
func (e *engine) admission(budget int) int {
	if len(e.waiting) == 0 || len(e.running) >= e.p.MaxSeqs || budget <= 0 {
		return 0
	}
	r := e.waiting[0]
	n := min(r.target-r.cached, budget)
	if e.blocks+blocksFor(r.cached+n) > e.p.KVBlocks {
		return 0
	}
	return n
}

// canAdmit reports whether a step that starts now could admit a waiting request. It looks at the blocks before the decoding requests take
// theirs, so it may say yes where begin then says no, never the reverse.
func (e *engine) canAdmit() bool { return e.admission(e.p.ChunkTokens-e.decoding) > 0 }

// admit moves waiting requests into the batch while the budget, the sequence limit and the KV cache allow.
func (e *engine) admit(budget int) {
	for {
		n := e.admission(budget)
		if n == 0 {
			return
		}
		r := e.waiting[0]
		e.waiting[0] = nil
		e.waiting = e.waiting[1:]
		if r.scheduled < 0 {
			r.scheduled = e.now
			e.m.prefixQueries += uint64(r.prompt)
			e.m.prefixHits += uint64(r.cached)
		}
		r.computed = r.cached
		e.kvTokens += r.cached
		e.blocks += blocksFor(r.cached + n)
		e.running = append(e.running, r)
		e.plan = append(e.plan, chunk{r, n})
		budget -= n
	}
}

// release takes the request's tokens and blocks out of the KV cache. It must not have a chunk in the plan.
func (e *engine) release(r *request) {
	kv := e.kv(r)
	e.kvTokens -= kv
	e.blocks -= blocksFor(kv)
	if r.start >= 0 {
		e.opens[opensAt(r)]--
		e.decoding--
	}
}

// preemptLast sends the request that was admitted last back to the head of the queue. It starts over: its prompt and what it had generated
// are computed again.
func (e *engine) preemptLast() {
	last := len(e.running) - 1
	if last < 1 {
		panic("BUG: one request alone does not fit into the KV cache") // New refuses profiles with KVBlocks·16 < MaxModelLen
	}
	r := e.running[last]
	e.running[last] = nil
	e.running = e.running[:last]
	e.release(r)
	if r.start >= 0 {
		r.generated += int(e.tick - r.start)
		r.last = e.now
	}
	r.target = r.prompt + r.generated
	r.computed, r.start = 0, -1
	e.waiting = append([]*request{r}, e.waiting...)
	e.m.preemptions++
	e.refreshNextFinish()
}

func (e *engine) refreshNextFinish() {
	e.nextFinish = -1
	for _, r := range e.running {
		if r.start < 0 {
			continue
		}
		if finish := r.start + int64(r.output-r.generated); e.nextFinish < 0 || finish < e.nextFinish {
			e.nextFinish = finish
		}
	}
}

// evacuate takes every request out of the engine, the oldest first, and leaves it empty. A step in progress is lost.
func (e *engine) evacuate() []*request {
	out := append(e.running, e.waiting...)
	e.running, e.waiting, e.plan = nil, nil, nil
	e.decoding, e.kvTokens, e.blocks, e.planned, e.stepping = 0, 0, 0, 0, false
	e.opens = [blockTokens]int{}
	return out
}

// evacuateWaiting takes the requests that no step has worked on yet; preempted ones stay.
func (e *engine) evacuateWaiting() []*request {
	var out []*request
	kept := e.waiting[:0]
	for _, r := range e.waiting {
		if r.scheduled < 0 {
			out = append(out, r)
		} else {
			kept = append(kept, r)
		}
	}
	clear(e.waiting[len(kept):])
	e.waiting = kept
	return out
}
