package kube

import (
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/client-go/tools/cache"

	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/internal/kube/quota"
)

func (k *Kube) quotaScope() *scope {
	quotas := corev1.SchemeGroupVersion.WithResource("resourcequotas")
	return k.newScope(quotas, informed{
		make: k.sparingInformer(k.clients.core.RESTClient(), quotas, &corev1.ResourceQuota{},
			cache.Indexers{byNamespace: cache.MetaNamespaceIndexFunc}),
		transform: withoutManagedFields,
		onChange:  onMove(k, quotaMoved),
		without:   "a decision may ask for more pods than a ResourceQuota admits",
	})
}

func quotaMoved(a, b *corev1.ResourceQuota) bool {
	return !equality.Semantic.DeepEqual(a.Spec, b.Spec) || !equality.Semantic.DeepEqual(a.Status, b.Status)
}

// Quota is the ResourceQuota that leaves the target the fewest pods: those that exist and have not ended, and as many as
// fit into what is left, floor((hard-used)/use of one pod), by status.hard and status.used, which are what the API server
// holds a new pod against. Scopes and the use of one pod are read from the target's newest pod; without one nothing is
// known, and Name is empty, as it is when no quota limits the target. For a moment after a pod was made, its use counts
// and the pod is not in the cache yet: Most is too low by one then, never too high.
func (k *Kube) Quota(t Target) decider.Quota {
	quotas := k.quotas.byIndex(byNamespace, t.Namespace)
	if len(quotas) == 0 {
		return decider.Quota{}
	}
	pods := k.Pods(t)
	var newest *corev1.Pod
	var exist int64
	for _, pod := range pods {
		if newest == nil || newest.CreationTimestamp.Before(&pod.CreationTimestamp) {
			newest = pod
		}
		if !Ended(pod) {
			exist++
		}
	}
	if newest == nil {
		return decider.Quota{}
	}
	var least decider.Quota
	for _, obj := range quotas {
		least = quota.Lower(least, quota.Leaves(obj.(*corev1.ResourceQuota), newest, exist))
	}
	return least
}
