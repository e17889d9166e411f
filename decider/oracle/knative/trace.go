package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/flyball/flyball/decider"
)

// Trace is one target's life: a policy, what was measured at each step, and what Knative wanted. The decider's tests
// read the same form.
type Trace struct {
	Policy decider.Policy `json:"policy"`
	Start  time.Time      `json:"start"`
	Steps  []Step         `json:"steps"`
}

// Step is one decision.
type Step struct {
	Millis   int64           `json:"ms"` // since Start
	Ready    int32           `json:"ready"`
	Stable   float64         `json:"stable"`             // load in the stable window, before Knative's rounding
	Panic    float64         `json:"panic"`              // likewise in the panic window
	NoData   bool            `json:"noData,omitempty"`   // the windows have no data
	Gaps     bool            `json:"gaps,omitempty"`     // the windows have data, with gaps in them
	Replicas int32           `json:"replicas,omitempty"` // somebody set the target to this; 0: it is what was decided last
	Policy   *decider.Policy `json:"policy,omitempty"`   // the policy from here on; none: as before
	Want     int32           `json:"want"`               // what Knative wants; -1 when it has no valid answer
}

func (s Step) at(start time.Time) time.Time {
	return start.Add(time.Duration(s.Millis) * time.Millisecond)
}

// write is one step a line, so that a change shows as the steps that changed.
func (t Trace) write(w io.Writer) error {
	b := bufio.NewWriter(w)
	policy, err := json.Marshal(t.Policy)
	if err != nil {
		return err
	}
	start, err := json.Marshal(t.Start)
	if err != nil {
		return err
	}
	fmt.Fprintf(b, "{\"policy\": %s,\n\"start\": %s,\n\"steps\": [\n", policy, start)
	for i, s := range t.Steps {
		line, err := json.Marshal(s)
		if err != nil {
			return err
		}
		comma := ","
		if i == len(t.Steps)-1 {
			comma = ""
		}
		fmt.Fprintf(b, "%s%s\n", line, comma)
	}
	fmt.Fprintf(b, "]}\n")
	return b.Flush()
}

func (t Trace) save(path string) error {
	var b bytes.Buffer
	if err := t.write(&b); err != nil {
		return err
	}
	return os.WriteFile(path, b.Bytes(), 0o644)
}

// load reads a trace; whatever follows it in the file is left unread, so that what a run printed can be kept as it is.
func load(path string) (t Trace, err error) {
	file, err := os.Open(path)
	if err != nil {
		return t, err
	}
	defer file.Close()
	if err := json.NewDecoder(file).Decode(&t); err != nil {
		return t, fmt.Errorf("%w (a trace begins with {\"policy\")", err)
	}
	if len(t.Steps) == 0 || len(t.Policy.Sources) != 1 {
		return t, errors.New("a trace has steps, and a policy with one source")
	}
	return t, nil
}
