package rpc

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"

	decisionv1 "github.com/flyball/flyball/api/decision/v1"
	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/internal/loop"
	"github.com/flyball/flyball/internal/replay"
)

const (
	// defaultBacktest is how long the stretch is when its start is not given, and maxBacktest the longest that it may be: 10,800 decisions,
	// some seconds' work for a source of five pods.
	defaultBacktest, maxBacktest = time.Hour, 6 * time.Hour
	// maxDelay is the longest delay that a manifest may ask for.
	maxDelay = time.Hour
)

// Backtest implements DecisionService.
func (d decisions) Backtest(ctx context.Context, req *decisionv1.BacktestRequest) (*decisionv1.BacktestResponse, error) {
	if err := checkName(req); err != nil {
		return nil, err
	}
	from, to, err := d.stretch(req)
	if err != nil {
		return nil, err
	}
	if err := d.unready(); err != nil {
		return nil, err
	}
	r, err := d.find(req)
	if err != nil {
		return nil, err
	}
	a := r.Autoscaler
	who := a.Namespace + "/" + a.Name
	switch {
	case a.Policy.Strategy == decider.HPA:
		return nil, fail(codes.FailedPrecondition, reasonDelegated, who+": strategy HPA leaves deciding to a native HorizontalPodAutoscaler, whose rules are not flyball's")
	case len(a.Sources) < len(a.Policy.Sources):
		return nil, fail(codes.Unavailable, reasonNotReady, who+": no decision has been made for it since the start; ask again in a few seconds")
	}
	if a.Policy, err = changed(a, req.GetChanges()); err != nil {
		return nil, err
	}
	counts, err := d.Counts(ctx, a.Namespace, a.Name, from.Add(-a.Policy.Memory()-time.Second), to)
	if err != nil {
		return nil, fmt.Errorf("backtest of %s: %w", who, err)
	}
	past, err := replay.Run(ctx, replay.Options{
		Autoscaler: a, Start: from, End: to, Tick: d.Tick, Counts: counts, Windows: d.Windows, Journal: d.Records.Journal,
	})
	if err != nil {
		return nil, err
	}
	return newBacktest(past, d.Tick), nil
}

// stretch is the part of the past that is asked for.
func (d decisions) stretch(req *decisionv1.BacktestRequest) (from, to time.Time, err error) {
	now := d.Now()
	if to, err = timeOf("end_time", req.GetEndTime(), now); err != nil {
		return from, to, err
	}
	if from, err = timeOf("start_time", req.GetStartTime(), to.Add(-defaultBacktest)); err != nil {
		return from, to, err
	}
	switch {
	case to.After(now):
		return from, to, invalid("end_time", "%s is ahead of the server's clock; give a time that has passed, or none", to.Format(time.RFC3339))
	case to.Before(from):
		return from, to, invalid("end_time", "it is before start_time; swap them")
	case to.Sub(from) > maxBacktest:
		return from, to, invalid("start_time", "it is %s before the end; give at most %s", to.Sub(from).Round(time.Second), maxBacktest)
	}
	return from, to, nil
}

// changed is the policy in force with the changes made.
func changed(a loop.Autoscaler, c *decisionv1.PolicyChanges) (decider.Policy, error) {
	p := a.Policy
	if c == nil {
		return p, nil
	}
	if c.MinReplicas != nil || c.MaxReplicas != nil {
		p.Schedules = nil
	}
	if c.MinReplicas != nil {
		p.MinReplicas = c.GetMinReplicas()
	}
	if c.MaxReplicas != nil {
		p.MaxReplicas = c.GetMaxReplicas()
	}
	switch {
	case p.MinReplicas < 0:
		return p, invalid("changes.min_replicas", "%d is negative; give 0 or more", p.MinReplicas)
	case p.MaxReplicas < 1:
		return p, invalid("changes.max_replicas", "%d is too few; give 1 or more", p.MaxReplicas)
	case p.MinReplicas > p.MaxReplicas && c.MinReplicas != nil:
		return p, invalid("changes.min_replicas", "%d is more than maxReplicas (%d); lower it or raise that", p.MinReplicas, p.MaxReplicas)
	case p.MinReplicas > p.MaxReplicas:
		return p, invalid("changes.max_replicas", "%d is less than minReplicas (%d); raise it or lower that", p.MaxReplicas, p.MinReplicas)
	}
	for _, delay := range []struct {
		field string
		asked *durationpb.Duration
		of    *time.Duration
	}{{"changes.scale_up_delay", c.GetScaleUpDelay(), &p.ScaleUpDelay}, {"changes.scale_down_delay", c.GetScaleDownDelay(), &p.ScaleDownDelay}} {
		if delay.asked == nil {
			continue
		}
		if *delay.of = delay.asked.AsDuration(); delay.asked.CheckValid() != nil || *delay.of < 0 || *delay.of > maxDelay {
			return p, invalid(delay.field, "it is out of range; give 0s to 1h (in JSON 3600s)")
		}
	}
	return retargeted(a, p, c.GetTargets())
}

// retargeted is the policy with other targets.
func retargeted(a loop.Autoscaler, p decider.Policy, targets []*decisionv1.SourceTarget) (decider.Policy, error) {
	p.Sources = append([]decider.Source(nil), p.Sources...)
	for i, t := range targets {
		source, _, err := sourceOf(loop.Result{Autoscaler: a}, t.GetSource())
		if err != nil {
			return p, invalid(fmt.Sprintf("changes.targets[%d].source", i), "%s", strings.TrimPrefix(status.Convert(err).Message(), "source: "))
		}
		if v := t.GetTarget(); !(v > 0) || math.IsInf(v, 0) {
			return p, invalid(fmt.Sprintf("changes.targets[%d].target", i), "%v is no target; give a number above 0", v)
		}
		for j := range p.Sources {
			if p.Sources[j].Key == source.Key {
				p.Sources[j].Target = t.GetTarget()
			}
		}
	}
	return p, nil
}

// newBacktest says a replay as a message. The decisions are nobody's: they were not made.
func newBacktest(past replay.Replay, tick time.Duration) *decisionv1.BacktestResponse {
	if tick == 0 {
		tick = loop.DefaultTick
	}
	resp := &decisionv1.BacktestResponse{UnknownSteps: int32(past.Unknown)}
	room := page{items: math.MaxInt32, bytes: pageBytes / 2} // the steps take the other half at most
	for i, s := range past.Steps {
		d := s.Decision
		resp.Steps = append(resp.Steps, &decisionv1.BacktestStep{At: moment(d.At), Was: s.Was, To: d.To})
		resp.WasReplicaSeconds += float64(s.Was) * tick.Seconds()
		resp.ReplicaSeconds += float64(d.To) * tick.Seconds()
		if i > 0 && d.To == d.From {
			continue
		}
		if m := decided(d); resp.LeftOutDecisions == 0 && room.fits(m) {
			resp.Decisions = append(resp.Decisions, m)
		} else {
			resp.LeftOutDecisions++
		}
	}
	return resp
}
