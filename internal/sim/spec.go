package sim

import (
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
)

// Config is a plant.
type Config struct {
	Seed      uint64
	Start     time.Time // the plant's time until the first Advance
	Nodes     []NodeSpec
	Workloads []WorkloadSpec

	// CollectInterval is how often a node's GPU exporter looks at its GPUs; between two looks its page does not change. 0 means 1 s.
	CollectInterval time.Duration

	// Completed, if set, is called for every request that is done, in no order across workloads. It runs inside Advance and must not
	// call the plant.
	Completed func(Completion)
}

// NodeSpec is a node with GPUs of one model.
type NodeSpec struct {
	Name string
	GPU  GPU
	GPUs int
}

// PodNaming is how a workload's pods get their names.
type PodNaming int

const (
	// Ordinal names are name-0, name-1 …, as a StatefulSet's; two workloads of one name in two namespaces have the same pod names.
	// A pod is created only when the pod that had its name is gone. Scaling down removes the highest ordinals.
	Ordinal PodNaming = iota
	// Hashed names end in a random suffix, as a Deployment's. Scaling down removes pending pods, then starting ones, then the youngest.
	Hashed
	// Given names and UIDs come from the caller, who adds and removes the pods with AddPod and RemovePod; the plant creates none.
	Given
)

// WorkloadSpec is an LLM service of one or more replicas.
type WorkloadSpec struct {
	Namespace, Name string
	UID             string // empty: the plant makes one
	Model           string // the model_name label; empty means meta-llama/Llama-3.1-8B-Instruct
	GPU             GPU
	GPUsPerPod      int            // at least 1; all on one node
	Engine          *EngineProfile // nil: the 8B profile of GPU, tensor parallel over GPUsPerPod
	Replicas        int
	ColdStart       time.Duration // from getting its GPUs to Ready
	DrainGrace      time.Duration // a removed pod may finish running requests for that long
	PodNames        PodNaming
	Load            LoadSpec
}

// Completion is a request that is done. Arrived is when it came to the gateway, Queued when the engine that finished it accepted it.
type Completion struct {
	Namespace, Workload, PodUID       string
	Arrived, Queued, FirstToken, Done time.Time
	Prompt, Output                    int // tokens
}

const (
	defaultModel           = "meta-llama/Llama-3.1-8B-Instruct"
	defaultCollectInterval = time.Second

	// syncPeriod is the grid on which a drained pod is found to be gone, as a kubelet's sync.
	syncPeriod = time.Second
)

func (c Config) validate() error {
	if c.Start.IsZero() {
		return errors.New("new plant: no start time; set Config.Start")
	}
	if c.CollectInterval < 0 {
		return fmt.Errorf("new plant: collect interval %s: must be above 0, or 0 for %s", c.CollectInterval, defaultCollectInterval)
	}
	names := map[string]bool{}
	for i, n := range c.Nodes {
		switch {
		case n.Name == "":
			return fmt.Errorf("new plant: node %d has no name", i)
		case names[n.Name]:
			return fmt.Errorf("new plant: two nodes are named %s", n.Name)
		case n.GPUs < 1 || n.GPUs > 16:
			return fmt.Errorf("new plant: node %s has %d GPUs; must be 1 to 16", n.Name, n.GPUs)
		}
		names[n.Name] = true
		if _, ok := gpuProfiles[n.GPU]; !ok {
			return fmt.Errorf("new plant: node %s: unknown GPU %q; want A40, A100 or H100", n.Name, n.GPU)
		}
	}
	taken := map[[2]string]bool{}
	for _, w := range c.Workloads {
		if err := w.validate(c.Nodes); err != nil {
			return fmt.Errorf("new plant: workload %s/%s: %w", w.Namespace, w.Name, err)
		}
		if key := [2]string{w.Namespace, w.Name}; taken[key] {
			return fmt.Errorf("new plant: two workloads are named %s/%s", w.Namespace, w.Name)
		} else {
			taken[key] = true
		}
	}
	return nil
}

func (w WorkloadSpec) validate(nodes []NodeSpec) error {
	switch {
	case w.Namespace == "" || w.Name == "":
		return errors.New("namespace and name must be set")
	case w.Replicas < 0:
		return fmt.Errorf("%d replicas: must be 0 or more", w.Replicas)
	case w.GPUsPerPod < 1:
		return fmt.Errorf("%d GPUs per pod: must be at least 1", w.GPUsPerPod)
	case w.ColdStart < 0 || w.DrainGrace < 0:
		return fmt.Errorf("cold start %s, drain grace %s: must not be negative", w.ColdStart, w.DrainGrace)
	case w.PodNames < Ordinal || w.PodNames > Given:
		return fmt.Errorf("pod names %d: must be Ordinal, Hashed or Given", w.PodNames)
	case w.PodNames == Given && w.Replicas > 0:
		return errors.New("pod names Given: the caller adds the pods; set replicas to 0")
	}
	if w.UID != "" {
		if _, err := uuid.Parse(w.UID); err != nil {
			return fmt.Errorf("uid %q: %w", w.UID, err)
		}
	}
	if _, ok := gpuProfiles[w.GPU]; !ok {
		return fmt.Errorf("unknown GPU %q; want A40, A100 or H100", w.GPU)
	}
	fits := false
	for _, n := range nodes {
		fits = fits || (n.GPU == w.GPU && n.GPUs >= w.GPUsPerPod)
	}
	if !fits {
		return fmt.Errorf("no node has %d %s GPUs, so no pod could ever run; add a node or lower GPUs per pod", w.GPUsPerPod, w.GPU)
	}
	if err := w.engine().validate(); err != nil {
		return fmt.Errorf("engine: %w", err)
	}
	if err := w.Load.validate(); err != nil {
		return fmt.Errorf("load: %w", err)
	}
	return nil
}

// engine is the profile of the workload's pods.
func (w WorkloadSpec) engine() EngineProfile {
	if w.Engine != nil {
		return *w.Engine
	}
	return gpuProfiles[w.GPU].tensorParallel(w.GPUsPerPod)
}

func (e EngineProfile) validate() error {
	switch {
	case !(e.Alpha > 0 && e.Beta >= 0 && e.Delta >= 0 && e.Gamma >= 0):
		return fmt.Errorf("alpha %v, beta %v, delta %v, gamma %v: alpha must be above 0 ms, the others not negative", e.Alpha, e.Beta, e.Delta, e.Gamma)
	case e.MaxSeqs < 1 || e.ChunkTokens <= e.MaxSeqs:
		return fmt.Errorf("chunk tokens %d, max seqs %d: a step must have room for every decoding sequence and one token of prefill", e.ChunkTokens, e.MaxSeqs)
	case e.MaxModelLen < 2:
		return fmt.Errorf("max model len %d: must be at least 2", e.MaxModelLen)
	case e.KVBlocks*blockTokens < e.MaxModelLen:
		return fmt.Errorf("%d KV blocks hold %d tokens, less than max model len %d; lower max model len", e.KVBlocks, e.KVBlocks*blockTokens, e.MaxModelLen)
	}
	return nil
}
