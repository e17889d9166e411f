package sim

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// Arrivals says how the requests of a shape are spread.
type Arrivals int

const (
	// Poisson arrivals: the integral of the rate between two requests is exponential with mean 1.
	Poisson Arrivals = iota
	// Even arrivals: the k-th request comes when the integral of the rate reaches k.
	Even
)

// Tokens is a lognormal distribution of token counts with the given mean; Sigma is the standard deviation of the logarithm, 0 for always Mean.
// Draws are rounded and clamped to 1…Max. The clamp lowers the mean that results.
type Tokens struct {
	Mean  float64
	Sigma float64
	Max   int
}

// LoadSpec is the traffic that clients send to a workload: either a Shape with token lengths, or a Trace.
type LoadSpec struct {
	Shape    Shape
	Arrivals Arrivals
	Prompt   Tokens
	Output   Tokens

	Trace *TraceSpec

	// PrefixCached is the share of each prompt, 0 to below 1, that the engine finds in its prefix cache (rounded down to whole blocks).
	PrefixCached float64
}

func (l LoadSpec) validate() error {
	if !(l.PrefixCached >= 0 && l.PrefixCached < 1) {
		return fmt.Errorf("prefix cached %v: must be at least 0 and below 1", l.PrefixCached)
	}
	if l.Trace != nil {
		if l.Shape != nil {
			return errors.New("has a shape and a trace; give one")
		}
		return l.Trace.validate()
	}
	if l.Shape == nil {
		return errors.New("has no shape and no trace; for no load use Constant{0}")
	}
	if err := l.Shape.validate(); err != nil {
		return fmt.Errorf("%T: %w", l.Shape, err)
	}
	if l.Arrivals != Poisson && l.Arrivals != Even {
		return fmt.Errorf("arrivals %d: must be Poisson or Even", l.Arrivals)
	}
	if l.Shape == (Constant{}) {
		return nil // no request will need a length
	}
	if err := l.Prompt.validate(); err != nil {
		return fmt.Errorf("prompt tokens: %w", err)
	}
	if err := l.Output.validate(); err != nil {
		return fmt.Errorf("output tokens: %w", err)
	}
	return nil
}

func (t Tokens) validate() error {
	switch {
	case !(t.Mean >= 1 && t.Mean <= 1e7):
		return fmt.Errorf("mean %v: must be between 1 and 1e7", t.Mean)
	case !(t.Sigma >= 0 && t.Sigma <= 5):
		return fmt.Errorf("sigma %v: must be between 0 and 5", t.Sigma)
	case t.Max < 1:
		return fmt.Errorf("max %d: must be at least 1", t.Max)
	}
	return nil
}

// draw returns a length and whether it was cut to Max.
func (t Tokens) draw(rng *rand.Rand) (n int, cut bool) {
	x := t.Mean
	if t.Sigma > 0 {
		x = math.Exp(math.Log(t.Mean) - t.Sigma*t.Sigma/2 + t.Sigma*rng.NormFloat64())
	}
	if x >= float64(t.Max)+0.5 {
		return t.Max, true
	}
	return max(1, int(math.Round(x))), false
}

// source gives the requests of a load in time order.
type source interface {
	// next is the next request; its arrived is since the load's start. False: no more will ever come.
	next() (*request, bool)
	// rate is the load in requests/s at a time since the load's start. Times must not go back.
	rate(at time.Duration) float64
}

// newSource makes the source of a valid load. The same seeds give the same requests.
func newSource(l LoadSpec, maxModelLen int, seed1, seed2 uint64) source {
	fit := fitter{maxModelLen: maxModelLen, prefixCached: l.PrefixCached}
	if l.Trace != nil {
		return &traceSource{spec: *l.Trace, fit: fit}
	}
	// The shape has its own random source, so that the cursor for the rate repeats exactly the bursts that the requests follow.
	shapeRand := func() *rand.Rand { return rand.New(rand.NewPCG(seed1, ^seed2)) }
	return &shapeSource{
		load: l, fit: fit, rng: rand.New(rand.NewPCG(seed1, seed2)),
		arrive: cursor{next: l.Shape.segments(shapeRand())},
		now:    cursor{next: l.Shape.segments(shapeRand())},
	}
}

// fitter cuts requests to what the engine takes.
type fitter struct {
	maxModelLen  int
	prefixCached float64
}

func (f fitter) request(at time.Duration, prompt, output int, capped bool) *request {
	r := &request{arrived: at, prompt: min(prompt, f.maxModelLen-1), output: output, capped: capped}
	if room := f.maxModelLen - r.prompt; r.output > room {
		r.output, r.capped = room, true
	}
	r.cached = int(float64(r.prompt)*f.prefixCached) / blockTokens * blockTokens
	r.reset()
	return r
}

// cursor walks the segments of a shape.
type cursor struct {
	next func() segment
	seg  segment
	end  time.Duration // of seg
}

func (c *cursor) advance() {
	c.seg = c.next()
	if c.seg.span > forever-c.end {
		c.end = forever
		return
	}
	c.end += c.seg.span
}

// shapeSource turns a shape into requests.
type shapeSource struct {
	load   LoadSpec
	fit    fitter
	rng    *rand.Rand
	arrive cursor
	now    cursor
	at     float64 // seconds, of the request given last
}

func (s *shapeSource) next() (*request, bool) {
	need := 1.0
	if s.load.Arrivals == Poisson {
		need = s.rng.ExpFloat64()
	}
	for {
		left := s.arrive.seg.rate * (s.arrive.end.Seconds() - s.at)
		if s.arrive.end > 0 && need <= left {
			break
		}
		if s.arrive.end == forever {
			return nil, false
		}
		need -= max(left, 0)
		s.at = s.arrive.end.Seconds()
		s.arrive.advance()
	}
	s.at += need / s.arrive.seg.rate
	prompt, _ := s.load.Prompt.draw(s.rng)
	output, capped := s.load.Output.draw(s.rng)
	return s.fit.request(time.Duration(s.at*float64(time.Second)), prompt, output, capped), true
}

func (s *shapeSource) rate(at time.Duration) float64 {
	for s.now.end <= at && s.now.end < forever {
		s.now.advance()
	}
	return s.now.seg.rate
}
