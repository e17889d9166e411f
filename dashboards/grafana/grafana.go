package grafana

import (
	_ "embed" // metrics.txt
	"strings"
)

//go:embed metrics.txt
var metrics string

// Metrics are the names of the exporters' metrics that the dashboards read, each series of a histogram for itself: what is not kept can't
// be shown.
func Metrics() []string { return strings.Fields(metrics) }
