package actuator

import (
	"fmt"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
)

// notOurs says why the one that stands may not be written to; empty when it may.
func notOurs(now *autoscalingv2.HorizontalPodAutoscaler, pa *v1alpha1.PodAutoscaler, want autoscalingv2.HorizontalPodAutoscalerSpec) string {
	owner := metav1.GetControllerOf(now)
	what := fmt.Sprintf("HorizontalPodAutoscaler %s/%s, whose name this autoscaler needs, ", now.Namespace, now.Name)
	const remedy = "; delete it, or give this autoscaler another name"
	switch {
	case owner != nil && owner.UID == pa.UID:
		return ""
	case owner != nil:
		return what + "belongs to " + owner.Kind + " " + owner.Name + remedy
	case now.Spec.ScaleTargetRef != want.ScaleTargetRef:
		return what + "scales " + now.Spec.ScaleTargetRef.Kind + " " + now.Spec.ScaleTargetRef.Name + remedy
	case !marked(now):
		return what + "was made by somebody else" + remedy
	}
	return ""
}

// marked says whether flyball or AIBrix made it, which copies an autoscaler's labels and annotations.
func marked(now *autoscalingv2.HorizontalPodAutoscaler) bool {
	if now.Labels[managedBy] == managedByUs {
		return true
	}
	for _, keys := range []map[string]string{now.Labels, now.Annotations} {
		for key := range keys {
			host, _, _ := strings.Cut(key, "/")
			if host == v1alpha1.GroupVersion.Group || strings.HasSuffix(host, "."+v1alpha1.GroupVersion.Group) {
				return true
			}
		}
	}
	return false
}
