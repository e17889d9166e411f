package server

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

// maxPoints is the most points per series that a range query may ask for, as in Prometheus.
const maxPoints = 11_000

// maxNotes is the most warnings, and the most infos, that an answer carries, as in Prometheus.
const maxNotes = 10

// badRequest is an error that the asker can mend.
type badRequest struct{ error }

func bad(format string, a ...any) error { return badRequest{fmt.Errorf(format, a...)} }

// query is GET and POST /api/v1/query: query, time (RFC 3339 or Unix seconds; now when absent), timeout.
// Parameters that Prometheus does not know either are ignored; KEDA sends some.
func (s *Server) query(w http.ResponseWriter, r *http.Request) {
	s.answer(w, r, func(ctx context.Context) (*promql.Result, error) {
		t, err := s.time(r, "time", s.Now())
		if err != nil {
			return nil, err
		}
		return s.Queries.Instant(ctx, r.Form.Get("query"), t)
	})
}

// queryRange is GET and POST /api/v1/query_range: query, start, end, step (a duration or seconds), timeout.
func (s *Server) queryRange(w http.ResponseWriter, r *http.Request) {
	s.answer(w, r, func(ctx context.Context) (*promql.Result, error) {
		start, err := s.time(r, "start", time.Time{})
		if err != nil {
			return nil, err
		}
		end, err := s.time(r, "end", time.Time{})
		if err != nil {
			return nil, err
		}
		step, err := duration("step", r.Form.Get("step"))
		switch {
		case err != nil:
			return nil, err
		case step <= 0:
			return nil, bad("parameter step: zero or negative; give a positive duration such as 15s")
		case end.Before(start):
			return nil, bad("parameter end: before start")
		case end.Sub(start)/step > maxPoints:
			return nil, bad("parameter step: more than %d points per series; widen the step or narrow the range", maxPoints)
		}
		return s.Queries.Range(ctx, r.Form.Get("query"), start, end, step)
	})
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request, eval func(context.Context) (*promql.Result, error)) {
	if err := r.ParseForm(); err != nil {
		fail(w, bad("form: %w", err))
		return
	}
	if r.Form.Get("query") == "" {
		fail(w, bad("parameter query: missing"))
		return
	}
	timeout := queryTimeout
	if v := r.Form.Get("timeout"); v != "" {
		d, err := duration("timeout", v)
		if err == nil && d <= 0 {
			err = bad("parameter timeout: zero or negative; give a positive duration such as 10s")
		}
		if err != nil {
			fail(w, err)
			return
		}
		timeout = min(d, queryTimeout)
	}
	ctx, cancel := context.WithTimeout(r.Context(), timeout)
	defer cancel()
	res, err := eval(ctx)
	if err != nil {
		fail(w, err)
		return
	}
	warnings, infos := res.Warnings.AsStrings(r.Form.Get("query"), maxNotes, maxNotes)
	write(w, http.StatusOK, response{Status: "success", Data: queryData(res.Value), Warnings: warnings, Infos: infos})
}

func (s *Server) time(r *http.Request, name string, absent time.Time) (time.Time, error) {
	v := r.Form.Get(name)
	if v == "" {
		if absent.IsZero() {
			return time.Time{}, bad("parameter %s: missing", name)
		}
		return absent, nil
	}
	if sec, err := strconv.ParseFloat(v, 64); err == nil {
		if math.Abs(sec) > 1e11 || math.IsNaN(sec) {
			return time.Time{}, bad("parameter %s: %q is out of range; give seconds, not milliseconds", name, v)
		}
		return time.UnixMilli(int64(math.Round(sec * 1000))), nil
	}
	t, err := time.Parse(time.RFC3339Nano, v)
	if err != nil {
		return time.Time{}, bad("parameter %s: %q is neither RFC 3339 nor Unix seconds", name, v)
	}
	return t, nil
}

func duration(name, v string) (time.Duration, error) {
	if sec, err := strconv.ParseFloat(v, 64); err == nil && math.Abs(sec) < 1e9 {
		return time.Duration(sec * float64(time.Second)), nil
	}
	d, err := model.ParseDuration(v)
	if err != nil {
		return 0, bad("parameter %s: %q is neither a duration such as 15s nor seconds", name, v)
	}
	return time.Duration(d), nil
}

// fail answers with Prometheus's error types.
func fail(w http.ResponseWriter, err error) {
	status, kind := http.StatusUnprocessableEntity, "execution"
	var badReq badRequest
	var parse parser.ParseErrors
	var timeout promql.ErrQueryTimeout
	var canceled promql.ErrQueryCanceled
	switch {
	case errors.As(err, &badReq), errors.As(err, &parse):
		status, kind = http.StatusBadRequest, "bad_data"
	case errors.As(err, &timeout), errors.Is(err, context.DeadlineExceeded):
		status, kind = http.StatusServiceUnavailable, "timeout"
	case errors.As(err, &canceled), errors.Is(err, context.Canceled):
		status, kind = 499, "canceled"
	}
	write(w, status, response{Status: "error", ErrorType: kind, Error: err.Error()})
}
