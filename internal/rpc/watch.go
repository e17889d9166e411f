package rpc

import (
	"context"
	"errors"
	"sync"
	"time"

	"google.golang.org/grpc"

	decisionv1 "github.com/flyball/flyball/api/decision/v1"
	"github.com/flyball/flyball/internal/board"
	"github.com/flyball/flyball/internal/loop"
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
		e, err := d.next(stream.Context(), w)
		if err != nil {
			return err
		}
		ready, err := d.prepare(stream, e)
		if err != nil {
			return err
		}
		if err := stream.SendMsg(ready); err != nil { // waits here for a client that does not read
			return err
		}
	}
}

// prepare encodes an event. Only some streams do so at once: 500 that all have the same news to encode would keep the decisions
// of that moment from the processor.
func (d decisions) prepare(stream grpc.ServerStream, e *decisionv1.WatchDecisionsResponse) (*grpc.PreparedMsg, error) {
	d.encoding <- struct{}{}
	defer func() { <-d.encoding }()
	ready := &grpc.PreparedMsg{}
	return ready, ready.Encode(stream, e)
}

// next is the next event, or a heartbeat when there is none in time.
func (d decisions) next(ctx context.Context, w *board.Watch) (*decisionv1.WatchDecisionsResponse, error) {
	wait, cancel := context.WithTimeout(ctx, heartbeat)
	defer cancel()
	e, err := w.Next(wait)
	switch {
	case err == nil:
		return d.newEvent(e), nil
	case ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded):
		beat := &decisionv1.WatchDecisionsResponse_Heartbeat{Heartbeat: &decisionv1.Heartbeat{At: moment(d.Now())}}
		return &decisionv1.WatchDecisionsResponse{Event: beat, ResumeToken: w.Token()}, nil
	}
	return nil, err
}

func (d decisions) newEvent(e board.Event) *decisionv1.WatchDecisionsResponse {
	resp := &decisionv1.WatchDecisionsResponse{ResumeToken: e.Token, Skipped: int32(e.Skipped)}
	switch e.Kind {
	case board.Decided:
		resp.Event = &decisionv1.WatchDecisionsResponse_Decision{Decision: d.said.of(e.Result)}
	case board.Synced:
		resp.Event = &decisionv1.WatchDecisionsResponse_Synced{Synced: &decisionv1.Synced{Resumed: e.Resumed, StoreId: d.Board.StoreID()}}
	case board.Removed:
		a := e.Result.Autoscaler
		resp.Event = &decisionv1.WatchDecisionsResponse_Removed{Removed: &decisionv1.Removed{Uid: a.UID, Namespace: a.Namespace, Name: a.Name}}
	}
	return resp
}

// messages are the newest decisions as messages, one for all watches of them. They are never written to.
type messages struct {
	mu     sync.Mutex
	newest map[string]*decisionv1.Decision // by autoscaler UID
}

// maxMessages is how many are kept. Of autoscalers that are gone, some stay until there are more than that.
const maxMessages = 10_000

func (m *messages) of(r loop.Result) *decisionv1.Decision {
	uid := r.Autoscaler.UID
	m.mu.Lock()
	known := m.newest[uid]
	m.mu.Unlock()
	if known != nil && known.Sequence == r.Sequence {
		return known
	}
	made := newDecision(r.Record())
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.newest) >= maxMessages {
		clear(m.newest)
	}
	m.newest[uid] = made
	return made
}
