package main

import (
	"net"
	"strconv"
	"time"

	"go.uber.org/zap"
	corev1 "k8s.io/api/core/v1"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/collector"
	"github.com/flyball/flyball/internal/kube"
)

// podState is a pod of a target as far as collecting goes.
type podState struct {
	*corev1.Pod
	identity collector.Identity
	ready    bool
	started  time.Time
}

// running are the target's pods whose containers run. A pod that is being deleted still serves what it has begun, and is
// collected as long as it is there; it is expected no more.
func (f *kubeFleet) running(s scaled) []podState {
	var out []podState
	for _, pod := range f.kube.Pods(s.target) {
		if pod.Status.PodIP == "" || pod.Status.Phase != corev1.PodRunning {
			continue
		}
		out = append(out, podState{Pod: pod, ready: kube.Ready(pod), started: kube.Started(pod), identity: collector.Identity{
			Namespace: pod.Namespace, Pod: pod.Name, PodUID: string(pod.UID),
			Workload: s.target.Name, WorkloadUID: string(s.target.UID), Node: pod.Spec.NodeName, Job: "pods",
		}})
	}
	return out
}

// podEndpoints are the pages that the autoscaler's pod sources read: one for each pod and each port and path that a source names.
func (f *kubeFleet) podEndpoints(s scaled, pods []podState) []collector.Endpoint {
	var out []collector.Endpoint
	for _, source := range s.pa.Spec.MetricsSources {
		if source.Kind() != v1alpha1.PodSource {
			continue
		}
		full := source.WithDefaults()
		for _, pod := range pods {
			port, err := kube.Port(pod.Pod, source.Port)
			if err != nil {
				f.log.Warn("pod is not scraped", zap.String("namespace", pod.Namespace), zap.String("pod", pod.Name), zap.Error(err))
				continue
			}
			out = append(out, collector.Endpoint{
				Role: collector.PodExporter, URL: pageURL(full.ProtocolType, pod.Status.PodIP, port, full.Path),
				Ready: pod.ready, Started: pod.started, Identity: pod.identity,
			})
		}
	}
	return out
}

// gpuPort is where dcgm-exporter listens unless its pod says otherwise.
const gpuPort = 9400

// exporters are the pages of the nodes' GPU exporters. Of two on one node the first counts: both would speak of the same GPUs.
func (f *kubeFleet) exporters() []collector.Endpoint {
	var out []collector.Endpoint
	nodes := map[string]bool{}
	for _, pod := range f.kube.GPUExporters() {
		if pod.Status.PodIP == "" || !kube.Ready(pod) || nodes[pod.Spec.NodeName] {
			continue
		}
		nodes[pod.Spec.NodeName] = true
		port, err := kube.Port(pod, "metrics")
		if err != nil {
			port = gpuPort
		}
		out = append(out, collector.Endpoint{
			Role: collector.GPUExporter, URL: pageURL(v1alpha1.HTTP, pod.Status.PodIP, port, "/metrics"),
			Identity: collector.Identity{Node: pod.Spec.NodeName, Job: "gpu"},
		})
	}
	return out
}

func pageURL(protocol v1alpha1.Protocol, ip string, port int, path string) string {
	return string(protocol) + "://" + net.JoinHostPort(ip, strconv.Itoa(port)) + path
}
