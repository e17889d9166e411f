// Package whatif answers "what if": what would be decided for an autoscaler under loads that somebody made up.
//
// Takes: one PodAutoscaler as JSON or YAML, and steps: how its target stands and what its sources measure at some times.
// Gives: a decision for each step, and the autoscaler's warnings; or an Error that names the field that is wrong.
// Knows: what a window that somebody made up would look like, and what each step remembers of those before it.
// Never: a store, a clock or a cluster. The same question always has the same answer.
package whatif
