package build

import (
	"fmt"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// pods are those of the workloads that are chosen. A Prometheus knows no workload, so it is taken from the pods' names.
const pods = `namespace=~"$namespace", pod=~"($workload)-.*"`

// tokens is the unit of a rate of tokens.
const tokens = "count:tok/s"

// engines are vLLM and the GPUs below it, side by side.
func engines() classic {
	workload := many(values("workload", "Workload", `vllm:num_requests_running{namespace=~"$namespace"}`, "pod"))
	// What a Deployment or a StatefulSet adds to its name: two hashes, or a number.
	workload.Regex = cog.ToPtr(`/^(.+?)(?:-[a-z0-9]{5,10}-[a-z0-9]{5}|-[0-9]+)$/`)
	return frame{
		uid: uidEngines, title: "flyball / vLLM and GPU",
		about: "What the engines do with their GPUs: requests, tokens, latencies and the KV cache of vLLM over the activity and power that DCGM measures.",
		variables: []dashboard.VariableModel{
			many(values("namespace", "Namespace", "vllm:num_requests_running", "namespace")), workload,
			choice("ttft", "TTFT objective", "The time to the first token that a request should stay within, in seconds: a bucket of vLLM's histogram", "0.5", "0.25", "0.75", "2.5", "7.5"),
			choice("itl", "ITL objective", "The time between two tokens that a request should stay within, in seconds: a bucket of vLLM's histogram", "0.05", "0.025", "0.075", "0.1", "0.2"),
		},
		annotations: decisions(`namespace=~"$namespace"`),
	}.build(
		row{"", enginesNow()},
		row{"Work", enginesWork()},
		row{"Latency", enginesLatency()},
		row{"GPU", enginesGPU()},
		row{"Work against GPU", enginesBoth()},
		row{"Pods", []dashboard.Panel{enginesTable()}},
	)
}

// either is a metric of vLLM under its name or the one before it: where an engine has both, the new one counts.
func either(now, before string, of func(metric, matchers string) string, matchers string) string {
	return of(now, matchers) + " or " + of(before, matchers)
}

func selector(metric, matchers string) string { return metric + "{" + matchers + "}" }

func ttftRates(matchers string) string {
	return rate("vllm:time_to_first_token_seconds_bucket", matchers)
}

func itlRates(matchers string) string {
	return either("vllm:inter_token_latency_seconds_bucket", "vllm:time_per_output_token_seconds_bucket", rate, matchers)
}

var (
	ttft, itl = ttftRates(pods), itlRates(pods)
	kvCache   = either("vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc", selector, pods)
	hits      = either("vllm:prefix_cache_hits_total", "vllm:gpu_prefix_cache_hits_total", rate, pods)
	looked    = either("vllm:prefix_cache_queries_total", "vllm:gpu_prefix_cache_queries_total", rate, pods)

	generated = rate("vllm:generation_tokens_total", pods)
	prompted  = rate("vllm:prompt_tokens_total", pods)
)

// gpu is a metric of DCGM by the pod that holds the GPU. A Prometheus that keeps namespace and pod for the exporter's own names the holder
// in exported_namespace and exported_pod; a GPU that nobody holds has the exporter's pod alone, which holds none.
func gpu(operation, metric string) string {
	const held = pods + `, exported_pod="", pod!~".*dcgm-exporter.*"`
	const exported = `exported_namespace=~"$namespace", exported_pod=~"($workload)-.*"`
	moved := fmt.Sprintf(`label_replace(label_replace(%s{%s}, "namespace", "$1", "exported_namespace", "(.*)"), "pod", "$1", "exported_pod", "(.*)")`, metric, exported)
	return fmt.Sprintf("%s by (namespace, pod) (%s{%s} or %s)", operation, metric, held, moved)
}

func enginesNow() []dashboard.Panel {
	number := func(title, about, unit, expr string, steps ...step) dashboard.Panel {
		return panel{title: title, about: about, unit: unit, w: 3, h: 4, queries: []query{{expr, title}}, steps: steps}.stat()
	}
	within := func(rates func(matchers string) string, le string) string {
		return fmt.Sprintf(`sum(%s) / sum(%s)`, rates(pods+`, le="`+le+`"`), rates(pods+`, le="+Inf"`))
	}
	return []dashboard.Panel{
		number("Requests", "Requests that finish a second.", "reqps", "sum("+rate("vllm:request_success_total", pods)+")"),
		number("Running", "Requests in the engines' batches.", "short", "sum(vllm:num_requests_running{"+pods+"})"),
		number("Waiting", "Requests that wait to be scheduled.", "short", "sum(vllm:num_requests_waiting{"+pods+"})", step{1, orange}, step{50, red}),
		number("Tokens out", "Tokens generated a second.", tokens, "sum("+generated+")"),
		number("Tokens in", "Prompt tokens processed a second.", tokens, "sum("+prompted+")"),
		number("KV cache, fullest", "Part of the KV cache in use, of the engine with the most. Above 0.9 requests begin to wait or to be preempted.", "percentunit", "max("+kvCache+")", step{0.9, orange}, step{0.98, red}),
		number("Preemptions", "Requests a second thrown out of the batch because the KV cache was full. Their work is done again.", "ops", "sum("+rate("vllm:num_preemptions_total", pods)+")", step{0.01, orange}, step{1, red}),
		number("Unreachable", "Exporters of these pods whose last scrape failed.", "short", or0("count(up{"+pods+"} == 0)"), step{1, red}),
		number("TTFT, p95", "Time to the first token of nineteen requests in twenty.", "s", quantile("0.95", ttft, ""), step{1, orange}, step{3, red}),
		number("ITL, p95", "Time between two tokens of a request.", "s", quantile("0.95", itl, ""), step{0.1, orange}, step{0.2, red}),
		number("Within TTFT objective", "Share of requests whose first token came within the objective chosen above.", "percentunit", within(ttftRates, "$ttft"), objective()...),
		number("Within ITL objective", "Share of tokens that came within the objective chosen above.", "percentunit", within(itlRates, "$itl"), objective()...),
		number("Prefix cache hits", "Share of looked-up tokens that were in the prefix cache.", "percentunit", "sum("+hits+") / sum("+looked+")"),
		number("GPUs", "GPUs that these pods hold.", "short", "sum("+gpu("count", "DCGM_FI_DEV_POWER_USAGE")+")"),
		number("Power", "Drawn by the GPUs of these pods.", "watt", "sum("+gpu("sum", "DCGM_FI_DEV_POWER_USAGE")+")"),
		number("Tokens per joule", "Tokens generated for each joule that the GPUs used.", "none", "sum("+generated+") / sum("+gpu("sum", "DCGM_FI_DEV_POWER_USAGE")+")"),
	}
}

// objective is from how much of the requests on things are well.
func objective() []step { return []step{{0, red}, {0.95, orange}, {0.99, green}} }

const model = "{{namespace}} {{model_name}}"

func enginesWork() []dashboard.Panel {
	by := func(expr string) string { return "sum by (namespace, model_name) (" + expr + ")" }
	return []dashboard.Panel{
		panel{
			title: "Tokens", about: "Tokens a second, by model: those generated, and those of prompts.", unit: tokens, w: 12, h: 9,
			queries: []query{{by(generated), model + " generated"}, {by(prompted), model + " prompt"}},
		}.lines(matching(" prompt$", append(dashed(), property("custom.lineWidth", 1))...)),
		panel{
			title: "Requests", about: "Requests in the batches and requests that wait, by model. Waiting is demand that the running pods do not serve.", unit: "short", w: 12, h: 9,
			queries: []query{{by("vllm:num_requests_running{" + pods + "}"), model + " running"}, {by("vllm:num_requests_waiting{" + pods + "}"), model + " waiting"}},
		}.lines(matching(" waiting$", property("custom.lineWidth", 2), property("custom.fillOpacity", 30))),
		panel{
			title: "KV cache", about: "Part of the KV cache in use, of the fullest engine and on average, by model.", unit: "percentunit", w: 8, h: 9,
			queries: []query{{"max by (namespace, model_name) (" + kvCache + ")", model + " fullest"}, {"avg by (namespace, model_name) (" + kvCache + ")", model + " average"}},
		}.lines(limits(0, 1), matching(" average$", dashed()...)),
		panel{
			title: "Preemptions", about: "Requests thrown out of the batch because the KV cache was full, by model.", unit: "short", w: 8, h: 9,
			queries: []query{{by("increase(vllm:num_preemptions_total{" + pods + "}[$__rate_interval])"), model}},
		}.lines(barred()),
		panel{
			title: "Finished requests", about: "Requests that finish a second, by the reason why they end.", unit: "reqps", w: 8, h: 9,
			queries: []query{{"sum by (finished_reason) (" + rate("vllm:request_success_total", pods) + ")", "{{finished_reason}}"}},
		}.lines(series("stop", color(green)), series("length", color(orange)), series("abort", color(red))),
	}
}

func enginesLatency() []dashboard.Panel {
	return []dashboard.Panel{
		panel{
			title: "Time to first token", about: "From a request's arrival to its first token: queueing and prefill.", unit: "s", w: 8, h: 9, queries: percentiles(ttft),
		}.lines(percentileColors()...),
		panel{
			title: "Inter-token latency", about: "Between two tokens of a request: decode. It rises with the batch.", unit: "s", w: 8, h: 9, queries: percentiles(itl),
		}.lines(percentileColors()...),
		panel{
			title: "Queue time", about: "Time that requests waited to be scheduled. It is the latency that more replicas take away.", unit: "s", w: 8, h: 9,
			queries: percentiles(rate("vllm:request_queue_time_seconds_bucket", pods)),
		}.lines(percentileColors()...),
		panel{
			title: "Time to first token, all of it", about: "How many requests had to wait how long for their first token.", unit: "s", w: 24, h: 8,
			queries: []query{{"sum by (le) (increase(vllm:time_to_first_token_seconds_bucket{" + pods + "}[$__rate_interval]))", "{{le}}"}},
		}.heat(),
	}
}

func enginesGPU() []dashboard.Panel {
	const pod = "{{namespace}}/{{pod}}"
	return []dashboard.Panel{
		panel{
			title: "Tensor activity", about: "Part of the cycles in which the tensor pipe was active, by pod. High in prefill: the GPU computes.", unit: "percentunit", w: 8, h: 9,
			queries: []query{{gpu("avg", "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE"), pod}},
		}.lines(limits(0, 1)),
		panel{
			title: "Memory activity", about: "Part of the cycles in which memory sent or received, by pod. High in decode: near 1 more requests only slow each other down.", unit: "percentunit", w: 8, h: 9,
			queries: []query{{gpu("avg", "DCGM_FI_PROF_DRAM_ACTIVE"), pod}},
		}.lines(limits(0, 1)),
		panel{
			title: "Power", about: "Drawn by the GPUs of each pod.", unit: "watt", w: 8, h: 9, queries: []query{{gpu("sum", "DCGM_FI_DEV_POWER_USAGE"), pod}},
		}.lines(),
	}
}

func enginesBoth() []dashboard.Panel {
	average := func(metric string) string { return "avg(" + gpu("avg", metric) + ")" }
	return []dashboard.Panel{
		panel{
			title: "Tokens and GPU activity", about: "Tokens a second against what the GPUs do on average. Where memory activity is flat and tokens still rise, the batch has room; where both are flat and requests wait, it has none.",
			unit: tokens, w: 12, h: 10, queries: []query{
				{"sum(" + generated + ")", "generated"},
				{"sum(" + prompted + ")", "prompt"},
				{average("DCGM_FI_PROF_PIPE_TENSOR_ACTIVE"), "tensor"},
				{average("DCGM_FI_PROF_DRAM_ACTIVE"), "memory"},
			},
		}.lines(
			series("tensor", append(rightAxis("percentunit"), color(orange), property("min", 0), property("max", 1))...),
			series("memory", append(rightAxis("percentunit"), color("purple"), property("min", 0), property("max", 1))...),
		),
		panel{
			title: "Tokens per second and pod, tokens per joule", about: "What a pod yields, and what a joule does. The first falls when there are more pods than the load needs, the second too.",
			unit: tokens, w: 12, h: 10, queries: []query{
				{"sum(" + generated + ") / count(vllm:num_requests_running{" + pods + "})", "tokens per second and pod"},
				{"sum(" + generated + ") / sum(" + gpu("sum", "DCGM_FI_DEV_POWER_USAGE") + ")", "tokens per joule"},
			},
		}.lines(series("tokens per joule", append(rightAxis("none"), color(green))...)),
	}
}

func enginesTable() dashboard.Panel {
	by := func(expr string) string { return "sum by (namespace, pod) (" + expr + ")" }
	return panel{
		title: "Pods", about: "Each pod's engine beside its GPUs: the ones with the most waiting requests first.", unit: "none", w: 24, h: 10, queries: []query{
			{by("vllm:num_requests_running{" + pods + "}"), "Running"},
			{by("vllm:num_requests_waiting{" + pods + "}"), "Waiting"},
			{"max by (namespace, pod) (" + kvCache + ")", "KV cache"},
			{by(generated), "Tokens out"},
			{by(prompted), "Tokens in"},
			{quantile("0.95", ttft, "namespace, pod"), "TTFT, p95"},
			{quantile("0.95", itl, "namespace, pod"), "ITL, p95"},
			{gpu("avg", "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE"), "Tensor"},
			{gpu("avg", "DCGM_FI_PROF_DRAM_ACTIVE"), "Memory"},
			{gpu("sum", "DCGM_FI_DEV_POWER_USAGE"), "Power"},
			{gpu("max", "DCGM_FI_DEV_GPU_TEMP"), "Temperature"},
			{gpu("max", "DCGM_FI_DEV_XID_ERRORS"), "Last XID"},
		},
	}.rows([]column{
		{of: "namespace", name: "Namespace"},
		{of: "pod", name: "Pod"},
		{of: "#A", name: "Running"},
		{of: "#B", name: "Waiting", properties: shaded("transparent", step{1, orange}, step{50, red})},
		{of: "#C", name: "KV cache", unit: "percentunit", properties: shaded("transparent", step{0.9, orange}, step{0.98, red})},
		{of: "#D", name: "Tokens out", unit: tokens},
		{of: "#E", name: "Tokens in", unit: tokens},
		{of: "#F", name: "TTFT, p95", unit: "s"},
		{of: "#G", name: "ITL, p95", unit: "s"},
		{of: "#H", name: "Tensor", unit: "percentunit"},
		{of: "#I", name: "Memory", unit: "percentunit"},
		{of: "#J", name: "Power", unit: "watt"},
		{of: "#K", name: "Temperature", unit: "celsius"},
		{of: "#L", name: "Last XID", properties: shaded("transparent", step{1, red})},
	}, sortedBy("Waiting"))
}
