package collector

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the collector's own.
type metrics struct {
	scrapes    *prometheus.CounterVec
	duration   prometheus.Histogram
	samples    prometheus.Histogram
	bytes      prometheus.Histogram
	duplicates prometheus.Counter
	endpoints  *prometheus.GaugeVec
}

func newMetrics(reg prometheus.Registerer) metrics {
	m := metrics{
		scrapes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "flyball_scrapes_total", Help: "Scrapes, by result: success, or why the page was not stored.",
		}, []string{"result"}),
		duration: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "flyball_scrape_duration_seconds", Help: "Time from the request to the stored page.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 13),
		}),
		samples: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "flyball_scrape_samples", Help: "Samples kept of a page, per successful scrape.",
			Buckets: prometheus.ExponentialBuckets(1, 4, 9),
		}),
		bytes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "flyball_scrape_body_bytes", Help: "Size of a page after inflation, per successful scrape.",
			Buckets: prometheus.ExponentialBuckets(1<<10, 4, 8),
		}),
		duplicates: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "flyball_scrape_duplicate_samples_total", Help: "Samples dropped because their series was on the page already.",
		}),
		endpoints: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "flyball_scrape_endpoints", Help: "Endpoints to scrape, by role.",
		}, []string{"role"}),
	}
	for _, result := range []string{
		resultSuccess, resultConnect, resultTimeout, resultStatus, resultTooBig, resultSyntax, resultStore,
	} {
		m.scrapes.WithLabelValues(result)
	}
	if reg != nil {
		reg.MustRegister(m.scrapes, m.duration, m.samples, m.bytes, m.duplicates, m.endpoints)
	}
	return m
}

func (m metrics) scrape(result string, took time.Duration, samples, duplicates, bytes int) {
	m.scrapes.WithLabelValues(result).Inc()
	m.duration.Observe(took.Seconds())
	if result != resultSuccess {
		return
	}
	m.samples.Observe(float64(samples))
	m.bytes.Observe(float64(bytes))
	m.duplicates.Add(float64(duplicates))
}

func (m metrics) count(endpoints map[Role]int) {
	for _, role := range []Role{PodExporter, GPUExporter, SourceEndpoint} {
		m.endpoints.WithLabelValues(string(role)).Set(float64(endpoints[role]))
	}
}
