package keda_test

import (
	"fmt"
	"strings"
	"testing"

	pb "github.com/flyball/flyball/api/externalscaler"
)

// BenchmarkPoll is one poll of KEDA, GetMetrics and IsActive, among a thousand autoscalers: without and with gRPC.
func BenchmarkPoll(b *testing.B) {
	w := newWorld(b)
	for i := range 1000 {
		w.apply(strings.ReplaceAll(llm, "llm", fmt.Sprintf("llm-%d", i)))
	}
	for i := range 1000 {
		w.measure(fmt.Sprintf("llm-%d", i), 0, 35)
	}
	w.decide()
	b.Run("direct", func(b *testing.B) {
		s := w.scaler()
		r := ref("llm-500")
		b.ReportAllocs()
		for b.Loop() {
			if _, err := s.GetMetrics(b.Context(), &pb.GetMetricsRequest{ScaledObjectRef: r, MetricName: "desired_replicas"}); err != nil {
				b.Fatal(err)
			}
			if _, err := s.IsActive(b.Context(), r); err != nil {
				b.Fatal(err)
			}
		}
	})
	c := w.connect(w.serve("", 0).address)
	b.Run("gRPC", func(b *testing.B) {
		for b.Loop() {
			if _, err := c.poll(ref("llm-500")); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("unknown", func(b *testing.B) {
		for b.Loop() {
			if _, err := w.scaler().IsActive(b.Context(), ref("llm")); err == nil {
				b.Fatal("found")
			}
		}
	})
}
