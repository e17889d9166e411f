package sim

import (
	"fmt"
	"io"
	"slices"
	"strings"

	dto "github.com/prometheus/client_model/go"
)

// WritePodPage writes a pod's /metrics page as vLLM v1 shows it. It fails with ErrNotFound for a pod that is gone and ErrNotReady for one
// that does not serve yet.
func (p *Plant) WritePodPage(w io.Writer, uid string) error {
	b, err := p.podPage(uid)
	return writePage(w, b, err)
}

func (p *Plant) podPage(uid string) ([]byte, error) {
	p.mu.Lock()
	d, err := p.pod("write pod page", uid)
	if err == nil && d.engine == nil {
		err = fmt.Errorf("write pod page: pod %s is %s: %w", uid, d.phase, ErrNotReady)
	}
	if err != nil {
		p.mu.Unlock()
		return nil, err
	}
	var out page
	d.engine.state(&out, d.workload.spec.Model)
	d.engine.m.counters(&out, d.workload.spec.Model)
	d.engine.m.histograms(&out, d.workload.spec.Model)
	d.process(&out, p)
	p.mu.Unlock()
	return out.render()
}

// engineLabels are the labels of every vLLM series, and perhaps one more, sorted by name as the Python client writes them.
func engineLabels(model string, more ...string) []*dto.LabelPair {
	out := pairs(slices.Concat([]string{"engine", "0", "model_name", model}, more)...)
	slices.SortFunc(out, func(a, b *dto.LabelPair) int { return strings.Compare(a.GetName(), b.GetName()) })
	return out
}

// state adds the gauges.
func (e *engine) state(out *page, model string) {
	labels := engineLabels(model)
	waiting := float64(len(e.waiting))
	out.gauge("vllm:num_requests_running", "Number of requests in model execution batches.", labels, float64(len(e.running)))
	out.gauge("vllm:num_requests_waiting", "Number of requests waiting to be processed.", labels, waiting)
	out.family("vllm:num_requests_waiting_by_reason", "Number of waiting requests by reason.", dto.MetricType_GAUGE,
		gaugeMetric(engineLabels(model, "reason", "capacity"), waiting),
		gaugeMetric(engineLabels(model, "reason", "deferred"), 0))
	out.gauge("vllm:kv_cache_usage_perc", "KV-cache usage. 1 means 100 percent usage.", labels, float64(e.blocks)/float64(e.p.KVBlocks))
	out.gauge("vllm:cache_config_info", "Information of the LLMEngine CacheConfig", pairs(
		"block_size", itoa(blockTokens), "cache_dtype", "auto", "enable_prefix_caching", "True", "engine", "0",
		"gpu_memory_utilization", "0.9", "num_gpu_blocks", itoa(e.p.KVBlocks)), 1)
}

// counters adds the counters.
func (m *engineMetrics) counters(out *page, model string) {
	labels := engineLabels(model)
	for _, c := range []struct {
		name, help string
		v          uint64
	}{
		{"vllm:num_preemptions_total", "Cumulative number of preemption from the engine.", m.preemptions},
		{"vllm:prefix_cache_queries_total", "Prefix cache queries, in terms of number of queried tokens.", m.prefixQueries},
		{"vllm:prefix_cache_hits_total", "Prefix cache hits, in terms of number of cached tokens.", m.prefixHits},
		{"vllm:prompt_tokens_total", "Number of prefill tokens processed.", m.promptTokens},
		{"vllm:generation_tokens_total", "Number of generation tokens processed.", m.generationTokens},
	} {
		out.counter(c.name, c.help, labels, float64(c.v))
	}
	out.family("vllm:request_success_total", "Count of successfully processed requests.", dto.MetricType_COUNTER,
		counterMetric(engineLabels(model, "finished_reason", "stop"), float64(m.stopped)),
		counterMetric(engineLabels(model, "finished_reason", "length"), float64(m.lengthCapped)),
		counterMetric(engineLabels(model, "finished_reason", "abort"), 0))
}

// histograms adds the histograms.
func (m *engineMetrics) histograms(out *page, model string) {
	labels := engineLabels(model)
	for _, h := range []struct {
		name, help string
		h          *histogram
	}{
		{"vllm:request_prompt_tokens", "Number of prefill tokens processed.", &m.promptLen},
		{"vllm:request_generation_tokens", "Number of generation tokens processed.", &m.outputLen},
		{"vllm:iteration_tokens_total", "Histogram of number of tokens per engine_step.", &m.iterationTokens},
		{"vllm:time_to_first_token_seconds", "Histogram of time to first token in seconds.", &m.ttft},
		{"vllm:inter_token_latency_seconds", "Histogram of inter-token latency in seconds.", &m.interToken},
		{"vllm:e2e_request_latency_seconds", "Histogram of e2e request latency in seconds.", &m.e2e},
		{"vllm:request_queue_time_seconds", "Histogram of time spent in WAITING phase for request.", &m.queueTime},
		{"vllm:request_prefill_time_seconds", "Histogram of time spent in PREFILL phase for request.", &m.prefillTime},
		{"vllm:request_decode_time_seconds", "Histogram of time spent in DECODE phase for request.", &m.decodeTime},
	} {
		out.histogram(h.name, h.help, labels, h.h)
	}
}

// process adds a few lines of the Python client's process collector. The engine core spins one CPU while it has work.
func (d *pod) process(out *page, p *Plant) {
	started := d.readyAt - d.workload.spec.ColdStart
	busy := d.engine.m.computeBound + d.engine.m.bandwidthBound
	out.gauge("process_virtual_memory_bytes", "Virtual memory size in bytes.", nil, 96<<30)
	out.gauge("process_resident_memory_bytes", "Resident memory size in bytes.", nil, 5<<30)
	out.gauge("process_start_time_seconds", "Start time of the process since unix epoch in seconds.", nil,
		float64(p.time(started).UnixMilli())/1000)
	out.counter("process_cpu_seconds_total", "Total user and system CPU time spent in seconds.", nil, d.workload.spec.ColdStart.Seconds()+busy.Seconds())
	out.gauge("process_open_fds", "Number of open file descriptors.", nil, 61)
	out.gauge("process_max_fds", "Maximum number of open file descriptors.", nil, 1<<20)
}
