package simkube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/strategicpatch"
)

// This file is the writes to the API's pods. Each carries the pod's UID, so that a successor of the same name is never hit.

// requestTimeout ends a write to an API that hangs. A loopback API answers in milliseconds.
const requestTimeout = 5 * time.Second

func (k *Kubelet) bind(ctx context.Context, pod *corev1.Pod, a action) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	b := &corev1.Binding{
		ObjectMeta: metav1.ObjectMeta{Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID},
		Target:     corev1.ObjectReference{Kind: "Node", Name: a.node},
	}
	if a.address != "" {
		b.Annotations = map[string]string{AddressAnnotation: a.address} // the API copies a binding's annotations to the pod
	}
	if err := k.client.CoreV1().Pods(pod.Namespace).Bind(ctx, b, metav1.CreateOptions{FieldManager: fieldManager}); err != nil {
		return err
	}
	k.wrote[pod.UID] = pod.ResourceVersion
	return nil
}

// patch sends the difference between the pod's status and another, as a kubelet does.
func (k *Kubelet) patch(ctx context.Context, pod *corev1.Pod, status corev1.PodStatus) error {
	data, err := statusPatch(pod, status)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	got, err := k.client.CoreV1().Pods(pod.Namespace).Patch(ctx, pod.Name, types.StrategicMergePatchType, data,
		metav1.PatchOptions{FieldManager: fieldManager}, "status")
	if err != nil {
		return err
	}
	if got.ResourceVersion != pod.ResourceVersion {
		k.wrote[pod.UID] = pod.ResourceVersion
	}
	return nil
}

func statusPatch(pod *corev1.Pod, status corev1.PodStatus) ([]byte, error) {
	before, err := json.Marshal(corev1.Pod{Status: pod.Status})
	if err != nil {
		return nil, fmt.Errorf("encode status: %w", err)
	}
	after, err := json.Marshal(corev1.Pod{ObjectMeta: metav1.ObjectMeta{UID: pod.UID}, Status: status})
	if err != nil {
		return nil, fmt.Errorf("encode status: %w", err)
	}
	data, err := strategicpatch.CreateTwoWayMergePatch(before, after, corev1.Pod{})
	if err != nil {
		return nil, fmt.Errorf("make patch: %w", err)
	}
	return data, nil
}

// remove ends the deletion of a pod that has stopped.
func (k *Kubelet) remove(ctx context.Context, pod *corev1.Pod) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	now := int64(0)
	err := k.client.CoreV1().Pods(pod.Namespace).Delete(ctx, pod.Name, metav1.DeleteOptions{
		GracePeriodSeconds: &now, Preconditions: &metav1.Preconditions{UID: &pod.UID},
	})
	if err != nil {
		return err
	}
	k.wrote[pod.UID] = pod.ResourceVersion
	return nil
}

// stale reports whether an error says only that the object is not any more what the cache has, or will soon be gone with its namespace.
func stale(err error) bool {
	return apierrors.IsNotFound(err) || apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) ||
		apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause)
}

// outage reports whether an error of a request is about the API as a whole, so that the round's other requests would meet it too.
func outage(err error) bool {
	if err == nil {
		return false
	}
	var status apierrors.APIStatus
	if !errors.As(err, &status) {
		return true
	}
	code := status.Status().Code
	return code < 400 || code >= 500 || code == http.StatusRequestTimeout || code == http.StatusTooManyRequests
}
