// Command gpx_flyball is the backend of the Grafana data source flyball-datasource. Grafana starts it and speaks to it over
// the go-plugin protocol; started by hand it says so and ends.
//
// Takes: Grafana's calls.
// Gives: what flyball decides and why, as data frames.
// Knows: nothing that its packages don't.
// Never: writes to flyball.
package main

import (
	"os"

	"github.com/grafana/grafana-plugin-sdk-go/backend/datasource"
	"github.com/grafana/grafana-plugin-sdk-go/backend/log"

	flyball "github.com/flyball/flyball/dashboards/plugin/datasource"
)

func main() {
	if err := datasource.Manage("flyball-datasource", flyball.New, datasource.ManageOpts{}); err != nil {
		log.DefaultLogger.Error("flyball-datasource ended", "error", err)
		os.Exit(1)
	}
}
