package server

import (
	"fmt"
	"net/http"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"google.golang.org/protobuf/proto"
)

// federate is GET /federate: the newest sample, with its time, of each series that match[] selects and that has not
// ended. A Prometheus scrapes it with honor_labels. Errors are plain text, as scrapers show them.
func (s *Server) federate(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, fmt.Sprintf("error parsing form values: %v", err), http.StatusBadRequest)
		return
	}
	if s.Store == nil {
		http.Error(w, missing("federation").Error(), http.StatusServiceUnavailable)
		return
	}
	selectors, err := s.parser.ParseMetricSelectors(r.Form["match[]"])
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	families, err := s.newest(r, selectors, s.Now())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	format := expfmt.NegotiateAccept(r.Header, expfmt.NewFormat(expfmt.TypeProtoDelim), expfmt.NewFormat(expfmt.TypeTextPlain))
	w.Header().Set("Content-Type", string(format))
	enc := expfmt.NewEncoder(w, format)
	for _, f := range families {
		if enc.Encode(f) != nil {
			return // the scraper has gone
		}
	}
}

// newest is the newest sample of each series in the lookback before now, by metric name.
func (s *Server) newest(r *http.Request, selectors [][]*labels.Matcher, now time.Time) ([]*dto.MetricFamily, error) {
	mint, maxt := now.Add(-s.Lookback).UnixMilli(), now.UnixMilli()
	q, err := s.Store.Querier(mint, maxt)
	if err != nil {
		return nil, fmt.Errorf("read the store: %w", err)
	}
	defer q.Close()
	var families []*dto.MetricFamily
	index := map[string]*dto.MetricFamily{}
	set := selectAll(r.Context(), q, &storage.SelectHints{Start: mint, End: maxt}, selectors)
	var it chunkenc.Iterator
	for set.Next() {
		series := set.At()
		it = series.Iterator(it)
		t, v, found := int64(0), 0.0, false
		for it.Next() == chunkenc.ValFloat {
			t, v = it.At()
			found = true
		}
		if it.Err() != nil {
			return nil, fmt.Errorf("read %s: %w", series.Labels(), it.Err())
		}
		name := series.Labels().Get(model.MetricNameLabel)
		if !found || name == "" || value.IsStaleNaN(v) { // the text format has no word for "ended"
			continue
		}
		f := index[name]
		if f == nil {
			f = &dto.MetricFamily{Name: proto.String(name), Type: dto.MetricType_UNTYPED.Enum()}
			index[name], families = f, append(families, f)
		}
		f.Metric = append(f.Metric, &dto.Metric{Label: pairs(series.Labels()), Untyped: &dto.Untyped{Value: proto.Float64(v)}, TimestampMs: proto.Int64(t)})
	}
	return families, set.Err()
}

// pairs are the labels without the name, and an empty instance where there is none: so a Prometheus that honours
// labels does not put our own address there.
func pairs(lset labels.Labels) []*dto.LabelPair {
	var out []*dto.LabelPair
	pair := func(name, value string) {
		out = append(out, &dto.LabelPair{Name: proto.String(name), Value: proto.String(value)})
	}
	lset.Range(func(l labels.Label) {
		if l.Name != model.MetricNameLabel {
			pair(l.Name, l.Value)
		}
	})
	if !lset.Has(model.InstanceLabel) {
		pair(model.InstanceLabel, "")
	}
	return out
}
