// Package query measures: it turns a metric source into one bound PromQL expression, and reads windows from the store with it.
//
// Takes: a source and its owner once (Bind); then a storage, a time and the ranges (Engine.Windows).
// Gives: per range a Window: value, age, coverage and state. For people: instant and range queries (Engine.Instant, Engine.Range).
// Knows: PromQL, and MetricsQL as a declared dialect that is translated where its meaning is exactly PromQL's, and refused by name elsewhere.
// Never: reads another owner's series, another time's future, or missing data as zero.
package query
