package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/timestamp"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
)

// selection is what series, labels and label values are asked of: match[], start, end and limit.
type selection struct {
	storage.Querier
	sets       [][]*labels.Matcher
	limit      int
	mint, maxt int64 // Unix milliseconds
}

// selection reads the parameters. The caller closes it.
func (s *Server) selection(r *http.Request) (*selection, error) {
	if s.Store == nil {
		return nil, missing("series")
	}
	limit, err := limitIn(r.Form)
	if err != nil {
		return nil, err
	}
	start, err := timeIn(r.Form, "start", minTime)
	if err != nil {
		return nil, err
	}
	end, err := timeIn(r.Form, "end", maxTime)
	if err != nil {
		return nil, err
	}
	sets, err := s.matchers(r.Form["match[]"])
	if err != nil {
		return nil, err
	}
	sel := &selection{sets: sets, limit: limit, mint: timestamp.FromTime(start), maxt: timestamp.FromTime(end)}
	if sel.Querier, err = s.Store.Querier(sel.mint, sel.maxt); err != nil {
		return nil, fmt.Errorf("read the store: %w", err)
	}
	return sel, nil
}

// series is GET and POST /api/v1/series: match[]; start, end, limit.
func (s *Server) series(r *http.Request) (any, annotations.Annotations, error) {
	if len(r.Form["match[]"]) == 0 {
		return nil, nil, problem{badData, errors.New("no match[] parameter provided")}
	}
	sel, err := s.selection(r)
	if err != nil {
		return nil, nil, err
	}
	defer sel.Close()
	// There is no function "series": the storage takes the name to mean that no samples are needed.
	hints := &storage.SelectHints{Start: sel.mint, End: sel.maxt, Func: "series", Limit: hint(sel.limit)}
	set := selectAll(r.Context(), sel, hints, sel.sets)
	found := []labels.Labels{}
	for set.Next() {
		if len(found)%128 == 0 && r.Context().Err() != nil {
			return nil, nil, r.Context().Err()
		}
		if sel.limit > 0 && len(found) == sel.limit {
			notes := set.Warnings()
			return found, notes.Add(errTruncated), nil
		}
		found = append(found, set.At().Labels())
	}
	return found, set.Warnings(), set.Err()
}

// selectAll is every series that one of the selectors matches, each once.
func selectAll(ctx context.Context, q storage.Querier, hints *storage.SelectHints, selectors [][]*labels.Matcher) storage.SeriesSet {
	sets := make([]storage.SeriesSet, 0, len(selectors))
	for _, matchers := range selectors {
		sets = append(sets, q.Select(ctx, true, hints, matchers...)) // merging needs them sorted
	}
	return storage.NewMergeSeriesSet(sets, 0, storage.ChainedSeriesMerge)
}

// labelNames is GET and POST /api/v1/labels: match[], start, end, limit.
func (s *Server) labelNames(r *http.Request) (any, annotations.Annotations, error) {
	sel, err := s.selection(r)
	if err != nil {
		return nil, nil, err
	}
	defer sel.Close()
	return sel.union(func(hints *storage.LabelHints, matchers []*labels.Matcher) ([]string, annotations.Annotations, error) {
		return sel.LabelNames(r.Context(), hints, matchers...)
	})
}

// labelValues is GET /api/v1/label/<name>/values: match[], start, end, limit. A name that is not of [a-zA-Z_][a-zA-Z0-9_]*
// may be given as U__ and its escaped form, in which _20_ stands for a space.
func (s *Server) labelValues(r *http.Request) (any, annotations.Annotations, error) {
	name := r.PathValue("name")
	if strings.HasPrefix(name, "U__") {
		name = model.UnescapeName(name, model.ValueEncodingEscaping)
	}
	if !model.UTF8Validation.IsValidLabelName(name) {
		return nil, nil, problem{badData, fmt.Errorf("invalid label name: %q", name)}
	}
	sel, err := s.selection(r)
	if err != nil {
		return nil, nil, err
	}
	defer sel.Close()
	return sel.union(func(hints *storage.LabelHints, matchers []*labels.Matcher) ([]string, annotations.Annotations, error) {
		return sel.LabelValues(r.Context(), name, hints, matchers...)
	})
}

// union is what the storage lists for any of the selectors, or at all where there is none: sorted, each once, cut at the limit.
func (sel *selection) union(list func(*storage.LabelHints, []*labels.Matcher) ([]string, annotations.Annotations, error)) (any, annotations.Annotations, error) {
	sets := sel.sets
	if len(sets) == 0 {
		sets = [][]*labels.Matcher{nil}
	}
	all := []string{}
	var notes annotations.Annotations
	for _, matchers := range sets {
		found, more, err := list(&storage.LabelHints{Limit: hint(sel.limit)}, matchers)
		if err != nil {
			return nil, nil, err
		}
		notes.Merge(more)
		all = append(all, found...)
	}
	slices.Sort(all)
	all = slices.Compact(all)
	if sel.limit > 0 && len(all) > sel.limit {
		all = all[:sel.limit]
		notes.Add(errTruncated)
	}
	return all, notes, nil
}
