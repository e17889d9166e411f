// Package decider is judgement: how many replicas a workload needs, and why.
//
// Takes: a validated Policy and one Input: the windows, the replica counts and the history at one time.
// Gives: a Decision: the new replica count, a verdict, and a chain of Reasons that leads from the old count to the new.
// Knows: arithmetic. The KPA rules are Knative's, the APA rule is AIBrix's with its defects mended.
// Never: a clock, I/O (but LoadZone may read a time zone's file), Kubernetes, logging or randomness. The same Policy and Input always give the same Decision.
package decider
