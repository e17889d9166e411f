// Package server is the HTTP face: health, flyball's own metrics, and a Prometheus-compatible query API.
//
// Takes: HTTP requests; an evaluator of queries; a metrics registry; a readiness check.
// Gives: the JSON that Prometheus's clients and Grafana's Prometheus data source read.
// Knows: HTTP, and the form of Prometheus's query API.
// Never: decides, scrapes, or changes anything.
package server
