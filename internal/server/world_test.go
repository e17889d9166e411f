package server

import (
	"fmt"
	"io"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/flyball/flyball/query"
	"github.com/flyball/flyball/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// noon is when the recorded minute begins; it is 1767268800 in Unix seconds.
var noon = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// recorded is a series and its value at each second of the minute after noon.
type recorded struct {
	labels labels.Labels
	value  func(second int) float64
}

// minute is what every test here asks about: queues, a counter, a histogram, values that JSON has no number for,
// and label values that need quoting.
func minute() []recorded {
	constant := func(v float64) func(int) float64 { return func(int) float64 { return v } }
	var out []recorded
	add := func(value func(int) float64, ls ...string) {
		out = append(out, recorded{labels.FromStrings(ls...), value})
	}
	for i, pod := range []string{"p0", "p1", "p2"} {
		namespace := []string{"chat", "chat", "code"}[i]
		add(func(s int) float64 { return float64((s*7 + i*3) % 11) }, "__name__", "vllm:num_requests_waiting", "namespace", namespace, "pod", pod)
		add(func(s int) float64 { return float64(s * (i + 1)) }, "__name__", "requests_total", "namespace", namespace, "pod", pod)
		for j, le := range []string{"0.1", "1", "+Inf"} {
			add(func(s int) float64 { return float64(s * (j + 1)) }, "__name__", "latency_seconds_bucket", "le", le, "pod", pod)
		}
	}
	for name, v := range map[string]float64{"nan": math.NaN(), "inf": math.Inf(1), "minus": math.Inf(-1), "tiny": 1.5e-9, "huge": 2.5e25, "third": -1.0 / 3} {
		add(constant(v), "__name__", "odd", "value", name)
	}
	add(constant(1), "__name__", "quoted", "text", "a \"b\" \\ <c> & d\u2028é\n")
	slices.SortFunc(out, func(a, b recorded) int { return labels.Compare(a.labels, b.labels) })
	return out
}

// stored is a store that holds the minute.
func stored(t *testing.T) *store.Store {
	t.Helper()
	now := noon
	s, err := store.Open(store.Options{Dir: t.TempDir(), Clock: func() time.Time { return now }})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Close()) })
	all := minute()
	samples := make([]store.Sample, len(all))
	for i, r := range all {
		samples[i].Series = &store.Series{Labels: r.labels}
	}
	for second := range 60 {
		now = noon.Add(time.Duration(second) * time.Second)
		for i, r := range all {
			samples[i].Value = r.value(second)
		}
		_, err := s.Append(samples)
		require.NoError(t, err)
	}
	return s
}

// openMetrics is the minute as a text that promtool makes blocks of.
func openMetrics() string {
	var b strings.Builder
	for _, r := range minute() {
		var pairs []string
		r.labels.Range(func(l labels.Label) {
			if l.Name != model.MetricNameLabel {
				pairs = append(pairs, l.Name+`="`+strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`).Replace(l.Value)+`"`)
			}
		})
		for second := range 60 {
			fmt.Fprintf(&b, "%s{%s} %s %d\n", r.labels.Get(model.MetricNameLabel), strings.Join(pairs, ","),
				strconv.FormatFloat(r.value(second), 'g', -1, 64), noon.Unix()+int64(second))
		}
	}
	return b.String() + "# EOF\n"
}

// newTestServer serves the minute, at the end of it.
func newTestServer(t *testing.T) *Server {
	t.Helper()
	return New(Options{
		Engine: query.New(query.Options{}).PromQL(), Store: stored(t), Metrics: prometheus.NewRegistry(), Version: "v1",
		Now: func() time.Time { return noon.Add(59 * time.Second) }, Ready: func() error { return nil },
		Targets:  func() []Target { return nil },
		Metadata: func() map[string][]metadata.Metadata { return nil },
		API:      http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "decisions at "+r.URL.Path) }),
	})
}
