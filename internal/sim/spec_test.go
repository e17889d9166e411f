package sim

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestConfigurationsThatCannotWorkAreRefused(t *testing.T) {
	tests := []struct {
		want string
		make func(*Config)
	}{
		{"no start time", func(c *Config) { c.Start = time.Time{} }},
		{"two nodes are named a100-0", func(c *Config) { c.Nodes[1].Name = "a100-0" }},
		{"node a100-0 has 0 GPUs", func(c *Config) { c.Nodes[0].GPUs = 0 }},
		{`unknown GPU "B9"; want A40, A100 or H100`, func(c *Config) { c.Nodes[0].GPU = "B9" }},
		{"two workloads are named chat/llama", func(c *Config) { c.Workloads = append(c.Workloads, c.Workloads[0]) }},
		{"workload chat/llama: -1 replicas", func(c *Config) { c.Workloads[0].Replicas = -1 }},
		{"0 GPUs per pod", func(c *Config) { c.Workloads[0].GPUsPerPod = 0 }},
		{"no node has 9 A100 GPUs", func(c *Config) { c.Workloads[0].GPUsPerPod = 9 }},
		{"no node has 1 H100 GPUs", func(c *Config) { c.Workloads[0].GPU = H100 }},
		{"must not be negative", func(c *Config) { c.Workloads[0].ColdStart = -1 }},
		{`uid "x"`, func(c *Config) { c.Workloads[0].UID = "x" }},
		{"load: has no shape and no trace", func(c *Config) { c.Workloads[0].Load.Shape = nil }},
		{"engine: 1 KV blocks hold 16 tokens", func(c *Config) { e := engineA40; e.KVBlocks = 1; c.Workloads[0].Engine = &e }},
		{"engine: chunk tokens 256", func(c *Config) { e := engineA40; e.ChunkTokens = 256; c.Workloads[0].Engine = &e }},
		{"set replicas to 0", func(c *Config) { c.Workloads[0].PodNames = Given }},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			c := fleet(1, Constant{1})
			tt.make(&c)
			if _, err := New(c); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}

func TestTensorParallelPodsAreFasterAndHoldMore(t *testing.T) {
	for model, g := range gpuProfiles {
		one, two := g.tensorParallel(1), g.tensorParallel(2)
		if one != g.engine {
			t.Errorf("%s: one GPU is not the profile itself", model)
		}
		if got := one.Beta / two.Beta; got < 1.8 || got > 2 {
			t.Errorf("%s: prefill on two GPUs %.2f times as fast, want about 1.9", model, got)
		}
		if two.KVBlocks <= 2*one.KVBlocks {
			t.Errorf("%s: two GPUs hold %d blocks, want more than twice %d: the weights are held once", model, two.KVBlocks, one.KVBlocks)
		}
		if err := two.validate(); err != nil {
			t.Error(fmt.Errorf("%s: %w", model, err))
		}
	}
	must(t, Qwen32BOnH100TP2.validate())
}
