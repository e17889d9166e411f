package main

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// mutation is a small mistake in one of the decider's rules; a space in right stands for any white space.
type mutation struct{ name, file, right, wrong string }

var mutations = []mutation{
	{"panic begins above the threshold only", "panic.go", "d.ready()) >= d.policy.PanicThreshold", "d.ready()) > d.policy.PanicThreshold"},
	{"panic ends one tick early", "panic.go", "m.since.Add(d.policy.ObserveWindow).Before(d.in.At)", "!m.since.Add(d.policy.ObserveWindow).After(d.in.At)"},
	{"panic ends after the panic window", "panic.go", "m.since.Add(d.policy.ObserveWindow).Before(d.in.At)", "m.since.Add(d.policy.PanicWindow).Before(d.in.At)"},
	{"panic is not extended", "panic.go", "\t\tm.since = d.in.At\n", "\t\tif !m.on() {\n\t\t\tm.since = d.in.At\n\t\t}\n"},
	{"panic forgets its highest count", "panic.go", "max: last.PanicMax", "max: 0"},
	{"panic lowers", "panic.go", "m.max = max(m.max, d.proposal)", "m.max = d.proposal"},
	{"panic never ends", "panic.go", "*m = panicMemory{}", "m.how = CaseHold"},
	{"one ready pod starts in panic", "panic.go", "d.in.Ready > 1", "d.in.Ready >= 1"},
	{"two ready pods don't start in panic", "panic.go", "d.in.Ready > 1", "d.in.Ready > 2"},
	{"the need is rounded down", "need.go", "math.Ceil(round6(load)/target)", "math.Floor(round6(load)/target)"},
	{"the load is not rounded", "need.go", "math.Ceil(round6(load)/target)", "math.Ceil(load/target)"},
	{"the load is rounded to five decimals", "need.go", "math.Round(x*1e6) / 1e6", "math.Round(x*1e5) / 1e5"},
	{"the load is rounded down", "need.go", "math.Round(x*1e6)", "math.Floor(x*1e6)"},
	{"the panic window always counts", "need.go", "d.panic.on() && v.panic > pods", "v.panic > pods"},
	{"the stable window is ignored in panic", "need.go", "if v.stable > pods {", "if v.stable > pods && !d.panic.on() {"},
	{"the rate up is rounded down", "rate.go", "math.Ceil(d.policy.MaxScaleUpRate", "math.Floor(d.policy.MaxScaleUpRate"},
	{"the rate down is rounded up", "rate.go", "math.Floor(ready / d", "math.Ceil(ready / d"},
	{"no limit up", "rate.go", "min(max(d.proposal, down), up)", "max(d.proposal, down)"},
	{"no limit down", "rate.go", "min(max(d.proposal, down), up)", "min(d.proposal, up)"},
	{"strict rates count from what there is", "rate.go", "if !d.policy.Strict", "if d.policy.Strict"},
	{"rates count from zero ready pods", "decide.go", "max(1, d.in.Ready)", "max(0, d.in.Ready)"},
	{"activation without load", "activation.go", " || !d.wanted()", ""},
	{"activation on the panic window without panic", "activation.go", "d.panic.on() && v.panic > 0", "v.panic > 0"},
	{"activation before rates", "decide.go", "d.rate() d.activation() d.panicHold()", "d.activation(); d.rate(); d.panicHold()"},
	{"activation after panic", "decide.go", "d.activation() d.panicHold()", "d.panicHold(); d.activation()"},
	{"the delay is a slot too long", "delay.go", "<= left", "< left"},
	{"the delay is rounded down", "delay.go", "(delay + slot - 1) / slot", "delay / slot"},
	{"the delay counts seconds, not slots", "delay.go", "slotOf(e.At) <= left", "left > 0 && d.in.At.Sub(e.At) >= delay"},
	{"the delay remembers what was delayed", "delay.go", "b.weigh(e.Proposal,", "b.weigh(e.To,"},
	{"the delay remembers holds without data", "delay.go", "if !e.Known {", "if e.From < 0 {"},
	{"the strict delay waits for history", "delay.go", "if !d.policy.Strict && (before", "if (before"},
	{"the delay holds at what there is", "delay.go", "if d.policy.Strategy != KPA {", "if d.policy.Strategy == KPA {"},
	{"the delay comes before panic", "decide.go", "d.panicHold() d.remember() d.downDelay()", "d.remember(); d.downDelay(); d.panicHold()"},
	{"gaps in a strict window hold", "missing.go", "if !p.Strict {", "if p.Strict {"},
	{"a strict rise waits for nodes", "capacity.go", "if d.policy.Strict {", "if !d.policy.Strict {"},
	{"the delay is not remembered for long enough", "policy.go", "max(p.ObserveWindow, p.ScaleUpDelay, p.ScaleDownDelay)", "max(p.ObserveWindow, p.ScaleUpDelay)"},
}

// The comparison is worth what it can find. Each mistake is built into a copy of the decider and must make a difference
// within as many steps as take a second.
func TestEveryMistakeMakesADifference(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the oracle once for each mistake")
	}
	rules, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mutations {
		t.Run(strings.ReplaceAll(m.name, " ", "-"), func(t *testing.T) {
			program := build(t, filepath.Join(rules, m.file), m)
			out, err := exec.Command(program, "-steps", "200000", "-seed", "7").CombinedOutput()
			if exit := (*exec.ExitError)(nil); err == nil {
				t.Fatalf("survived:\n%s", out)
			} else if !errors.As(err, &exit) || exit.ExitCode() != 1 || !strings.Contains(string(out), "Knative wants") {
				t.Fatalf("%v:\n%s", err, out)
			}
			line, _, _ := strings.Cut(string(out), "\n")
			t.Log(line)
		})
	}
}

// build is the oracle with the mistake, through an overlay: the sources stay as they are.
func build(t *testing.T, file string, m mutation) string {
	t.Helper()
	source, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	right := regexp.MustCompile(strings.ReplaceAll(regexp.QuoteMeta(m.right), " ", `\s+`)).FindAllIndex(source, -1)
	if len(right) != 1 {
		t.Fatalf("%s has %q %d times: the rule has changed, change the mistake too", m.file, m.right, len(right))
	}
	mistaken := string(source[:right[0][0]]) + m.wrong + string(source[right[0][1]:])
	folder := t.TempDir()
	wrong, overlay, program := filepath.Join(folder, m.file), filepath.Join(folder, "overlay.json"), filepath.Join(folder, "oracle")
	replace, err := json.Marshal(map[string]map[string]string{"Replace": {file: wrong}})
	if err != nil {
		t.Fatal(err)
	}
	for path, text := range map[string]string{wrong: mistaken, overlay: string(replace)} {
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("go", "build", "-overlay", overlay, "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("the mistake does not build: %v\n%s", err, out)
	}
	return program
}
