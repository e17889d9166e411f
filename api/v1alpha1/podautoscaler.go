package v1alpha1

import (
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flyball/flyball/decider"
)

// PodAutoscaler says how many replicas a workload may have, and which metrics decide.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=podautoscalers,singular=podautoscaler,shortName={pa,fpa},scope=Namespaced
// +kubebuilder:printcolumn:name="MIN",type="integer",JSONPath=".spec.minReplicas"
// +kubebuilder:printcolumn:name="MAX",type="integer",JSONPath=".spec.maxReplicas"
// +kubebuilder:printcolumn:name="REPLICAS",type="integer",JSONPath=".status.actualScale"
// +kubebuilder:printcolumn:name="DESIRED",type="integer",JSONPath=".status.desiredScale"
// +kubebuilder:printcolumn:name="TARGETS",type="string",JSONPath=".status.targets"
// +kubebuilder:printcolumn:name="STRATEGY",type="string",JSONPath=".spec.scalingStrategy"
// +kubebuilder:printcolumn:name="MODE",type="string",JSONPath=".spec.mode"
// +kubebuilder:printcolumn:name="AGE",type="date",JSONPath=".metadata.creationTimestamp"
type PodAutoscaler struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	// What is wanted.
	// +required
	Spec PodAutoscalerSpec `json:"spec,omitempty"`

	// What was observed, and what was decided. Fields that are not known here are kept: AIBrix's controller may still
	// write them while flyball only advises.
	// +optional
	// +kubebuilder:pruning:PreserveUnknownFields
	Status PodAutoscalerStatus `json:"status,omitzero"`
}

// PodAutoscalerList is a list of PodAutoscaler.
//
// +kubebuilder:object:root=true
type PodAutoscalerList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []PodAutoscaler `json:"items"`
}

// PodAutoscalerSpec is what is wanted. Rates, tolerances, delays and thresholds are annotations, as in AIBrix.
//
// The rules refuse what is wrong by itself, and of AIBrix's fields only what AIBrix refuses too: its manifests stay
// accepted. The rest of what [PodAutoscaler.Policy] refuses becomes the condition ValidSpec=False.
//
// +kubebuilder:validation:XValidation:rule="!has(self.minReplicas) || self.minReplicas <= self.maxReplicas",message="minReplicas must not be greater than maxReplicas: lower it or raise maxReplicas",fieldPath=".minReplicas"
// +kubebuilder:validation:XValidation:rule="!has(self.panicWindowSeconds) || !has(self.observeWindowSeconds) || self.panicWindowSeconds <= self.observeWindowSeconds",message="panicWindowSeconds must not be greater than observeWindowSeconds: lower it or raise observeWindowSeconds",fieldPath=".panicWindowSeconds"
// +kubebuilder:validation:XValidation:rule=`self.scalingStrategy != 'HPA' || self.?subTargetSelector.roleName.orValue("") == ""`,message="a native HorizontalPodAutoscaler can not scale a role: remove subTargetSelector or use KPA or APA",fieldPath=".subTargetSelector"
// +kubebuilder:validation:XValidation:rule=`self.scaleTargetRef.?kind.orValue("") != ""`,message="scaleTargetRef needs a kind: name that of the workload, such as Deployment",fieldPath=".scaleTargetRef"
// +kubebuilder:validation:XValidation:rule=`self.scaleTargetRef.?name.orValue("") != ""`,message="scaleTargetRef needs a name: name the workload to scale",fieldPath=".scaleTargetRef"
// +kubebuilder:validation:XValidation:rule=`self.scalingStrategy != 'HPA' || self.metricsSources.all(s, s.?query.orValue("") == "")`,message="a native HorizontalPodAutoscaler can not evaluate a query: name a targetMetric or use scalingStrategy KPA or APA",fieldPath=".metricsSources"
// +kubebuilder:validation:XValidation:rule=`self.scalingStrategy != 'HPA' || self.metricsSources.all(s, s.?targetType.orValue("") != 'Value' || (s.metricSourceType in ['external', 'domain'] && s.?endpoint.orValue("") == "" && !has(s.aggregation)))`,message="a native HorizontalPodAutoscaler has targetType Value for external metrics only, without aggregation: use AverageValue, or scalingStrategy KPA or APA",fieldPath=".metricsSources"
// +kubebuilder:validation:XValidation:rule="!has(self.schedules) || self.schedules.all(s, s.?minReplicas.orValue(self.?minReplicas.orValue(1)) <= s.?maxReplicas.orValue(self.maxReplicas))",message="a schedule's minReplicas must not be greater than its maxReplicas; what it leaves out is that of the spec: give both",fieldPath=".schedules"
// +kubebuilder:validation:XValidation:rule=`!has(self.schedules) || self.schedules.all(s, (s.?timezone.orValue("") == "" ? 'UTC' : s.timezone) == (self.schedules[0].?timezone.orValue("") == "" ? 'UTC' : self.schedules[0].timezone))`,message="all schedules must have the same timezone, UTC where it is left out: write the first one's in each",fieldPath=".schedules"
type PodAutoscalerSpec struct {
	// The workload to scale: anything with a scale subresource, in the autoscaler's own namespace. Only apiVersion,
	// kind, name and namespace are used.
	ScaleTargetRef corev1.ObjectReference `json:"scaleTargetRef"`

	// A part of the target to scale. Not supported yet: refused, not ignored.
	// +optional
	SubTargetSelector *SubTargetSelector `json:"subTargetSelector,omitempty"`

	// The least number of replicas; 1 when omitted. 0 needs a source that still has values at zero pods, such as an
	// endpoint; with others the floor is 1.
	// +optional
	// +kubebuilder:validation:Minimum=0
	MinReplicas *int32 `json:"minReplicas,omitempty"`

	// The greatest number of replicas.
	// +kubebuilder:validation:Minimum=1
	MaxReplicas int32 `json:"maxReplicas"`

	// Times of day with other bounds.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +listType=map
	// +listMapKey=name
	Schedules []Schedule `json:"schedules,omitempty"`

	// The metrics that decide; the one that asks for the most replicas wins.
	// +required
	// +kubebuilder:validation:MinItems=1
	MetricsSources []MetricSource `json:"metricsSources,omitempty"`

	// Seconds that the stable window looks back; 60 when omitted (AIBrix: 180).
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=3600
	ObserveWindowSeconds *int64 `json:"observeWindowSeconds,omitempty"`

	// Seconds that the panic window of strategy KPA looks back; 10 when omitted (AIBrix: 60), and never more than
	// observeWindowSeconds.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=3600
	PanicWindowSeconds *int64 `json:"panicWindowSeconds,omitempty"`

	// Scaling ahead of a trend, as in later AIBrix versions. Not supported yet: refused, not ignored.
	// +optional
	Predictive *Predictive `json:"predictive,omitempty"`

	// How windows become a replica count: KPA (stable and panic windows), APA (ratio to target with a tolerance) or
	// HPA (left to a native HorizontalPodAutoscaler).
	// +kubebuilder:validation:Enum=HPA;KPA;APA
	ScalingStrategy decider.Strategy `json:"scalingStrategy"`

	// Enforce writes decisions to the target; Advise only shows them.
	// +optional
	// +kubebuilder:default=Enforce
	// +kubebuilder:validation:Enum=Enforce;Advise
	Mode decider.Mode `json:"mode,omitempty"`
}

// SubTargetSelector names a part of the target.
type SubTargetSelector struct {
	// A role of a StormService or RoleSet.
	// +optional
	RoleName string `json:"roleName,omitempty"`
}

// Predictive asks for scaling ahead of a trend.
type Predictive struct {
	// Preview shows the projection; Auto lets it raise the replica count.
	// +optional
	// +kubebuilder:validation:Enum=Preview;Auto
	Mode string `json:"mode,omitempty"`

	// Seconds that the trend is projected ahead.
	// +optional
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=3600
	HorizonSeconds *int64 `json:"horizonSeconds,omitempty"`
}
