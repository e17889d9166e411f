package sim

import "math"

// GPU is a GPU model the plant has a profile for.
type GPU string

// The GPU models. H100 and A100 are the 80 GB cards, A40 the 48 GB card.
const (
	A40  GPU = "A40"
	A100 GPU = "A100"
	H100 GPU = "H100"
)

// ModelName is the card's name as its driver gives it, the exporter's modelName label.
func (g GPU) ModelName() string { return gpuProfiles[g].name }

// blockTokens is vLLM's KV block size: cache_config_info{block_size="16"}.
const blockTokens = 16

// EngineProfile is how fast one replica is and how much it holds. One engine step takes
//
//	Alpha + Beta·(prefill tokens in the step) + Delta·(sequences decoding in it) + Gamma·(KV tokens resident when it starts)  milliseconds.
//
// Delta and Gamma together are the published "0.24 ms per sequence at 512 tokens of context". They are kept apart because the memory traffic
// of a KV token is known from the HBM bandwidth, and the lumped 0.00045 ms per KV token would be seven times that at long contexts.
type EngineProfile struct {
	Alpha float64 // ms per step: reading the weights, launching kernels
	Beta  float64 // ms per prefill token
	Delta float64 // ms per decoding sequence
	Gamma float64 // ms per resident KV token

	ChunkTokens int // token budget of a step, decode tokens first (max_num_batched_tokens)
	MaxSeqs     int // most sequences running at once (max_num_seqs)
	KVBlocks    int // blocks of 16 tokens
	MaxModelLen int // longest prompt + output in tokens; longer requests are cut to it
}

// Llama-3.1-8B in bf16 on A100 80 GB, vLLM.
//
//   - Alpha, Beta: published fit for an 8B model on A100, 8.3 ms and 0.065 ms (step at batch 1 8.5 ms; prefill 14–15 k tokens/s).
//   - Gamma: 128 KiB per token / 2039 GB/s = 0.000064 ms.
//   - Delta: measured 0.24 ms per sequence at 512 tokens of context, less 512·Gamma = 0.207 ms.
//   - KVBlocks: published 430–440 k tokens at 0.9 utilisation; 27200·16 = 435,200.
//   - ChunkTokens, MaxSeqs: vLLM's defaults on A100.
var engineA100 = EngineProfile{
	Alpha: 8.3, Beta: 0.065, Delta: 0.207, Gamma: 0.000064,
	ChunkTokens: 2048, MaxSeqs: 256, KVBlocks: 27200, MaxModelLen: 32768,
}

// Llama-3.1-8B in bf16 on H100 80 GB.
//
//   - Alpha, Beta, Delta: the A100's × 0.5 (published range 0.45–0.55).
//   - Gamma: scaled from the A100 by HBM bandwidth, × 2039/3350.
//   - KVBlocks: as the A100, same memory.
//   - ChunkTokens: vLLM's default on H100, 8192.
var engineH100 = EngineProfile{
	Alpha: 4.15, Beta: 0.0325, Delta: 0.1035, Gamma: 0.000039,
	ChunkTokens: 8192, MaxSeqs: 256, KVBlocks: 27200, MaxModelLen: 32768,
}

// Llama-3.1-8B in bf16 on A40 48 GB.
//
//   - Alpha, Gamma: scaled from the A100 by HBM bandwidth, × 2039/696 (measured linear layers of a 7B model at one token: 24 ms).
//   - Beta, Delta: scaled from the A100 by dense bf16 TFLOPS, × 312/150 (measured linear layers: 0.128 ms per token at 4 k).
//   - KVBlocks: published 185 k tokens for a 48 GB card; 11600·16 = 185,600.
var engineA40 = EngineProfile{
	Alpha: 24.3, Beta: 0.135, Delta: 0.43, Gamma: 0.000188,
	ChunkTokens: 2048, MaxSeqs: 256, KVBlocks: 11600, MaxModelLen: 32768,
}

// Qwen32BOnH100TP2 is Qwen3-32B in bf16 on two H100, tensor parallel, for WorkloadSpec.Engine with GPUsPerPod 2.
//
//   - Beta: published peak prefill throughput 15,928 tokens/s.
//   - KVBlocks: published 350 k tokens; 21875·16 = 350,000.
//   - Gamma: 256 KiB per token over 2·3350 GB/s = 0.000039 ms.
//   - Alpha: 64 GB of weights over 2·3350 GB/s = 9.6 ms, and 3 ms for all-reduce and launch; Delta: half the 8B's. The 3 ms and Delta are
//     chosen so that a replica saturates at 1.4–1.5 requests/s of 4000+1000 tokens, the published sustainable rate at TTFT 3 s.
var Qwen32BOnH100TP2 = EngineProfile{
	Alpha: 12.6, Beta: 0.0628, Delta: 0.05, Gamma: 0.000039,
	ChunkTokens: 8192, MaxSeqs: 256, KVBlocks: 21875, MaxModelLen: 32768,
}

// gpuProfile is the card itself, as its exporter shows it.
type gpuProfile struct {
	engine      EngineProfile
	spareBlocks int // KV blocks that each further GPU of a pod adds: (0.9·memory − 2.5 GiB) / 2 MiB, the weights being held once
	name        string
	memoryMiB   float64
	idleWatts   float64
	maxWatts    float64
	idleMHz     float64
	maxMHz      float64
}

// Memory, power and clock limits are the vendor's data sheets; idle figures are typical of nvidia-smi on an idle card.
var gpuProfiles = map[GPU]gpuProfile{
	A40:  {engine: engineA40, spareBlocks: 19450, name: "NVIDIA A40", memoryMiB: 46068, idleWatts: 30, maxWatts: 300, idleMHz: 210, maxMHz: 1740},
	A100: {engine: engineA100, spareBlocks: 35584, name: "NVIDIA A100-SXM4-80GB", memoryMiB: 81920, idleWatts: 60, maxWatts: 400, idleMHz: 210, maxMHz: 1410},
	H100: {engine: engineH100, spareBlocks: 35425, name: "NVIDIA H100 80GB HBM3", memoryMiB: 81559, idleWatts: 70, maxWatts: 700, idleMHz: 345, maxMHz: 1980},
}

// tensorParallel is the profile of a pod with n of the GPUs. Per-token work shrinks by n^0.93 and the base by n^0.77: measured on A100 linear
// layers, 4 k tokens 274 → 142 → 77 ms and one token 9.7 → 5.7 → 3.4 ms at 1, 2 and 4 GPUs.
func (g gpuProfile) tensorParallel(n int) EngineProfile {
	e := g.engine
	work, base := math.Pow(float64(n), 0.93), math.Pow(float64(n), 0.77)
	e.Alpha /= base
	e.Beta /= work
	e.Delta /= work
	e.Gamma /= work
	e.KVBlocks += (n - 1) * g.spareBlocks
	return e
}
