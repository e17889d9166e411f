package simkube

import (
	"context"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	apply "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/flyball/flyball/internal/sim"
)

// This file is the nodes and the GPU exporters on them. What does not depend on the plant's state is applied anew with every heartbeat, so
// that it comes back when somebody deletes it; to the API an apply without a difference is no write.

const (
	fieldManager = "flyball-simkube"
	gpuResource  = "nvidia.com/gpu"

	// ExporterNamespace is where the GPU exporters' pods are, one per node, each with the label app.kubernetes.io/name=dcgm-exporter.
	ExporterNamespace = "gpu-exporters"
	exporter          = "dcgm-exporter"
	nameLabel         = "app.kubernetes.io/name"

	// heartbeatInterval is the kubelet's. Without heartbeats the node lifecycle controller evicts a node's pods.
	heartbeatInterval = 10 * time.Second

	// Per GPU, as on the usual machines with eight; the plant looks at GPUs alone.
	coresPerGPU, gibibytesPerGPU = 16, 128
	podsPerNode                  = 110
)

// beat applies the nodes, and the exporters' namespace, every heartbeatInterval.
func (k *Kubelet) beat(ctx context.Context, nodes []sim.NodeState, now time.Time) error {
	if now.Sub(k.heartbeat) < heartbeatInterval {
		return nil
	}
	if k.started.IsZero() {
		k.started = now
	}
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	force := metav1.ApplyOptions{FieldManager: fieldManager, Force: true}
	for _, n := range nodes {
		if _, err := k.client.CoreV1().Nodes().Apply(ctx, nodeObject(n), force); err != nil {
			return fmt.Errorf("apply node %s: %w", n.Name, err)
		}
		if _, err := k.client.CoreV1().Nodes().ApplyStatus(ctx, nodeStatus(n, k.started, now), force); err != nil {
			return fmt.Errorf("apply the status of node %s: %w", n.Name, err)
		}
	}
	if _, err := k.client.CoreV1().Namespaces().Apply(ctx, apply.Namespace(ExporterNamespace), force); err != nil {
		return fmt.Errorf("apply namespace %s: %w", ExporterNamespace, err)
	}
	k.heartbeat = now
	return nil
}

func nodeObject(n sim.NodeState) *apply.NodeApplyConfiguration {
	return apply.Node(n.Name).WithLabels(map[string]string{
		corev1.LabelHostname:   n.Name,
		corev1.LabelOSStable:   "linux",
		"nvidia.com/gpu.count": strconv.Itoa(n.GPUs),
		// GPU feature discovery's spelling of the exporter's modelName.
		"nvidia.com/gpu.product": strings.ReplaceAll(n.GPU.ModelName(), " ", "-"),
	})
}

func nodeStatus(n sim.NodeState, started, now time.Time) *apply.NodeApplyConfiguration {
	capacity := corev1.ResourceList{
		gpuResource:           *resource.NewQuantity(int64(n.GPUs), resource.DecimalSI),
		corev1.ResourceCPU:    *resource.NewQuantity(int64(n.GPUs)*coresPerGPU, resource.DecimalSI),
		corev1.ResourceMemory: *resource.NewQuantity(int64(n.GPUs)*gibibytesPerGPU<<30, resource.BinarySI),
		corev1.ResourcePods:   *resource.NewQuantity(podsPerNode, resource.DecimalSI),
	}
	return apply.Node(n.Name).WithStatus(apply.NodeStatus().
		WithCapacity(capacity).
		WithAllocatable(capacity).
		WithAddresses(
			apply.NodeAddress().WithType(corev1.NodeInternalIP).WithAddress(host(n.Address)),
			apply.NodeAddress().WithType(corev1.NodeHostName).WithAddress(n.Name)).
		WithConditions(apply.NodeCondition().WithType(corev1.NodeReady).WithStatus(corev1.ConditionTrue).
			WithReason("KubeletReady").WithMessage("the plant's node is up").
			WithLastTransitionTime(metav1.Time{Time: started}).WithLastHeartbeatTime(metav1.Time{Time: now})))
}

// exporters keeps one Running and Ready exporter pod per node. Its error is the first, or an outage.
func (k *Kubelet) exporters(ctx context.Context, nodes []sim.NodeState, pods []*corev1.Pod, now time.Time) error {
	there := map[string]*corev1.Pod{}
	for _, pod := range pods {
		if pod.Namespace == ExporterNamespace {
			there[pod.Name] = pod
		}
	}
	var first error
	for _, n := range nodes {
		err := k.exporter(ctx, n, there[exporterName(n)], now)
		if err == nil || stale(err) {
			continue
		}
		err = fmt.Errorf("GPU exporter of node %s: %w", n.Name, err)
		if outage(err) {
			return err
		}
		if first == nil {
			first = err
		}
	}
	return first
}

func (k *Kubelet) exporter(ctx context.Context, n sim.NodeState, pod *corev1.Pod, now time.Time) error {
	switch {
	case pod == nil:
		ctx, cancel := context.WithTimeout(ctx, requestTimeout)
		defer cancel()
		_, err := k.client.CoreV1().Pods(ExporterNamespace).Create(ctx, exporterPod(n), metav1.CreateOptions{FieldManager: fieldManager})
		return err
	case k.behind(pod):
		return nil
	case pod.DeletionTimestamp != nil:
		return k.remove(ctx, pod) // and the next round makes another
	}
	status := running(pod, true, host(n.Address), host(n.Address), now)
	if equality.Semantic.DeepEqual(pod.Status, status) {
		return nil
	}
	return k.patch(ctx, pod, status)
}

func exporterName(n sim.NodeState) string { return exporter + "-" + n.Name }

// exporterPod is made when the node's page is served, so its port is the real one.
func exporterPod(n sim.NodeState) *corev1.Pod {
	_, p, _ := net.SplitHostPort(n.Address) // the plant's own
	port, err := strconv.Atoi(p)
	if err != nil {
		panic("BUG: the plant has a node at " + n.Address)
	}
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: ExporterNamespace, Name: exporterName(n), Labels: map[string]string{nameLabel: exporter}},
		Spec: corev1.PodSpec{
			NodeName: n.Name,
			Containers: []corev1.Container{{
				Name: exporter, Image: exporter,
				Ports: []corev1.ContainerPort{{Name: "metrics", ContainerPort: int32(port)}},
			}},
		},
	}
}
