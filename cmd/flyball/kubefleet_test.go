package main

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flyball/flyball/internal/loop"
)

// A pod that was evicted stays behind for its owner's garbage collector. It is not one that starts, however long it is there:
// counted as such, it would hold every rise until it is gone.
func TestPodsAreCountedByHowFarTheyHaveCome(t *testing.T) {
	pod := func(phase corev1.PodPhase, conditions ...corev1.PodCondition) *corev1.Pod {
		return &corev1.Pod{Status: corev1.PodStatus{Phase: phase, Conditions: conditions}}
	}
	ready := corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionTrue}
	leaving := pod(corev1.PodRunning, ready)
	leaving.DeletionTimestamp = &metav1.Time{}
	noNode := corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionFalse, Reason: corev1.PodReasonUnschedulable}
	require.Equal(t, loop.Scale{Ready: 2, Starting: 1, Unschedulable: 1}, counted([]*corev1.Pod{
		pod(corev1.PodRunning, ready), pod(corev1.PodRunning, ready), leaving, pod(corev1.PodPending), pod(corev1.PodPending, noNode),
		pod(corev1.PodFailed), pod(corev1.PodSucceeded), pod(corev1.PodFailed, ready),
	}))
}
