package datasource

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/grafana/grafana-plugin-sdk-go/backend"

	"github.com/flyball/flyball/dashboards/plugin/client"
)

// CheckHealth asks what queries ask. That somebody answers is not enough.
func (d *Datasource) CheckHealth(ctx context.Context, _ *backend.CheckHealthRequest) (*backend.CheckHealthResult, error) {
	c, err := client.New(d.http, d.address)
	if err != nil {
		return unhealthy(err), nil
	}
	all, err := c.Autoscalers(ctx, "")
	if err != nil {
		return unhealthy(err), nil
	}
	version, err := c.Version(ctx)
	if err != nil {
		return unhealthy(err), nil
	}
	troubled := 0
	for _, a := range all {
		if a.GetError() != "" {
			troubled++
		}
	}
	message := fmt.Sprintf("flyball %s answers; it decides for %d autoscalers", version, len(all))
	if troubled > 0 {
		message += fmt.Sprintf("; of %d the last turn ended with an error, which the query autoscalers shows", troubled)
	}
	details, err := json.Marshal(map[string]any{"version": version, "autoscalers": len(all), "withError": troubled, "url": c.Base(), "pageUrl": d.page})
	if err != nil {
		return nil, err
	}
	return &backend.CheckHealthResult{Status: backend.HealthStatusOk, Message: message, JSONDetails: details}, nil
}

func unhealthy(err error) *backend.CheckHealthResult {
	details, _ := json.Marshal(map[string]string{"verboseMessage": err.Error()}) // a map of strings can be said in JSON
	return &backend.CheckHealthResult{Status: backend.HealthStatusError, Message: err.Error(), JSONDetails: details}
}
