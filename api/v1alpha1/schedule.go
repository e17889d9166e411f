package v1alpha1

// Schedule is a daily window of time with bounds of its own. The fields are AIBrix's.
type Schedule struct {
	// A name, unique among the schedules, in lower-case letters, digits and '-'.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([-a-z0-9]*[a-z0-9])?$`
	Name string `json:"name"`

	// An IANA time zone; UTC when omitted. All schedules of one autoscaler have the same.
	// +optional
	Timezone string `json:"timezone,omitempty"`

	// Mon, Tue, Wed, Thu, Fri, Sat, Sun, in any case; every day when omitted.
	// +optional
	// +kubebuilder:validation:MinItems=1
	DaysOfWeek []string `json:"daysOfWeek,omitempty"`

	// When the window begins, HH:MM, inclusive.
	// +kubebuilder:validation:Pattern=`^([01][0-9]|2[0-3]):[0-5][0-9]$`
	StartTime string `json:"startTime"`

	// When the window ends, HH:MM, exclusive; later than startTime.
	// +kubebuilder:validation:Pattern=`^([01][0-9]|2[0-3]):[0-5][0-9]$`
	EndTime string `json:"endTime"`

	// Instead of spec.minReplicas. At least one of minReplicas and maxReplicas is needed.
	// +optional
	MinReplicas *int32 `json:"minReplicas,omitempty"`

	// Instead of spec.maxReplicas.
	// +optional
	MaxReplicas *int32 `json:"maxReplicas,omitempty"`
}
