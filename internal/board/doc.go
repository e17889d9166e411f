// Package board shows the latest result of each autoscaler, and tells those who watch when a decision is recorded.
//
// Takes: results as the loop publishes them; who is decided for; what the journal held at the start.
// Gives: the latest result by name; watches: a snapshot, then what is recorded, which go on where an earlier one ended.
// Knows: how to fall behind: a watch that is read too slowly keeps the latest of each autoscaler, and counts the rest.
// Never: a clock, the network or the journal; and it never lets a reader delay the loop.
package board
