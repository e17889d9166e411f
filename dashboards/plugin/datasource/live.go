package datasource

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/backend/log"
	"github.com/grafana/grafana-plugin-sdk-go/data"
	"google.golang.org/grpc/codes"

	decisionv1 "github.com/flyball/flyball/api/decision/v1"
	"github.com/flyball/flyball/dashboards/plugin/client"
	"github.com/flyball/flyball/dashboards/plugin/frames"
)

// How long to wait before a lost stream is opened again: the first time, and at most.
const (
	firstWait = time.Second
	longWait  = 10 * time.Second
)

// channel is the path of a live query's stream, below the data source: live, live/NAMESPACE or live/NAMESPACE/NAME. A name in any
// namespace is live//NAME.
func (q query) channel() string {
	return strings.TrimRight(strings.Join([]string{typeLive, strings.TrimSpace(q.Namespace), strings.TrimSpace(q.Name)}, "/"), "/")
}

// ofChannel reads a path back.
func ofChannel(path string) (query, error) {
	parts := append(strings.Split(path, "/"), "", "")
	q := query{QueryType: typeLive, Namespace: parts[1], Name: parts[2], from: time.Unix(0, 0), to: time.Unix(1, 0)}
	if parts[0] != typeLive || len(parts) > 5 || q.channel() != path {
		return query{}, errors.New(path + " is no stream of this data source")
	}
	return q, q.check()
}

// live is an empty table with the channel that fills it. The autoscalers are asked for, so that what is wrong shows at once.
func (q query) live(ctx context.Context, c *client.Client, uid, page string) (data.Frames, error) {
	_, absent, err := q.autoscalers(ctx, c)
	if err != nil {
		return nil, err
	}
	f := frames.Decisions(nil, page)
	f.Meta.Channel = "ds/" + uid + "/" + q.channel()
	f.AppendNotices(frames.Warnings(absent...)...)
	return data.Frames{f}, nil
}

// SubscribeStream lets in whoever may ask the data source.
func (d *Datasource) SubscribeStream(_ context.Context, req *backend.SubscribeStreamRequest) (*backend.SubscribeStreamResponse, error) {
	if _, err := ofChannel(req.Path); err != nil {
		return &backend.SubscribeStreamResponse{Status: backend.SubscribeStreamStatusNotFound}, nil
	}
	return &backend.SubscribeStreamResponse{Status: backend.SubscribeStreamStatusOK}, nil
}

// PublishStream refuses: nothing goes to flyball from here.
func (d *Datasource) PublishStream(context.Context, *backend.PublishStreamRequest) (*backend.PublishStreamResponse, error) {
	return &backend.PublishStreamResponse{Status: backend.PublishStreamStatusPermissionDenied}, nil
}

// RunStream sends a row for the last decision of each autoscaler and then for each that is recorded, until nobody looks any more. A
// lost stream is opened again where it ended. What is recorded while it is lost, or faster than it is read, may be left out but
// for the latest; the query decisions has all.
func (d *Datasource) RunStream(ctx context.Context, req *backend.RunStreamRequest, sender *backend.StreamSender) error {
	q, err := ofChannel(req.Path)
	if err != nil {
		return err
	}
	c, err := client.New(d.stream, d.address)
	if err != nil {
		return backend.DownstreamError(err)
	}
	token, wait, include := "", firstWait, data.IncludeAll
	for {
		err := c.Watch(ctx, q.Namespace, q.Name, &token, func(event *decisionv1.WatchDecisionsResponse) error {
			wait = firstWait
			if event.GetDecision() == nil {
				return nil
			}
			f := frames.Decisions([]*decisionv1.Decision{event.GetDecision()}, d.page)
			err := sender.SendFrame(f, include)
			include = data.IncludeDataOnly
			return err
		})
		if said := (*client.Error)(nil); errors.As(err, &said) && said.Code == codes.InvalidArgument {
			token = "" // it is of no use here; a snapshot comes instead
		}
		log.DefaultLogger.Debug("the watch ended; it is opened again", "path", req.Path, "error", err)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
			wait = min(2*wait, longWait)
		}
	}
}
