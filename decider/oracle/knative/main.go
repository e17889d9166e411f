// Command knative asks the real Knative autoscaler and flyball's decider, in strict KPA, the same questions and compares
// the answers, step by step over whole traces.
//
// Takes: a seed and a number of steps, or a recorded trace.
// Gives: the number of differences and the first one as a trace to replay; with -record, traces for the decider's own tests.
// Knows: both APIs. The judge is knative.dev/serving/pkg/autoscaler/scaling, unchanged.
// Never: a rule of its own; what is right is what Knative says.
//
//	go run . -steps 1000000 -seed 1
//	go run . -record ../../testdata/knative
//	go run . -replay trace.json
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"
)

func main() {
	var (
		steps  = flag.Int("steps", 1_000_000, "how many decisions to compare, at least")
		seed   = flag.Uint64("seed", 1, "the seed of the random traces; the same seed, the same traces")
		record = flag.String("record", "", "write traces as JSON to this folder instead")
		replay = flag.String("replay", "", "compare this recorded trace only, and show each step")
	)
	flag.Parse()
	var err error
	switch {
	case *record != "":
		err = recordTraces(*record)
	case *replay != "":
		err = replayTrace(os.Stdout, *replay)
	default:
		err = compare(os.Stdout, *seed, *steps)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "oracle:", err)
		os.Exit(1)
	}
}

// errDiffers says that at least one decision is not Knative's.
var errDiffers = errors.New("the decider is not what Knative is")

// compare draws traces until there are enough steps. It goes on after a difference, from the next trace, so that the
// count says how common it is.
func compare(out io.Writer, seed uint64, steps int) error {
	began := time.Now()
	var done, traces, differ, loads, held, panics int
	var first *Trace
	var how difference
	for ; done < steps; traces++ {
		t, d, seen := drawTrace(seed, uint64(traces))
		done += len(t.Steps)
		loads, held, panics = loads+seen.valid, held+seen.held, panics+seen.panics
		if d == nil {
			continue
		}
		if differ++; first == nil {
			first, how = &t, *d
		}
	}
	fmt.Fprintf(out, "steps %d (%d with data, %d on held panics, %d delayed), traces %d, differences %d, %.1f s\n",
		done, loads, panics, held, traces, differ, time.Since(began).Seconds())
	if first == nil {
		return nil
	}
	fmt.Fprintf(out, "\nthe first difference (to replay it, keep what follows as a file):\n")
	if err := first.write(out); err != nil {
		return err
	}
	fmt.Fprintf(out, "\n%s", how)
	return errDiffers
}

// recorded is how many traces the decider's tests replay, and longest how many steps one of them may have. The seed is fixed, so
// that recording again changes nothing unless Knative or the generator did; with this one the traces alone find every
// mistake in mutate_test.go.
const (
	recorded     = 24
	recordedSeed = 69
	longest      = 160
)

func recordTraces(folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("record: %w", err)
	}
	for i, n := 0, 0; n < recorded; i++ {
		t, d, _ := drawTrace(recordedSeed, uint64(i))
		if d != nil {
			return fmt.Errorf("record: %w:\n%s", errDiffers, d)
		}
		if len(t.Steps) > longest {
			continue
		}
		n++
		if err := t.save(filepath.Join(folder, fmt.Sprintf("%02d.json", n))); err != nil {
			return fmt.Errorf("record: %w", err)
		}
	}
	return nil
}

func replayTrace(out io.Writer, path string) error {
	t, err := load(path)
	if err != nil {
		return fmt.Errorf("replay %s: %w", path, err)
	}
	run := begin(t.Policy, t.Start, t.Steps[0].Ready)
	for i, s := range t.Steps {
		want, d := run.step(&s)
		fmt.Fprintf(out, "step %d at %s: ready %d, stable %g, panic %g: Knative wants %d\n%s\n", i, s.at(t.Start).Format(time.StampMilli), s.Ready, s.Stable, s.Panic, want, run.last.Explain())
		if d != nil {
			fmt.Fprint(out, d)
			return errDiffers
		}
	}
	return nil
}
