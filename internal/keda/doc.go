// Package keda is the external scaler that KEDA's triggers of type external and external-push ask: it answers with what was
// decided last, so that KEDA and the HPA it owns act on flyball's advice.
//
// Takes: a ScaledObject's name and its trigger's metadata; the latest result of each autoscaler.
// Gives: metrics with their values and targets, activity, and a stream for each that says when it changes; where it is blind, an error, never a zero.
// Knows: KEDA's protocol and what KEDA and the HPA make of each answer.
// Never: decides anything, or tells a ScaledObject of an autoscaler in another namespace.
package keda
