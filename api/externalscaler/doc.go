// Package externalscaler is the gRPC contract by which KEDA asks an external scaler. Everything but this file is generated
// from externalscaler.proto.
//
// Takes: nothing; it is messages.
// Gives: client and server stubs.
// Knows: KEDA's field numbers and names.
// Never: an implementation.
package externalscaler
