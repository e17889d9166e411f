package quota

import (
	"cmp"
	"math"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"

	"github.com/flyball/flyball/decider"
)

// Lower is the quota that admits fewer pods; of two that admit as many, the first by name and resource.
func Lower(a, b decider.Quota) decider.Quota {
	if a.Name == "" || b.Name != "" &&
		cmp.Or(cmp.Compare(b.Most, a.Most), cmp.Compare(b.Name, a.Name), cmp.Compare(b.Resource, a.Resource)) < 0 {
		return b
	}
	return a
}

// Leaves is how many pods like this one the quota admits, those that exist included. Name is empty when it limits none.
func Leaves(q *corev1.ResourceQuota, pod *corev1.Pod, exist int64) decider.Quota {
	var least decider.Quota
	if !covers(q, pod) {
		return least
	}
	use := podUse(pod)
	for name, hard := range q.Status.Hard {
		one := use.of(name)
		if one.Sign() <= 0 {
			continue
		}
		left := hard.DeepCopy()
		left.Sub(q.Status.Used[name])
		more := int64(0)
		if left.Sign() > 0 {
			more = units(name, left) / units(name, one)
		}
		most := min(exist+min(more, math.MaxInt32), math.MaxInt32)
		least = Lower(least, decider.Quota{Name: q.Name, Resource: string(name), Most: int32(most)})
	}
	return least
}

// units are a quantity's millicores, bytes or pieces. Quantities of less are rounded up.
func units(name corev1.ResourceName, q resource.Quantity) int64 {
	if strings.HasSuffix(string(name), string(corev1.ResourceCPU)) {
		return q.MilliValue()
	}
	return q.Value()
}

// Requests is what a pod counts of requests, its overhead included.
func Requests(pod *corev1.Pod) corev1.ResourceList { return podUse(pod).requests }

// Sidecar says whether an init container goes on running beside the others.
func Sidecar(c *corev1.Container) bool {
	return c.RestartPolicy != nil && *c.RestartPolicy == corev1.ContainerRestartPolicyAlways
}

// use is what a pod counts in quotas.
type use struct{ requests, limits corev1.ResourceList }

func podUse(pod *corev1.Pod) use {
	u := use{
		requests: podResources(pod, func(r *corev1.ResourceRequirements) corev1.ResourceList { return r.Requests }),
		limits:   podResources(pod, func(r *corev1.ResourceRequirements) corev1.ResourceList { return r.Limits }),
	}
	Add(u.requests, pod.Spec.Overhead)
	for name, q := range pod.Spec.Overhead {
		if had := u.limits[name]; !had.IsZero() { // overhead makes no limit where there is none
			had.Add(q)
			u.limits[name] = had
		}
	}
	return u
}

// of is what one pod counts under a quota's name for a resource; zero for what pods have no part in, such as
// requests.storage or services.
func (u use) of(name corev1.ResourceName) resource.Quantity {
	switch name {
	case corev1.ResourcePods, "count/pods":
		return *resource.NewQuantity(1, resource.DecimalSI)
	case corev1.ResourceCPU, corev1.ResourceMemory, corev1.ResourceEphemeralStorage:
		return u.requests[name]
	}
	if requested, ok := strings.CutPrefix(string(name), corev1.DefaultResourceRequestsPrefix); ok {
		return u.requests[corev1.ResourceName(requested)]
	}
	if limited, ok := strings.CutPrefix(string(name), "limits."); ok {
		return u.limits[corev1.ResourceName(limited)]
	}
	if strings.HasPrefix(string(name), corev1.ResourceHugePagesPrefix) {
		return u.requests[name]
	}
	return resource.Quantity{}
}

// podResources are a pod's requests or limits as the scheduler and quotas count them: the containers and sidecars
// together, or an init container with the sidecars started before it where that is more; in their place, what is set for
// the pod as a whole. The overhead of its runtime comes on top.
func podResources(pod *corev1.Pod, of func(*corev1.ResourceRequirements) corev1.ResourceList) corev1.ResourceList {
	sum, sidecars, atStart := corev1.ResourceList{}, corev1.ResourceList{}, corev1.ResourceList{}
	for i := range pod.Spec.Containers {
		Add(sum, of(&pod.Spec.Containers[i].Resources))
	}
	for i := range pod.Spec.InitContainers {
		c := &pod.Spec.InitContainers[i]
		if Sidecar(c) {
			Add(sum, of(&c.Resources))
			Add(sidecars, of(&c.Resources))
			continue
		}
		now := sidecars.DeepCopy()
		Add(now, of(&c.Resources))
		raise(atStart, now)
	}
	raise(sum, atStart)
	if pod.Spec.Resources != nil {
		for name, q := range of(pod.Spec.Resources) {
			sum[name] = q
		}
	}
	return sum
}

// Add adds a list to another.
func Add(to, list corev1.ResourceList) {
	for name, q := range list {
		sum := to[name]
		sum.Add(q)
		to[name] = sum
	}
}

func raise(to, list corev1.ResourceList) {
	for name, q := range list {
		if had, ok := to[name]; !ok || had.Cmp(q) < 0 {
			to[name] = q
		}
	}
}

// covers says whether the pod is in all of the quota's scopes.
func covers(q *corev1.ResourceQuota, pod *corev1.Pod) bool {
	for _, scope := range q.Spec.Scopes {
		if !inScope(pod, corev1.ScopedResourceSelectorRequirement{ScopeName: scope, Operator: corev1.ScopeSelectorOpExists}) {
			return false
		}
	}
	if q.Spec.ScopeSelector != nil {
		for _, wanted := range q.Spec.ScopeSelector.MatchExpressions {
			if !inScope(pod, wanted) {
				return false
			}
		}
	}
	return true
}

func inScope(pod *corev1.Pod, wanted corev1.ScopedResourceSelectorRequirement) bool {
	switch wanted.ScopeName {
	case corev1.ResourceQuotaScopeTerminating:
		return pod.Spec.ActiveDeadlineSeconds != nil
	case corev1.ResourceQuotaScopeNotTerminating:
		return pod.Spec.ActiveDeadlineSeconds == nil
	case corev1.ResourceQuotaScopeBestEffort: // the API server fills status.qosClass when it makes the pod
		return pod.Status.QOSClass == corev1.PodQOSBestEffort
	case corev1.ResourceQuotaScopeNotBestEffort:
		return pod.Status.QOSClass != corev1.PodQOSBestEffort
	case corev1.ResourceQuotaScopePriorityClass:
		return inPriorityClass(pod.Spec.PriorityClassName, wanted)
	}
	return false // scopes of other objects than pods, and CrossNamespacePodAffinity, which model servers have no use for
}

// inPriorityClass matches the name of the class like a label that a pod without one does not have.
func inPriorityClass(class string, wanted corev1.ScopedResourceSelectorRequirement) bool {
	listed := class != "" && slices.Contains(wanted.Values, class)
	switch wanted.Operator {
	case corev1.ScopeSelectorOpIn:
		return listed
	case corev1.ScopeSelectorOpNotIn:
		return !listed
	case corev1.ScopeSelectorOpExists:
		return class != ""
	case corev1.ScopeSelectorOpDoesNotExist:
		return class == ""
	}
	return false
}
