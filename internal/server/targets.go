package server

import (
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/metadata"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/annotations"
)

// Target is something that is scraped, and how its scrapes go.
type Target struct {
	Labels    labels.Labels // that every series of it carries
	Pool      string        // what it is scraped as: Prometheus's scrape pool
	URL       string
	Scraped   time.Time     // start of the last scrape; zero before the first
	Duration  time.Duration // of the last scrape
	Err       error         // why the last scrape failed; nil if it did not
	DownSince time.Time     // start of the first scrape since which all have failed; of no meaning where Err is nil
	Interval  time.Duration // between two scrapes
	Timeout   time.Duration // of one scrape
}

func (t Target) health() string {
	switch {
	case t.Scraped.IsZero():
		return "unknown"
	case t.Err != nil:
		return "down"
	}
	return "up"
}

// targetData is a Target in the answer.
type targetData struct {
	DiscoveredLabels   labels.Labels `json:"discoveredLabels"`
	Labels             labels.Labels `json:"labels"`
	ScrapePool         string        `json:"scrapePool"`
	ScrapeURL          string        `json:"scrapeUrl"`
	GlobalURL          string        `json:"globalUrl"`
	LastError          string        `json:"lastError"`
	LastScrape         time.Time     `json:"lastScrape"`
	LastScrapeDuration float64       `json:"lastScrapeDuration"` // seconds
	Health             string        `json:"health"`
	ScrapeInterval     string        `json:"scrapeInterval"`
	ScrapeTimeout      string        `json:"scrapeTimeout"`
}

// targets is GET /api/v1/targets: state (active, dropped, any), scrapePool. No target is ever dropped.
func (s *Server) targets(r *http.Request) (any, annotations.Annotations, error) {
	if s.Targets == nil {
		return nil, nil, missing("the list of targets")
	}
	active := []targetData{}
	pool := r.Form.Get("scrapePool")
	switch strings.ToLower(r.Form.Get("state")) {
	case "", "any", "active":
		for _, t := range s.Targets() {
			if pool == "" || t.Pool == pool {
				active = append(active, t.data())
			}
		}
	}
	return map[string]any{"activeTargets": active, "droppedTargets": []any{}, "droppedTargetCounts": map[string]int{}}, nil, nil
}

func (t Target) data() targetData {
	d := targetData{
		DiscoveredLabels: t.Labels, Labels: t.Labels, ScrapePool: t.Pool, ScrapeURL: t.URL, GlobalURL: t.URL,
		LastScrape: t.Scraped, LastScrapeDuration: t.Duration.Seconds(), Health: t.health(),
		ScrapeInterval: t.Interval.String(), ScrapeTimeout: t.Timeout.String(),
	}
	if t.Err != nil {
		d.LastError = t.Err.Error()
	}
	return d
}

// incomplete warns that an answer misses data: targets that do not answer, have not since the end of what is asked or
// before, and may hold series of the query's selectors. An outage that has ended is not remembered here: its hole is in the data.
func (s *Server) incomplete(stmt parser.Statement, end time.Time) []error {
	eval, ok := stmt.(*parser.EvalStmt)
	if !ok || s.Targets == nil {
		return nil
	}
	var down []Target
	asked := 0
	for _, t := range s.Targets() {
		if !concerns(eval.Expr, t.Labels) {
			continue
		}
		asked++
		if t.health() == "down" && !t.DownSince.After(end) {
			down = append(down, t)
		}
	}
	if len(down) == 0 {
		return nil
	}
	return []error{fmt.Errorf("incomplete: %d of the %d targets that this query may read do not answer; the first: %s since %s: %w",
		len(down), asked, down[0].URL, down[0].DownSince.UTC().Format(time.RFC3339), down[0].Err)}
}

// concerns says whether a selector of the expression may match series that carry these labels, whatever others they have.
func concerns(expr parser.Expr, of labels.Labels) bool {
	found := false
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		if sel, ok := n.(*parser.VectorSelector); ok {
			found = found || !slices.ContainsFunc(sel.LabelMatchers, func(m *labels.Matcher) bool { return of.Has(m.Name) && !m.Matches(of.Get(m.Name)) })
		}
		return nil
	})
	return found
}

// metadata is GET /api/v1/metadata: metric, limit, limit_per_metric.
func (s *Server) metadata(r *http.Request) (any, annotations.Annotations, error) {
	if s.Metadata == nil {
		return nil, nil, missing("metadata")
	}
	limit, err := metadataLimit(r.Form.Get("limit"), "limit")
	if err != nil {
		return nil, nil, err
	}
	per, err := metadataLimit(r.Form.Get("limit_per_metric"), "limit_per_metric")
	if err != nil {
		return nil, nil, err
	}
	known := s.Metadata()
	if name := r.Form.Get("metric"); name != "" {
		only := known[name]
		known = map[string][]metadata.Metadata{}
		if len(only) > 0 {
			known[name] = only
		}
	}
	out := map[string][]metadata.Metadata{}
	for _, name := range slices.Sorted(maps.Keys(known)) {
		if limit >= 0 && len(out) == limit {
			break
		}
		out[name] = known[name]
		if per > 0 && len(out[name]) > per {
			out[name] = out[name][:per]
		}
	}
	return out, nil, nil
}

// metadataLimit is a limit of metadata: unlike elsewhere 0 is none of them, and below 0 no limit.
func metadataLimit(v, name string) (int, error) {
	if v == "" {
		return -1, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil {
		return 0, problem{badData, errors.New(name + " must be a number")}
	}
	return n, nil
}
