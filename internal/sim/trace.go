package sim

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"
)

// Request is one request of a trace.
type Request struct {
	At     time.Duration // since the first request of the trace
	Prompt int           // tokens, at least 1
	Output int           // tokens, at least 1
}

// TraceSpec replays recorded requests once, from the load's start.
type TraceSpec struct {
	Requests []Request // in time order
	Speedup  float64   // 2 plays the trace in half the time; 0 means 1
}

func (t *TraceSpec) validate() error {
	if len(t.Requests) == 0 {
		return errors.New("trace: no requests")
	}
	if !(t.Speedup >= 0 && t.Speedup <= 1e6) {
		return fmt.Errorf("trace: speedup %v: must be between 0 (as recorded) and 1e6", t.Speedup)
	}
	for i, r := range t.Requests {
		if r.At < 0 || (i > 0 && r.At < t.Requests[i-1].At) {
			return fmt.Errorf("trace: request %d at %s comes before the one it follows; sort the requests by time", i, r.At)
		}
		if r.Prompt < 1 || r.Output < 1 {
			return fmt.Errorf("trace: request %d has %d prompt and %d output tokens; both must be at least 1", i, r.Prompt, r.Output)
		}
	}
	return nil
}

const (
	azureTime     = "2006-01-02 15:04:05.9999999"
	maxAzureToken = 10_000_000 // no model's context is near it; keeps sums of tokens far from overflow
)

var azureHeader = []string{"TIMESTAMP", "ContextTokens", "GeneratedTokens"}

// ReadAzureTrace reads a trace in the format of the Azure LLM inference dataset: CSV with the header TIMESTAMP,ContextTokens,GeneratedTokens
// and UTC timestamps such as 2023-11-16 18:15:46.6805900, in time order. Times are counted from the first request. A count of 0 is read as 1:
// no engine serves a request without a token. Errors name line and column.
func ReadAzureTrace(r io.Reader) ([]Request, error) {
	c := csv.NewReader(r)
	c.FieldsPerRecord = len(azureHeader)
	c.ReuseRecord = true
	header, err := c.Read()
	if err == io.EOF {
		return nil, errors.New("read trace: empty; want the header TIMESTAMP,ContextTokens,GeneratedTokens")
	}
	if err != nil {
		return nil, fmt.Errorf("read trace: %w", err)
	}
	if !slices.Equal(header, azureHeader) {
		return nil, fmt.Errorf("read trace: line 1: header %q; want %q", header, azureHeader)
	}
	var out []Request
	var first, last time.Time
	for {
		rec, err := c.Read()
		if err == io.EOF {
			return out, nil
		}
		if err != nil {
			return nil, fmt.Errorf("read trace: %w", err)
		}
		at, err := time.Parse(azureTime, rec[0])
		if err != nil {
			return nil, fieldError(c, 0, fmt.Errorf("timestamp %q; want for example 2023-11-16 18:15:46.6805900", rec[0]))
		}
		if len(out) == 0 {
			first, last = at, at
		}
		if at.Before(last) {
			return nil, fieldError(c, 0, fmt.Errorf("timestamp %q is before the line above; sort the trace by time", rec[0]))
		}
		last = at
		req := Request{At: at.Sub(first)}
		for i, to := range []*int{&req.Prompt, &req.Output} {
			n, err := strconv.Atoi(rec[i+1])
			if err != nil || n < 0 || n > maxAzureToken {
				return nil, fieldError(c, i+1, fmt.Errorf("%s %q; want a number from 0 to %d", azureHeader[i+1], rec[i+1], maxAzureToken))
			}
			*to = max(n, 1)
		}
		out = append(out, req)
	}
}

func fieldError(c *csv.Reader, field int, err error) error {
	line, column := c.FieldPos(field)
	return fmt.Errorf("read trace: line %d, column %d: %w", line, column, err)
}

// rateSpan is the time over which the rate of a trace is measured.
const rateSpan = 10 * time.Second

// traceSource plays a trace.
type traceSource struct {
	spec     TraceSpec
	fit      fitter
	i        int // next request
	from, to int // requests within rateSpan before the time of the rate
}

func (s *traceSource) at(i int) time.Duration {
	if s.spec.Speedup == 0 || s.spec.Speedup == 1 {
		return s.spec.Requests[i].At
	}
	return time.Duration(float64(s.spec.Requests[i].At) / s.spec.Speedup)
}

func (s *traceSource) next() (*request, bool) {
	if s.i >= len(s.spec.Requests) {
		return nil, false
	}
	r := s.spec.Requests[s.i]
	s.i++
	return s.fit.request(s.at(s.i-1), r.Prompt, r.Output, false), true
}

func (s *traceSource) rate(at time.Duration) float64 {
	for s.to < len(s.spec.Requests) && s.at(s.to) <= at {
		s.to++
	}
	for s.from < s.to && s.at(s.from) <= at-rateSpan {
		s.from++
	}
	return float64(s.to-s.from) / rateSpan.Seconds()
}
