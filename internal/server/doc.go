// Package server is the HTTP face: health, flyball's own metrics, the Prometheus HTTP API over what is stored, and whatever answers for decisions and for the page.
//
// Takes: HTTP requests; a PromQL engine and a storage; what is scraped; a metrics registry; a readiness check; a handler for decisions; a page.
// Gives: what Prometheus's clients read: Grafana's Prometheus data source, KEDA's prometheus trigger, promtool, a Prometheus that federates.
// Knows: HTTP, and the form of Prometheus's API (https://prometheus.io/docs/prometheus/latest/querying/api/), version 3.16.
// Never: decides, scrapes, or changes anything.
//
// What Prometheus answers and flyball does not, since it has none of it: rules and alerts are empty lists, as are exemplars;
// the admin, remote-read and remote-write routes and the configuration are absent.
package server
