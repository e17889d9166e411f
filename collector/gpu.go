package collector

import (
	"time"

	"github.com/prometheus/prometheus/model/labels"
)

// podRef names a pod as a GPU exporter knows it. Names are reused: a podRef leads to a pod only together with the
// exporter's node and the pod's age.
type podRef struct{ node, namespace, name string }

// podOf reads the pod that a series names; the zero podRef where it names none.
func (g *gpuPack) podOf(lset labels.Labels, node string) podRef {
	for _, pair := range g.Attribution {
		if ns, pod := lset.Get(pair.Namespace), lset.Get(pair.Pod); ns != "" && pod != "" {
			return podRef{node: node, namespace: ns, name: pod}
		}
	}
	return podRef{}
}

// podIndex is the pods of one Update. It is not changed after it was built.
type podIndex struct {
	byRef map[podRef]indexedPod
	uids  map[string]time.Time // when each pod started
}

type indexedPod struct {
	Identity
	started   time.Time
	ambiguous bool // two UIDs under one name: an owner can't be told
}

// indexPods indexes the pods among the endpoints. A pod that does not say when it started counts as started when
// the collector first heard of it: it gets its GPU's series a little late, never another pod's.
func indexPods(endpoints []Endpoint, before *podIndex, now time.Time) *podIndex {
	ix := &podIndex{byRef: map[podRef]indexedPod{}, uids: map[string]time.Time{}}
	for _, e := range endpoints {
		if e.Role != PodExporter || e.PodUID == "" {
			continue
		}
		started := e.Started
		if started.IsZero() {
			started = now
			if before != nil && !before.uids[e.PodUID].IsZero() {
				started = before.uids[e.PodUID]
			}
		}
		ix.uids[e.PodUID] = started
		if e.Node == "" {
			continue
		}
		ref := podRef{node: e.Node, namespace: e.Namespace, name: e.Pod}
		id := e.Identity
		id.Job = ""
		p := indexedPod{Identity: id, started: started}
		if other, ok := ix.byRef[ref]; ok && (other.PodUID != p.PodUID || other.ambiguous) {
			p.ambiguous = true
		}
		ix.byRef[ref] = p
	}
	return ix
}

// owner is the pod that a GPU exporter's series belongs to, or nobody. An exporter repeats what it collected up to
// one lag ago: what it says of a pod younger than that may be of the pod before it, so such a pod gets nothing yet.
func (ix *podIndex) owner(ref podRef, lag time.Duration, now time.Time) Identity {
	p, ok := ix.byRef[ref]
	if !ok || p.ambiguous || now.Sub(p.started) < lag {
		return Identity{}
	}
	return p.Identity
}

// has says whether a pod of this UID is known.
func (ix *podIndex) has(uid string) bool {
	_, ok := ix.uids[uid]
	return ok
}
