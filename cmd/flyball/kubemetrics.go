package main

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

var (
	descLeader = prometheus.NewDesc("flyball_leader", "1 while this instance holds the Lease and writes, else 0.", nil, nil)
	descNodes  = prometheus.NewDesc("flyball_gpu_nodes", "Nodes that are ready, take pods and have GPUs.", []string{"resource", "model"}, nil)
	descGPUs   = prometheus.NewDesc("flyball_gpus_allocatable", "GPUs of those nodes that pods may have.", []string{"resource", "model"}, nil)
	descInUse  = prometheus.NewDesc("flyball_gpus_requested", "GPUs that pods on those nodes request, in the namespaces that are looked at.", []string{"resource", "model"}, nil)
)

// Describe implements prometheus.Collector.
func (f *kubeFleet) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{descLeader, descNodes, descGPUs, descInUse} {
		out <- d
	}
}

// Collect implements prometheus.Collector: what the cluster has of GPUs, and whether this instance writes. While nodes can't be
// read there are no series of them.
func (f *kubeFleet) Collect(out chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	leader := 0.0
	if f.election.IsLeader(time.Now()) {
		leader = 1
	}
	gauge(descLeader, leader)
	for _, g := range f.kube.GPUs() {
		gauge(descNodes, float64(g.Nodes), g.Resource, g.Model)
		gauge(descGPUs, float64(g.Allocatable), g.Resource, g.Model)
		gauge(descInUse, float64(g.Requested), g.Resource, g.Model)
	}
}
