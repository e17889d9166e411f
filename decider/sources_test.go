package decider

import (
	"strings"
	"testing"
	"time"
)

// two is a policy with two sources of one name, such as one metric read from two ports with a target for each.
func two() Policy {
	p := newStage().policy
	p.Strategy = APA
	p.Sources = []Source{
		{Key: "8000", Name: "vllm:num_requests_waiting", Target: 10, TargetType: AverageValue},
		{Key: "8001", Name: "vllm:num_requests_waiting", Target: 2, TargetType: AverageValue},
	}
	return p
}

func fresh(key string, value float64) SourceWindows {
	return SourceWindows{Key: key, Stable: Window{Range: time.Minute, Value: value, State: Fresh, Coverage: 1, Expected: 3, Reporting: 3}}
}

// Each has its own target, in whatever order the windows come.
func TestSourcesOfOneNameKeepTheirTargets(t *testing.T) {
	for _, c := range []struct {
		first, second float64
		to            int32
		target        float64
	}{{60, 6, 6, 10}, {30, 14, 7, 2}, {6, 60, 30, 2}} {
		in := Input{At: epoch, Replicas: 3, Ready: 3, Windows: []SourceWindows{fresh("8001", c.second), fresh("8000", c.first)}}
		d := Decide(two(), in)
		if d.To != c.to || d.Reasons[0].Target != c.target {
			t.Errorf("%g and %g: want %d by the target of %g\n%s", c.first, c.second, c.to, c.target, d.Explain())
		}
	}
}

// The need names the winner, and those that had no say; also when what is left is enough to decide.
func TestTheNeedNamesSourcesWithoutData(t *testing.T) {
	p := two()
	p.Sources = append(p.Sources, Source{Key: "gateway", Name: "gateway", Target: 5}, Source{Key: "kv", Name: "kv", Target: 1, TargetType: Value})
	in := Input{At: epoch, Replicas: 3, Ready: 3, Windows: []SourceWindows{
		fresh("8000", 60),
		{Key: "8001", Stable: Window{State: Stale, NewestAge: 23 * time.Second}},
		{Key: "gateway", Error: "query: timeout"},
		{Key: "kv", Stable: Window{State: NoPods, NewestAge: -1}},
	}}
	d := Decide(p, in)
	const want = "vllm:num_requests_waiting asks for 6: 60 over 1m (stable window) at 10 per pod; 3 of 3 exporters reporting, newest sample 0s old; " +
		"1 of 4 sources has data; no data from vllm:num_requests_waiting: no sample for 23s, from gateway: query: timeout, from kv: no pods to come from"
	if d.To != 6 || !strings.Contains(d.Explain(), want) {
		t.Errorf("want %s\n got %s", want, d.Explain())
	}
	in.Windows[1], in.Windows[2], in.Windows[3].Stable = fresh("8001", 1), fresh("gateway", 1), Window{State: Missing, NewestAge: -1}
	if d = Decide(p, in); !strings.Contains(d.Explain(), "3 of 4 sources have data; no data from kv: no sample as far back as was looked\n") {
		t.Errorf("kv is not named\n%s", d.Explain())
	}
	in.Windows[3] = fresh("kv", 1)
	if d = Decide(p, in); len(d.Reasons[0].Absent) > 0 || strings.Contains(d.Explain(), "sources") {
		t.Errorf("all have data\n%s", d.Explain())
	}
}
