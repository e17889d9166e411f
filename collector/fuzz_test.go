package collector

import (
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
	"github.com/stretchr/testify/require"

	"github.com/flyball/flyball/store"
)

// Whatever a page says: no panic; either samples or an error; no series twice; and every series under its owner's
// identity alone. A second reading of the same page, from memory, gives the same samples.
func FuzzPage(f *testing.F) {
	const proto = "application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited"
	f.Add([]byte(vllmPage()), "text/plain; version=0.0.4")
	f.Add([]byte(gpu0+gpu1), "")
	f.Add([]byte("m{pod=\"x\",exported_pod=\"y\",pod_uid=\"z\"} 1\nm{exported_pod=\"x\"} 2\n"), "text/plain")
	f.Add([]byte("# TYPE m counter\nm_total 1 1.5 # {a=\"b\"} 1\nm_created 1\n# EOF\n"), "application/openmetrics-text; version=1.0.0")
	f.Add([]byte("{\"m\",a=\"\\\"\"} NaN\n"), "text/plain; version=1.0.0")
	f.Add([]byte("\x12\x0a\x01m\x18\x01\x22\x0b\x12\x09\x09\x00\x00\x00\x00\x00\x00\xf0\x3f"), proto)
	packs, err := LoadPacks()
	require.NoError(f, err)
	keep := map[string]struct{}{"m": {}, "m_total": {}, "vllm:num_requests_waiting": {}, "DCGM_FI_DEV_GPU_UTIL": {}}
	pod := Endpoint{Role: PodExporter, URL: "http://10.0.0.1:8000/metrics", Identity: Identity{Namespace: "prod", Pod: "llama-0", PodUID: "u", Node: "n1"}}
	gpu := Endpoint{Role: GPUExporter, URL: "http://10.0.0.2:9400/metrics", Identity: Identity{Node: "n1"}}
	pods := indexPods([]Endpoint{pod}, nil, epoch)
	f.Fuzz(func(t *testing.T, body []byte, contentType string) {
		for _, e := range []Endpoint{pod, gpu} {
			r := newPageReader(e, packs)
			pg := page{body: append([]byte(nil), body...), contentType: contentType}
			samples, err := r.read(pg, keep, pods, epoch.Add(DefaultInterval*60))
			if err != nil {
				require.Empty(t, samples)
				continue
			}
			seen := map[string]bool{}
			for _, s := range samples {
				lset := s.Series.Labels
				require.False(t, seen[lset.String()], lset)
				seen[lset.String()] = true
				require.Contains(t, keep, lset.Get(model.MetricNameLabel))
				require.Equal(t, e.Name(), lset.Get("endpoint"))
				require.Equal(t, "n1", lset.Get("node"))
				require.Empty(t, lset.Get("autoscaler_uid")+lset.Get("workload_uid"))
				if uid := lset.Get("pod_uid"); uid != "u" {
					require.Equal(t, GPUExporter, e.Role)
					require.Empty(t, uid)
				}
			}
			before := append([]store.Sample(nil), samples...)
			r.settle()
			again, err := r.read(pg, keep, pods, epoch.Add(DefaultInterval*60))
			require.NoError(t, err)
			require.Equal(t, before, again)
			require.Empty(t, r.vanished(nil))
		}
	})
}

// The name before the labels are parsed is the name after.
func FuzzMetricName(f *testing.F) {
	f.Add("vllm:x_total{a=\"b\"} 1\n")
	f.Add("m 1\n")
	f.Add("m\t{ a = \"b\" , } 1 2\n")
	f.Add("{\"m\"} 1\n")
	f.Fuzz(func(t *testing.T, line string) {
		p := textparse.NewPromParser([]byte(line), labels.NewSymbolTable(), false)
		if e, err := p.Next(); err != nil || e != textparse.EntrySeries {
			return
		}
		raw, _, _ := p.Series()
		var lset labels.Labels
		p.Labels(&lset)
		if name := metricName(raw); len(name) > 0 && lset.Get(model.MetricNameLabel) != "" {
			if _, twice := lset.HasDuplicateLabelNames(); !twice {
				require.Equal(t, lset.Get(model.MetricNameLabel), string(name))
			}
		}
	})
}

// Whatever a target file says: no panic; and endpoints that the collector can take, each with its identity.
func FuzzTargets(f *testing.F) {
	f.Add([]byte(one("a:1")))
	f.Add([]byte("- {targets: ['[::1]:80'], labels: {role: gpu, node: n, __metrics_path__: '/a?b#c'}}"))
	f.Add([]byte("- targets: ['a:1', 'b:2']\n  labels: {workload: w, ready: no, __scrape_interval__: 1h}\n"))
	f.Add([]byte("- &a {targets: [*a]}"))
	f.Add([]byte("- {targets: ['[0]:0'], labels: {workload: w}}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		endpoints, err := parseTargets(b)
		if err != nil {
			require.Nil(t, endpoints)
			return
		}
		keys := map[string]bool{}
		for _, e := range endpoints {
			_, err := newRequest(e.URL, nil)
			require.NoError(t, err)
			require.NotEmpty(t, e.Name())
			require.False(t, keys[e.Key()])
			keys[e.Key()] = true
			if e.Role == PodExporter {
				require.NotEmpty(t, e.PodUID)
				require.NotEmpty(t, e.WorkloadUID)
			} else {
				require.NotEmpty(t, e.Node)
			}
		}
	})
}
