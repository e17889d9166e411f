package v1alpha1

import (
	"github.com/google/uuid"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// nameSpace is the UUID under which UIDs of autoscalers from files are made: the UUIDv5 of the group's name.
var nameSpace = uuid.NewSHA1(uuid.NameSpaceDNS, []byte("autoscaling.aibrix.ai"))

// UID is what an autoscaler is known by: metadata.uid, which the API server gives, or for one from a file the UUIDv5
// of its namespace/name, so that history outlives a restart.
func UID(pa *PodAutoscaler) string {
	if pa.UID != "" {
		return string(pa.UID)
	}
	return uuid.NewSHA1(nameSpace, []byte(pa.namespace()+"/"+pa.Name)).String()
}

// namespace is the autoscaler's namespace; as with kubectl, a manifest without one means "default".
func (pa *PodAutoscaler) namespace() string {
	if pa.Namespace == "" {
		return metav1.NamespaceDefault
	}
	return pa.Namespace
}

// Target is the workload to scale, with what the manifest may leave out filled in: the autoscaler's namespace, and
// apps/v1 for the kinds that live there.
func (pa *PodAutoscaler) Target() corev1.ObjectReference {
	ref := pa.Spec.ScaleTargetRef
	if ref.Namespace == "" {
		ref.Namespace = pa.namespace()
	}
	if ref.APIVersion == "" {
		switch ref.Kind {
		case "Deployment", "StatefulSet", "ReplicaSet":
			ref.APIVersion = "apps/v1"
		}
	}
	return ref
}
