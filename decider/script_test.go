package decider

import (
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

var rewrite = flag.Bool("rewrite", false, "write what was decided into testdata/*.txt instead of comparing; read the diff before you commit it")

// TestScripts plays testdata/*.txt. testdata/README.md says how to read and write one.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			old, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got, err := play(string(old))
			if err != nil {
				t.Fatalf("%s:%v", file, err)
			}
			if *rewrite {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			was, is := strings.Split(string(old), "\n"), strings.Split(got, "\n")
			for i := range max(len(was), len(is)) {
				if i >= len(was) || i >= len(is) || was[i] != is[i] {
					t.Fatalf("%s:%d\n want %s\n  got %s", file, i+1, line(was, i), line(is, i))
				}
			}
		})
	}
}

func line(all []string, i int) string {
	if i >= len(all) {
		return "(end of the script)"
	}
	return all[i]
}

// epoch is t=0s in the scripts.
var epoch = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// stage is where a script plays: a policy, and what was decided so far.
type stage struct {
	policy   Policy
	history  History
	replicas int32
}

// play gives the script back with what was decided on the right of each arrow.
func play(script string) (string, error) {
	var out []string
	s := newStage()
	for i, l := range strings.Split(script, "\n") {
		if strings.HasPrefix(l, "  |") {
			continue // written below again
		}
		left, _, _ := strings.Cut(l, " ->")
		words := strings.Fields(left)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			out = append(out, l)
			continue
		}
		d, err := s.line(words)
		switch {
		case err != nil:
			return "", fmt.Errorf("%d: %w", i+1, err)
		case len(d.Reasons) == 0:
			out = append(out, l)
			continue
		}
		out = append(out, left+" -> "+result(d))
		if words[len(words)-1] == "explain" {
			for e := range strings.Lines(d.Explain()) {
				out = append(out, "  | "+strings.TrimRight(e, "\n"))
			}
		}
	}
	return strings.Join(out, "\n"), nil
}

// line plays one line; the zero Decision unless it is one that decides.
func (s *stage) line(words []string) (d Decision, err error) {
	switch words[0] {
	case "case":
		*s = *newStage()
	case "policy":
		err = s.set(words[1:])
	case "source":
		err = s.source(words[1:])
	case "settled":
		s.history = History{{At: epoch.Add(-time.Second)}}
	default:
		d, err = s.tick(words)
	}
	return d, err
}

func result(d Decision) string {
	words := []string{strconv.Itoa(int(d.To)), string(d.Verdict)}
	for _, r := range d.Reasons {
		words = append(words, fmt.Sprintf("%s:%d", r.Rule, r.To))
	}
	return strings.Join(words, " ")
}

func newStage() *stage {
	return &stage{policy: Policy{
		Strategy: KPA, Mode: Enforce, MinReplicas: 0, MaxReplicas: 1000,
		ObserveWindow: time.Minute, PanicWindow: 10 * time.Second, PanicThreshold: 2,
		MaxScaleUpRate: 1000, MaxScaleDownRate: 2,
	}}
}

func (s *stage) set(words []string) error {
	p := &s.policy
	for _, w := range words {
		k, v, _ := strings.Cut(w, "=")
		var err error
		switch k {
		case "strategy":
			p.Strategy = Strategy(v)
		case "strict":
			p.Strict = true
		case "min":
			p.MinReplicas, err = whole(v)
		case "max":
			p.MaxReplicas, err = whole(v)
		case "window":
			p.ObserveWindow, err = time.ParseDuration(v)
		case "up-rate":
			p.MaxScaleUpRate, err = strconv.ParseFloat(v, 64)
		case "down-rate":
			p.MaxScaleDownRate, err = strconv.ParseFloat(v, 64)
		case "up-delay":
			p.ScaleUpDelay, err = time.ParseDuration(v)
		case "down-delay":
			p.ScaleDownDelay, err = time.ParseDuration(v)
		case "up-tolerance":
			p.ToleranceUp, err = strconv.ParseFloat(v, 64)
		case "down-tolerance":
			p.ToleranceDown, err = strconv.ParseFloat(v, 64)
		case "panic-threshold":
			p.PanicThreshold, err = strconv.ParseFloat(v, 64)
		case "activation":
			p.ActivationScale, err = whole(v)
		case "zone":
			p.Zone, err = LoadZone(v)
		case "schedule":
			err = s.schedule(v)
		case "pause":
			p.Pause, err = pauseOf(v)
		default:
			err = fmt.Errorf("no such setting")
		}
		if err != nil {
			return fmt.Errorf("policy %s: %w", w, err)
		}
	}
	return nil
}

// schedule reads NAME,HH:MM-HH:MM,MIN..MAX[,DAYS], where MIN or MAX may be missing.
func (s *stage) schedule(text string) error {
	words := strings.SplitN(text, ",", 4)
	if len(words) < 3 {
		return fmt.Errorf("a name, a time and bounds")
	}
	days := ""
	if len(words) == 4 {
		days = words[3]
	}
	least, most, _ := strings.Cut(words[2], "..")
	out := daily(words[0], words[1], days)
	for _, b := range []struct {
		text string
		to   **int32
	}{{least, &out.MinReplicas}, {most, &out.MaxReplicas}} {
		if b.text == "" {
			continue
		}
		n, err := whole(b.text)
		if err != nil {
			return err
		}
		*b.to = &n
	}
	s.policy.Schedules = append(s.policy.Schedules, out)
	return nil
}

// daily is a schedule such as "08:00-18:00" on days such as "SatSun"; every day when none is named.
func daily(name, hours, days string) Schedule {
	out := Schedule{Name: name}
	minute := func(text string) int {
		t, err := time.Parse("15:04", text)
		if err != nil {
			panic(err)
		}
		return t.Hour()*60 + t.Minute()
	}
	from, to, _ := strings.Cut(hours, "-")
	out.From, out.To = minute(from), minute(to)
	for day := range out.Days {
		out.Days[day] = days == "" || strings.Contains(days, time.Weekday(day).String()[:3])
	}
	return out
}

func pauseOf(text string) (Pause, error) {
	switch text {
	case "no":
		return Pause{}, nil
	case "all":
		return Pause{All: true}, nil
	case "scale-in":
		return Pause{ScaleIn: true}, nil
	case "scale-out":
		return Pause{ScaleOut: true}, nil
	}
	n, err := whole(text)
	return Pause{Replicas: &n}, err
}

func (s *stage) source(words []string) error {
	src := Source{Key: words[0], Name: words[0], TargetType: AverageValue}
	for _, w := range words[1:] {
		k, v, _ := strings.Cut(w, "=")
		var err error
		switch k {
		case "target":
			src.Target, err = strconv.ParseFloat(v, 64)
		case "type":
			src.TargetType = TargetType(v)
		case "survives-zero":
			src.SurvivesZero = true
		default:
			err = fmt.Errorf("no such setting")
		}
		if err != nil {
			return fmt.Errorf("source %s: %w", w, err)
		}
	}
	s.policy.Sources = append(s.policy.Sources, src)
	return nil
}

func (s *stage) tick(words []string) (Decision, error) {
	in := Input{At: epoch, Replicas: s.replicas, Ready: -1}
	var outcome Outcome
	loads := map[string]string{}
	for _, w := range words {
		k, v, _ := strings.Cut(w, "=")
		var err error
		switch k {
		case "t":
			var since time.Duration
			since, err = time.ParseDuration(v)
			in.At = epoch.Add(since)
		case "replicas":
			in.Replicas, err = whole(v)
		case "ready":
			in.Ready, err = whole(v)
		case "starting":
			in.Starting, err = whole(v)
		case "unschedulable":
			in.Unschedulable, err = whole(v)
		case "quota":
			in.Quota, err = quotaOf(v)
		case "forget":
			s.history = nil
		case "delegated":
			in.Delegated = true
		case "outcome":
			outcome = Outcome{Applied: v == "applied", Why: strings.TrimPrefix(v, "applied")}
		case "explain":
		default:
			loads[k] = v
		}
		if err != nil {
			return Decision{}, fmt.Errorf("%s: %w", w, err)
		}
	}
	if in.Ready < 0 {
		in.Ready = in.Replicas
	}
	for _, src := range s.policy.Sources {
		if v, ok := loads[src.Name]; ok {
			ws, err := windows(s.policy, src, in, v)
			if err != nil {
				return Decision{}, fmt.Errorf("%s=%s: %w", src.Name, v, err)
			}
			in.Windows = append(in.Windows, ws)
			delete(loads, src.Name)
		}
	}
	for unknown := range loads {
		return Decision{}, fmt.Errorf("%s is neither a word of the script nor a source", unknown)
	}
	in.History = s.history
	d := Decide(s.policy, in)
	d.Entry.Outcome = outcome
	s.history = append(s.history, d.Entry)
	s.replicas = d.To
	return d, nil
}

// windows reads "40", "40/55" (stable/panic) or a state, then options after commas, such as "stale,age=23s,answering=0".
func windows(p Policy, src Source, in Input, text string) (SourceWindows, error) {
	text, noPanic := strings.CutSuffix(text, ",panic=stale")
	words := strings.Split(text, ",")
	w := Window{
		At: in.At, State: Fresh, NewestAge: 800 * time.Millisecond, Coverage: 1, MeanReady: float64(in.Ready),
		Expected: int(in.Ready), Reporting: int(in.Ready), Answering: int(in.Ready),
	}
	if src.SurvivesZero {
		w.Expected, w.Reporting, w.Answering = 1, 1, 1
	}
	out := SourceWindows{Key: src.Key}
	stable, panicky, two := strings.Cut(words[0], "/")
	switch stable {
	case "stale":
		w.State, w.Reporting = Stale, 0
	case "missing":
		w.State, w.Reporting, w.NewestAge, w.Coverage = Missing, 0, -1, 0
	case "nopods":
		w.State, w.Expected, w.Reporting, w.Answering, w.NewestAge, w.Coverage = NoPods, 0, 0, 0, -1, 0
	case "error":
		out.Error = "query: unexpected end of input"
	}
	if err := options(&w, words[1:]); err != nil {
		return out, err
	}
	out.Stable, out.Panic = w, w
	out.Stable.Range, out.Panic.Range = p.ObserveWindow, p.PanicWindow
	if w.State != Fresh || out.Error != "" {
		return out, nil
	}
	var err error
	if out.Stable.Value, err = strconv.ParseFloat(stable, 64); err != nil {
		return out, err
	}
	out.Panic.Value = out.Stable.Value
	if two {
		out.Panic.Value, err = strconv.ParseFloat(panicky, 64)
	}
	if noPanic {
		out.Panic.State, out.Panic.NewestAge = Stale, 23*time.Second
	}
	return out, err
}

func options(w *Window, words []string) error {
	for _, o := range words {
		k, v, _ := strings.Cut(o, "=")
		var n int32
		var err error
		switch k {
		case "age":
			w.NewestAge, err = time.ParseDuration(v)
		case "coverage":
			w.Coverage, err = strconv.ParseFloat(v, 64)
		case "mean-ready":
			w.MeanReady, err = strconv.ParseFloat(v, 64)
		case "answering":
			n, err = whole(v)
			w.Answering = int(n)
		case "silent":
			n, err = whole(v)
			w.Silent, w.SilentFor = int(n), 12*time.Second
			w.Reporting -= w.Silent
		default:
			err = fmt.Errorf("no such option")
		}
		if err != nil {
			return fmt.Errorf("%s: %w", o, err)
		}
	}
	return nil
}

func whole(s string) (int32, error) {
	n, err := strconv.ParseInt(s, 10, 32)
	return int32(min(n, math.MaxInt32)), err
}
