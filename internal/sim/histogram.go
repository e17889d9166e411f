package sim

import "sort"

// histogram is a classic Prometheus histogram: counts[i] holds observations ≤ bounds[i], counts[len(bounds)] the rest.
type histogram struct {
	bounds []float64
	counts []uint64
	sum    float64
	count  uint64
}

func newHistogram(bounds []float64) histogram {
	return histogram{bounds: bounds, counts: make([]uint64, len(bounds)+1)}
}

// observe records the value v, n times.
func (h *histogram) observe(v float64, n int) {
	h.counts[sort.SearchFloat64s(h.bounds, v)] += uint64(n)
	h.count += uint64(n)
	h.sum += v * float64(n)
}

// The bucket bounds of vLLM v1 (vllm/v1/metrics/loggers.py).
var (
	ttftBuckets = []float64{
		0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80, 160, 640, 2560,
	}
	interTokenBuckets = []float64{
		0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40, 80,
	}
	requestBuckets = []float64{
		0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60, 120, 240, 480, 960, 1920, 7680,
	}
	iterationBuckets = []float64{1, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384}
)

// tokenBuckets are 1, 2, 5, 10, 20, 50 … up to the model's longest sequence.
func tokenBuckets(maxModelLen int) []float64 {
	var out []float64
	for scale := 1; ; scale *= 10 {
		for _, m := range []int{1, 2, 5} {
			if m*scale > maxModelLen {
				return out
			}
			out = append(out, float64(m*scale))
		}
	}
}
