// Package actuator turns a decision into the target's replica count, and tells Kubernetes what came of it.
//
// Takes: a decision, and the target that it was made for.
// Gives: an outcome; the PodAutoscaler's events, conditions and status; for strategy HPA, a native HorizontalPodAutoscaler.
// Knows: the scale subresource, HorizontalPodAutoscalers, events, conditions, write conflicts, the Lease that says who may write.
// Never: recomputes or second-guesses a number.
package actuator
