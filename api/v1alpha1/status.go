package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// PodAutoscalerStatus is what was observed and decided.
type PodAutoscalerStatus struct {
	// The generation of the spec that the status speaks of.
	// +optional
	ObservedGeneration int64 `json:"observedGeneration,omitempty"`

	// When the target's replica count was last written.
	// +optional
	LastScaleTime *metav1.Time `json:"lastScaleTime,omitempty"`

	// The replica count last decided. Written even when it is 0, so that kubectl shows it.
	// +optional
	DesiredScale int32 `json:"desiredScale"`

	// The replica count of the target as observed.
	// +optional
	ActualScale int32 `json:"actualScale"`

	// Each source's current value over its target, for people: "12.4/10, 55%/80%".
	// +optional
	Targets string `json:"targets,omitempty"`

	// Whether the spec is valid, the target can be scaled, and scaling is going on.
	// +optional
	// +listType=map
	// +listMapKey=type
	Conditions []metav1.Condition `json:"conditions,omitempty"`

	// The last changes of the replica count, oldest first.
	// +optional
	// +kubebuilder:validation:MaxItems=5
	ScalingHistory []ScalingDecision `json:"scalingHistory,omitempty"`

	// The bounds in effect.
	// +optional
	ScheduledBounds *ScheduledBoundsStatus `json:"scheduledBounds,omitempty"`
}

// ScalingDecision is one change of the replica count.
type ScalingDecision struct {
	// When it was decided.
	Timestamp metav1.Time `json:"timestamp"`
	// The replica count before.
	PreviousScale int32 `json:"previousScale"`
	// The replica count after.
	NewScale int32 `json:"newScale"`
	// Why, in a sentence.
	Reason string `json:"reason"`
	// Whether it was written.
	Success bool `json:"success"`
	// Why it was not.
	// +optional
	Error string `json:"error,omitempty"`
}

// ScheduledBoundsStatus is the bounds in effect and the schedule they come from.
type ScheduledBoundsStatus struct {
	// The schedule in effect; empty when none is.
	// +optional
	ActiveSchedule string `json:"activeSchedule,omitempty"`
	// The least number of replicas now.
	EffectiveMinReplicas int32 `json:"effectiveMinReplicas"`
	// The greatest number of replicas now.
	EffectiveMaxReplicas int32 `json:"effectiveMaxReplicas"`
}
