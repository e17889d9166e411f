package query

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// BenchmarkWindows evaluates one source's stable and panic windows (60 s and 10 s) over pods scraped every 2 s.
func BenchmarkWindows(b *testing.B) {
	for _, pods := range []int{5, 100} {
		var story strings.Builder
		for i := range pods {
			fmt.Fprintf(&story, "flyball_pod_ready{pod=\"p%d\"}: 1*40\nup{pod=\"p%d\"}: 1*40\n", i, i)
			fmt.Fprintf(&story, "vllm:num_requests_waiting{pod=\"p%d\"}: %d+1*40\n", i, i)
			fmt.Fprintf(&story, "vllm:generation_tokens_total{pod=\"p%d\"}: %d+70*40\n", i, i)
			fmt.Fprintf(&story, "vllm:kv_cache_usage_perc{pod=\"p%d\"}: 0.5*40\nvllm:gpu_cache_usage_perc{pod=\"p%d\"}: 0.5*40\n", i, i)
			for le := range 21 {
				fmt.Fprintf(&story, "ttft_bucket{pod=\"p%d\",le=\"%d\"}: 0+%d*40\n", i, le, le)
			}
			fmt.Fprintf(&story, "ttft_bucket{pod=\"p%d\",le=\"+Inf\"}: 0+21*40\n", i)
		}
		w := newWorld(b).load(0, 2*time.Second, story.String())
		e := New(Options{})
		for _, src := range []struct {
			name string
			Source
		}{
			{"gauge", Source{Metric: "vllm:num_requests_waiting"}},
			{"alias", Source{Metric: "vllm:kv_cache_usage_perc"}},
			{"counter", Source{Metric: "vllm:generation_tokens_total"}},
			{"quantile", Source{Query: `histogram_quantile(0.95, sum by (le) (rate(ttft_bucket[$window])))`}},
		} {
			bound := bind(b, src.Source, chat)
			b.Run(fmt.Sprintf("%s/pods=%d", src.name, pods), func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					got, err := e.Windows(context.Background(), w.store, bound, noon.Add(78*s), 60*s, 10*s)
					if err != nil || got[0].State != Fresh || got[1].Expected != pods {
						b.Fatalf("%+v %v", got, err)
					}
				}
			})
		}
	}
}
