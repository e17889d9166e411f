// Package lint checks manifests before they are applied: what the conversion of a PodAutoscaler refuses, and what only
// the whole of the files shows.
//
// Takes: the contents of files of manifests, and how sources are bound.
// Gives: findings, each with its line, object, field and what to write instead; and the autoscalers that are right.
// Knows: where a field is in a file, which metrics can not carry a target, and which keys are other systems'.
// Never: opens a file or asks a cluster, and never repeats a rule that a PodAutoscaler's own conversion has.
package lint
