package sim

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"time"
)

// forever is the length of a last segment.
const forever = time.Duration(math.MaxInt64)

// segment is a stretch of time with one request rate.
type segment struct {
	rate float64 // requests/s
	span time.Duration
}

// Shape is a request rate over time: a sequence of segments, each with a constant rate in requests/s. It starts when the load starts.
// Constant, Steps, OnOff, Diurnal and Bursts are the shapes there are.
type Shape interface {
	// segments gives the shape's segments in turn. Only Bursts uses the random source.
	segments(rng *rand.Rand) func() segment
	validate() error
}

// Constant is one rate for ever. 0 is no load.
type Constant struct{ Rate float64 }

// Step is one stage of Steps: Rate requests/s for the time For. For 0 means for ever, in the last stage only.
type Step struct {
	Rate float64
	For  time.Duration
}

// Steps are stages one after the other. After the last there is no load.
type Steps []Step

// OnOff is Rate requests/s for On, then nothing for Off, and so on; it starts on.
type OnOff struct {
	On, Off time.Duration
	Rate    float64
}

// Diurnal is a sinusoid: rate(t) = Low + (High−Low)·(1−cos 2πt/Period)/2. It starts at Low and is at High after half a period. The rate is
// held over slots of Period/1440 (a minute of a day), at its value in the middle of the slot.
type Diurnal struct {
	Low, High float64
	Period    time.Duration
}

// Bursts is Base requests/s, interrupted by bursts of Peak requests/s that last For. The gap from the end of a burst to the next is
// exponential with mean Every, so bursts start like a Poisson process and never overlap. It starts with a gap.
type Bursts struct {
	Base, Peak float64
	For, Every time.Duration
}

func (c Constant) segments(*rand.Rand) func() segment {
	return func() segment { return segment{c.Rate, forever} }
}

func (s Steps) segments(*rand.Rand) func() segment {
	i := 0
	return func() segment {
		if i >= len(s) {
			return segment{0, forever}
		}
		st := s[i]
		i++
		if st.For == 0 {
			return segment{st.Rate, forever}
		}
		return segment{st.Rate, st.For}
	}
}

func (o OnOff) segments(*rand.Rand) func() segment {
	on := false
	return func() segment {
		if on = !on; on {
			return segment{o.Rate, o.On}
		}
		return segment{0, o.Off}
	}
}

func (d Diurnal) segments(*rand.Rand) func() segment {
	const slots = 1440
	i := -1
	return func() segment {
		i = (i + 1) % slots
		mid := (float64(i) + 0.5) / slots
		from, to := d.Period*time.Duration(i)/slots, d.Period*time.Duration(i+1)/slots
		return segment{d.Low + (d.High-d.Low)*(1-math.Cos(2*math.Pi*mid))/2, to - from}
	}
}

func (b Bursts) segments(rng *rand.Rand) func() segment {
	burst := true
	return func() segment {
		if burst = !burst; burst {
			return segment{b.Peak, b.For}
		}
		return segment{b.Base, time.Duration(rng.ExpFloat64() * float64(b.Every))}
	}
}

func (c Constant) validate() error { return validRate("rate", c.Rate) }

func (s Steps) validate() error {
	if len(s) == 0 {
		return errors.New("steps: none; give at least one")
	}
	for i, st := range s {
		if err := validRate("rate", st.Rate); err != nil {
			return fmt.Errorf("step %d: %w", i, err)
		}
		if st.For < 0 || (st.For == 0 && i < len(s)-1) {
			return fmt.Errorf("step %d: lasts %s; only the last step may last 0, which is for ever", i, st.For)
		}
	}
	return nil
}

func (o OnOff) validate() error {
	if o.On <= 0 || o.Off <= 0 {
		return fmt.Errorf("on %s, off %s: both must be above 0", o.On, o.Off)
	}
	return validPositive("rate", o.Rate)
}

// maxDiurnalPeriod keeps Period·1440 in an int64.
const maxDiurnalPeriod = 60 * 24 * time.Hour

func (d Diurnal) validate() error {
	if d.Period < time.Second || d.Period > maxDiurnalPeriod {
		return fmt.Errorf("period %s: must be between 1s and %s", d.Period, maxDiurnalPeriod)
	}
	if err := validRate("low", d.Low); err != nil {
		return err
	}
	return validPositive("high", d.High)
}

func (b Bursts) validate() error {
	if b.For <= 0 || b.Every <= 0 {
		return fmt.Errorf("bursts last %s, every %s: both must be above 0", b.For, b.Every)
	}
	if err := validRate("base", b.Base); err != nil {
		return err
	}
	return validPositive("peak", b.Peak)
}

// maxRate is far above any fleet this package can carry, and keeps arrivals at least 1 µs apart on average.
const maxRate = 1e6

func validRate(name string, r float64) error {
	if !(r >= 0 && r <= maxRate) { // also refuses NaN
		return fmt.Errorf("%s %v requests/s: must be between 0 and %g", name, r, maxRate)
	}
	return nil
}

func validPositive(name string, r float64) error {
	if r == 0 {
		return fmt.Errorf("%s 0 requests/s: must be above 0; for no load use Constant{0}", name)
	}
	return validRate(name, r)
}
