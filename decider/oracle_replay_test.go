package decider

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// recordedTrace is what decider/oracle/knative writes: what the real Knative autoscaler wanted, step by step.
type recordedTrace struct {
	Policy Policy         `json:"policy"`
	Start  time.Time      `json:"start"`
	Steps  []recordedStep `json:"steps"`
}

type recordedStep struct {
	Millis   int64   `json:"ms"` // since Start
	Ready    int32   `json:"ready"`
	Stable   float64 `json:"stable"`
	Panic    float64 `json:"panic"`
	NoData   bool    `json:"noData"`
	Gaps     bool    `json:"gaps"`
	Replicas int32   `json:"replicas"` // somebody set the target to this; 0: nobody did
	Policy   *Policy `json:"policy"`   // the policy from here on; none: as before
	Want     int32   `json:"want"`     // -1: Knative had no valid answer
}

// Strict KPA is Knative's: the traces in testdata/knative were recorded from the real autoscaler, and strict KPA wants the
// same at every step, within the bounds. Without data Knative has no answer, and strict KPA holds.
func TestStrictIsKnativeAsRecorded(t *testing.T) {
	files, err := filepath.Glob("testdata/knative/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no traces: %v", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var trace recordedTrace
			if err := json.Unmarshal(text, &trace); err != nil {
				t.Fatal(err)
			}
			trace.replay(t)
		})
	}
}

func (r recordedTrace) replay(t *testing.T) {
	p, replicas := r.Policy, max(1, r.Steps[0].Ready)
	var history History
	for i, s := range r.Steps {
		if s.Policy != nil {
			p = *s.Policy
		}
		if s.Replicas > 0 {
			replicas = s.Replicas
		}
		want := s.Want
		if s.NoData {
			want = replicas
		}
		want = min(max(want, p.MinReplicas), p.MaxReplicas)
		d := Decide(p, Input{
			At: r.Start.Add(time.Duration(s.Millis) * time.Millisecond), Replicas: replicas, StatusReplicas: replicas, Ready: s.Ready,
			Starting: max(0, replicas-s.Ready), Unschedulable: max(0, replicas-s.Ready) / 2, History: history,
			Windows: []SourceWindows{{Key: p.Sources[0].Key, Stable: s.window(p.ObserveWindow, s.Stable), Panic: s.window(p.PanicWindow, s.Panic)}},
		})
		if d.To != want {
			t.Fatalf("step %d: Knative wanted %d, strict KPA %d\n%s", i, want, d.To, d.Explain())
		}
		history, replicas = append(history, d.Entry), d.To
	}
}

func (s recordedStep) window(span time.Duration, value float64) Window {
	switch {
	case s.NoData:
		return Window{Range: span, State: Missing, NewestAge: -1, Expected: 1}
	case s.Gaps:
		return Window{Range: span, Value: value, State: Fresh, Coverage: 0.5, Expected: 1, Silent: 1, SilentFor: span}
	}
	return Window{Range: span, Value: value, State: Fresh, Coverage: 1, Expected: 1, Reporting: 1, Answering: 1}
}
