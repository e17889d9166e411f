// Package build makes what this folder generates. It is not part of the flyball binary.
//
// Takes: nothing; the dashboards are written down here, with the Grafana foundation SDK.
// Gives: the dashboards as classic JSON, the chart's copies of dashboards and rules, and the list of metrics that dashboards and rules read.
// Knows: Grafana's panels, PromQL, and what flyball, vLLM and DCGM call their metrics.
// Never: a Grafana, or a metric that nobody exports.
package build
