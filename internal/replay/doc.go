// Package replay turns the crank over the past: what would have been decided then, with other settings.
//
// Takes: an autoscaler with the settings to try, a stretch of time, and the facts that the store has of it.
// Gives: the decisions that would have been made, beside the counts that were.
// Knows: that a count which differs from the real one changes the number of ready pods as well, and nothing else.
// Never: a clock, a cluster, or a write to anything that outlasts the replay.
package replay
