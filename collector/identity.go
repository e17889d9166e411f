package collector

import (
	"slices"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// podLabels are the identity labels of a pod, and its node's.
func podLabels(id Identity) []labels.Label {
	return []labels.Label{
		{Name: "namespace", Value: id.Namespace},
		{Name: "pod", Value: id.Pod},
		{Name: "pod_uid", Value: id.PodUID},
		{Name: "workload", Value: id.Workload},
		{Name: "workload_uid", Value: id.WorkloadUID},
		{Name: "node", Value: id.Node},
	}
}

// identityLabels are the labels that say whose an endpoint's own series, such as up, are.
func identityLabels(e Endpoint) []labels.Label {
	if e.Role == SourceEndpoint {
		return []labels.Label{
			{Name: "namespace", Value: e.Namespace},
			{Name: "autoscaler_uid", Value: e.AutoscalerUID},
			{Name: "source", Value: e.Source},
			{Name: "job", Value: e.Job},
			{Name: "endpoint", Value: e.Name()},
		}
	}
	return append(podLabels(e.Identity), labels.Label{Name: "job", Value: e.Job}, labels.Label{Name: "endpoint", Value: e.Name()})
}

// Labels are the labels that every series of the endpoint carries. Those of a GPU exporter's page are given to the pods
// that hold the GPUs: only node, job and endpoint are common to them.
func (e Endpoint) Labels() labels.Labels {
	b := labels.NewScratchBuilder(8)
	for _, l := range identityLabels(e) {
		if l.Value != "" && (e.Role != GPUExporter || l.Name == "node" || l.Name == "job" || l.Name == "endpoint") {
			b.Add(l.Name, l.Value)
		}
	}
	b.Sort()
	return b.Labels()
}

// gpuLabels are the identity labels of a series on a GPU exporter's page: where it was read, and the pod that
// holds the GPU, where that is known. The exporter's own pod is nobody's load.
func gpuLabels(e Endpoint, owner Identity) []labels.Label {
	owner.Node = e.Node
	return append(podLabels(owner), labels.Label{Name: "job", Value: e.Job}, labels.Label{Name: "endpoint", Value: e.Name()})
}

// uidLabels are never taken from a page, whatever the role: autoscalers select by them, and a page must not be
// able to speak for another.
var uidLabels = []string{"pod_uid", "workload_uid", "autoscaler_uid"}

// withIdentity is the label set of a page under its owner's identity. Labels of the page whose names the identity
// claims, empty or not, move to exported_<name>, or exported_exported_<name> where that is taken, and so on.
func withIdentity(b *labels.Builder, page labels.Labels, identity []labels.Label) labels.Labels {
	b.Reset(page)
	page.Range(func(l labels.Label) {
		claimed := slices.Contains(uidLabels, l.Name) ||
			slices.ContainsFunc(identity, func(own labels.Label) bool { return own.Name == l.Name })
		if !claimed {
			return
		}
		b.Del(l.Name)
		if l.Value == "" {
			return
		}
		moved := "exported_" + l.Name
		for page.Get(moved) != "" || b.Get(moved) != "" {
			moved = "exported_" + moved
		}
		b.Set(moved, l.Value)
	})
	for _, own := range identity {
		b.Set(own.Name, own.Value) // an empty one is left out
	}
	return b.Labels()
}

// namedWith is the label set of a series of the collector's own.
func namedWith(name string, identity []labels.Label) labels.Labels {
	b := labels.NewBuilder(labels.EmptyLabels())
	b.Set(model.MetricNameLabel, name)
	for _, own := range identity {
		b.Set(own.Name, own.Value)
	}
	return b.Labels()
}
