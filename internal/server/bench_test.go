package server

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
)

// A panel of 100 series with 1,000 points each.
func BenchmarkRender(b *testing.B) {
	m := make(promql.Matrix, 100)
	for i := range m {
		m[i].Metric = labels.FromStrings("__name__", "vllm:num_requests_waiting", "namespace", "chat", "pod", "p0")
		for j := range 1000 {
			m[i].Floats = append(m[i].Floats, promql.FPoint{T: noon.UnixMilli() + int64(j)*1000, F: float64(j) / 7})
		}
	}
	b.Run("ours", func(b *testing.B) {
		for b.Loop() {
			write(httptest.NewRecorder(), http.StatusOK, response{Status: "success", Data: rendered(appendValue(nil, m))})
		}
	})
	b.Run("encoding-json", func(b *testing.B) {
		for b.Loop() {
			if _, err := json.Marshal(m); err != nil {
				b.Fatal(err)
			}
		}
	})
}
