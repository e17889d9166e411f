// Package client asks a flyball over its JSON API.
//
// Takes: an http.Client, the address of flyball's HTTP API, and names and times.
// Gives: the messages of api/decision/v1; errors that say what flyball said, or what to do when it is not flyball that answers.
// Knows: HTTP, the routes of the decision API, its pages and its errors.
// Never: retries, caches, or takes an answer that is not flyball's for an empty one.
package client
