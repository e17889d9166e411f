package datasource

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/backend/httpclient"
	"github.com/grafana/grafana-plugin-sdk-go/backend/instancemgmt"
	"github.com/grafana/grafana-plugin-sdk-go/backend/resource/httpadapter"
	"github.com/grafana/grafana-plugin-sdk-go/experimental/concurrent"

	"github.com/flyball/flyball/dashboards/plugin/client"
)

// atOnce is how many queries of one request, and how many questions of one query, are under way at a time.
const atOnce = 4

// Datasource is one data source of an organisation.
type Datasource struct {
	backend.CallResourceHandler

	uid     string
	http    *http.Client
	stream  *http.Client // without a timeout
	address string
	page    string // where browsers find flyball's page
	now     func() time.Time
}

// New makes one from its settings. Grafana makes another when they change. A wrong address is for CheckHealth and queries to
// say, since nobody sees an error from here.
func New(ctx context.Context, settings backend.DataSourceInstanceSettings) (instancemgmt.Instance, error) {
	options, err := settings.HTTPClientOptions(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the HTTP settings: %w", err)
	}
	h, err := httpclient.New(options)
	if err != nil {
		return nil, fmt.Errorf("make an HTTP client: %w", err)
	}
	limits := httpclient.DefaultTimeoutOptions
	if options.Timeouts != nil {
		limits = *options.Timeouts
	}
	limits.Timeout = 0
	options.Timeouts = &limits
	stream, err := httpclient.New(options)
	if err != nil {
		return nil, fmt.Errorf("make an HTTP client: %w", err)
	}
	var own struct {
		PageURL string `json:"pageUrl"`
	}
	if len(settings.JSONData) > 0 {
		if err := json.Unmarshal(settings.JSONData, &own); err != nil {
			return nil, fmt.Errorf("jsonData: %w", err)
		}
	}
	d := &Datasource{uid: settings.UID, http: h, stream: stream, address: settings.URL, page: own.PageURL, now: time.Now}
	if d.page == "" {
		d.page = settings.URL
	}
	d.page = strings.TrimSuffix(d.page, "/")
	d.CallResourceHandler = httpadapter.New(d.routes())
	return d, nil
}

// Dispose ends idle connections.
func (d *Datasource) Dispose() {
	d.http.CloseIdleConnections()
	d.stream.CloseIdleConnections()
}

// QueryData answers each query for itself: one that is wrong does not spoil the others.
func (d *Datasource) QueryData(ctx context.Context, req *backend.QueryDataRequest) (*backend.QueryDataResponse, error) {
	return concurrent.QueryData(ctx, req, func(ctx context.Context, q concurrent.Query) backend.DataResponse {
		asked, err := parse(q.DataQuery)
		if err != nil {
			return refusal(err)
		}
		c, err := client.New(d.http, d.address)
		if err != nil {
			return refusal(err)
		}
		asked.now = d.now()
		fs, err := asked.answer(ctx, c, d.uid, d.page)
		if err != nil {
			return refusal(err)
		}
		for _, f := range fs {
			f.RefID = q.DataQuery.RefID
			f.Meta.ExecutedQueryString = c.Asked()
		}
		return backend.DataResponse{Frames: fs, Status: backend.StatusOK}
	}, atOnce)
}

// refusal is an answer that is an error. None is the plugin's own: either the query or the settings are wrong, or flyball said no.
func refusal(err error) backend.DataResponse {
	status := backend.StatusBadRequest
	var said *client.Error
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		status = backend.StatusTimeout
	case errors.As(err, &said) && said.HTTP >= http.StatusBadRequest:
		status = backend.Status(said.HTTP)
	case errors.As(err, &said):
		status = backend.StatusBadGateway
	}
	return backend.DataResponse{Error: backend.DownstreamError(err), ErrorSource: backend.ErrorSourceDownstream, Status: status}
}
