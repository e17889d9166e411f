package v1alpha1

import (
	"fmt"
	"math"
	"time"

	"github.com/flyball/flyball/decider"
)

// valueType is how a setting's text is read.
type valueType string

const (
	typeFloat    valueType = "float"
	typeInteger  valueType = "integer"
	typeDuration valueType = "duration"
	typeBool     valueType = "bool"
	typeWord     valueType = "word"
)

// setting is one knob of a policy, whatever names it has. Durations are in seconds here, so that one table holds
// every range and default.
type setting struct {
	name     string
	unit     valueType
	min, max float64
	above    bool // min itself is out of range
	below    bool // max itself is out of range
	whole    bool // durations: whole seconds only, since windows lie on a grid of one second

	field    string                       // the spec field that sets it, if one does
	defaults map[decider.Strategy]float64 // a strategy that is absent has no such setting
	aibrix   map[decider.Strategy]float64 // AIBrix's default where it is another one
	assign   func(*decider.Policy, float64)
}

func (s *setting) appliesTo(strategy decider.Strategy) bool {
	_, ok := s.defaults[strategy]
	return ok
}

// render writes a value in the setting's unit.
func (s *setting) render(v float64) string {
	if s.unit == typeDuration {
		return formatDuration(seconds(v))
	}
	return formatNumber(v)
}

// valueRange is the allowed range in words.
func (s *setting) valueRange() string {
	from, to := "from ", " to "
	if s.above {
		from = "above "
	}
	if s.below {
		to = " to below "
	}
	if math.IsInf(s.max, 1) {
		if s.above {
			return from + s.render(s.min)
		}
		return s.render(s.min) + " or more"
	}
	return from + s.render(s.min) + to + s.render(s.max)
}

// parse reads and checks one value. Its errors say what to write instead.
func (s *setting) parse(text string) (float64, error) {
	var v float64
	if s.unit == typeDuration {
		d, err := parseDuration(text)
		if err != nil {
			return 0, err
		}
		v = d.Seconds()
		if s.whole && d%time.Second != 0 {
			return 0, fmt.Errorf("must be whole seconds; write %s", formatDuration(max(time.Second, d.Round(time.Second))))
		}
	} else {
		var err error
		if v, err = parseNumber(text); err != nil {
			return 0, err
		}
		if s.unit == typeInteger && v != math.Trunc(v) {
			return 0, fmt.Errorf("must be a whole number; write %s", formatNumber(math.Ceil(v)))
		}
	}
	if v < s.min || (s.above && v == s.min) || v > s.max || (s.below && v == s.max) {
		return 0, fmt.Errorf("is out of range; write a %s %s", s.unit, s.valueRange())
	}
	return v, nil
}

func seconds(v float64) time.Duration { return time.Duration(math.Round(v * float64(time.Second))) }

func every(v float64) map[decider.Strategy]float64 {
	return map[decider.Strategy]float64{decider.KPA: v, decider.APA: v, decider.HPA: v}
}

var (
	infinite = math.Inf(1)
	hour     = time.Hour.Seconds()
)

// The settings. Their ranges are Knative's where Knative has the setting.
var (
	observeWindow = &setting{
		name: "observe window", unit: typeDuration, min: 1, max: hour, whole: true, field: "observeWindowSeconds",
		defaults: every(60), aibrix: every(180),
		assign: func(p *decider.Policy, v float64) { p.ObserveWindow = seconds(v) },
	}
	panicWindow = &setting{
		name: "panic window", unit: typeDuration, min: 1, max: hour, whole: true, field: "panicWindowSeconds",
		defaults: map[decider.Strategy]float64{decider.KPA: 10},
		aibrix:   map[decider.Strategy]float64{decider.KPA: 60},
		assign:   func(p *decider.Policy, v float64) { p.PanicWindow = seconds(v) },
	}
	panicThreshold = &setting{
		name: "panic threshold", unit: typeFloat, min: 1.1, max: 10,
		defaults: map[decider.Strategy]float64{decider.KPA: 2},
		assign:   func(p *decider.Policy, v float64) { p.PanicThreshold = v },
	}
	maxScaleUpRate = &setting{
		name: "max scale-up rate", unit: typeFloat, min: 1, max: infinite, above: true,
		defaults: every(1000), aibrix: every(2),
		assign: func(p *decider.Policy, v float64) { p.MaxScaleUpRate = v },
	}
	maxScaleDownRate = &setting{
		name: "max scale-down rate", unit: typeFloat, min: 1, max: infinite, above: true,
		defaults: every(2),
		assign:   func(p *decider.Policy, v float64) { p.MaxScaleDownRate = v },
	}
	toleranceUp = &setting{
		name: "scale-up tolerance", unit: typeFloat, min: 0, max: 1,
		defaults: map[decider.Strategy]float64{decider.KPA: 0, decider.APA: 0.1},
		aibrix:   map[decider.Strategy]float64{decider.KPA: 0.1},
		assign:   func(p *decider.Policy, v float64) { p.ToleranceUp = v },
	}
	toleranceDown = &setting{
		name: "scale-down tolerance", unit: typeFloat, min: 0, max: 1, below: true,
		defaults: map[decider.Strategy]float64{decider.KPA: 0, decider.APA: 0.1},
		aibrix:   map[decider.Strategy]float64{decider.KPA: 0.1},
		assign:   func(p *decider.Policy, v float64) { p.ToleranceDown = v },
	}
	scaleUpDelay = &setting{
		name: "scale-up delay", unit: typeDuration, min: 0, max: hour,
		defaults: every(0),
		assign:   func(p *decider.Policy, v float64) { p.ScaleUpDelay = seconds(v) },
	}
	scaleDownDelay = &setting{
		name: "scale-down delay", unit: typeDuration, min: 0, max: hour,
		defaults: every(300),
		assign:   func(p *decider.Policy, v float64) { p.ScaleDownDelay = seconds(v) },
	}
	activationScale = &setting{
		name: "activation scale", unit: typeInteger, min: 1, max: math.MaxInt32,
		defaults: map[decider.Strategy]float64{decider.KPA: 1},
		assign:   func(p *decider.Policy, v float64) { p.ActivationScale = int32(v) },
	}
)

// settings in the order in which they are documented.
var settings = []*setting{
	observeWindow, panicWindow, scaleDownDelay, scaleUpDelay, panicThreshold,
	toleranceUp, toleranceDown, maxScaleUpRate, maxScaleDownRate, activationScale,
}

// strategies in the order in which they are documented.
var strategies = []decider.Strategy{decider.KPA, decider.APA, decider.HPA}

// Default is the value of one setting, for one strategy, when a manifest does not give it.
type Default struct {
	Setting  string           // such as "scale-down delay"
	Field    string           // the spec field that sets it, such as observeWindowSeconds; empty when none does
	Keys     []string         // the annotations that set it, the preferred one first
	Strategy decider.Strategy // KPA, APA or HPA; a strategy without the setting has no Default
	Value    string           // such as "5m" or "0.1"
	AIBrix   string           // AIBrix's default where it differs; else empty
}

// Defaults lists every default, setting by setting, in the order of the documentation.
func Defaults() []Default {
	var out []Default
	for _, s := range settings {
		for _, strategy := range strategies {
			v, ok := s.defaults[strategy]
			if !ok {
				continue
			}
			d := Default{Setting: s.name, Field: s.field, Strategy: strategy, Value: s.render(v)}
			for _, a := range annotations {
				if a.setting == s && a.appliesTo(strategy) {
					d.Keys = append(d.Keys, a.key)
				}
			}
			if other, ok := s.aibrix[strategy]; ok {
				d.AIBrix = s.render(other)
			}
			out = append(out, d)
		}
	}
	return out
}
