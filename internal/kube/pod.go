package kube

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/flyball/flyball/internal/kube/quota"
)

// Ready says whether the pod's condition Ready is true and it is not being deleted.
func Ready(pod *corev1.Pod) bool {
	c := condition(pod, corev1.PodReady)
	return pod.DeletionTimestamp == nil && c != nil && c.Status == corev1.ConditionTrue
}

// Unschedulable says whether the scheduler found no node for the pod, as when no GPU is free.
func Unschedulable(pod *corev1.Pod) bool {
	c := condition(pod, corev1.PodScheduled)
	return pod.DeletionTimestamp == nil && c != nil && c.Status == corev1.ConditionFalse && c.Reason == corev1.PodReasonUnschedulable
}

// Ended says whether the pod's containers have ended for good, as after an eviction. Such a pod counts in no quota, holds no GPU
// and will never be ready; it may stay for long.
func Ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

func condition(pod *corev1.Pod, of corev1.PodConditionType) *corev1.PodCondition {
	for i := range pod.Status.Conditions {
		if pod.Status.Conditions[i].Type == of {
			return &pod.Status.Conditions[i]
		}
	}
	return nil
}

// Started is when the kubelet took the pod up, before it pulled images; zero when none has.
func Started(pod *corev1.Pod) time.Time {
	if pod.Status.StartTime == nil {
		return time.Time{}
	}
	return pod.Status.StartTime.Time
}

// metricsPorts are the names that a metrics port goes by, the likeliest first.
var metricsPorts = []string{"metrics", "http-metrics", "http"}

// defaultPort is where vLLM listens.
const defaultPort = 8000

// Port is where the pod serves its metrics. A number is taken as it is, declared or not, since containers need not
// declare their ports; a name is that of a declared TCP port. When nothing is wanted in particular (""), it is the
// declared port named metrics, http-metrics or http, else 8000.
func Port(pod *corev1.Pod, wanted string) (int, error) {
	if port, err := strconv.Atoi(wanted); err == nil {
		if port < 1 || port > 65535 {
			return 0, fmt.Errorf("find port %s of pod %s/%s: not a port (write a number from 1 to 65535)", wanted, pod.Namespace, pod.Name)
		}
		return port, nil
	}
	if wanted != "" {
		if port, ok := declared(pod, wanted); ok {
			return port, nil
		}
		return 0, fmt.Errorf("find port %q of pod %s/%s: no container declares a TCP port of that name (declare it, or write its number)",
			wanted, pod.Namespace, pod.Name)
	}
	for _, name := range metricsPorts {
		if port, ok := declared(pod, name); ok {
			return port, nil
		}
	}
	return defaultPort, nil
}

// declared finds a TCP port by its name, in containers and in init containers that go on running (sidecars).
func declared(pod *corev1.Pod, name string) (int, bool) {
	containers := slices.Clone(pod.Spec.Containers)
	for _, c := range pod.Spec.InitContainers {
		if quota.Sidecar(&c) {
			containers = append(containers, c)
		}
	}
	for _, c := range containers {
		for _, p := range c.Ports {
			if p.Name == name && (p.Protocol == corev1.ProtocolTCP || p.Protocol == "") {
				return int(p.ContainerPort), true
			}
		}
	}
	return 0, false
}
