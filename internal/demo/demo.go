package demo

import (
	"bytes"
	_ "embed" // the manifests
	"fmt"
	"strings"
	"time"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/internal/sim"
)

//go:embed manifests.yaml
var manifests string

// gateway is where the manifests expect the plant's gateway.
const gateway = "127.33.0.1:8080"

// The scene's times, compressed as the manifests are.
const (
	coldStart  = 4 * time.Second
	drainGrace = 3 * time.Second
)

// Manifests are the autoscalers as YAML, with the gateway's real address where it could not have the planned one.
func Manifests(realGateway string) string { return strings.ReplaceAll(manifests, gateway, realGateway) }

// Autoscalers are the manifests, read.
func Autoscalers(realGateway string) ([]*v1alpha1.PodAutoscaler, error) {
	pas, err := v1alpha1.Read(bytes.NewReader([]byte(Manifests(realGateway))))
	if err != nil {
		return nil, fmt.Errorf("demo manifests: %w", err)
	}
	return pas, nil
}

// Nodes are four nodes with four GPUs each.
func Nodes() []sim.NodeSpec {
	return []sim.NodeSpec{
		{Name: "a100-0", GPU: sim.A100, GPUs: 4},
		{Name: "a100-1", GPU: sim.A100, GPUs: 4},
		{Name: "a40-0", GPU: sim.A40, GPUs: 4},
		{Name: "a40-1", GPU: sim.A40, GPUs: 4},
	}
}

// Workloads are the fleets with their loads, one replica each. A trace, if given, takes the place of team-a/chat's load.
func Workloads(trace []sim.Request) []sim.WorkloadSpec {
	chat := sim.LoadSpec{
		Shape: sim.Steps{
			{Rate: 2, For: 10 * time.Second},
			{Rate: 24, For: 18 * time.Second},
			{Rate: 2, For: 32 * time.Second},
			{Rate: 16, For: 20 * time.Second},
			{Rate: 2},
		},
		Prompt: sim.Tokens{Mean: 400, Sigma: 0.8, Max: 4096}, Output: sim.Tokens{Mean: 160, Sigma: 0.6, Max: 1024},
	}
	if trace != nil {
		chat = sim.LoadSpec{Trace: &sim.TraceSpec{Requests: trace}}
	}
	return []sim.WorkloadSpec{
		workload("team-a", "chat", sim.A100, sim.Ordinal, chat),
		workload("team-b", "chat", sim.A40, sim.Ordinal, sim.LoadSpec{
			Shape:  sim.OnOff{On: 20 * time.Second, Off: 25 * time.Second, Rate: 4},
			Prompt: sim.Tokens{Mean: 700, Sigma: 0.6, Max: 4096}, Output: sim.Tokens{Mean: 150, Sigma: 0.5, Max: 1024},
		}),
		workload("team-a", "summarize", sim.A40, sim.Hashed, sim.LoadSpec{
			Shape:  sim.Diurnal{Low: 0.5, High: 5, Period: 50 * time.Second},
			Prompt: sim.Tokens{Mean: 1200, Sigma: 0.5, Max: 8192}, Output: sim.Tokens{Mean: 100, Sigma: 0.4, Max: 512},
		}),
		workload("team-b", "classify", sim.A100, sim.Hashed, sim.LoadSpec{
			Shape:  sim.Bursts{Base: 1, Peak: 12, For: 6 * time.Second, Every: 15 * time.Second},
			Prompt: sim.Tokens{Mean: 500, Sigma: 0.4, Max: 2048}, Output: sim.Tokens{Mean: 60, Sigma: 0.2, Max: 128},
		}),
	}
}

func workload(namespace, name string, gpu sim.GPU, names sim.PodNaming, load sim.LoadSpec) sim.WorkloadSpec {
	return sim.WorkloadSpec{
		Namespace: namespace, Name: name, GPU: gpu, GPUsPerPod: 1, Replicas: 1,
		ColdStart: coldStart, DrainGrace: drainGrace, PodNames: names, Load: load,
	}
}
