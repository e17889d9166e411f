package sim

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"
)

// families parses a page as a strict reader would.
func families(t rapidOrTest, page []byte) map[string]*dto.MetricFamily {
	t.Helper()
	parser := expfmt.NewTextParser(model.UTF8Validation)
	out, err := parser.TextToMetricFamilies(bytes.NewReader(page))
	if err != nil {
		t.Fatalf("%v in\n%s", err, page)
	}
	return out
}

// rapidOrTest is what *testing.T and *rapid.T share.
type rapidOrTest interface {
	Helper()
	Fatalf(format string, args ...any)
}

// checkPages checks what must hold on every pod page: counters never fall, histograms count each completion once, the cache is never
// overfull. seen carries the counters from call to call.
func checkPages(t rapidOrTest, p *Plant, seen map[string]float64) {
	t.Helper()
	for _, d := range p.Snapshot().Pods {
		b, err := p.podPage(d.UID)
		if errors.Is(err, ErrNotReady) {
			continue
		}
		if err != nil {
			t.Fatalf("%v", err)
		}
		fams := families(t, b)
		success := 0.0
		for name, f := range fams {
			for _, m := range f.Metric {
				key := d.UID + name + labelText(m)
				v := m.GetCounter().GetValue() + float64(m.GetHistogram().GetSampleCount())
				if v < seen[key] {
					t.Fatalf("%s fell from %v to %v", key, seen[key], v)
				}
				seen[key] = v
				if name == "vllm:request_success_total" {
					success += v
				}
			}
		}
		for _, name := range perRequest {
			if got := fams[name].Metric[0].GetHistogram().GetSampleCount(); float64(got) != success {
				t.Fatalf("%s counts %d, %v requests succeeded", name, got, success)
			}
		}
		if v := fams["vllm:kv_cache_usage_perc"].Metric[0].GetGauge().GetValue(); v < 0 || v > 1 {
			t.Fatalf("kv cache usage %v", v)
		}
	}
}

var perRequest = []string{
	"vllm:e2e_request_latency_seconds", "vllm:request_queue_time_seconds", "vllm:request_prefill_time_seconds",
	"vllm:request_decode_time_seconds", "vllm:request_prompt_tokens", "vllm:request_generation_tokens",
}

func labelText(m *dto.Metric) string {
	var b strings.Builder
	for _, l := range m.Label {
		b.WriteString("," + l.GetName() + "=" + l.GetValue())
	}
	return b.String()
}

func TestAPodPageIsVLLMs(t *testing.T) {
	p := newPlant(t, fleet(1, Constant{6}))
	s := after(p, 2*time.Minute)
	page, err := p.podPage(s.Pods[0].UID)
	must(t, err)
	fams := families(t, page)
	types := map[string]dto.MetricType{
		"vllm:num_requests_running": dto.MetricType_GAUGE, "vllm:num_requests_waiting": dto.MetricType_GAUGE,
		"vllm:num_requests_waiting_by_reason": dto.MetricType_GAUGE, "vllm:kv_cache_usage_perc": dto.MetricType_GAUGE,
		"vllm:cache_config_info": dto.MetricType_GAUGE, "vllm:num_preemptions_total": dto.MetricType_COUNTER,
		"vllm:prompt_tokens_total": dto.MetricType_COUNTER, "vllm:generation_tokens_total": dto.MetricType_COUNTER,
		"vllm:request_success_total": dto.MetricType_COUNTER, "vllm:prefix_cache_queries_total": dto.MetricType_COUNTER,
		"vllm:prefix_cache_hits_total": dto.MetricType_COUNTER, "vllm:time_to_first_token_seconds": dto.MetricType_HISTOGRAM,
		"vllm:inter_token_latency_seconds": dto.MetricType_HISTOGRAM, "vllm:iteration_tokens_total": dto.MetricType_HISTOGRAM,
		"process_start_time_seconds": dto.MetricType_GAUGE,
	}
	for _, name := range perRequest {
		types[name] = dto.MetricType_HISTOGRAM
	}
	for name, typ := range types {
		if f := fams[name]; f == nil || f.GetType() != typ {
			t.Errorf("%s: got %v, want a %s", name, f.GetType(), typ)
		}
	}
	for _, line := range []string{
		`vllm:num_requests_waiting_by_reason{engine="0",model_name="meta-llama/Llama-3.1-8B-Instruct",reason="deferred"} 0`,
		`vllm:time_to_first_token_seconds_bucket{engine="0",model_name="meta-llama/Llama-3.1-8B-Instruct",le="2560"} `,
		`vllm:inter_token_latency_seconds_bucket{engine="0",model_name="meta-llama/Llama-3.1-8B-Instruct",le="0.025"} `,
		`vllm:request_prompt_tokens_bucket{engine="0",model_name="meta-llama/Llama-3.1-8B-Instruct",le="20000"} `,
		`block_size="16"`, `num_gpu_blocks="27200"`,
	} {
		if !strings.Contains(string(page), line) {
			t.Errorf("the page has no %s", line)
		}
	}
	w := s.Workloads[0]
	if got := fams["vllm:num_requests_running"].Metric[0].GetGauge().GetValue(); got != float64(w.Running) || got == 0 {
		t.Errorf("running %v, the plant has %d", got, w.Running)
	}
	if got := fams["vllm:time_to_first_token_seconds"].Metric[0].GetHistogram().GetSampleCount(); got < w.Completed || got > w.Arrived {
		t.Errorf("%d first tokens, of %d arrived and %d completed", got, w.Arrived, w.Completed)
	}
}

func TestEveryPageParsesInPrometheus(t *testing.T) {
	p := newPlant(t, fleet(2, Constant{6}))
	after(p, time.Minute)
	parser, err := textparse.New([]byte(pages(t, p)), "text/plain; version=0.0.4", labels.NewSymbolTable(), textparse.ParserOptions{})
	must(t, err)
	series := 0
	for {
		entry, err := parser.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		must(t, err)
		if entry == textparse.EntrySeries {
			series++
		}
	}
	if series < 2*150+24*13 {
		t.Errorf("%d series, want those of 2 engines and 24 GPUs", series)
	}
}

// gpu is what the exporter says of one GPU: metric → value, and its labels.
func gpuOnPage(t *testing.T, p *Plant, node, index string) (map[string]float64, map[string]string) {
	t.Helper()
	b, err := p.nodePage(node)
	must(t, err)
	values, names := map[string]float64{}, map[string]string{}
	for name, f := range families(t, b) {
		for _, m := range f.Metric {
			if m.Label[0].GetValue() != index {
				continue
			}
			values[name] = m.GetGauge().GetValue() + m.GetCounter().GetValue()
			for _, l := range m.Label {
				names[l.GetName()] = l.GetValue()
			}
		}
	}
	return values, names
}

func TestTheGPUExporterFollowsTheLoad(t *testing.T) {
	p := newPlant(t, fleet(1, Steps{{4, 2 * time.Minute}}))
	after(p, time.Minute)
	busy, names := gpuOnPage(t, p, "a100-0", "0")
	for name, want := range map[string]string{
		"device": "nvidia0", "modelName": "NVIDIA A100-SXM4-80GB", "hostname": "a100-0", "pci_bus_id": "00000000:07:00.0",
		"DCGM_FI_DRIVER_VERSION": driverVersion, "namespace": "chat", "pod": "llama-0", "container": "vllm",
	} {
		if names[name] != want {
			t.Errorf("label %s=%q, want %q", name, names[name], want)
		}
	}
	idle, names := gpuOnPage(t, p, "a100-0", "1")
	if names["namespace"]+names["pod"]+names["container"] != "" {
		t.Errorf("an idle GPU has labels %v", names)
	}
	if busy["DCGM_FI_DEV_GPU_UTIL"] < 90 || busy["DCGM_FI_PROF_DRAM_ACTIVE"] < 0.3 || busy["DCGM_FI_PROF_PIPE_TENSOR_ACTIVE"] < 0.05 {
		t.Errorf("busy GPU %v", busy)
	}
	if idle["DCGM_FI_DEV_GPU_UTIL"] != 0 || idle["DCGM_FI_DEV_POWER_USAGE"] != 60 || idle["DCGM_FI_DEV_FB_USED"] > 1000 {
		t.Errorf("idle GPU %v", idle)
	}
	if got := busy["DCGM_FI_DEV_FB_USED"] + busy["DCGM_FI_DEV_FB_FREE"]; got != 81920 {
		t.Errorf("used and free memory make %v MiB", got)
	}
	if busy["DCGM_FI_DEV_MEMORY_TEMP"] != float64(blank) {
		t.Errorf("blank value %v", busy["DCGM_FI_DEV_MEMORY_TEMP"])
	}
	after(p, 4*time.Minute)
	quiet, _ := gpuOnPage(t, p, "a100-0", "0")
	if quiet["DCGM_FI_DEV_GPU_UTIL"] != 0 || quiet["DCGM_FI_DEV_FB_USED"] != busy["DCGM_FI_DEV_FB_USED"] {
		t.Errorf("GPU of an idle engine %v; want no use, but its memory kept", quiet)
	}
	if got := quiet["DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"] - busy["DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION"]; got < 180*60*1000 || got > 180*400*1000 {
		t.Errorf("%v mJ in 3 min, want between 60 W and 400 W", got)
	}
	b, err := p.nodePage("a100-0")
	must(t, err)
	if got := bytes.Count(b, []byte(blankLiteral)); got != 8 {
		t.Errorf("the blank value is written %d times as DCGM writes it, want 8", got)
	}
}

func TestGPULabelsNameTheOldPodUntilTheExporterLooksAgain(t *testing.T) {
	c := fleet(1, Constant{1})
	c.CollectInterval = 10 * time.Second
	c.Workloads[0].PodNames, c.Workloads[0].ColdStart = Hashed, 2*time.Second // ready at 17 s: that must not make the exporter look
	p := newPlant(t, c)
	old := after(p, 15*time.Second).Pods[0]
	must(t, p.KillPod(old.UID))
	fresh := p.Snapshot().Pods[0]
	podOf := func() string { _, names := gpuOnPage(t, p, "a100-0", "0"); return names["pod"] }
	if after(p, 20*time.Second-1); podOf() != old.Name || fresh.Name == old.Name {
		t.Errorf("before the next look the GPU is %q's, want the old pod %q", podOf(), old.Name)
	}
	if after(p, 20*time.Second); podOf() != fresh.Name {
		t.Errorf("after it the GPU is %q's, want the new pod %q", podOf(), fresh.Name)
	}
	if values, _ := gpuOnPage(t, p, "a100-0", "0"); values["DCGM_FI_PROF_DRAM_ACTIVE"] <= 0 || values["DCGM_FI_PROF_DRAM_ACTIVE"] > 1 {
		t.Errorf("the new pod's engine counts from zero; the GPU shows %v", values)
	}
}

func TestASaturatedGPUIsFullyUsedAtEveryLook(t *testing.T) {
	c := fleet(1, Constant{20})
	c.Nodes, c.Workloads[0].GPU = []NodeSpec{{"a40", A40, 1}}, A40 // steps of 2048 tokens take 0.3 s, a third of the exporter's interval
	p := newPlant(t, c)
	for i := range 30 {
		after(p, time.Minute+time.Duration(i)*time.Second)
		if values, _ := gpuOnPage(t, p, "a40", "0"); values["DCGM_FI_DEV_GPU_UTIL"] != 100 {
			t.Fatalf("GPU utilisation %v %%, want 100", values["DCGM_FI_DEV_GPU_UTIL"])
		}
	}
	s := p.Snapshot()
	b, err := p.podPage(s.Pods[0].UID)
	must(t, err)
	fams := families(t, b)
	for _, name := range []string{"vllm:num_requests_waiting", "vllm:num_requests_waiting_by_reason"} {
		if got := fams[name].Metric[0].GetGauge().GetValue(); got != float64(s.Workloads[0].Waiting) || got == 0 {
			t.Errorf("%s %v, the plant has %d", name, got, s.Workloads[0].Waiting)
		}
	}
}

func TestTheGatewayPageShowsWhatWaitsForAPod(t *testing.T) {
	c := fleet(0, Constant{2})
	c.Workloads[0].Load.Arrivals = Even
	p := newPlant(t, c)
	after(p, 10*time.Second+time.Millisecond)
	b, err := p.gatewayPage("chat", "llama")
	must(t, err)
	if got := metricLines(b); !slices.Equal(got, []string{"gateway_queue_depth 20", "gateway_inflight_requests 0", "gateway_requests_total 20"}) {
		t.Errorf("page %q", got)
	}
	must(t, p.Scale("chat", "llama", 1))
	b, err = p.gatewayPage("chat", "llama")
	must(t, err)
	if got := metricLines(b); !slices.Equal(got, []string{"gateway_queue_depth 0", "gateway_inflight_requests 20", "gateway_requests_total 20"}) {
		t.Errorf("page %q", got)
	}
	if _, err := p.gatewayPage("chat", "nobody"); !errors.Is(err, ErrNotFound) {
		t.Errorf("page of an unknown workload: %v", err)
	}
}

func metricLines(page []byte) []string {
	var out []string
	for line := range strings.Lines(string(page)) {
		if !strings.HasPrefix(line, "#") {
			out = append(out, strings.TrimSpace(line))
		}
	}
	return out
}
