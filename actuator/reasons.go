package actuator

// Types of a PodAutoscaler's conditions. The first status sets them all. Conflict, Paused and Delegated are False at rest;
// the others are True when all is well, but for ScalingLimited, which is neither good nor bad.
const (
	ValidSpec      = "ValidSpec"      // spec and annotations make a policy
	AbleToScale    = "AbleToScale"    // the target's scale can be read and written
	SignalsFresh   = "SignalsFresh"   // every source has a value that is up to date
	ScalingActive  = "ScalingActive"  // decisions are made from metrics; the message is the explanation of the last one
	ScalingLimited = "ScalingLimited" // something other than the metrics had the last word
	Conflict       = "Conflict"       // something else has the target: nothing is written
	Paused         = "Paused"         // people have stopped some or all changes
	Delegated      = "Delegated"      // somebody else writes the target's scale, as the user wants it
	Ready          = "Ready"          // ValidSpec, AbleToScale and ScalingActive are True
)

// Reasons of the conditions; docs/conditions.md says what to do about each. Where Kubernetes' HorizontalPodAutoscaler has
// one, it is that one. A failed write's reason in AbleToScale is its Outcome.Why.
const (
	AsExpected  = "AsExpected"
	InvalidSpec = "InvalidSpec"
	Pending     = "Pending" // nothing is known yet

	MisplacedSetting = "MisplacedSetting" // of ValidSpec, which is True: a setting stands where nothing reads it

	SucceededGetScale  = "SucceededGetScale"
	SucceededRescale   = "SucceededRescale" // stays until something else is known
	FailedGetScale     = "FailedGetScale"
	NoScaleSubresource = "NoScaleSubresource"
	NoSelector         = "NoSelector"
	TargetNotFound     = "TargetNotFound"
	Refused            = "Refused"
	Unreachable        = "Unreachable"

	SignalsError   = "SignalsError"
	SignalsMissing = "SignalsMissing"
	SignalsStale   = "SignalsStale"
	SignalsSilent  = "SignalsSilent"
	NoPods         = "NoPods"

	ValidMetricFound          = "ValidMetricFound"
	FailedGetMetric           = "FailedGetMetric"
	FailedComputeScale        = "FailedComputeScale"
	ScalingDisabled           = "ScalingDisabled"
	Advised                   = "Advised"
	CustomMetricsAPIMissing   = "CustomMetricsAPIMissing"
	ExternalMetricsAPIMissing = "ExternalMetricsAPIMissing"
	InvalidTargetValue        = "InvalidTargetValue"

	DesiredWithinRange = "DesiredWithinRange"
	TooFewReplicas     = "TooFewReplicas"
	TooManyReplicas    = "TooManyReplicas"
	RateLimited        = "RateLimited"
	ScaleUpDelayed     = "ScaleUpDelayed"
	ScaleDownDelayed   = "ScaleDownDelayed"
	Panicking          = "Panicking"
	ActivationScale    = "ActivationScale"
	IncompleteMetrics  = "IncompleteMetrics"
	PodsStarting       = "PodsStarting"
	PodsUnschedulable  = "PodsUnschedulable"
	QuotaExhausted     = "QuotaExhausted"

	NoConflict           = "NoConflict"
	AnotherPodAutoscaler = "AnotherPodAutoscaler"
	ForeignHPA           = "ForeignHPA"
	ForeignScaledObject  = "ForeignScaledObject"
	OtherController      = "OtherController"
	OlderCRD             = "OlderCRD"

	NotPaused      = "NotPaused"
	PausedReplicas = "PausedReplicas"
	PausedScaleIn  = "PausedScaleIn"
	PausedScaleOut = "PausedScaleOut"

	NotDelegated   = "NotDelegated"
	ToNativeHPA    = "NativeHPA"
	ToScaledObject = "ScaledObject"
)

// Reasons of the events on a PodAutoscaler, besides those of the conditions that an event announces.
const (
	EventRescaled         = "SuccessfulRescale"
	EventFailed           = "FailedRescale"
	EventConflictResolved = "ConflictResolved"
	EventResumed          = "Resumed"
	EventDelegationEnded  = "DelegationEnded"
	EventHPACreated       = "HPACreated"
	EventHPAAdopted       = "HPAAdopted"
	EventHPARemoved       = "HPARemoved"
)
