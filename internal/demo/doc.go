// Package demo is the scene of the demos: fleets on A100 and A40 nodes in two namespaces, their loads, and the autoscalers
// that govern them. Times are compressed some ten times.
//
// Takes: a seed, a start, and perhaps a trace in place of one load.
// Gives: nodes and workloads for a plant, and the autoscalers' manifests.
// Knows: which workloads have pods of the same names, and which sources read the same metric name.
// Never: runs anything.
package demo
