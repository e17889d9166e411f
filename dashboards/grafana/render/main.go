// Command render writes what is generated here and in the chart. It runs in dashboards/grafana: go generate ./dashboards/grafana.
package main

import (
	"fmt"
	"os"

	"github.com/flyball/flyball/dashboards/grafana/build"
)

func main() {
	if err := build.Render("../.."); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
