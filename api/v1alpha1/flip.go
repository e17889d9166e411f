package v1alpha1

import (
	"errors"
	"fmt"
	"math"

	"github.com/flyball/flyball/decider"
)

// flip is what an annotation switches on or off. It is off when no annotation says otherwise, whatever the strategy.
type flip struct {
	name   string
	unit   valueType
	values string // those allowed, in words
	note   string // what it does
	set    func(p *decider.Policy, text string) error
	reset  func(p *decider.Policy)
}

var (
	pauseAll = boolean("pause", "nothing changes",
		func(p *decider.Policy) *bool { return &p.Pause.All })
	pauseReplicas = &flip{
		name: "paused replicas", unit: typeInteger, values: "from 0 to 2147483647",
		note:  "held at that count, whatever the bounds; wins over the others",
		set:   setPausedReplicas,
		reset: func(p *decider.Policy) { p.Pause.Replicas = nil },
	}
	pauseScaleIn = boolean("scale-in pause", "nothing is lowered",
		func(p *decider.Policy) *bool { return &p.Pause.ScaleIn })
	pauseScaleOut = boolean("scale-out pause", "nothing is raised",
		func(p *decider.Policy) *bool { return &p.Pause.ScaleOut })
	strictKPA = &flip{
		name: "strict KPA", unit: typeWord, values: "strict",
		note:  "follows Knative where flyball would differ; the scale-down delay is then 0s unless it is set",
		set:   setStrict,
		reset: func(p *decider.Policy) { p.Strict = false },
	}
)

func boolean(name, note string, of func(*decider.Policy) *bool) *flip {
	return &flip{
		name: name, unit: typeBool, values: "true or false", note: note,
		set: func(p *decider.Policy, text string) error {
			on, err := parseBool(text)
			if err == nil {
				*of(p) = on
			}
			return err
		},
		reset: func(p *decider.Policy) { *of(p) = false },
	}
}

func setPausedReplicas(p *decider.Policy, text string) error {
	v, err := parseNumber(text)
	switch {
	case err != nil:
		return err
	case v != math.Trunc(v):
		return fmt.Errorf("must be a whole number; write %s", formatNumber(math.Ceil(v)))
	case v < 0 || v > math.MaxInt32:
		return errors.New("is out of range; write a whole number from 0 to 2147483647")
	}
	n := int32(v)
	p.Pause.Replicas = &n
	return nil
}

func setStrict(p *decider.Policy, text string) error {
	if text != "strict" {
		return errors.New("is not known; write strict, or remove it")
	}
	p.Strict = true
	return nil
}
