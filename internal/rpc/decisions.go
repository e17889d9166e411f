package rpc

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"

	decisionv1 "github.com/flyball/flyball/api/decision/v1"
	"github.com/flyball/flyball/internal/loop"
	"github.com/flyball/flyball/internal/whatif"
)

// decisions implements DecisionService.
type decisions struct {
	decisionv1.UnimplementedDecisionServiceServer
	Options
	said     *messages
	encoding chan struct{} // slots of streams that encode an event
}

func newDecisions(o Options) decisions {
	return decisions{Options: o, said: &messages{newest: map[string]*decisionv1.Decision{}}, encoding: make(chan struct{}, max(1, runtime.GOMAXPROCS(0)/2))}
}

// ListAutoscalers implements DecisionService.
func (d decisions) ListAutoscalers(_ context.Context, req *decisionv1.ListAutoscalersRequest) (*decisionv1.ListAutoscalersResponse, error) {
	page, err := newPage(req.GetPageSize())
	if err != nil {
		return nil, err
	}
	afterNamespace, afterName, err := parseNameToken(req.GetPageToken())
	if err != nil {
		return nil, err
	}
	all := d.Board.List()
	if len(all) == 0 {
		if err := d.unready(); err != nil {
			return nil, err
		}
	}
	resp, now := &decisionv1.ListAutoscalersResponse{}, d.Now()
	for _, r := range all {
		a := r.Autoscaler
		switch {
		case req.GetNamespace() != "" && a.Namespace != req.GetNamespace():
			continue
		case a.Namespace < afterNamespace || a.Namespace == afterNamespace && a.Name <= afterName:
			continue
		}
		next := newAutoscaler(r, now)
		if n := len(resp.Autoscalers); !page.fits(next) {
			last := resp.Autoscalers[n-1]
			resp.NextPageToken = nameToken(last.Namespace, last.Name)
			break
		}
		resp.Autoscalers = append(resp.Autoscalers, next)
	}
	return resp, nil
}

// GetAutoscaler implements DecisionService.
func (d decisions) GetAutoscaler(_ context.Context, req *decisionv1.GetAutoscalerRequest) (*decisionv1.GetAutoscalerResponse, error) {
	r, err := d.find(req)
	if err != nil {
		return nil, err
	}
	return &decisionv1.GetAutoscalerResponse{Autoscaler: newAutoscaler(r, d.Now())}, nil
}

// named is a request about one autoscaler.
type named interface {
	GetNamespace() string
	GetName() string
}

func checkName(req named) error {
	switch {
	case req.GetNamespace() == "":
		return invalid("namespace", "missing; give the autoscaler's")
	case req.GetName() == "":
		return invalid("name", "missing; give the autoscaler's")
	}
	return nil
}

// find gives the latest result of the autoscaler.
func (d decisions) find(req named) (loop.Result, error) {
	if err := checkName(req); err != nil {
		return loop.Result{}, err
	}
	if r, ok := d.Board.Get(req.GetNamespace(), req.GetName()); ok {
		return r, nil
	}
	if err := d.unready(); err != nil {
		return loop.Result{}, err
	}
	who := req.GetNamespace() + "/" + req.GetName()
	nearest := strings.Join(d.Board.Nearest(req.GetNamespace(), req.GetName()), ", ")
	if nearest == "" {
		return loop.Result{}, fail(codes.NotFound, reasonNoAutoscaler, who+": no autoscaler is decided for yet")
	}
	return loop.Result{}, fail(codes.NotFound, reasonNoAutoscaler,
		fmt.Sprintf("%s: no autoscaler of that name is decided for; the nearest are %s", who, nearest), "nearest", nearest)
}

// unready says that nothing has been decided since the start, if so.
func (d decisions) unready() error {
	if err := d.Ready(); err != nil {
		return fail(codes.Unavailable, reasonNotReady, err.Error())
	}
	return nil
}

// ListDecisions implements DecisionService.
func (d decisions) ListDecisions(_ context.Context, req *decisionv1.ListDecisionsRequest) (*decisionv1.ListDecisionsResponse, error) {
	if err := checkName(req); err != nil {
		return nil, err
	}
	page, err := newPage(req.GetPageSize())
	if err != nil {
		return nil, err
	}
	from, err := timeOf("start_time", req.GetStartTime(), earliest)
	if err != nil {
		return nil, err
	}
	to, err := timeOf("end_time", req.GetEndTime(), d.Now())
	if err != nil {
		return nil, err
	}
	if req.GetStartTime() != nil && to.Before(from) {
		return nil, invalid("end_time", "it is before start_time; swap them")
	}
	after := uint64(0)
	if token := req.GetPageToken(); token != "" {
		start := from
		if from, after, err = parseTimeToken(token); err != nil {
			return nil, err
		}
		if from.Before(start) {
			return nil, errPageToken(token)
		}
	}
	records, err := d.Records.Past(req.GetNamespace(), req.GetName(), from, to, after, page.items+1)
	if err != nil {
		return nil, err
	}
	resp := &decisionv1.ListDecisionsResponse{}
	for i, rec := range records {
		next := newDecision(rec)
		if !page.fits(next) {
			last := records[i-1]
			resp.NextPageToken = timeToken(last.Input.At, last.Sequence)
			break
		}
		resp.Decisions = append(resp.Decisions, next)
	}
	return resp, nil
}

// Explain implements DecisionService.
func (d decisions) Explain(_ context.Context, req *decisionv1.ExplainRequest) (*decisionv1.ExplainResponse, error) {
	if req.GetId() != "" {
		return d.explainID(req)
	}
	if err := checkName(req); err != nil {
		return nil, err
	}
	at, err := timeOf("at", req.GetAt(), d.Now())
	if err != nil {
		return nil, err
	}
	if ago := req.GetAgo(); ago != nil {
		if ago.CheckValid() != nil || ago.AsDuration() < 0 {
			return nil, invalid("ago", "give how long ago it is, 0 s or more")
		}
		at = d.Now().Add(-ago.AsDuration())
	}
	var e loop.Explanation
	newest, known := d.Board.Get(req.GetNamespace(), req.GetName())
	if known && len(newest.Decision.Reasons) > 0 && !at.Before(newest.At) {
		e, err = d.Records.Now(newest)
	} else {
		e, err = d.Records.Explain(req.GetNamespace(), req.GetName(), at)
	}
	if err != nil {
		return nil, err
	}
	return NewExplanation(e), nil
}

// explainID explains a decision of which only the id is known.
func (d decisions) explainID(req *decisionv1.ExplainRequest) (*decisionv1.ExplainResponse, error) {
	if req.GetNamespace() != "" || req.GetName() != "" || req.GetTime() != nil {
		return nil, invalid("id", "it says all there is to say; leave out namespace, name and time, or the id")
	}
	e, err := d.Records.ExplainID(req.GetId())
	switch {
	case errors.Is(err, loop.ErrID):
		return nil, invalid("id", "%s", err)
	case err != nil:
		return nil, err
	}
	return NewExplanation(e), nil
}

// WhatIf implements DecisionService.
func (d decisions) WhatIf(_ context.Context, req *decisionv1.WhatIfRequest) (*decisionv1.WhatIfResponse, error) {
	if req.GetAutoscaler() == nil {
		return nil, invalid("autoscaler", "missing; give a PodAutoscaler")
	}
	manifest, err := protojson.Marshal(req.GetAutoscaler())
	if err != nil {
		return nil, invalid("autoscaler", "%s", err)
	}
	steps := make([]whatif.Step, len(req.GetSteps()))
	for i, s := range req.GetSteps() {
		steps[i] = whatif.Step{
			T: s.GetT(), Replicas: s.GetReplicas(), Ready: s.GetReady(), Pending: s.GetPending(), Unschedulable: s.GetUnschedulable(),
		}
		for _, w := range s.GetWindows() {
			steps[i].Windows = append(steps[i].Windows, whatif.Window{Source: int(w.GetSource()), Stable: w.Stable, Panic: w.Panic})
		}
	}
	made, warnings, err := whatif.Decide(manifest, steps)
	if err != nil {
		return nil, err
	}
	resp := &decisionv1.WhatIfResponse{}
	for _, w := range warnings {
		resp.Warnings = append(resp.Warnings, utf8(w))
	}
	for _, m := range made {
		resp.Decisions = append(resp.Decisions, decided(m))
	}
	return resp, nil
}
