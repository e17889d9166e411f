package kube

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"

	"github.com/flyball/flyball/internal/kube/quota"
)

// GPUModel is what the nodes have of one kind of GPU.
type GPUModel struct {
	Resource    string // nvidia.com/gpu, nvidia.com/mig-1g.10gb, amd.com/gpu
	Model       string // as the nodes' labels name it, such as NVIDIA-H100-80GB-HBM3; unknown without such a label
	Nodes       int    // that have some, are ready and take pods
	Allocatable int    // on those nodes
	Requested   int    // of them, by pods on those nodes that have not ended; of the namespaces that are looked at only
}

// modelLabels are the labels by which nodes name their GPUs' model: from NVIDIA's GPU feature discovery and AMD's node
// labeller.
var modelLabels = map[string]string{"nvidia.com/": "nvidia.com/gpu.product", "amd.com/": "amd.com/gpu.product-name"}

func isGPU(name corev1.ResourceName) bool {
	return name == "nvidia.com/gpu" || name == "amd.com/gpu" || strings.HasPrefix(string(name), "nvidia.com/mig-")
}

func (k *Kube) nodeScope() *scope {
	nodes := corev1.SchemeGroupVersion.WithResource("nodes")
	return k.newScope(nodes, informed{
		make:      k.sparingInformer(k.clients.core.RESTClient(), nodes, &corev1.Node{}, cache.Indexers{}),
		scopes:    []string{metav1.NamespaceAll}, // nodes belong to no namespace
		transform: gpusOnly,
		onChange:  onMove(k, nodeMoved),
		without:   "it is not known how many GPUs there are",
	})
}

// gpusOnly leaves of a node what GPUs reads. The rest, images and heartbeats, is 20 KB and changes all the time.
func gpusOnly(obj any) (any, error) {
	node, ok := obj.(*corev1.Node)
	if !ok {
		return obj, nil
	}
	out := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: node.Name, UID: node.UID, ResourceVersion: node.ResourceVersion}}
	out.Spec.Unschedulable = node.Spec.Unschedulable
	for _, label := range modelLabels {
		if model, ok := node.Labels[label]; ok {
			metav1.SetMetaDataLabel(&out.ObjectMeta, label, model)
		}
	}
	for name, q := range node.Status.Allocatable {
		if isGPU(name) {
			if out.Status.Allocatable == nil {
				out.Status.Allocatable = corev1.ResourceList{}
			}
			out.Status.Allocatable[name] = q
		}
	}
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			out.Status.Conditions = []corev1.NodeCondition{{Type: c.Type, Status: c.Status}}
		}
	}
	return out, nil
}

func nodeMoved(a, b *corev1.Node) bool {
	return a.Spec.Unschedulable != b.Spec.Unschedulable || !maps.Equal(a.Labels, b.Labels) || !equality.Semantic.DeepEqual(a.Status, b.Status)
}

// gpuNode is the index byNode: of pods that have a GPU, the name of the node.
func gpuNode(obj any) ([]string, error) {
	pod := obj.(*corev1.Pod)
	if pod.Spec.NodeName == "" || Ended(pod) {
		return nil, nil
	}
	for _, containers := range [][]corev1.Container{pod.Spec.Containers, pod.Spec.InitContainers} {
		for i := range containers {
			for name := range containers[i].Resources.Requests {
				if isGPU(name) {
					return []string{pod.Spec.NodeName}, nil
				}
			}
		}
	}
	return nil, nil
}

// GPUs are the GPUs of the nodes that are ready and take pods, by resource and model, sorted. Taints do not matter: nodes
// with GPUs have them, and the pods that want GPUs tolerate them. Nil while nodes can't be read.
func (k *Kube) GPUs() []GPUModel {
	type kind struct{ resource, model string }
	found := map[kind]*GPUModel{}
	for _, obj := range k.nodes.list() {
		node := obj.(*corev1.Node)
		if node.Spec.Unschedulable || len(node.Status.Conditions) == 0 || node.Status.Conditions[0].Status != corev1.ConditionTrue {
			continue
		}
		requested := k.gpusRequested(node.Name)
		for name, q := range node.Status.Allocatable {
			if q.Sign() <= 0 {
				continue
			}
			key := kind{string(name), gpuModel(node, name)}
			if found[key] == nil {
				found[key] = &GPUModel{Resource: key.resource, Model: key.model}
			}
			m, used := found[key], requested[name]
			m.Nodes++
			m.Allocatable += int(q.Value())
			m.Requested += int(used.Value())
		}
	}
	var out []GPUModel
	for _, m := range found {
		out = append(out, *m)
	}
	slices.SortFunc(out, func(a, b GPUModel) int {
		return cmp.Or(cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Model, b.Model))
	})
	return out
}

// gpusRequested is what the pods on a node request.
func (k *Kube) gpusRequested(node string) corev1.ResourceList {
	sum := corev1.ResourceList{}
	for _, obj := range k.pods.byIndex(byNode, node) {
		quota.Add(sum, quota.Requests(obj.(*corev1.Pod)))
	}
	return sum
}

func gpuModel(node *corev1.Node, name corev1.ResourceName) string {
	for vendor, label := range modelLabels {
		if strings.HasPrefix(string(name), vendor) {
			return cmp.Or(node.Labels[label], "unknown")
		}
	}
	return "unknown"
}
