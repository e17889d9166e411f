package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/flyball/flyball/internal/loop"
	"github.com/flyball/flyball/store"
)

// Timing measures how long the pipeline's stages take. There is one histogram for the whole fleet: one for each autoscaler
// would be more series than all else that is known of it.
type Timing struct {
	stage *prometheus.HistogramVec
	delay prometheus.Histogram
	store prometheus.Histogram
}

// stageBuckets reach from a decision, which takes microseconds, to the deadline of a long tick.
var stageBuckets = []float64{10e-6, 50e-6, 200e-6, 1e-3, 5e-3, 20e-3, 100e-3, 500e-3, 2, 10}

// NewTiming registers the histograms.
func NewTiming(reg prometheus.Registerer) *Timing {
	t := &Timing{
		stage: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "flyball_decision_stage_seconds", Help: "Time that a turn spent in each of its stages: scale, windows, history, decide, journal, act, outcome.",
			Buckets: stageBuckets,
		}, []string{"stage"}),
		delay: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "flyball_decision_delay_seconds", Help: "From the time that a decision is for until it was journalled and acted on.",
			Buckets: []float64{.005, .01, .02, .05, .1, .2, .5, 1, 2, 5, 10, 30},
		}),
		store: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "flyball_store_append_seconds", Help: "Time to store the samples of one scraped page.",
			Buckets: stageBuckets,
		}),
	}
	for _, stage := range loop.Stages() {
		t.stage.WithLabelValues(stage)
	}
	reg.MustRegister(t.stage, t.delay, t.store)
	return t
}

// Stage does one stage of a turn; it is loop.Options.Timed.
func (t *Timing) Stage(stage string, do func()) {
	began := time.Now()
	do()
	t.stage.WithLabelValues(stage).Observe(time.Since(began).Seconds())
}

// Decided observes a turn that has come to a decision.
func (t *Timing) Decided(r loop.Result) {
	if len(r.Decision.Reasons) > 0 {
		t.delay.Observe(max(0, time.Since(r.At).Seconds()))
	}
}

// Appender stores samples; store.Store is one.
type Appender interface {
	Append(samples []store.Sample) (at time.Time, err error)
}

// Appends is the appender, measured.
func (t *Timing) Appends(to Appender) Appender { return timedAppender{to, t.store} }

type timedAppender struct {
	to   Appender
	took prometheus.Observer
}

func (a timedAppender) Append(samples []store.Sample) (time.Time, error) {
	began := time.Now()
	at, err := a.to.Append(samples)
	a.took.Observe(time.Since(began).Seconds())
	return at, err
}

// BuildInfo registers what runs; its presence says that something does.
func BuildInfo(reg prometheus.Registerer, version, goVersion string) {
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "flyball_build_info", Help: "Always 1; what runs, as labels.",
		ConstLabels: prometheus.Labels{"version": version, "goversion": goVersion},
	}, func() float64 { return 1 }))
}
