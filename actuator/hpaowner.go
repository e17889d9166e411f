package actuator

import (
	"fmt"
	"strings"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/decider"
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

// held says whether the autoscaler controls it, and is not gone before it is when it is deleted in the foreground.
func held(now *autoscalingv2.HorizontalPodAutoscaler, pa *v1alpha1.PodAutoscaler) bool {
	owner := metav1.GetControllerOf(now)
	return owner != nil && owner.UID == pa.UID && owner.BlockOwnerDeletion != nil && *owner.BlockOwnerDeletion
}

// ours is the one that acts for the autoscaler, wanted or not, also while it is being deleted: nil for none.
func (t HPATurn) ours() *autoscalingv2.HorizontalPodAutoscaler {
	switch {
	case t.Standing != nil && metav1.IsControlledBy(t.Standing, t.Autoscaler):
		return t.Standing
	case len(t.Owned) > 0:
		return t.Owned[0]
	}
	return nil
}

// wants says whether the strategy is HPA.
func (t HPATurn) wants() bool { return t.Autoscaler.Spec.ScalingStrategy == decider.HPA }

// leaving is the result for an autoscaler that is being deleted: what acts goes on until the garbage collector has it.
func (t HPATurn) leaving() HPAResult {
	const why = "the autoscaler is being deleted"
	ours := t.ours()
	switch {
	case !t.wants():
		return HPAResult{Message: why}.acting(ours)
	case ours == nil:
		return HPAResult{Reason: Pending, Message: why}
	}
	return HPAResult{Reason: ToNativeHPA, Message: decides(ours.Name, nil)}.acting(ours)
}

// untouched is the result while nothing may be written.
func (t HPATurn) untouched() HPAResult {
	out := HPAResult{Message: t.Contested.Message}
	if t.wants() {
		out.Reason = t.Contested.Reason
	}
	return out.acting(t.ours())
}
