package query

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
)

// People may ask for anything, other owners' series and fixed times included.
func TestInstantAndRangeAreUnbound(t *testing.T) {
	w := newWorld(t).load(0, s, `
		x{pod="a"}: 0+1*11
		x{pod="b",namespace="test"}: 5*11`)
	e := New(Options{})
	ctx := context.Background()

	res, err := e.Instant(ctx, w.store, `sum by (namespace) (x)`, noon.Add(10*s))
	if err != nil {
		t.Fatal(err)
	}
	if v, err := res.Vector(); err != nil || len(v) != 2 {
		t.Errorf("vector %v, %v", v, err)
	}
	res, err = e.Range(ctx, w.store, `x{pod="a"}`, noon, noon.Add(4*s), 2*s)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := json.Marshal(res.Value)
	if err != nil {
		t.Fatal(err)
	}
	if want := `"values":[[1767268800,"0"],[1767268802,"2"],[1767268804,"4"]]`; !strings.Contains(string(kept), want) {
		t.Errorf("range gives %s, want %s", kept, want)
	}
	// The points are copies: the pool they came from goes to the next query.
	for range 20 {
		if _, err := e.Range(ctx, w.store, `x * 1000`, noon, noon.Add(4*s), 2*s); err != nil {
			t.Fatal(err)
		}
	}
	if now, _ := json.Marshal(res.Value); string(now) != string(kept) {
		t.Errorf("a kept result changed from %s to %s", kept, now)
	}
	if res, err = e.Instant(ctx, w.store, `x[3s] @ 1767268810 offset -1s`, noon); err != nil {
		t.Errorf("@ and negative offset: %v", err)
	} else if m, ok := res.Value.(promql.Matrix); !ok || len(m) != 2 {
		t.Errorf("matrix %v", res.Value)
	}
}

func TestInstantAndRangeErrors(t *testing.T) {
	w := newWorld(t)
	e := New(Options{MaxSamples: 5})
	ctx := context.Background()
	if _, err := e.Instant(ctx, w.store, `sum(`, noon); err == nil || !strings.Contains(err.Error(), `query "sum("`) {
		t.Errorf("parse error: %v", err)
	}
	if _, err := e.Range(ctx, w.store, `1`, noon, noon.Add(-s), s); err == nil || !strings.Contains(err.Error(), "the end not before the start") {
		t.Errorf("backwards: %v", err)
	}
	if _, err := e.Range(ctx, w.store, `1`, noon, noon.Add(s), 0); err == nil || !strings.Contains(err.Error(), "step") {
		t.Errorf("no step: %v", err)
	}
	w.load(0, s, `x{pod="a"}: 1*20`)
	if _, err := e.Instant(ctx, w.store, `sum_over_time(x[20s])`, noon.Add(19*s)); err == nil || !strings.Contains(err.Error(), "too many samples") {
		t.Errorf("too much: %v", err)
	}
	ctx, cancel := context.WithTimeout(ctx, -time.Second)
	defer cancel()
	if _, err := e.Instant(ctx, w.store, `x`, noon); err == nil {
		t.Error("a query ran past its deadline")
	}
}
