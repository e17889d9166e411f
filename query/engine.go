package query

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/prometheus/prometheus/util/kahansum"
)

// Options configure an Engine. The zero value is usable.
type Options struct {
	Lookback   time.Duration // how long a sample speaks; 0 means 6 s, three scrape intervals of 2 s
	MaxSamples int           // most samples that one query may hold in memory; 0 means 10 million (160 MB)
	Timeout    time.Duration // of one query or one call of Windows; 0 means 10 s. A shorter deadline of the context wins
}

// Engine evaluates bound expressions and people's queries. It holds no data and is safe for concurrent use.
type Engine struct {
	promql   *promql.Engine
	lookback time.Duration
	timeout  time.Duration
}

// New makes an Engine. It starts nothing.
func New(o Options) *Engine {
	if o.Lookback <= 0 {
		o.Lookback = 6 * time.Second
	}
	if o.MaxSamples <= 0 {
		o.MaxSamples = 10_000_000
	}
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	return &Engine{
		lookback: o.Lookback,
		timeout:  o.Timeout,
		promql: promql.NewEngine(promql.EngineOpts{
			MaxSamples:               o.MaxSamples,
			Timeout:                  o.Timeout,
			LookbackDelta:            o.Lookback,
			NoStepSubqueryIntervalFn: func(int64) int64 { return step.Milliseconds() },
			EnableAtModifier:         true, // for people; Bind refuses both
			EnableNegativeOffset:     true,
			Parser:                   newParser(),
		}),
	}
}

// values evaluates an expression at every grid point. NaN stands where it has no value; a value that is not finite is none.
func (e *Engine) values(ctx context.Context, q storage.Queryable, expr string, g grid) ([]float64, error) {
	query, err := e.promql.NewRangeQuery(ctx, q, nil, expr, time.UnixMilli(g.first), time.UnixMilli(g.last()), step)
	if err != nil {
		return nil, fmt.Errorf("evaluate %q: %w", expr, err)
	}
	defer query.Close()
	res := query.Exec(ctx)
	if err := complete(res); err != nil {
		return nil, fmt.Errorf("evaluate %q: %w", expr, err)
	}
	matrix, err := res.Matrix()
	if err != nil {
		return nil, fmt.Errorf("evaluate %q: %w", expr, err)
	}
	out := make([]float64, g.n)
	owner := make([]int, g.n) // which series gave the value: 1 + its index
	for i := range out {
		out[i] = math.NaN()
	}
	for i, s := range matrix {
		if len(s.Histograms) > 0 {
			return nil, errHistogram(expr)
		}
		for _, p := range s.Floats {
			at := int((p.T - g.first) / step.Milliseconds())
			if other := owner[at]; other > 0 {
				return nil, errManySeries(expr, p.T, matrix[other-1].Metric, s.Metric)
			}
			owner[at] = i + 1
			out[at] = finite(p.F)
		}
	}
	return out, nil
}

// value evaluates an expression at one time.
func (e *Engine) value(ctx context.Context, q storage.Queryable, expr string, t time.Time) (float64, error) {
	query, err := e.promql.NewInstantQuery(ctx, q, nil, expr, t)
	if err != nil {
		return 0, fmt.Errorf("evaluate %q: %w", expr, err)
	}
	defer query.Close()
	res := query.Exec(ctx)
	if err := complete(res); err != nil {
		return 0, fmt.Errorf("evaluate %q: %w", expr, err)
	}
	vector, err := res.Vector()
	switch {
	case err != nil:
		return 0, fmt.Errorf("evaluate %q: %w", expr, err)
	case len(vector) == 0:
		return math.NaN(), nil
	case len(vector) > 1:
		return 0, errManySeries(expr, t.UnixMilli(), vector[0].Metric, vector[1].Metric)
	case vector[0].H != nil:
		return 0, errHistogram(expr)
	}
	return finite(vector[0].F), nil
}

// complete refuses a result that misses data: a warning that is not PromQL's own comes from a storage that answered in part.
func complete(res *promql.Result) error {
	if res.Err != nil {
		return res.Err
	}
	for _, w := range res.Warnings {
		if !errors.Is(w, annotations.PromQLWarning) && !errors.Is(w, annotations.PromQLInfo) {
			return fmt.Errorf("the storage answered in part: %w", w)
		}
	}
	return nil
}

func finite(v float64) float64 {
	if math.IsInf(v, 0) {
		return math.NaN()
	}
	return v
}

func errManySeries(expr string, ms int64, a, b labels.Labels) error {
	return fmt.Errorf("evaluate %q: it gives more than one series at %s, among them %s and %s: aggregate it to one number, for example sum(…)",
		expr, time.UnixMilli(ms).UTC().Format(time.RFC3339), a, b)
}

func errHistogram(expr string) error {
	return fmt.Errorf("evaluate %q: it gives a native histogram, not a number: put histogram_quantile(0.95, …) around it", expr)
}

// mean is the average of the values that are there, summed as avg_over_time sums; NaN when there are none.
func mean(values []float64) float64 {
	n, sum, c := 0, 0.0, 0.0
	for _, v := range values {
		if math.IsNaN(v) {
			continue
		}
		n++
		if n == 1 {
			sum = v
			continue
		}
		sum, c = kahansum.Inc(v, sum, c)
	}
	if n == 0 {
		return math.NaN()
	}
	return finite(sum/float64(n) + c/float64(n))
}

// PromQL is the engine for whoever renders results itself, with the options of a query. Queries of people are unbound.
func (e *Engine) PromQL() promql.QueryEngine { return e.promql }
