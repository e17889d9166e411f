// Package telemetry shows what flyball does: as log lines, as metrics, and as series beside all others.
//
// Takes: the results of turns, the stages to be timed, and a gatherer of metrics.
// Gives: a log line for each decision that changes something, metrics named flyball_* (docs/metrics.md), and the same as samples in the store.
// Knows: names and labels of metrics.
// Never: decides, or keeps a metric of an autoscaler that is no longer there.
package telemetry
