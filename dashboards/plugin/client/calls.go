package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	decisionv1 "github.com/flyball/flyball/api/decision/v1"
)

// Autoscalers lists those of a namespace, or all.
func (c *Client) Autoscalers(ctx context.Context, namespace string) ([]*decisionv1.Autoscaler, error) {
	query := url.Values{"pageSize": {pageSize(maxPage)}}
	if namespace != "" {
		query.Set("namespace", namespace)
	}
	var all []*decisionv1.Autoscaler
	for {
		var page decisionv1.ListAutoscalersResponse
		if err := c.ask(ctx, question{path: root + "autoscalers", query: query, key: "autoscalers"}, &page); err != nil {
			return nil, err
		}
		all = append(all, page.GetAutoscalers()...)
		if page.GetNextPageToken() == "" {
			return all, nil
		}
		query.Set("pageToken", page.GetNextPageToken())
	}
}

// Decisions gives the decisions from one time to another, inclusive, oldest first, and whether there are more than atMost.
func (c *Client) Decisions(ctx context.Context, namespace, name string, from, to time.Time, atMost int) (all []*decisionv1.Decision, cut bool, err error) {
	query := url.Values{"startTime": {stamp(from)}, "endTime": {stamp(to)}}
	for {
		query.Set("pageSize", pageSize(atMost-len(all)))
		var page decisionv1.ListDecisionsResponse
		if err := c.ask(ctx, question{path: pathOf(namespace, name, "decisions"), query: query, key: "decisions"}, &page); err != nil {
			return nil, false, err
		}
		all = append(all, page.GetDecisions()...)
		switch {
		case page.GetNextPageToken() == "":
			return all, false, nil
		case len(all) >= atMost:
			return all, true, nil
		}
		query.Set("pageToken", page.GetNextPageToken())
	}
}

// Explain explains the last decision at or before a time.
func (c *Client) Explain(ctx context.Context, namespace, name string, at time.Time) (*decisionv1.ExplainResponse, error) {
	var e decisionv1.ExplainResponse
	err := c.ask(ctx, question{path: pathOf(namespace, name, "explanation"), query: url.Values{"at": {stamp(at)}}, key: "decision"}, &e)
	if err != nil {
		return nil, err
	}
	return &e, nil
}

// Backtest decides again for a stretch of the past, with some settings changed.
func (c *Client) Backtest(ctx context.Context, namespace, name string, from, to time.Time, changes *decisionv1.PolicyChanges) (*decisionv1.BacktestResponse, error) {
	var r decisionv1.BacktestResponse
	body := &decisionv1.BacktestRequest{StartTime: timestamppb.New(from), EndTime: timestamppb.New(to), Changes: changes}
	if err := c.ask(ctx, question{path: pathOf(namespace, name, "backtest"), body: body, key: "steps"}, &r); err != nil {
		return nil, err
	}
	return &r, nil
}

// Version says which flyball answers. Its build information has the version of Prometheus's API under "version", for clients of that.
func (c *Client) Version(ctx context.Context) (string, error) {
	body, err := c.send(ctx, question{path: "/api/v1/status/buildinfo"})
	if err != nil {
		return "", err
	}
	var said struct {
		Data struct{ Application, Revision string }
	}
	if json.Unmarshal(body, &said) != nil || said.Data.Application != "flyball" {
		return "", c.stranger(http.StatusOK)
	}
	return said.Data.Revision, nil
}

func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339Nano) }
