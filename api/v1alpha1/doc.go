// Package v1alpha1 is the contract with people: the PodAutoscaler of group autoscaling.aibrix.ai, its annotations,
// and the one conversion from them to a policy. It is a superset of AIBrix's PodAutoscaler: a manifest written for
// AIBrix applies unchanged, and what it asks for that is not built is refused in words, never ignored.
//
// Takes: a PodAutoscaler, from the API server or from a manifest file (Read, strict).
// Gives: a decider.Policy, warnings, or every error at once, each with its field and its fix; source keys and UIDs.
// Knows: field names, ranges, defaults and the annotation keys; one table of each.
// Never: the network, a cluster, PromQL's grammar, or a decision.
//
// +kubebuilder:object:generate=true
// +groupName=autoscaling.aibrix.ai
package v1alpha1
