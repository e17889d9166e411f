package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/annotations"
	"github.com/prometheus/prometheus/util/stats"
)

// maxPoints is the most points per series that a range query may ask for, as in Prometheus.
const maxPoints = 11_000

var (
	errTruncated = errors.New("results truncated due to limit")
	errBackwards = errors.New("end timestamp must not be before start time")
)

// query is GET and POST /api/v1/query: query; time (now when absent), timeout, lookback_delta, limit, stats.
// Parameters that Prometheus does not know either are ignored; KEDA sends some.
func (s *Server) query(r *http.Request) (any, annotations.Annotations, error) {
	at, err := timeIn(r.Form, "time", s.Now())
	if err != nil {
		return nil, nil, err
	}
	return s.evaluate(r, at, func(e promql.QueryEngine, opts promql.QueryOpts) (promql.Query, error) {
		return e.NewInstantQuery(r.Context(), s.Store, opts, r.Form.Get("query"), at)
	})
}

// queryRange is GET and POST /api/v1/query_range: query, start, end, step; timeout, lookback_delta, limit, stats.
func (s *Server) queryRange(r *http.Request) (any, annotations.Annotations, error) {
	start, err := timeIn(r.Form, "start", time.Time{})
	if err != nil {
		return nil, nil, err
	}
	end, err := timeIn(r.Form, "end", time.Time{})
	if err != nil {
		return nil, nil, err
	}
	if end.Before(start) {
		return nil, nil, invalid("end", errBackwards)
	}
	step, err := parseDuration(r.Form.Get("step"))
	if err != nil {
		return nil, nil, invalid("step", err)
	}
	if step <= 0 {
		return nil, nil, invalid("step", errors.New("zero or negative query resolution step widths are not accepted. Try a positive integer"))
	}
	// In floats, since the span from minTime to maxTime is more than a time.Duration holds.
	if span := float64(end.Unix()) - float64(start.Unix()); end.Sub(start)/step > maxPoints || span/step.Seconds() > maxPoints+1 {
		return nil, nil, problem{badData, errors.New("exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)")}
	}
	return s.evaluate(r, end, func(e promql.QueryEngine, opts promql.QueryOpts) (promql.Query, error) {
		return e.NewRangeQuery(r.Context(), s.Store, opts, r.Form.Get("query"), start, end, step)
	})
}

// evaluate answers a query whose last evaluation is at end.
func (s *Server) evaluate(r *http.Request, end time.Time, build func(promql.QueryEngine, promql.QueryOpts) (promql.Query, error)) (any, annotations.Annotations, error) {
	if s.Engine == nil {
		return nil, nil, missing("queries")
	}
	limit, err := limitIn(r.Form)
	if err != nil {
		return nil, nil, err
	}
	opts, err := queryOpts(r.Form)
	if err != nil {
		return nil, nil, err
	}
	ctx, cancel, err := withTimeout(r)
	if err != nil {
		return nil, nil, err
	}
	defer cancel()
	q, err := build(s.Engine, opts)
	if err != nil {
		return nil, nil, invalid("query", err)
	}
	defer q.Close()
	res := q.Exec(ctx)
	if res.Err != nil {
		return nil, nil, res.Err
	}
	notes := res.Warnings
	for _, w := range s.incomplete(q.Statement(), end) {
		notes.Add(w)
	}
	value, cut := truncate(res.Value, limit)
	if cut {
		notes.Add(errTruncated)
	}
	d := fmt.Appendf(nil, `{"resultType":%q,"result":`, value.Type())
	d = appendValue(d, value)
	switch v := r.Form.Get("stats"); v {
	case "":
	default:
		notes.Add(fmt.Errorf("value %q for parameter \"stats\" is deprecated and will be rejected in the next major release, use \"true\" or \"all\"", v))
		fallthrough
	case "true", "all":
		counts, err := json.Marshal(stats.NewQueryStats(q.Stats()))
		if err != nil {
			return nil, nil, problem{internal, fmt.Errorf("render stats: %w", err)}
		}
		d = append(append(d, `,"stats":`...), counts...)
	}
	return rendered(append(d, '}')), notes, nil
}

func queryOpts(form url.Values) (promql.QueryOpts, error) {
	var lookback time.Duration
	if v := form.Get("lookback_delta"); v != "" {
		var err error
		if lookback, err = parseDuration(v); err != nil {
			return nil, problem{badData, fmt.Errorf("error parsing lookback delta duration: %w", err)}
		}
	}
	return promql.NewPrometheusQueryOpts(form.Get("stats") == "all", lookback, nil), nil
}

// withTimeout bounds a query by the parameter timeout. It can only shorten what the server allows.
func withTimeout(r *http.Request) (context.Context, context.CancelFunc, error) {
	v := r.Form.Get("timeout")
	if v == "" {
		return r.Context(), func() {}, nil
	}
	d, err := parseDuration(v)
	if err == nil && d <= 0 {
		err = fmt.Errorf("timeout must be positive, got %s", d)
	}
	if err != nil {
		return nil, nil, invalid("timeout", err)
	}
	ctx, cancel := context.WithTimeout(r.Context(), d)
	return ctx, cancel, nil
}

func truncate(v parser.Value, limit int) (parser.Value, bool) {
	if limit == 0 {
		return v, false
	}
	switch v := v.(type) {
	case promql.Vector:
		if len(v) > limit {
			return v[:limit], true
		}
	case promql.Matrix:
		if len(v) > limit {
			return v[:limit], true
		}
	}
	return v, false
}

// formatQuery is GET and POST /api/v1/format_query: the query, indented.
func (s *Server) formatQuery(r *http.Request) (any, annotations.Annotations, error) {
	expr, err := s.parser.ParseExpr(r.Form.Get("query"))
	if err != nil {
		return nil, nil, invalid("query", err)
	}
	return expr.Pretty(0), nil, nil
}

// exemplars is GET and POST /api/v1/query_exemplars. None are stored; the request is checked all the same.
func (s *Server) exemplars(r *http.Request) (any, annotations.Annotations, error) {
	start, err := timeIn(r.Form, "start", minTime)
	if err != nil {
		return nil, nil, err
	}
	end, err := timeIn(r.Form, "end", maxTime)
	switch {
	case err != nil:
		return nil, nil, err
	case end.Before(start):
		return nil, nil, invalid("end", errBackwards)
	}
	if _, err := s.parser.ParseExpr(r.Form.Get("query")); err != nil {
		return nil, nil, invalid("query", err)
	}
	return []any{}, nil, nil
}
