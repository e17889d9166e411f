package telemetry

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"

	"github.com/flyball/flyball/internal/loop"
)

// Counts reads back how an autoscaler's target stood, from one time to another, both included: as the series say it that
// Recorder and Series have kept. The turn of time t sets them, and they are kept within a tick of it, so they are looked up
// one tick later. False means that they were not kept: flyball did not run, or knew no such autoscaler.
func Counts(ctx context.Context, engine promql.QueryEngine, q storage.Queryable, namespace, name string, from, to time.Time, tick time.Duration) (func(time.Time) (loop.Scale, bool), error) {
	from, to = from.Truncate(time.Second), to.Truncate(time.Second)
	expr := fmt.Sprintf(`{__name__=~"flyball_autoscaler_(replicas|ready_replicas|starting_replicas)",job="flyball",namespace=%q,name=%q}`, namespace, name)
	query, err := engine.NewRangeQuery(ctx, q, nil, expr, from.Add(tick), to.Add(tick), time.Second)
	if err != nil {
		return nil, fmt.Errorf("read the counts of %s/%s: %w", namespace, name, err)
	}
	defer query.Close()
	matrix, err := query.Exec(ctx).Matrix()
	if err != nil {
		return nil, fmt.Errorf("read the counts of %s/%s: %w", namespace, name, err)
	}
	n := int(to.Sub(from)/time.Second) + 1
	seconds := make([]struct {
		scale           loop.Scale
		replicas, ready bool
	}, n)
	for _, s := range matrix {
		metric := s.Metric.Get(model.MetricNameLabel)
		for _, p := range s.Floats {
			at := &seconds[time.UnixMilli(p.T).Sub(from.Add(tick))/time.Second]
			switch metric {
			case "flyball_autoscaler_replicas":
				at.scale.Replicas, at.scale.StatusReplicas, at.replicas = int32(p.F), int32(p.F), true
			case "flyball_autoscaler_ready_replicas":
				at.scale.Ready, at.ready = int32(p.F), true
			default:
				at.scale.Starting = int32(p.F)
			}
		}
	}
	return func(t time.Time) (loop.Scale, bool) {
		i := int(t.Sub(from) / time.Second)
		if t.Before(from) || i >= n || !seconds[i].replicas || !seconds[i].ready {
			return loop.Scale{}, false
		}
		return seconds[i].scale, true
	}, nil
}
