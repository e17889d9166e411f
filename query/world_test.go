package query

import (
	"context"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/labels"

	"github.com/flyball/flyball/store"
)

// noon is second 0 of every story.
var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// chat owns the pods that a story's series belong to unless they say otherwise.
var chat = Owner{Namespace: "prod", WorkloadUID: "w-chat", Endpoint: "8000/metrics"}

// world is a store with a clock that a story sets.
type world struct {
	t     testing.TB
	store *store.Store
	now   time.Time
	known map[string]*store.Series
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, now: noon, known: map[string]*store.Series{}}
	var err error
	w.store, err = store.Open(store.Options{Dir: t.TempDir(), Clock: func() time.Time { return w.now }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// load stores a story, one series a line: `metric{labels}: v v v`. The values are one `every` apart, from second `from` on:
// a number, `_` for no sample, `x` for a stale marker, `n` for NaN; 4*3 is 4 4 4, and 1+2*3 is 1 3 5.
func (w *world) load(from int, every time.Duration, story string) *world {
	w.t.Helper()
	var series []string
	var values [][]float64
	longest := 0
	for line := range strings.Lines(story) {
		line = strings.TrimSpace(line)
		if line == "" {
			continue
		}
		name, rest, _ := strings.Cut(line, ": ")
		series = append(series, name)
		values = append(values, w.values(rest))
		longest = max(longest, len(values[len(values)-1]))
	}
	for i := range longest {
		w.now = noon.Add(time.Duration(from)*time.Second + time.Duration(i)*every)
		var samples []store.Sample
		for j, name := range series {
			if i < len(values[j]) && !math.IsInf(values[j][i], 0) {
				samples = append(samples, store.Sample{Series: w.series(name), Value: values[j][i]})
			}
		}
		if _, err := w.store.Append(samples); err != nil {
			w.t.Fatal(err)
		}
	}
	return w
}

func (w *world) values(text string) []float64 {
	w.t.Helper()
	var out []float64
	for _, word := range strings.Fields(text) {
		word, times, _ := strings.Cut(word, "*")
		n := 1
		if times != "" {
			n, _ = strconv.Atoi(times)
		}
		start, inc, _ := strings.Cut(word, "+")
		v, err := strconv.ParseFloat(start, 64)
		d, _ := strconv.ParseFloat(inc, 64)
		switch {
		case start == "_":
			v = math.Inf(1)
		case start == "x":
			v = store.StaleMarker()
		case start == "n":
			v = math.NaN()
		case err != nil:
			w.t.Fatalf("story: value %q", word)
		}
		for i := range n {
			out = append(out, v+d*float64(i))
		}
		if start == "x" { // adding zero to a stale marker may lose what makes it one
			out[len(out)-1] = store.StaleMarker()
		}
	}
	return out
}

// series completes labels: a pod's identity from its pod label, an endpoint source's from its autoscaler_uid.
func (w *world) series(name string) *store.Series {
	w.t.Helper()
	if s, ok := w.known[name]; ok {
		return s
	}
	given, err := newParser().ParseMetric(name)
	if err != nil {
		w.t.Fatal(err)
	}
	b := labels.NewBuilder(given)
	def := func(k, v string) {
		if given.Get(k) == "" {
			b.Set(k, v)
		}
	}
	def("namespace", "prod")
	switch {
	case given.Has("autoscaler_uid"):
		def("source", "s1")
		def("endpoint", "80/queue")
	default:
		def("pod_uid", "uid-"+given.Get("pod"))
		def("workload", "chat")
		def("workload_uid", "w-chat")
		def("node", "n1")
		if given.Get("__name__") != metricReady {
			def("job", "vllm")
			def("endpoint", "8000/metrics")
		}
	}
	s := &store.Series{Labels: b.Labels()}
	w.known[name] = s
	return s
}

func (w *world) windows(b *Bound, second float64, ranges ...time.Duration) []Window {
	w.t.Helper()
	got, err := New(Options{}).Windows(context.Background(), w.store, b, noon.Add(time.Duration(second*float64(time.Second))), ranges...)
	if err != nil {
		w.t.Fatal(err)
	}
	return got
}

func bind(t testing.TB, src Source, owner Owner) *Bound {
	t.Helper()
	b, err := Bind(src, owner, pack)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// pack is what a story knows about vLLM.
func pack(name string) (Metric, bool) {
	metrics := []Metric{
		{Names: []string{"vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc"}, Kind: Gauge, Scale: Ratio},
		{Names: []string{"vllm:num_requests_waiting"}, Kind: Gauge},
		{Names: []string{"vllm:generation_tokens_total", "vllm:generation_tokens"}, Kind: Counter},
		{Names: []string{"vllm:time_to_first_token_seconds"}, Kind: Histogram},
	}
	for _, m := range metrics {
		for _, n := range m.Names {
			if n == name {
				return m, true
			}
		}
	}
	return Metric{}, false
}
