// Package decisionv1 is the gRPC contract of decisions: to ask, watch and try them. Everything but this file is generated
// from decision.proto.
//
// Takes: nothing; it is messages.
// Gives: client and server stubs, and the routes of the same service as JSON over HTTP.
// Knows: field numbers.
// Never: an implementation.
package decisionv1
