// Package loop is where the stages meet, and the only such place.
//
// Takes: autoscalers, how their targets stand, the windows of their sources, and a time.
// Gives: a decision per autoscaler, journalled before it is acted on, and what came of it.
// Knows: the order of the stages, deadlines, and what the journal's records look like.
// Never: a clock, arithmetic, Kubernetes or HTTP. The service, the demo and a replay run this same Step with other edges.
package loop
