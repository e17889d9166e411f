// Package sim is the plant: a simulated GPU fleet that serves LLM requests and shows it on real exporter pages.
//
// Takes: nodes with GPUs, workloads with their load, and times to advance to; scale calls and faults.
// Gives: what a cluster would show: pods with phases and addresses, vLLM, DCGM and gateway pages in text format 0.0.4.
// Knows: continuous batching, KV blocks, preemption, cold starts, draining, whole-GPU scheduling, least-outstanding routing.
// Never: a clock or a global random source. The same Config and the same calls give the same pages, byte for byte. Only server.go opens sockets.
package sim
