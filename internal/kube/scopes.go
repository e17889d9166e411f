package kube

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/dynamic/dynamicinformer"
	"k8s.io/client-go/tools/cache"

	"github.com/flyball/flyball/api/v1alpha1"
)

func (k *Kube) podScope(gpu labels.Selector) *scope {
	pods := corev1.SchemeGroupVersion.WithResource("pods")
	return k.newScope(pods, informed{
		make: typedInformer(k.clients.core.RESTClient(), pods, &corev1.Pod{}, cache.Indexers{
			byNamespace: cache.MetaNamespaceIndexFunc, byController: controllerUID, byNode: gpuNode,
			byGPU: func(obj any) ([]string, error) {
				if gpu.Matches(labels.Set(obj.(*corev1.Pod).Labels)) {
					return []string{""}, nil
				}
				return nil, nil
			},
		}),
		transform: withoutManagedFields,
		onChange:  k.podChanged,
	})
}

func (k *Kube) replicaSetScope() *scope {
	replicaSets := gvr{Group: "apps", Version: "v1", Resource: "replicasets"}
	return k.newScope(replicaSets, informed{
		make:      k.metadataInformer(replicaSets),
		transform: identityOnly,
		onChange: func(before, after any) {
			if before == nil {
				k.ownersChanged(after.(metav1.Object).GetNamespace())
			}
			if before == nil || after == nil || controlledBy(before) != controlledBy(after) {
				signal(k.changed)
			}
		},
	})
}

func (k *Kube) autoscalerScope() *scope {
	return k.newScope(v1alpha1.Resource, informed{
		make: func(namespace string) cache.SharedIndexInformer {
			return dynamicinformer.NewFilteredDynamicInformer(k.clients.dynamic, v1alpha1.Resource, namespace, 0,
				cache.Indexers{byTarget: autoscalerTarget, byUnreadable: isUnreadable}, nil).Informer()
		},
		transform: k.typed,
		onChange:  k.autoscalerChanged,
	})
}
