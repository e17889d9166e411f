package store

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
)

// Series is one series that a caller appends to. Keep it between appends: it remembers where the store keeps the
// series. One Series is used by one goroutine at a time.
type Series struct {
	Labels labels.Labels // with the metric name; not changed after the first append

	ref  storage.SeriesRef
	last int64 // stamp of the newest sample appended through this Series, ms
}

// Sample is one value of a series. It has no time: the store stamps it.
type Sample struct {
	Series *Series
	Value  float64
}

// StaleMarker is the value that says "this series ends here", as Prometheus writes it.
func StaleMarker() float64 { return math.Float64frombits(value.StaleNaN) }

// Append stores the samples under one stamp, which it returns: the clock's time in whole milliseconds, or, where
// the clock has stepped back, the newest stamp there is; and later than each series' own newest sample.
// Either all samples are stored or none is.
func (s *Store) Append(samples []Sample) (time.Time, error) {
	s.appends.RLock()
	defer s.appends.RUnlock()
	at := s.stamp(samples)
	app := s.db.AppenderV2(context.Background())
	for _, smp := range samples {
		ref, err := app.Append(smp.Series.ref, smp.Series.Labels, 0, at, smp.Value, nil, nil, storage.AOptions{})
		if err != nil {
			_ = app.Rollback()
			return time.Time{}, fmt.Errorf("append %s at %s: %w", smp.Series.Labels, time.UnixMilli(at).UTC().Format(time.RFC3339Nano), err)
		}
		smp.Series.ref = ref
	}
	if err := app.Commit(); err != nil {
		return time.Time{}, fmt.Errorf("commit %d samples: %w", len(samples), err)
	}
	for _, smp := range samples {
		smp.Series.last = at
	}
	return time.UnixMilli(at), nil
}

func (s *Store) stamp(samples []Sample) int64 {
	at := max(s.clock().UnixMilli(), s.last.Load())
	for _, smp := range samples {
		if smp.Series.last >= at {
			at = smp.Series.last + 1
		}
	}
	for {
		last := s.last.Load()
		if at <= last || s.last.CompareAndSwap(last, at) {
			return at
		}
	}
}
