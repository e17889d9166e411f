package collector

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/textparse"

	"github.com/flyball/flyball/store"
)

const (
	// maxSamples counts every sample of a page, kept or not. A vLLM page has 400, one with many LoRA adapters 3,000.
	maxSamples = 100_000
	// A kept series has at most maxLabels labels (vLLM's cache_config_info has 25), each with at most
	// maxLabelName and maxLabelValue bytes.
	maxLabels     = 64
	maxLabelName  = 256
	maxLabelValue = 4096

	// protobufSeparator is what textparse puts between name and labels of a series read from protobuf.
	protobufSeparator = 0xff
)

// series is one stored series of a page.
type series struct {
	store.Series
	owner  Identity // the pod that a GPU exporter's series was given to
	listed uint64   // number of the newest page that it was on
	seen   uint64   // number of the newest page that it had a value on
	live   bool     // its newest sample in the store is not a stale marker
}

// line is one kept line of a page as the exporter writes it, without the value.
type line struct {
	series *series
	labels labels.Labels // of the page; kept for GPU exporters only, whose lines change owners
	pod    podRef        // the pod that the page names; GPU exporters only
	blank  []float64     // the vendor's values for "no value"
	lag    time.Duration // the pack's; GPU exporters only
	seen   uint64        // number of the newest page that it was on
}

// pageReader turns the pages of one endpoint into samples. It remembers the lines of the last page, so that a line
// costs one map lookup as long as its labels do not change.
type pageReader struct {
	endpoint Endpoint
	identity []labels.Label
	packs    Packs

	number uint64             // of the page now being read
	lines  map[string]*line   // by the exporter's bytes
	known  map[uint64]*series // by hash of the stored labels, or the next free number after it

	builder    *labels.Builder
	symbols    *labels.SymbolTable
	samples    []store.Sample // of the page now being read
	duplicates int            // samples of that page dropped because their series was on it already
}

func newPageReader(e Endpoint, packs Packs) *pageReader {
	r := &pageReader{
		endpoint: e, identity: identityLabels(e), packs: packs,
		builder: labels.NewBuilder(labels.EmptyLabels()), symbols: labels.NewSymbolTable(),
	}
	r.forget()
	return r
}

func (r *pageReader) forget() {
	r.lines, r.known = map[string]*line{}, map[uint64]*series{}
}

// read gives the kept samples of a page, in its order, or an error and none. Two samples of one series on a page
// count once, the first. The slice is valid until the next call. The caller calls settle when the samples are in the
// store.
func (r *pageReader) read(pg page, keep map[string]struct{}, pods *podIndex, now time.Time) ([]store.Sample, error) {
	r.number++
	r.samples, r.duplicates = r.samples[:0], 0
	const hint = "the exporter's page is broken there: compare with curl"
	if !pg.delimited && len(pg.body) > 0 && pg.body[len(pg.body)-1] != '\n' {
		return nil, failf(resultSyntax, hint, "page of undeclared length does not end with a newline: it may be cut off")
	}
	parser, err := textparse.New(pg.body, pg.contentType, r.symbols, textparse.ParserOptions{
		IgnoreNativeHistograms: true, FallbackContentType: "text/plain",
	})
	undeclared := err // an unknown content type is read as text, with more suspicion
	if parser == nil {
		return nil, failf(resultSyntax, hint, "content type %q: %w", pg.contentType, err)
	}
	if i := bytes.IndexByte(pg.body, 0); i >= 0 {
		if _, binary := parser.(*textparse.ProtobufParser); !binary { // the text parsers take it for the end of the page
			return nil, failf(resultSyntax, hint, "zero byte at %d in a text page", i)
		}
	}
	total := 0
	for ; ; total++ {
		more, err := r.next(parser, keep, pods, now)
		if err != nil {
			if _, ok := errors.AsType[*failure](err); ok {
				return nil, err
			}
			return nil, failf(resultSyntax, hint, "parse page after %d samples: %w", total, err)
		}
		if !more {
			break
		}
		if total == maxSamples {
			return nil, failf(resultTooBig, "take metrics or labels off the page", "page has more than %d samples", maxSamples)
		}
	}
	if total == 0 && undeclared != nil {
		return nil, failf(resultSyntax, "is this the metrics path?", "no metrics on the page: %w", undeclared)
	}
	return r.samples, nil
}

// next takes one sample off the page, and keeps it where its name is kept. It says false at the end of the page.
func (r *pageReader) next(parser textparse.Parser, keep map[string]struct{}, pods *podIndex, now time.Time) (bool, error) {
	for {
		entry, err := parser.Next()
		if errors.Is(err, io.EOF) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		if entry != textparse.EntrySeries {
			continue // native histograms among them
		}
		raw, _, value := parser.Series() // a time on the page is ignored: the store stamps
		l, err := r.line(parser, raw, keep)
		if err != nil || l == nil {
			return true, err
		}
		l.seen = r.number
		if l.series != nil {
			l.series.listed = r.number
		}
		if !math.IsNaN(value) && !slices.Contains(l.blank, value) {
			r.add(l, value, pods, now)
		}
		return true, nil
	}
}

func (r *pageReader) add(l *line, value float64, pods *podIndex, now time.Time) {
	if r.endpoint.Role == GPUExporter {
		lag := l.lag
		if r.endpoint.Lag > 0 {
			lag = r.endpoint.Lag
		}
		owner := pods.owner(l.pod, lag, now)
		if l.series == nil || l.series.owner != owner {
			l.series = r.intern(withIdentity(r.builder, l.labels, gpuLabels(r.endpoint, owner)), owner)
		}
	}
	if l.series.seen == r.number {
		r.duplicates++
		return
	}
	l.series.listed, l.series.seen = r.number, r.number
	r.samples = append(r.samples, store.Sample{Series: &l.series.Series, Value: value})
}

// line finds the line of the parser's current sample, or nil where its name is not kept. The name is looked at
// before any label is: most of a page is dropped here.
func (r *pageReader) line(parser textparse.Parser, raw []byte, keep map[string]struct{}) (*line, error) {
	name := metricName(raw)
	quoted := len(name) == 0 // a name in quotes inside the braces: known only with the labels
	if _, kept := keep[string(name)]; !kept && !quoted {
		return nil, nil
	}
	l, known := r.lines[string(raw)]
	if known && !quoted {
		return l, nil
	}
	var lset labels.Labels
	parser.Labels(&lset)
	metric := lset.Get(model.MetricNameLabel)
	if _, kept := keep[metric]; !kept {
		return nil, nil
	}
	if known {
		return l, nil
	}
	if err := checkLabels(lset); err != nil {
		return nil, err
	}
	l = &line{}
	if p := r.packs.of(metric); p != nil {
		l.blank = p.Blank
		if p.GPU != nil {
			l.lag, l.pod = p.GPU.interval, p.GPU.podOf(lset, r.endpoint.Node)
		}
	}
	if r.endpoint.Role == GPUExporter {
		l.labels = lset
	} else {
		l.series = r.intern(withIdentity(r.builder, lset, r.identity), Identity{})
	}
	r.lines[string(raw)] = l
	return l, nil
}

// intern gives the one series of these labels.
func (r *pageReader) intern(lset labels.Labels, owner Identity) *series {
	h := lset.Hash()
	for ; r.known[h] != nil; h++ {
		if labels.Equal(r.known[h].Labels, lset) {
			r.known[h].owner = owner
			return r.known[h]
		}
	}
	s := &series{Series: store.Series{Labels: lset}, owner: owner}
	r.known[h] = s
	return s
}

// vanished are stale markers for the series that were on the last page and are not on this one.
func (r *pageReader) vanished(to []store.Sample) []store.Sample {
	return r.markers(to, func(s *series) bool { return s.seen != r.number })
}

// ended are stale markers for every live series.
func (r *pageReader) ended(to []store.Sample) []store.Sample {
	return r.markers(to, func(*series) bool { return true })
}

func (r *pageReader) markers(to []store.Sample, which func(*series) bool) []store.Sample {
	for _, s := range r.known {
		if s.live && which(s) {
			to = append(to, store.Sample{Series: &s.Series, Value: store.StaleMarker()})
		}
	}
	return to
}

// settle notes that the page's samples, and the markers of the vanished, are in the store.
func (r *pageReader) settle() {
	for raw, l := range r.lines {
		if l.seen != r.number {
			delete(r.lines, raw)
		}
	}
	for h, s := range r.known {
		if s.listed != r.number {
			delete(r.known, h)
		}
		s.live = s.seen == r.number
	}
}

// drop forgets series, and the lines that lead to them.
func (r *pageReader) drop(which func(*series) bool) {
	for raw, l := range r.lines {
		if l.series != nil && which(l.series) {
			delete(r.lines, raw)
		}
	}
	for h, s := range r.known {
		if which(s) {
			delete(r.known, h)
		}
	}
}

// metricName is the name at the start of a series as the parser gives it: up to the brace, the space, or (for
// protobuf) the separator. It is empty where the name stands in quotes inside the braces.
func metricName(raw []byte) []byte {
	for i, c := range raw {
		if c == '{' || c == ' ' || c == '\t' || c == protobufSeparator {
			return raw[:i]
		}
	}
	return raw
}

func checkLabels(lset labels.Labels) error {
	if name, twice := lset.HasDuplicateLabelNames(); twice {
		return fmt.Errorf("label %q is there twice in %s", name, lset)
	}
	n := 0
	var err error
	lset.Range(func(l labels.Label) {
		n++
		if len(l.Name) > maxLabelName || len(l.Value) > maxLabelValue {
			err = failf(resultTooBig, "shorten the label", "label %.64q of %s: name of %d bytes and value of %d, allowed are %d and %d",
				l.Name, lset.Get(model.MetricNameLabel), len(l.Name), len(l.Value), maxLabelName, maxLabelValue)
		}
	})
	if n-1 > maxLabels {
		return failf(resultTooBig, "take labels off the metric", "%s has %d labels, allowed are %d", lset.Get(model.MetricNameLabel), n-1, maxLabels)
	}
	return err
}
