// Package rpc is the gRPC face: DecisionService, health and reflection on one port, and DecisionService as JSON over HTTP.
//
// Takes: the board, the journal's records, an evaluator of windows, TLS files, and other services that share the port.
// Gives: the messages of api/decision/v1; errors with canonical codes that say what to do.
// Knows: gRPC, and how to say in messages what the loop and the decider say in structs.
// Never: decides, or changes anything.
package rpc
