// Package grafana is what Grafana and Prometheus show and say of flyball: dashboards, provisioning files, alert and recording rules.
// The dashboards are written down in build, which go generate ./dashboards/grafana runs; the rules are here as they are.
//
// Takes: nothing.
// Gives: files for Grafana and Prometheus, and the names of the metrics that the dashboards read.
// Knows: its own files.
// Never: the SDK that the dashboards are made with, which is no part of flyball's binary.
package grafana

//go:generate go run ./render
