package sim

import (
	"bytes"
	"fmt"
	"io"
	"strconv"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
)

// page is an exposition being put together: metric families in the order in which the exporter shows them.
type page struct{ families []*dto.MetricFamily }

// family adds a metric family. The page functions pass its metrics in.
func (p *page) family(name, help string, typ dto.MetricType, metrics ...*dto.Metric) {
	p.families = append(p.families, &dto.MetricFamily{Name: &name, Help: &help, Type: &typ, Metric: metrics})
}

func (p *page) gauge(name, help string, labels []*dto.LabelPair, v float64) {
	p.family(name, help, dto.MetricType_GAUGE, gaugeMetric(labels, v))
}

func (p *page) counter(name, help string, labels []*dto.LabelPair, v float64) {
	p.family(name, help, dto.MetricType_COUNTER, counterMetric(labels, v))
}

func (p *page) histogram(name, help string, labels []*dto.LabelPair, h *histogram) {
	m := &dto.Histogram{SampleCount: new(h.count), SampleSum: new(h.sum)}
	var sum uint64
	for i, bound := range h.bounds {
		sum += h.counts[i]
		m.Bucket = append(m.Bucket, &dto.Bucket{UpperBound: new(bound), CumulativeCount: new(sum)})
	}
	p.family(name, help, dto.MetricType_HISTOGRAM, &dto.Metric{Label: labels, Histogram: m})
}

// render is the page in text format 0.0.4.
func (p *page) render() ([]byte, error) {
	var b bytes.Buffer
	for _, f := range p.families {
		if _, err := expfmt.MetricFamilyToText(&b, f); err != nil {
			return nil, fmt.Errorf("render %s: %w", f.GetName(), err)
		}
	}
	return b.Bytes(), nil
}

func gaugeMetric(labels []*dto.LabelPair, v float64) *dto.Metric {
	return &dto.Metric{Label: labels, Gauge: &dto.Gauge{Value: &v}}
}

func counterMetric(labels []*dto.LabelPair, v float64) *dto.Metric {
	return &dto.Metric{Label: labels, Counter: &dto.Counter{Value: &v}}
}

// pairs makes labels of names and values in turn, in that order.
func pairs(namesAndValues ...string) []*dto.LabelPair {
	var out []*dto.LabelPair
	for i := 0; i < len(namesAndValues); i += 2 {
		out = append(out, &dto.LabelPair{Name: &namesAndValues[i], Value: &namesAndValues[i+1]})
	}
	return out
}

// WriteGatewayPage writes the metrics of a workload's gateway: requests that wait there because no pod is ready, requests that pods have
// accepted and not finished, and all that have come.
func (p *Plant) WriteGatewayPage(w io.Writer, namespace, name string) error {
	b, err := p.gatewayPage(namespace, name)
	return writePage(w, b, err)
}

func (p *Plant) gatewayPage(namespace, name string) ([]byte, error) {
	p.mu.Lock()
	wl, err := p.workload("write gateway page", namespace, name)
	if err != nil {
		p.mu.Unlock()
		return nil, err
	}
	running, waiting := wl.outstanding()
	queued, arrived := len(wl.queue), wl.arrived
	p.mu.Unlock()
	var out page
	out.gauge("gateway_queue_depth", "Requests waiting at the gateway for a ready pod.", nil, float64(queued))
	out.gauge("gateway_inflight_requests", "Requests accepted by a pod and not yet finished.", nil, float64(running+waiting))
	out.counter("gateway_requests_total", "Requests that have arrived.", nil, float64(arrived))
	return out.render()
}

func writePage(w io.Writer, b []byte, err error) error {
	if err != nil {
		return err
	}
	if _, err := w.Write(b); err != nil {
		return fmt.Errorf("write page: %w", err)
	}
	return nil
}

func itoa(n int) string { return strconv.Itoa(n) }
