package v1alpha1

// Schedule is a daily window of time with bounds of its own. The fields are AIBrix's.
//
// +kubebuilder:validation:XValidation:rule="self.startTime < self.endTime",message="endTime must be later than startTime: split a window that crosses midnight",fieldPath=".endTime"
// +kubebuilder:validation:XValidation:rule="has(self.minReplicas) || has(self.maxReplicas)",message="a schedule without bounds says nothing: give minReplicas, maxReplicas or both"
type Schedule struct {
	// A name, unique among the schedules, in lower-case letters, digits and '-'.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=63
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`

	// An IANA time zone; UTC when omitted. All schedules of one autoscaler have the same.
	// +optional
	// +kubebuilder:validation:MaxLength=64
	Timezone string `json:"timezone,omitempty"`

	// Mon, Tue, Wed, Thu, Fri, Sat, Sun, in any case; every day when omitted.
	// +optional
	// +kubebuilder:validation:MinItems=1
	// +kubebuilder:validation:items:Pattern=`^([Ss][Uu][Nn]|[Mm][Oo][Nn]|[Tt][Uu][Ee]|[Ww][Ee][Dd]|[Tt][Hh][Uu]|[Ff][Rr][Ii]|[Ss][Aa][Tt])$`
	DaysOfWeek []string `json:"daysOfWeek,omitempty"`

	// When the window begins, HH:MM, inclusive.
	// +kubebuilder:validation:MaxLength=5
	// +kubebuilder:validation:Pattern=`^([01][0-9]|2[0-3]):[0-5][0-9]$`
	StartTime string `json:"startTime"`

	// When the window ends, HH:MM, exclusive; later than startTime.
	// +kubebuilder:validation:MaxLength=5
	// +kubebuilder:validation:Pattern=`^([01][0-9]|2[0-3]):[0-5][0-9]$`
	EndTime string `json:"endTime"`

	// Instead of spec.minReplicas. At least one of minReplicas and maxReplicas is needed.
	// +optional
	// +kubebuilder:validation:Minimum=0
	MinReplicas *int32 `json:"minReplicas,omitempty"`

	// Instead of spec.maxReplicas.
	// +optional
	// +kubebuilder:validation:Minimum=1
	MaxReplicas *int32 `json:"maxReplicas,omitempty"`
}
