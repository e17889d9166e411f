package main

import (
	"reflect"
	"time"
	"unsafe"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric/noop"
	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/types"
	"knative.dev/serving/pkg/autoscaler/aggregation"
	"knative.dev/serving/pkg/autoscaler/metrics"
	"knative.dev/serving/pkg/autoscaler/scaling"

	"github.com/flyball/flyball/decider"
)

// judge is the real autoscaler, fed by hand through the two interfaces that it asks: a metric client and a pod counter.
type judge struct {
	scaler scaling.UniScaler
	facts  *facts
}

// facts answers what the autoscaler asks.
type facts struct {
	ready           int
	stable, panicky float64
	noData          bool
}

func (f *facts) ReadyCount() (int, error)    { return f.ready, nil }
func (f *facts) NotReadyCount() (int, error) { return 0, nil }

// StableAndPanicConcurrency sends the values through a window of one second each, since that is where Knative rounds.
func (f *facts) StableAndPanicConcurrency(_ types.NamespacedName, now time.Time) (float64, float64, error) {
	if f.noData {
		return 0, 0, metrics.ErrNoData
	}
	return average(now, f.stable), average(now, f.panicky), nil
}

func (f *facts) StableAndPanicRPS(key types.NamespacedName, now time.Time) (float64, float64, error) {
	return f.StableAndPanicConcurrency(key, now)
}

func average(now time.Time, value float64) float64 {
	window := aggregation.NewTimedFloat64Buckets(time.Second, time.Second)
	window.Record(now, value)
	return window.WindowAverage(now)
}

// newJudge creates the autoscaler now.
func newJudge(p decider.Policy, ready int32) *judge {
	j := &judge{facts: &facts{ready: int(ready)}}
	j.scaler = scaling.New(*attribute.EmptySet(), noop.NewMeterProvider(), "models", "llm", j.facts, j.facts, spec(p))
	return j
}

// created moves the creation to the trace's start. A scaler that is created with more than one ready pod begins in
// panic; that is the one place where it asks the wall clock instead of its caller.
func (j *judge) created(start time.Time) {
	since := reflect.ValueOf(j.scaler).Elem().FieldByName("panicTime")
	at := (*time.Time)(unsafe.Pointer(since.UnsafeAddr()))
	if !at.IsZero() {
		*at = start
	}
}

var quiet = zap.NewNop().Sugar()

// scale is what the autoscaler wants; -1 when its answer is not valid.
func (j *judge) scale(now time.Time, s Step) int32 {
	*j.facts = facts{ready: int(s.Ready), stable: s.Stable, panicky: s.Panic, noData: s.NoData}
	if s.Policy != nil {
		j.scaler.Update(spec(*s.Policy))
	}
	result := j.scaler.Scale(quiet, now)
	if !result.ScaleValid {
		return -1
	}
	return result.DesiredPodCount
}

func spec(p decider.Policy) *scaling.DeciderSpec {
	return &scaling.DeciderSpec{
		MaxScaleUpRate: p.MaxScaleUpRate, MaxScaleDownRate: p.MaxScaleDownRate,
		ScalingMetric: "concurrency", TargetValue: p.Sources[0].Target, TotalValue: p.Sources[0].Target,
		PanicThreshold: p.PanicThreshold, StableWindow: p.ObserveWindow, ScaleDownDelay: p.ScaleDownDelay,
		ActivationScale: p.ActivationScale, Reachable: true,
	}
}
