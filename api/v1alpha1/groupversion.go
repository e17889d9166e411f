package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// Kind is the kind of the one resource of this group.
const Kind = "PodAutoscaler"

var (
	// GroupVersion is AIBrix's group and version, so that its manifests apply unchanged.
	GroupVersion = schema.GroupVersion{Group: "autoscaling.aibrix.ai", Version: "v1alpha1"}

	// Resource is what clients and informers ask for.
	Resource = GroupVersion.WithResource("podautoscalers")

	// SchemeBuilder collects the functions that add this group to a scheme.
	SchemeBuilder = runtime.NewSchemeBuilder(addKnownTypes)

	// AddToScheme adds the types of this group to a scheme.
	AddToScheme = SchemeBuilder.AddToScheme
)

func addKnownTypes(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion, &PodAutoscaler{}, &PodAutoscalerList{})
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}
