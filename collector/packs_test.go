package collector

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func TestLookupFindsAMetricByEveryNameItHas(t *testing.T) {
	packs, err := LoadPacks()
	require.NoError(t, err)
	f := func(name, engine string, kind Kind, scale Scale, names ...string) {
		t.Helper()
		m, ok := packs.Lookup(name)
		require.True(t, ok, name)
		require.Equal(t, engine, m.Engine, name)
		require.Equal(t, names, m.Names, name)
		require.Equal(t, kind, m.Kind, name)
		require.Equal(t, scale, m.Scale, name)
		require.NotEmpty(t, m.Help)
	}
	f("vllm:num_requests_waiting", "vllm", Gauge, Count, "vllm:num_requests_waiting")
	f("num_requests_waiting", "vllm", Gauge, Count, "vllm:num_requests_waiting")
	for _, name := range []string{"gpu_cache_usage_perc", "kv_cache_usage_perc", "vllm:gpu_cache_usage_perc", "vllm:kv_cache_usage_perc"} {
		f(name, "vllm", Gauge, Ratio, "vllm:kv_cache_usage_perc", "vllm:gpu_cache_usage_perc")
	}
	for _, name := range []string{"vllm:prompt_tokens_total", "vllm:prompt_tokens", "prompt_tokens_total", "prompt_tokens"} {
		f(name, "vllm", Counter, Count, "vllm:prompt_tokens_total")
	}
	f("vllm:gpu_prefix_cache_hits", "vllm", Counter, Count, "vllm:prefix_cache_hits_total", "vllm:gpu_prefix_cache_hits_total")
	f("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION_total", "dcgm", Counter, Count, "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION")
	f("DCGM_FI_PROF_DRAM_ACTIVE", "dcgm", Gauge, Ratio, "DCGM_FI_PROF_DRAM_ACTIVE")
	f("time_to_first_token_seconds", "vllm", Histogram, Count, "vllm:time_to_first_token_seconds")
	f("vllm:time_per_output_token_seconds_bucket", "vllm", Histogram, Count,
		"vllm:inter_token_latency_seconds_bucket", "vllm:time_per_output_token_seconds_bucket")
	f("iteration_tokens_total_sum", "vllm", Histogram, Count, "vllm:iteration_tokens_total_sum")
	f("vllm:e2e_request_latency_seconds_count", "vllm", Histogram, Count, "vllm:e2e_request_latency_seconds_count")
	for _, name := range []string{
		"", "vllm:", "requests", "num_requests_waiting_total", "vllm:num_requests_waiting_sum", "vllm:iteration_tokens", "dcgm", "_bucket",
	} {
		_, ok := packs.Lookup(name)
		require.False(t, ok, name)
	}
}

func TestWhatLookupGivesIsTheCallers(t *testing.T) {
	packs, err := LoadPacks()
	require.NoError(t, err)
	for _, name := range []string{"kv_cache_usage_perc", "time_to_first_token_seconds_sum"} {
		m, _ := packs.Lookup(name)
		m.Names[0] = "changed"
		again, _ := packs.Lookup(name)
		require.NotEqual(t, "changed", again.Names[0])
	}
}

func TestAnEngineIsAddedByAFile(t *testing.T) {
	const vllm = "engine: vllm\nprefix: \"vllm:\"\nmetrics:\n- {name: \"vllm:a\", short: [a], kind: gauge, scale: count, help: h}\n"
	const sglang = "engine: sglang\nprefix: \"sglang:\"\nmetrics:\n- {name: \"sglang:num_queue_reqs\", short: [num_queue_reqs], kind: gauge, scale: count, help: h}\n"
	const amd = "engine: amd\nprefix: gpu_\ngpu:\n  interval: 10s\n  attribution: [{namespace: namespace, pod: pod}]\nmetrics:\n" +
		"- {name: gpu_gfx_activity, kind: gauge, scale: ratio, help: h}\n"
	packs, err := loadPacks(fstest.MapFS{
		"packs/vllm.yaml": {Data: []byte(vllm)}, "packs/sglang.yaml": {Data: []byte(sglang)}, "packs/amd.yaml": {Data: []byte(amd)},
	})
	require.NoError(t, err)
	m, ok := packs.Lookup("num_queue_reqs")
	require.True(t, ok)
	require.Equal(t, "sglang", m.Engine)
	require.Equal(t, "10s", packs.of("gpu_gfx_activity").GPU.interval.String())
	require.Nil(t, packs.of("unknown"))

	f := func(pack, want string) {
		t.Helper()
		_, err := loadPacks(fstest.MapFS{"packs/a.yaml": {Data: []byte(vllm)}, "packs/b.yaml": {Data: []byte(pack)}})
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, "pack ")
	}
	change := func(from, to string) string {
		t.Helper()
		require.Contains(t, sglang, from)
		return strings.Replace(sglang, from, to, 1)
	}
	f(change("[num_queue_reqs]", "[a]"), `name "a" of sglang:num_queue_reqs is already vllm:a of pack vllm`)
	f(change("short:", "shorts:"), `unknown field "shorts"`)
	f(change("engine: sglang", "engine: sglang\nversion: 2"), `unknown field "version"`)
	f(change("kind: gauge", "kind: summary"), `kind "summary" is not gauge, counter or histogram`)
	f(change("scale: count, ", ""), `scale "" is not count or ratio`)
	f(change("help: h", "help: ''"), "help is missing")
	f(change("name: \"sglang:num_queue_reqs\"", "name: other:num_queue_reqs"), `does not start with the pack's prefix "sglang:"`)
	f(change("prefix: \"sglang:\"\n", ""), "engine and prefix must be set")
	f(strings.Replace(amd, "10s", "ten", 1), `gpu.interval "ten" is not a positive duration`)
	f(strings.Replace(amd, ", pod: pod", "", 1), "every pair needs namespace and pod")
	f("- a list", "cannot unmarshal")
}
