// Package simkube is a simulated kubelet and GPU scheduler: it makes a plant's fleet look like a cluster to a real Kubernetes API.
//
// Takes: a plant with its server, an API server's address, and the clock. Pods that carry WorkloadLabel run in the plant.
// Gives: Nodes, GPU exporter pods, and bindings, status and deletion of the plant's pods, as a scheduler and a kubelet give them.
// Knows: the plant decides (who gets GPUs, what is Ready, what drains) and the API is told; one write per pod and round, retried until it holds.
// Never: replica counts, metrics, or objects of others. Load comes from the plant's own gateways.
package simkube
