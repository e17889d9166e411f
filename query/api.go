package query

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
)

// Instant evaluates a query at one time, unbound, for people. The result is the caller's to keep.
func (e *Engine) Instant(ctx context.Context, q storage.Queryable, expr string, t time.Time) (*promql.Result, error) {
	query, err := e.promql.NewInstantQuery(ctx, q, nil, expr, t)
	if err != nil {
		return nil, fmt.Errorf("query %q: %w", expr, err)
	}
	return finish(ctx, query, expr)
}

// Range evaluates a query at every step from start to end, unbound, for people. The result is the caller's to keep.
func (e *Engine) Range(ctx context.Context, q storage.Queryable, expr string, start, end time.Time, interval time.Duration) (*promql.Result, error) {
	if interval <= 0 || end.Before(start) {
		return nil, fmt.Errorf("query %q: range from %s to %s by %s: the step must be above zero and the end not before the start",
			expr, start.UTC().Format(time.RFC3339), end.UTC().Format(time.RFC3339), interval)
	}
	query, err := e.promql.NewRangeQuery(ctx, q, nil, expr, start, end, interval)
	if err != nil {
		return nil, fmt.Errorf("query %q: %w", expr, err)
	}
	return finish(ctx, query, expr)
}

// finish runs a query and closes it. Closing gives the points of a matrix back to a pool, so they are copied out first.
func finish(ctx context.Context, query promql.Query, expr string) (*promql.Result, error) {
	defer query.Close()
	res := query.Exec(ctx)
	if res.Err != nil {
		return nil, fmt.Errorf("query %q: %w", expr, res.Err)
	}
	if m, ok := res.Value.(promql.Matrix); ok {
		kept := make(promql.Matrix, len(m))
		for i, s := range m {
			kept[i] = promql.Series{Metric: s.Metric, Floats: append([]promql.FPoint(nil), s.Floats...), DropName: s.DropName}
			for _, h := range s.Histograms {
				kept[i].Histograms = append(kept[i].Histograms, promql.HPoint{T: h.T, H: copyHistogram(h.H)})
			}
		}
		res.Value = kept
	}
	return res, nil
}

func copyHistogram(h *histogram.FloatHistogram) *histogram.FloatHistogram {
	if h == nil {
		return nil
	}
	return h.Copy()
}
