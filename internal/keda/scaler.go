package keda

import (
	"context"
	"time"

	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"

	"github.com/flyball/flyball/api/externalscaler"
	"github.com/flyball/flyball/internal/board"
	"github.com/flyball/flyball/internal/loop"
)

// Results are the latest results of the autoscalers; board.Board is such.
type Results interface {
	// Get gives the latest result of the autoscaler; false if there is no such autoscaler.
	Get(namespace, name string) (loop.Result, bool)
	// List gives those of all autoscalers.
	List() []loop.Result
	// Watch tells of an autoscaler's decisions as they are recorded.
	Watch(namespace, name, token string) (*board.Watch, error)
}

// Options are what the scaler stands on.
type Options struct {
	Results Results
	Now     func() time.Time // nil: the wall clock
	Tick    time.Duration    // between two decisions of one autoscaler; 0: loop.DefaultTick
	Log     *zap.Logger      // nil: none
}

// Scaler answers KEDA. It starts nothing by itself; the gRPC server calls it.
type Scaler struct {
	externalscaler.UnimplementedExternalScalerServer
	Options
	asked memory
}

// New makes a scaler.
func New(o Options) *Scaler {
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Tick == 0 {
		o.Tick = loop.DefaultTick
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	return &Scaler{Options: o, asked: memory{last: map[Asking]time.Time{}}}
}

// Register puts the scaler on a server, next to what else it serves.
func (s *Scaler) Register(r grpc.ServiceRegistrar) { externalscaler.RegisterExternalScalerServer(r, s) }

// find reads the trigger and the latest result that it is about. That is the whole memory of a call: who asked for whom.
func (s *Scaler) find(ref *externalscaler.ScaledObjectRef) (trigger, loop.Result, error) {
	t, err := readTrigger(ref, s.Tick)
	if err != nil {
		return t, loop.Result{}, err
	}
	r, err := s.result(t)
	if err != nil {
		return t, r, err
	}
	asking := Asking{Namespace: t.namespace, ScaledObject: t.scaledObject, Autoscaler: t.autoscaler}
	if s.asked.note(asking, s.Now()) {
		s.Log.Info("KEDA asks", zap.String("scaledObject", t.namespace+"/"+t.scaledObject), zap.String("autoscaler", t.about()),
			zap.String("mode", string(t.mode)), zap.Duration("maxStaleness", t.maxStaleness))
	}
	return t, r, nil
}

// result is the latest one that the trigger is about, of an autoscaler that KEDA can act for.
func (s *Scaler) result(t trigger) (loop.Result, error) {
	r, ok := s.Results.Get(t.namespace, t.autoscaler)
	if !ok {
		return r, s.unknown(t)
	}
	return r, t.suits(r.Autoscaler.Policy)
}

// IsActive says whether any replica is wanted.
func (s *Scaler) IsActive(_ context.Context, ref *externalscaler.ScaledObjectRef) (*externalscaler.IsActiveResponse, error) {
	t, r, err := s.find(ref)
	if err != nil {
		return nil, err
	}
	if err := t.blind(r, s.Now()); err != nil {
		return nil, err
	}
	return &externalscaler.IsActiveResponse{Result: active(r)}, nil
}

// active is the level that KEDA scales from and to zero by.
func active(r loop.Result) bool { return r.Decision.To > 0 }

// GetMetricSpec names the metrics and their targets. They are known while the values are not, so that KEDA can build its HPA.
func (s *Scaler) GetMetricSpec(_ context.Context, ref *externalscaler.ScaledObjectRef) (*externalscaler.GetMetricSpecResponse, error) {
	t, r, err := s.find(ref)
	if err != nil {
		return nil, err
	}
	return specs(t.metrics(r)), nil
}

// GetMetrics gives the value of one metric: exactly one, since the HPA adds up what it gets.
func (s *Scaler) GetMetrics(_ context.Context, ask *externalscaler.GetMetricsRequest) (*externalscaler.GetMetricsResponse, error) {
	t, r, err := s.find(ask.GetScaledObjectRef())
	if err != nil {
		return nil, err
	}
	all := t.metrics(r)
	for _, m := range all {
		if m.name != ask.GetMetricName() {
			continue
		}
		if err := t.blind(r, s.Now()); err != nil {
			return nil, err
		}
		value, err := m.value(t, r)
		if err != nil {
			return nil, err
		}
		return &externalscaler.GetMetricsResponse{MetricValues: []*externalscaler.MetricValue{metricValue(m.name, value)}}, nil
	}
	return nil, fail(codes.NotFound, reasonNoMetric, t.about(), "there is no metric %q; in mode %s there is %s",
		ask.GetMetricName(), t.mode, names(all))
}
