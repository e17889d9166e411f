package collector

import (
	"context"
	"errors"
	"fmt"
)

// Results of a scrape, as the label "result" of flyball_scrapes_total.
const (
	resultSuccess = "success"
	resultConnect = "connect"   // no connection, or it broke
	resultTimeout = "timeout"   // no whole page within 0.8 of the interval
	resultStatus  = "status"    // an answer other than 200
	resultTooBig  = "too_large" // more bytes, samples or labels than a page may have
	resultSyntax  = "syntax"    // not an exposition format
	resultStore   = "store"     // the page was good but could not be stored
)

// failure is why a scrape stored nothing of its page, and what the operator can do.
type failure struct {
	result string
	err    error
	hint   string
}

func (f *failure) Error() string {
	if f.hint == "" {
		return f.err.Error()
	}
	return fmt.Sprintf("%v (%s)", f.err, f.hint)
}

func (f *failure) Unwrap() error { return f.err }

func failf(result, hint, format string, args ...any) error {
	return &failure{result: result, hint: hint, err: fmt.Errorf(format, args...)}
}

func resultOf(err error) string {
	if err == nil {
		return resultSuccess
	}
	if f, ok := errors.AsType[*failure](err); ok {
		return f.result
	}
	return resultStore
}

// transportFailure tells a timeout from a broken connection.
func transportFailure(ctx context.Context, op string, err error) error {
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return failf(resultTimeout, "is the engine overloaded, or the scrape interval too short for its page?",
			"%s: no whole page within 0.8 of the scrape interval: %w", op, err)
	}
	return failf(resultConnect, "does something listen there, and is the path open to flyball?", "%s: %w", op, err)
}
