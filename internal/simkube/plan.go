package simkube

import (
	"net"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/types"

	"github.com/flyball/flyball/internal/sim"
)

// verb is what is done for a pod in a round.
type verb string

const (
	nothing verb = "leave"
	add     verb = "add to the plant"
	drain   verb = "drain"               // in the plant, with its grace
	kill    verb = "kill"                // in the plant, at once
	bind    verb = "bind"                // in the API, to the node that the plant chose
	patch   verb = "patch the status of" // in the API
	remove  verb = "delete"              // the plant has let it go
)

type action struct {
	verb    verb
	node    string           // bind: to it
	address string           // bind: the value of AddressAnnotation, empty for none
	status  corev1.PodStatus // patch: to it
}

// world is the plant at one time, indexed as plans need it.
type world struct {
	now       time.Time
	pods      map[types.UID]sim.PodState
	names     map[types.NamespacedName]bool // of pods
	workloads map[types.NamespacedName]bool
	hosts     map[string]string // node name to IP
}

func newWorld(s sim.Snapshot, now time.Time) *world {
	w := &world{
		now: now, pods: map[types.UID]sim.PodState{}, names: map[types.NamespacedName]bool{},
		workloads: map[types.NamespacedName]bool{}, hosts: map[string]string{},
	}
	for _, d := range s.Pods {
		w.pods[types.UID(d.UID)] = d
		w.names[types.NamespacedName{Namespace: d.Namespace, Name: d.Name}] = true
	}
	for _, l := range s.Workloads {
		w.workloads[types.NamespacedName{Namespace: l.Namespace, Name: l.Name}] = true
	}
	for _, n := range s.Nodes {
		w.hosts[n.Name] = host(n.Address)
	}
	return w
}

// plan is the next thing to do so that the API's pod and the plant's become one. It looks at the pod as the cache has it, so whoever watches
// pods has mostly seen a step before the next is taken: Ready=False reaches the API and comes back before the plant drains the pod, and only a
// drained pod's page ends.
func (w *world) plan(pod *corev1.Pod) action {
	d, inPlant := w.pods[pod.UID]
	if !inPlant {
		return w.planAbsent(pod)
	}
	deleting := pod.DeletionTimestamp != nil
	bound := pod.Spec.NodeName != ""
	switch {
	case ended(pod) || bound && pod.Spec.NodeName != d.Node: // by somebody else
		return action{verb: kill}
	case !bound && d.Node != "" && !deleting:
		a := action{verb: bind, node: d.Node}
		if !declares(pod, d.Address) {
			a.address = d.Address
		}
		return a
	}
	if bound || !deleting {
		if a := w.to(pod, w.status(pod, d)); a.verb != nothing {
			return a
		}
	}
	switch {
	case !deleting:
		return action{verb: nothing}
	case !w.now.Before(pod.DeletionTimestamp.Time): // the API sets it to the end of the grace period
		return action{verb: kill}
	case d.Phase != sim.Draining:
		return action{verb: drain}
	}
	return action{verb: nothing}
}

// planAbsent is the plan for a pod that the plant does not have: not yet, no more, or never.
func (w *world) planAbsent(pod *corev1.Pod) action {
	switch {
	case pod.DeletionTimestamp != nil:
		if g := pod.DeletionGracePeriodSeconds; g != nil && *g == 0 {
			return action{verb: nothing} // what keeps it is a finalizer
		}
		return action{verb: remove}
	case ended(pod):
		return action{verb: nothing}
	case pod.Spec.NodeName != "":
		return w.to(pod, lost(pod, w.now))
	case !w.workloads[types.NamespacedName{Namespace: pod.Namespace, Name: pod.Labels[WorkloadLabel]}]:
		return w.to(pod, homeless(pod, w.now))
	case w.names[types.NamespacedName{Namespace: pod.Namespace, Name: pod.Name}]:
		return action{verb: nothing} // wait until its predecessor is gone
	}
	return action{verb: add}
}

// to is a patch, if there is a difference.
func (w *world) to(pod *corev1.Pod, status corev1.PodStatus) action {
	if equality.Semantic.DeepEqual(pod.Status, status) {
		return action{verb: nothing}
	}
	return action{verb: patch, status: status}
}

// status is what the API should say of a pod in the plant.
func (w *world) status(pod *corev1.Pod, d sim.PodState) corev1.PodStatus {
	if pod.Spec.NodeName == "" {
		return unschedulable(pod, len(w.hosts), w.now)
	}
	ready := d.Phase == sim.Ready && pod.DeletionTimestamp == nil
	return running(pod, ready, host(d.Address), w.hosts[d.Node], w.now)
}

func ended(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
}

// declares reports whether the port of a host:port is one of the pod's container ports.
func declares(pod *corev1.Pod, address string) bool {
	_, port, _ := net.SplitHostPort(address) // the plant's own
	for _, c := range pod.Spec.Containers {
		for _, p := range c.Ports {
			if strconv.Itoa(int(p.ContainerPort)) == port {
				return true
			}
		}
	}
	return false
}

// host is the IP of a host:port of the plant.
func host(address string) string {
	h, _, err := net.SplitHostPort(address)
	if err != nil {
		panic("BUG: the plant has an address without a port: " + address)
	}
	return h
}
