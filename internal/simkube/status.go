package simkube

import (
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// This file is the statuses that a pod passes through. Each is the pod's present status with what has changed, so that a status which holds
// already comes out equal to itself.

// unschedulable is a pod that waits for GPUs, in the scheduler's words.
func unschedulable(pod *corev1.Pod, nodes int, now time.Time) corev1.PodStatus {
	return unscheduled(pod, corev1.PodReasonUnschedulable, fmt.Sprintf("0/%d nodes are available: %[1]d Insufficient %s.", nodes, gpuResource), now)
}

// homeless is a pod whose workload the plant does not have.
func homeless(pod *corev1.Pod, now time.Time) corev1.PodStatus {
	return unscheduled(pod, corev1.PodReasonSchedulerError, fmt.Sprintf("the plant has no workload %s/%s; set the label %s to the name of one in this namespace",
		pod.Namespace, pod.Labels[WorkloadLabel], WorkloadLabel), now)
}

func unscheduled(pod *corev1.Pod, reason, message string, now time.Time) corev1.PodStatus {
	s := *pod.Status.DeepCopy()
	s.Phase = corev1.PodPending
	setCondition(&s, corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: reason, Message: message}, now)
	return s
}

// running is a pod that has its GPUs. It is not ready while it loads its model and from its deletion on.
func running(pod *corev1.Pod, ready bool, podIP, hostIP string, now time.Time) corev1.PodStatus {
	s := *pod.Status.DeepCopy()
	s.Phase = corev1.PodRunning
	s.ObservedGeneration = pod.Generation
	s.HostIP, s.HostIPs = hostIP, []corev1.HostIP{{IP: hostIP}}
	s.PodIP, s.PodIPs = podIP, []corev1.PodIP{{IP: podIP}}
	if s.StartTime == nil {
		s.StartTime = &metav1.Time{Time: now.Truncate(time.Second)} // what the API keeps
	}
	s.ContainerStatuses = nil
	var names []string
	for _, c := range pod.Spec.Containers {
		names = append(names, c.Name)
		started := true
		s.ContainerStatuses = append(s.ContainerStatuses, corev1.ContainerStatus{
			Name: c.Name, Image: c.Image, ImageID: c.Image, ContainerID: containerID(pod, c), Ready: ready, Started: &started,
			State: corev1.ContainerState{Running: &corev1.ContainerStateRunning{StartedAt: *s.StartTime}},
		})
	}
	setCondition(&s, corev1.PodCondition{Type: corev1.PodReadyToStartContainers, Status: corev1.ConditionTrue}, now)
	setCondition(&s, corev1.PodCondition{Type: corev1.PodInitialized, Status: corev1.ConditionTrue}, now)
	c := corev1.PodCondition{Status: corev1.ConditionTrue}
	if !ready {
		c = corev1.PodCondition{
			Status: corev1.ConditionFalse, Reason: "ContainersNotReady",
			Message: "containers with unready status: [" + strings.Join(names, " ") + "]",
		}
	}
	setReadiness(&s, c, now)
	return s
}

// lost is a pod on a node of the plant that the plant does not run: it was killed there, or bound by somebody else. Its controller makes
// another.
func lost(pod *corev1.Pod, now time.Time) corev1.PodStatus {
	s := *pod.Status.DeepCopy()
	s.Phase = corev1.PodFailed
	s.ObservedGeneration = pod.Generation
	s.Reason, s.Message = "NodeLost", "node "+pod.Spec.NodeName+" does not run the pod: it was killed there or somebody else bound it"
	for i := range s.ContainerStatuses {
		c := &s.ContainerStatuses[i]
		end := corev1.ContainerStateTerminated{ExitCode: 137, Reason: "Error", ContainerID: c.ContainerID, FinishedAt: metav1.Time{Time: now.Truncate(time.Second)}}
		if c.State.Running != nil {
			end.StartedAt = c.State.Running.StartedAt
		}
		started := false
		c.Ready, c.Started, c.State = false, &started, corev1.ContainerState{Terminated: &end}
	}
	setReadiness(&s, corev1.PodCondition{Status: corev1.ConditionFalse, Reason: "PodFailed"}, now)
	return s
}

func containerID(pod *corev1.Pod, c corev1.Container) string {
	return "simkube://" + string(pod.UID) + "/" + c.Name
}

// setReadiness sets the two conditions that go together where a pod has no readiness gates.
func setReadiness(s *corev1.PodStatus, c corev1.PodCondition, now time.Time) {
	for _, t := range []corev1.PodConditionType{corev1.ContainersReady, corev1.PodReady} {
		c.Type = t
		setCondition(s, c, now)
	}
}

// setCondition puts a condition in, keeping the time of its last transition unless its status changes.
func setCondition(s *corev1.PodStatus, c corev1.PodCondition, now time.Time) {
	c.LastTransitionTime = metav1.Time{Time: now.Truncate(time.Second)}
	for i, old := range s.Conditions {
		if old.Type != c.Type {
			continue
		}
		if old.Status == c.Status {
			c.LastTransitionTime = old.LastTransitionTime
		}
		c.LastProbeTime, c.ObservedGeneration = old.LastProbeTime, old.ObservedGeneration
		s.Conditions[i] = c
		return
	}
	s.Conditions = append(s.Conditions, c)
}
