package datasource

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	decisionv1 "github.com/flyball/flyball/api/decision/v1"
)

// changes are the settings that a what-if replaces. What is absent stays as the policy has it.
type changes struct {
	MinReplicas    *int32   `json:"minReplicas"`
	MaxReplicas    *int32   `json:"maxReplicas"`
	ScaleUpDelay   string   `json:"scaleUpDelay"`
	ScaleDownDelay string   `json:"scaleDownDelay"`
	Targets        []target `json:"targets"`
}

type target struct {
	Source string   `json:"source"`
	Target *float64 `json:"target"`
}

// UnmarshalJSON refuses fields that it does not know: a change that is ignored would be an answer to another question.
func (c *changes) UnmarshalJSON(b []byte) error {
	type plain changes
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode((*plain)(c)); err != nil {
		text := strings.TrimPrefix(err.Error(), "json: ")
		return fieldError{"changes", text + "; give minReplicas, maxReplicas, scaleUpDelay, scaleDownDelay, and targets as a list of source and target"}
	}
	return nil
}

func (c *changes) message() (*decisionv1.PolicyChanges, error) {
	out := &decisionv1.PolicyChanges{MinReplicas: c.MinReplicas, MaxReplicas: c.MaxReplicas}
	switch {
	case c.MinReplicas != nil && *c.MinReplicas < 0:
		return nil, wrong("changes.minReplicas", "%d is below 0; give 0 or more", *c.MinReplicas)
	case c.MaxReplicas != nil && *c.MaxReplicas < 1:
		return nil, wrong("changes.maxReplicas", "%d is below 1; give 1 or more", *c.MaxReplicas)
	case c.MinReplicas != nil && c.MaxReplicas != nil && *c.MinReplicas > *c.MaxReplicas:
		return nil, wrong("changes.minReplicas", "%d is more than maxReplicas, %d; lower it or raise maxReplicas", *c.MinReplicas, *c.MaxReplicas)
	}
	var err error
	if out.ScaleUpDelay, err = delay("changes.scaleUpDelay", c.ScaleUpDelay); err != nil {
		return nil, err
	}
	if out.ScaleDownDelay, err = delay("changes.scaleDownDelay", c.ScaleDownDelay); err != nil {
		return nil, err
	}
	for i, t := range c.Targets {
		field := fmt.Sprintf("changes.targets[%d]", i)
		switch {
		case t.Source == "":
			return nil, wrong(field+".source", "missing; give the source's name, as the frame inputs of an explanation has it")
		case t.Target == nil || *t.Target <= 0:
			return nil, wrong(field+".target", "give a number above 0, in the source's unit")
		}
		out.Targets = append(out.Targets, &decisionv1.SourceTarget{Source: t.Source, Target: *t.Target})
	}
	return out, nil
}

func delay(field, s string) (*durationpb.Duration, error) {
	if s = strings.TrimSpace(s); s == "" {
		return nil, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 || d > 24*time.Hour {
		return nil, wrong(field, "%q is no delay; write one such as 30s or 5m, at most 24h", s)
	}
	return durationpb.New(d), nil
}
