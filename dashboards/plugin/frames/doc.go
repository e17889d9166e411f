// Package frames says the decision API's messages as Grafana's data frames.
//
// Takes: messages of api/decision/v1, and the range of time that was asked for.
// Gives: frames of the types of Grafana's data plane contract, with notices for what is stale, partial or cut.
// Knows: which columns, labels and links a panel needs.
// Never: asks anybody, or says 0 where it means nothing.
package frames
