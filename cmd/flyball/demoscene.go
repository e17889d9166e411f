package main

import (
	"bytes"
	_ "embed"
	"fmt"
	"time"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/internal/sim"
)

//go:embed demo/manifests.yaml
var demoManifests []byte

// demoGateway is where the manifests expect the plant's gateway.
const demoGateway = "127.33.0.1:8080"

// The demo's times, compressed as the manifests are.
const (
	demoColdStart = 4 * time.Second
	demoDrain     = 3 * time.Second
	demoScrape    = time.Second
	demoTick      = time.Second
)

// demoAutoscalers are the manifests, with the gateway's real address where it could not have the planned one.
func demoAutoscalers(gateway string) ([]*v1alpha1.PodAutoscaler, error) {
	pas, err := v1alpha1.Read(bytes.NewReader(demoManifests))
	if err != nil {
		return nil, fmt.Errorf("demo manifests: %w", err)
	}
	for _, pa := range pas {
		for i := range pa.Spec.MetricsSources {
			if s := &pa.Spec.MetricsSources[i]; s.Endpoint == demoGateway {
				s.Endpoint = gateway
			}
		}
	}
	return pas, nil
}

// demoPlant is the fleets and their loads: A100 and A40 nodes, two namespaces, two workloads whose pods have the same
// names. A trace, if given, takes the place of team-a/chat's load.
func demoPlant(seed uint64, start time.Time, trace []sim.Request) (*sim.Plant, error) {
	chat := sim.LoadSpec{
		Shape:  sim.Steps{{Rate: 2, For: 10 * time.Second}, {Rate: 24, For: 18 * time.Second}, {Rate: 2, For: 32 * time.Second}, {Rate: 16, For: 20 * time.Second}, {Rate: 2}},
		Prompt: sim.Tokens{Mean: 400, Sigma: 0.8, Max: 4096}, Output: sim.Tokens{Mean: 160, Sigma: 0.6, Max: 1024},
	}
	if trace != nil {
		chat = sim.LoadSpec{Trace: &sim.TraceSpec{Requests: trace}}
	}
	return sim.New(sim.Config{
		Seed: seed, Start: start,
		Nodes: []sim.NodeSpec{
			{Name: "a100-0", GPU: sim.A100, GPUs: 4},
			{Name: "a100-1", GPU: sim.A100, GPUs: 4},
			{Name: "a40-0", GPU: sim.A40, GPUs: 4},
			{Name: "a40-1", GPU: sim.A40, GPUs: 4},
		},
		Workloads: []sim.WorkloadSpec{
			demoWorkload("team-a", "chat", sim.A100, sim.Ordinal, chat),
			demoWorkload("team-b", "chat", sim.A40, sim.Ordinal, sim.LoadSpec{
				Shape:  sim.OnOff{On: 20 * time.Second, Off: 25 * time.Second, Rate: 4},
				Prompt: sim.Tokens{Mean: 700, Sigma: 0.6, Max: 4096}, Output: sim.Tokens{Mean: 150, Sigma: 0.5, Max: 1024},
			}),
			demoWorkload("team-a", "summarize", sim.A40, sim.Hashed, sim.LoadSpec{
				Shape:  sim.Diurnal{Low: 0.5, High: 5, Period: 50 * time.Second},
				Prompt: sim.Tokens{Mean: 1200, Sigma: 0.5, Max: 8192}, Output: sim.Tokens{Mean: 100, Sigma: 0.4, Max: 512},
			}),
			demoWorkload("team-b", "classify", sim.A100, sim.Hashed, sim.LoadSpec{
				Shape:  sim.Bursts{Base: 1, Peak: 12, For: 6 * time.Second, Every: 15 * time.Second},
				Prompt: sim.Tokens{Mean: 500, Sigma: 0.4, Max: 2048}, Output: sim.Tokens{Mean: 60, Sigma: 0.2, Max: 128},
			}),
		},
	})
}

func demoWorkload(namespace, name string, gpu sim.GPU, names sim.PodNaming, load sim.LoadSpec) sim.WorkloadSpec {
	return sim.WorkloadSpec{
		Namespace: namespace, Name: name, GPU: gpu, GPUsPerPod: 1, Replicas: 1,
		ColdStart: demoColdStart, DrainGrace: demoDrain, PodNames: names, Load: load,
	}
}
