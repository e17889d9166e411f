package telemetry

import (
	"context"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"go.uber.org/zap"

	"github.com/flyball/flyball/store"
)

// ownPrefix begins the names of flyball's own metrics.
const ownPrefix = "flyball_"

// Series keeps flyball's own metrics in the store, like any other series, so that what the fleet did can be asked for as
// long as it is kept.
type Series struct {
	from  prometheus.Gatherer
	store *store.Store
	log   *zap.Logger
	known map[string]*one // by name and labels
	turn  uint64
}

type one struct {
	series store.Series
	seen   uint64 // the last turn that had it
}

// NewSeries keeps what the gatherer has; Run does so.
func NewSeries(from prometheus.Gatherer, s *store.Store, log *zap.Logger) *Series {
	return &Series{from: from, store: s, log: log, known: map[string]*one{}}
}

// Run stores the metrics at each interval until ctx ends.
func (o *Series) Run(ctx context.Context, every time.Duration) error {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := o.keep(); err != nil {
				o.log.Error("keep own metrics", zap.Error(err))
			}
		}
	}
}

// keep stores the metrics as they are now. One that is gone ends with a stale marker.
func (o *Series) keep() error {
	families, err := o.from.Gather()
	if err != nil {
		return fmt.Errorf("gather own metrics: %w", err)
	}
	o.turn++
	var samples []store.Sample
	for _, f := range families {
		if strings.HasPrefix(f.GetName(), ownPrefix) {
			for _, m := range f.GetMetric() {
				samples = o.add(samples, f.GetName(), m)
			}
		}
	}
	for key, known := range o.known {
		if known.seen != o.turn {
			samples = append(samples, store.Sample{Series: &known.series, Value: store.StaleMarker()})
			delete(o.known, key)
		}
	}
	if _, err := o.store.Append(samples); err != nil {
		return fmt.Errorf("store own metrics: %w", err)
	}
	return nil
}

func (o *Series) add(to []store.Sample, name string, m *dto.Metric) []store.Sample {
	sample := func(name string, value float64, more ...string) {
		to = append(to, store.Sample{Series: o.series(name, m.GetLabel(), more...), Value: value})
	}
	switch {
	case m.Gauge != nil:
		sample(name, m.Gauge.GetValue())
	case m.Counter != nil:
		sample(name, m.Counter.GetValue())
	case m.Untyped != nil:
		sample(name, m.Untyped.GetValue())
	case m.Histogram != nil:
		h := m.Histogram
		for _, b := range h.GetBucket() {
			if !math.IsInf(b.GetUpperBound(), 1) {
				sample(name+"_bucket", float64(b.GetCumulativeCount()), labels.BucketLabel, strconv.FormatFloat(b.GetUpperBound(), 'g', -1, 64))
			}
		}
		sample(name+"_bucket", float64(h.GetSampleCount()), labels.BucketLabel, "+Inf")
		sample(name+"_sum", h.GetSampleSum())
		sample(name+"_count", float64(h.GetSampleCount()))
	}
	return to
}

func (o *Series) series(name string, pairs []*dto.LabelPair, more ...string) *store.Series {
	var key strings.Builder
	key.WriteString(name)
	for _, p := range pairs {
		key.WriteString("\xff" + p.GetName() + "\xff" + p.GetValue())
	}
	for _, s := range more {
		key.WriteString("\xff" + s)
	}
	known := o.known[key.String()]
	if known == nil {
		b := labels.NewScratchBuilder(len(pairs) + 3)
		b.Add(model.MetricNameLabel, name)
		b.Add("job", "flyball")
		for _, p := range pairs {
			b.Add(p.GetName(), p.GetValue())
		}
		for i := 0; i+1 < len(more); i += 2 {
			b.Add(more[i], more[i+1])
		}
		b.Sort()
		known = &one{series: store.Series{Labels: b.Labels()}}
		o.known[key.String()] = known
	}
	known.seen = o.turn
	return &known.series
}
