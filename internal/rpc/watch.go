package rpc

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"

	decisionv1 "github.com/flyball/flyball/api/decision/v1"
	"github.com/flyball/flyball/internal/board"
)

// heartbeat is how long a stream is silent at most. Load balancers give up idle streams after 60 s and more.
const heartbeat = 10 * time.Second

// WatchDecisions implements DecisionService. A client that does not read holds up Send; the board goes on without it.
func (d decisions) WatchDecisions(req *decisionv1.WatchDecisionsRequest, stream grpc.ServerStreamingServer[decisionv1.WatchDecisionsResponse]) error {
	w, err := d.Board.Watch(req.GetNamespace(), req.GetName(), req.GetResumeToken())
	if err != nil {
		return err
	}
	defer w.Close()
	for {
		resp, err := d.next(stream.Context(), w)
		if err != nil {
			return err
		}
		if err := stream.Send(resp); err != nil {
			return err
		}
	}
}

// next is the next event, or a heartbeat when there is none in time.
func (d decisions) next(ctx context.Context, w *board.Watch) (*decisionv1.WatchDecisionsResponse, error) {
	wait, cancel := context.WithTimeout(ctx, heartbeat)
	defer cancel()
	e, err := w.Next(wait)
	switch {
	case err == nil:
		return newEvent(e, d.Board.StoreID()), nil
	case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
		beat := &decisionv1.WatchDecisionsResponse_Heartbeat{Heartbeat: &decisionv1.Heartbeat{At: moment(d.Now())}}
		return &decisionv1.WatchDecisionsResponse{Event: beat, ResumeToken: w.Token()}, nil
	}
	return nil, err
}

func newEvent(e board.Event, storeID string) *decisionv1.WatchDecisionsResponse {
	resp := &decisionv1.WatchDecisionsResponse{ResumeToken: e.Token, Skipped: int32(e.Skipped)}
	switch e.Kind {
	case board.Decided:
		resp.Event = &decisionv1.WatchDecisionsResponse_Decision{Decision: newDecision(e.Result.Record())}
	case board.Synced:
		resp.Event = &decisionv1.WatchDecisionsResponse_Synced{Synced: &decisionv1.Synced{Resumed: e.Resumed, StoreId: storeID}}
	case board.Removed:
		a := e.Result.Autoscaler
		resp.Event = &decisionv1.WatchDecisionsResponse_Removed{Removed: &decisionv1.Removed{Uid: a.UID, Namespace: a.Namespace, Name: a.Name}}
	}
	return resp
}
