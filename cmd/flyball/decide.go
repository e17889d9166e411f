package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"

	"github.com/spf13/cobra"
	strictjson "sigs.k8s.io/json"

	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/internal/whatif"
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
			"t is in seconds since 1970. pending are pods that are not ready yet, and unschedulable, which may be given too, those that " +
			"find no node. A window's value is what its source measured over it; null, or nothing, means that data are missing. Each step knows the ones before it, which count as applied. What is wrong with a question is its answer, " +
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

// stepLine is a whatif.Step. What must be given is a pointer.
type stepLine struct {
	T             *float64          `json:"t"`
	Replicas      *int32            `json:"replicas"`
	Ready         *int32            `json:"ready"`
	Pending       int32             `json:"pending"`
	Unschedulable int32             `json:"unschedulable"`
	Windows       []json.RawMessage `json:"windows"`
}

// windowLine is a whatif.Window.
type windowLine struct {
	Source *int     `json:"source"`
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
	var steps []whatif.Step
	for i, raw := range q.Steps {
		step, err := readStep(raw, fmt.Sprintf("steps[%d]", i))
		if err != nil {
			return reply{}, err
		}
		steps = append(steps, step)
	}
	decisions, warnings, err := whatif.Decide(q.Autoscaler, steps)
	if err != nil {
		return reply{}, err
	}
	a := reply{Warnings: warnings}
	for i, d := range decisions {
		a.Decisions = append(a.Decisions, newDecided(steps[i].T, d))
	}
	return a, nil
}

func readStep(raw json.RawMessage, field string) (whatif.Step, error) {
	var s stepLine
	if err := strictField(raw, &s, field); err != nil {
		return whatif.Step{}, err
	}
	switch {
	case s.T == nil:
		return whatif.Step{}, &whatif.Error{Field: field + ".t", Problem: "missing; give seconds"}
	case s.Replicas == nil:
		return whatif.Step{}, &whatif.Error{Field: field + ".replicas", Problem: "missing; give 0 or more"}
	case s.Ready == nil:
		return whatif.Step{}, &whatif.Error{Field: field + ".ready", Problem: "missing; give the number of ready pods, 0 or more"}
	}
	step := whatif.Step{T: *s.T, Replicas: *s.Replicas, Ready: *s.Ready, Pending: s.Pending, Unschedulable: s.Unschedulable}
	for i, raw := range s.Windows {
		field := fmt.Sprintf("%s.windows[%d]", field, i)
		var w windowLine
		if err := strictField(raw, &w, field); err != nil {
			return whatif.Step{}, err
		}
		if w.Source == nil {
			return whatif.Step{}, &whatif.Error{Field: field + ".source", Problem: "missing; give the index of one of metricsSources, from 0 on"}
		}
		step.Windows = append(step.Windows, whatif.Window{Source: *w.Source, Stable: w.Stable, Panic: w.Panic})
	}
	return step, nil
}

func newDecided(t float64, d decider.Decision) decided {
	out := decided{T: t, From: d.From, To: d.To, Verdict: d.Verdict}
	for _, r := range d.Reasons {
		out.Reasons = append(out.Reasons, reasonLine{Rule: r.Rule, From: r.From, To: r.To, Because: r.Because()})
	}
	return out
}

// strictField is strictJSON for a value within the line; its errors name the field.
func strictField(raw json.RawMessage, into any, field string) error {
	err := strictJSON(raw, into)
	var within *whatif.Error
	switch {
	case errors.As(err, &within):
		return &whatif.Error{Field: field + "." + within.Field, Problem: within.Problem}
	case err != nil:
		return &whatif.Error{Field: field, Problem: err.Error()}
	}
	return nil
}

// strictJSON decodes one value: fields that do not exist, are there twice or are spelled in other letters, and text after the
// value, are errors. Where a field within it has the wrong type, it is a whatif.Error.
func strictJSON(data []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	var value json.RawMessage
	err := dec.Decode(&value)
	switch {
	case errors.Is(err, io.EOF):
		return errors.New("is empty; write one JSON object")
	case errors.Is(err, io.ErrUnexpectedEOF):
		return errors.New("ends in the middle of the JSON object; write it on one line")
	case err != nil:
		return fmt.Errorf("%s; see flyball decide --help", strings.TrimPrefix(err.Error(), "json: "))
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more after the JSON object; write one object per line")
	}
	wrongFields, err := strictjson.UnmarshalStrict(value, into)
	var wrongType *json.UnmarshalTypeError
	switch {
	case errors.As(err, &wrongType) && wrongType.Field == "":
		return fmt.Errorf("is a JSON %s; write an object", wrongType.Value)
	case errors.As(err, &wrongType):
		return &whatif.Error{Field: wrongType.Field, Problem: typeProblem(wrongType)}
	case err != nil:
		return fmt.Errorf("%s; see flyball decide --help", strings.TrimPrefix(err.Error(), "json: "))
	case len(wrongFields) == 0:
		return nil
	}
	var problems []string
	for _, wrong := range wrongFields {
		problems = append(problems, fieldProblem(wrong.Error(), reflect.TypeOf(into).Elem()))
	}
	return errors.New(strings.Join(problems, "; "))
}

// fieldProblem adds to what the library says of a field what to write instead.
func fieldProblem(problem string, of reflect.Type) string {
	if strings.HasPrefix(problem, "duplicate") {
		return problem + "; write it once"
	}
	for i := range of.NumField() {
		if name := of.Field(i).Tag.Get("json"); strings.EqualFold(problem, fmt.Sprintf("unknown field %q", name)) {
			return problem + "; did you mean " + name + "?"
		}
	}
	return problem + "; see flyball decide --help"
}

func typeProblem(err *json.UnmarshalTypeError) string {
	number, isNumber := strings.CutPrefix(err.Value, "number ")
	if wanted := jsonType(err); !isNumber || wanted != "a number" {
		return fmt.Sprintf("is a JSON %s; write %s", err.Value, wanted)
	}
	return number + " is out of range; write a number from -1.8e308 to 1.8e308"
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
