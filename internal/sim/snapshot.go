package sim

import "time"

// Snapshot is the plant at one time: what a cluster's API and a human would see.
type Snapshot struct {
	At        time.Time
	Gateway   string // host:port of the gateway; a workload's page is at /<namespace>/<name>/metrics
	Workloads []WorkloadState
	Pods      []PodState
	Nodes     []NodeState
}

// WorkloadState is a workload that is not deleted.
type WorkloadState struct {
	Namespace, Name, UID string
	Replicas             int // wanted
	StatusReplicas       int // pods that are not Draining
	Ready, Starting      int // pods in these phases
	Unschedulable        int // pods in Pending: no node has the GPUs free

	Load      float64 // requests/s now: a shape's rate, of a trace the mean over the last 10 s
	Running   int     // requests in its pods' batches, Draining pods included
	Waiting   int     // requests in its pods' queues
	Queued    int     // requests at the gateway
	Arrived   uint64  // requests since the workload was created: Completed + Running + Waiting + Queued
	Completed uint64
	Retried   uint64 // times that a request was sent to another pod
}

// PodState is a pod.
type PodState struct {
	Namespace, Name, UID  string
	Workload, WorkloadUID string
	Node                  string // empty while Pending
	GPUs                  int
	Phase                 Phase
	Address               string // host:port of its metrics; empty while Pending
	Silent                bool
	CreatedAt             time.Time
	ReadyAt               time.Time // zero until Ready
}

// NodeState is a node.
type NodeState struct {
	Name    string
	Address string // host:port of its GPU exporter
	GPU     GPU
	GPUs    int
	Free    int // GPUs
}

// Snapshot returns the present state.
func (p *Plant) Snapshot() Snapshot {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Snapshot{At: p.time(p.now), Gateway: p.gateway}
	for _, w := range p.workloads {
		if !w.deleted {
			s.Workloads = append(s.Workloads, w.state(p.now))
		}
	}
	for _, d := range p.pods {
		s.Pods = append(s.Pods, p.podState(d))
	}
	for _, n := range p.nodes {
		state := NodeState{Name: n.spec.Name, Address: n.address, GPU: n.spec.GPU, GPUs: n.spec.GPUs}
		for _, g := range n.gpus {
			if g.pod == nil {
				state.Free++
			}
		}
		s.Nodes = append(s.Nodes, state)
	}
	return s
}

func (w *workload) state(now time.Duration) WorkloadState {
	s := WorkloadState{
		Namespace: w.spec.Namespace, Name: w.spec.Name, UID: w.uid, Replicas: w.replicas, Load: w.source.rate(now - w.loadStart),
		Queued: len(w.queue), Arrived: w.arrived, Completed: w.done, Retried: w.retried,
	}
	s.Running, s.Waiting = w.outstanding()
	for _, d := range w.pods {
		switch d.phase {
		case Pending:
			s.Unschedulable++
		case Starting:
			s.Starting++
		case Ready:
			s.Ready++
		case Draining:
			continue
		}
		s.StatusReplicas++
	}
	if w.spec.PodNames == Given {
		s.Replicas = s.StatusReplicas
	}
	return s
}

// outstanding is the requests in the workload's pods.
func (w *workload) outstanding() (running, waiting int) {
	for _, d := range w.pods {
		if d.engine != nil {
			running += len(d.engine.running)
			waiting += len(d.engine.waiting)
		}
	}
	return running, waiting
}

func (p *Plant) podState(d *pod) PodState {
	w := d.workload
	s := PodState{
		Namespace: w.spec.Namespace, Name: d.name, UID: d.uid, Workload: w.spec.Name, WorkloadUID: w.uid,
		GPUs: w.spec.GPUsPerPod, Phase: d.phase, Address: d.address, Silent: d.silent, CreatedAt: p.time(d.created),
	}
	if d.node != nil {
		s.Node = d.node.spec.Name
	}
	if d.engine != nil {
		s.ReadyAt = p.time(d.readyAt)
	}
	return s
}
