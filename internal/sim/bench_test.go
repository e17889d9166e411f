package sim

import (
	"bytes"
	"testing"
	"time"
)

// start is the plants' start in tests.
var start = time.Date(2026, 3, 2, 8, 0, 0, 0, time.UTC)

// BenchmarkAdvanceHour runs one simulated hour of ten A100 replicas at 20 requests/s of about 1000 + 250 tokens.
func BenchmarkAdvanceHour(b *testing.B) {
	for b.Loop() {
		p, err := New(fleet(10, Constant{20}))
		if err != nil {
			b.Fatal(err)
		}
		p.Advance(start.Add(time.Hour))
	}
}

// BenchmarkPodPage renders one vLLM page.
func BenchmarkPodPage(b *testing.B) {
	p, err := New(fleet(1, Constant{2}))
	if err != nil {
		b.Fatal(err)
	}
	p.Advance(start.Add(time.Minute))
	uid := p.Snapshot().Pods[0].UID
	var buf bytes.Buffer
	b.ReportAllocs()
	for b.Loop() {
		buf.Reset()
		if err := p.WritePodPage(&buf, uid); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(buf.Len()), "page-bytes")
}

// fleet is one workload, chat/llama, of n ready A100 replicas, with room for twice as many.
func fleet(n int, shape Shape) Config {
	return Config{
		Seed: 7, Start: start,
		Nodes: []NodeSpec{{"a100-0", A100, 8}, {"a100-1", A100, 8}, {"a100-2", A100, 8}},
		Workloads: []WorkloadSpec{{
			Namespace: "chat", Name: "llama", GPU: A100, GPUsPerPod: 1, Replicas: n, DrainGrace: 30 * time.Second,
			Load: LoadSpec{Shape: shape, Prompt: Tokens{1000, 0.8, 8000}, Output: Tokens{250, 0.7, 2000}},
		}},
	}
}
