package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/decider"
)

// maxLine is the most bytes of one question: some 10,000 steps.
const maxLine = 1 << 20

func newDecide() *cobra.Command {
	var jsonl bool
	cmd := &cobra.Command{
		Use:   "decide --jsonl",
		Short: "What if: decide for autoscalers and loads given on standard input",
		Long: "What if: read one question per line of standard input, and answer each with one line. No store, no clock, no cluster: " +
			"the same question gives the same answer. A question is an object:\n\n" +
			`  {"autoscaler": PodAutoscaler, "steps": [{"t": 0, "replicas": 1, "ready": 1, "pending": 0,` + "\n" +
			`    "windows": [{"source": 0, "stable": 5, "panic": 40}]}]}` + "\n\n" +
			"t is in seconds since 1970. A window's value is what its source measured over it; null, or nothing, means that data are " +
			"missing. Each step knows the ones before it, which count as applied. What is wrong with a question is its answer, " +
			"{\"error\": …}, and the next is read.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !jsonl {
				return errors.New("decide: give --jsonl and one JSON object per line of standard input; flyball decide --help shows one")
			}
			// A read of standard input can't be interrupted, so it is left behind.
			done := make(chan error, 1)
			go func() { done <- decideLines(cmd.InOrStdin(), cmd.OutOrStdout()) }()
			select {
			case err := <-done:
				return err
			case <-cmd.Context().Done():
				return fmt.Errorf("decide: %w", context.Cause(cmd.Context()))
			}
		},
	}
	cmd.Flags().BoolVar(&jsonl, "jsonl", false, "read and write JSON, one object per line")
	return cmd
}

// decideLines answers each line of in with one line of out, at once.
func decideLines(in io.Reader, out io.Writer) error {
	lines := bufio.NewReaderSize(in, maxLine+1) // and the end of the line
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	for n := 1; ; n++ {
		line, err := lines.ReadSlice('\n')
		var a reply
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = lines.ReadSlice('\n')
			}
			a.Error = fmt.Sprintf("line %d: is longer than %d bytes; split its steps over several lines", n, maxLine)
		case len(line) == 0 && errors.Is(err, io.EOF):
			return nil
		default:
			var wrong error
			if a, wrong = decideLine(line); wrong != nil {
				a = reply{Error: fmt.Sprintf("line %d: %v", n, wrong)}
			}
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return fmt.Errorf("decide: read line %d: %w", n, err)
		}
		if err := enc.Encode(a); err != nil {
			return fmt.Errorf("decide: answer line %d: %w", n, err)
		}
	}
}

// question is a line of input.
type question struct {
	Autoscaler json.RawMessage   `json:"autoscaler"`
	Steps      []json.RawMessage `json:"steps"`
}

// whatIfStep is how a target stands at a time, and what its sources say. What must be given is a pointer.
type whatIfStep struct {
	T        *float64          `json:"t"` // seconds since 1970
	Replicas *int32            `json:"replicas"`
	Ready    *int32            `json:"ready"`
	Pending  int32             `json:"pending"` // pods that exist and are not ready yet
	Windows  []json.RawMessage `json:"windows"`
}

// windowValues is what one source measured; nil for missing data.
type windowValues struct {
	Source *int     `json:"source"` // its index in metricsSources
	Stable *float64 `json:"stable"`
	Panic  *float64 `json:"panic"`
}

// reply is a line of output.
type reply struct {
	Decisions []decided `json:"decisions,omitempty"`
	Warnings  []string  `json:"warnings,omitempty"` // of the autoscaler
	Error     string    `json:"error,omitempty"`
}

type decided struct {
	T       float64         `json:"t"`
	From    int32           `json:"from"`
	To      int32           `json:"to"`
	Verdict decider.Verdict `json:"verdict"`
	Reasons []reasonLine    `json:"reasons"`
}

type reasonLine struct {
	Rule    decider.Rule `json:"rule"`
	From    int32        `json:"from"`
	To      int32        `json:"to"`
	Because string       `json:"because"`
}

func decideLine(line []byte) (reply, error) {
	var q question
	if err := strictJSON(line, &q); err != nil {
		return reply{}, err
	}
	policy, warnings, err := readPolicy(q.Autoscaler)
	if err != nil {
		return reply{}, fmt.Errorf("autoscaler: %w", err)
	}
	if len(q.Steps) == 0 {
		return reply{}, errors.New("steps: missing; give at least one")
	}
	var a reply
	for _, w := range warnings {
		a.Warnings = append(a.Warnings, w.String())
	}
	var past decider.History
	for i, raw := range q.Steps {
		in, t, err := readStep(policy, raw)
		if err == nil && i > 0 && in.At.Before(past[len(past)-1].At) {
			err = fmt.Errorf("t: %v is before the step before it; put the steps in the order of time", t)
		}
		if err != nil {
			return reply{}, fmt.Errorf("steps[%d]: %w", i, err)
		}
		for len(past) > 1 && past[0].At.Before(in.At.Add(-policy.Memory())) {
			past = past[1:] // as the service forgets; the newest stays, whatever its age
		}
		in.History = past
		d := decider.Decide(policy, in)
		past = append(past, applied(d))
		a.Decisions = append(a.Decisions, newDecided(t, d))
	}
	return a, nil
}

// readPolicy reads the autoscaler as strictly as lint does.
func readPolicy(raw json.RawMessage) (decider.Policy, []v1alpha1.Warning, error) {
	pas, err := v1alpha1.Read(bytes.NewReader(raw))
	if err != nil {
		return decider.Policy{}, nil, err
	}
	if len(pas) != 1 {
		return decider.Policy{}, nil, errors.New("missing; give a PodAutoscaler")
	}
	policy, warnings, errs := pas[0].Policy()
	if len(errs) > 0 {
		return decider.Policy{}, nil, errs.ToAggregate()
	}
	return policy, warnings, nil
}

func readStep(p decider.Policy, raw json.RawMessage) (decider.Input, float64, error) {
	var s whatIfStep
	if err := strictJSON(raw, &s); err != nil {
		return decider.Input{}, 0, err
	}
	switch {
	case s.T == nil:
		return decider.Input{}, 0, errors.New("t: missing; give seconds")
	case *s.T < 0 || *s.T > 1e11:
		return decider.Input{}, 0, fmt.Errorf("t: %v is out of range; give seconds since 1970, or from 0 on", *s.T)
	case s.Replicas == nil || *s.Replicas < 0:
		return decider.Input{}, 0, errors.New("replicas: missing or negative; give 0 or more")
	case s.Ready == nil || *s.Ready < 0:
		return decider.Input{}, 0, errors.New("ready: missing or negative; give the number of ready pods, 0 or more")
	case s.Pending < 0:
		return decider.Input{}, 0, errors.New("pending: negative; give 0 or more")
	}
	sec, frac := math.Modf(*s.T)
	in := decider.Input{
		At:       time.Unix(int64(sec), int64(frac*1e9)).UTC(),
		Replicas: *s.Replicas, StatusReplicas: *s.Replicas, Ready: *s.Ready, Starting: s.Pending,
	}
	values := make([]windowValues, len(p.Sources))
	for i, raw := range s.Windows {
		if err := readWindow(p, raw, values); err != nil {
			return in, 0, fmt.Errorf("windows[%d]: %w", i, err)
		}
	}
	for i, v := range values {
		in.Windows = append(in.Windows, sourceWindows(p, p.Sources[i], in, v))
	}
	return in, *s.T, nil
}

// readWindow puts what is said of a source in that source's place.
func readWindow(p decider.Policy, raw json.RawMessage, values []windowValues) error {
	var v windowValues
	if err := strictJSON(raw, &v); err != nil {
		return err
	}
	switch {
	case v.Source == nil:
		return errors.New("source: missing; give the index of one of metricsSources, from 0 on")
	case *v.Source < 0 || *v.Source >= len(values):
		return fmt.Errorf("source: there is no metricsSources[%d]; give 0 to %d", *v.Source, len(values)-1)
	case values[*v.Source].Source != nil:
		return fmt.Errorf("source: %d is there twice; remove one", *v.Source)
	case v.Panic != nil && p.Strategy != decider.KPA:
		return fmt.Errorf("panic: strategy %s has no panic window; remove it", p.Strategy)
	}
	values[*v.Source] = v
	return nil
}

func sourceWindows(p decider.Policy, s decider.Source, in decider.Input, v windowValues) decider.SourceWindows {
	exporters := int(in.Ready)
	if s.SurvivesZero {
		exporters = 1 // its own endpoint, whatever the pods
	}
	window := func(span time.Duration, value *float64) decider.Window {
		w := decider.Window{Range: span, At: in.At, State: decider.Missing, NewestAge: -1, Expected: exporters, MeanReady: float64(in.Ready)}
		if value != nil {
			w.State, w.Value, w.NewestAge, w.Coverage = decider.Fresh, *value, 0, 1
			w.Reporting, w.Answering = exporters, exporters
		}
		return w
	}
	out := decider.SourceWindows{Key: s.Key, Stable: window(p.ObserveWindow, v.Stable)}
	if p.Strategy == decider.KPA {
		out.Panic = window(p.PanicWindow, v.Panic)
	}
	return out
}

// applied is the decision's entry as if it had been written to the target at once.
func applied(d decider.Decision) decider.Entry {
	e := d.Entry
	e.Outcome = decider.Outcome{Was: d.From, Now: d.To, Why: decider.Unchanged}
	if d.To != d.From {
		e.Outcome = decider.Outcome{Applied: true, Was: d.From, Now: d.To, At: d.At}
	}
	return e
}

func newDecided(t float64, d decider.Decision) decided {
	out := decided{T: t, From: d.From, To: d.To, Verdict: d.Verdict}
	for _, r := range d.Reasons {
		text := strings.TrimPrefix(r.String(), string(r.Rule)+": ")
		out.Reasons = append(out.Reasons, reasonLine{Rule: r.Rule, From: r.From, To: r.To, Because: text})
	}
	return out
}

// strictJSON decodes one value: fields that do not exist and text after the value are errors.
func strictJSON(data []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	err := dec.Decode(into)
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.EOF):
		return errors.New("is empty; write one JSON object")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("ends in the middle of the JSON object; write it on one line")
	case errors.As(err, &wrongType) && wrongType.Field == "":
		return fmt.Errorf("is a JSON %s; write an object", wrongType.Value)
	case errors.As(err, &wrongType):
		return fmt.Errorf("%s: is a JSON %s; write %s", wrongType.Field, wrongType.Value, jsonType(wrongType))
	case err != nil:
		return fmt.Errorf("%s; see flyball decide --help", strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more after the JSON object; write one object per line")
	}
	return nil
}

// jsonType is what should have been written, in JSON's words.
func jsonType(err *json.UnmarshalTypeError) string {
	switch err.Type.Kind().String() {
	case "slice":
		return "an array"
	case "float64":
		return "a number"
	case "int", "int32":
		return "a whole number below 2147483648"
	}
	return "an object"
}
