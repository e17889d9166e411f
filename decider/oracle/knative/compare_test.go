package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/flyball/flyball/decider"
)

func TestStrictIsKnative(t *testing.T) {
	var out bytes.Buffer
	if err := compare(&out, 3, 100_000); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	t.Log(out.String())
}

// What the decider's own tests replay is what Knative says today.
func TestTheRecordedTracesAreFresh(t *testing.T) {
	folder := t.TempDir()
	if err := recordTraces(folder); err != nil {
		t.Fatal(err)
	}
	const committed = "../../testdata/knative"
	for _, dir := range []string{folder, committed} {
		if files, err := filepath.Glob(filepath.Join(dir, "*.json")); err != nil || len(files) != recorded {
			t.Fatalf("%s has %d traces, want %d (%v)", dir, len(files), recorded, err)
		}
	}
	files, _ := filepath.Glob(filepath.Join(folder, "*.json"))
	for _, file := range files {
		now, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		then, err := os.ReadFile(filepath.Join(committed, filepath.Base(file)))
		if err != nil || !bytes.Equal(now, then) {
			t.Errorf("%s is another one now (%v): record again", filepath.Base(file), err)
		}
	}
}

// The judge's creation is moved to the trace's start behind Knative's back. Here nothing is moved: time is virtual, and the
// real autoscaler asks the clock itself.
func TestAStartWithPodsIsAPanic(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := decider.Policy{
			Strategy: decider.KPA, Strict: true, MaxReplicas: 1000, ObserveWindow: time.Minute, PanicWindow: 6 * time.Second,
			MaxScaleUpRate: 1000, MaxScaleDownRate: 2, PanicThreshold: 2,
			Sources: []decider.Source{{Key: "load", Name: "load", Target: 10, TargetType: decider.AverageValue, SurvivesZero: true}},
		}
		start := time.Now()
		r := &run{judge: newJudge(p, 8), policy: p, start: start, replicas: 8}
		for _, step := range []struct {
			second int64
			want   int32
		}{{0, 8}, {30, 8}, {60, 8}, {61, 4}} {
			time.Sleep(time.Until(start.Add(time.Duration(step.second) * time.Second)))
			s := Step{Millis: 1000 * step.second, Ready: 8, Stable: 10, Panic: 10}
			if got, d := r.step(&s); got != step.want || d != nil {
				t.Errorf("at %d s: Knative wants %d, want %d\n%v", step.second, got, step.want, d)
			}
		}
	})
}
