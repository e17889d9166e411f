package datasource

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
)

// The query types.
const (
	typeAutoscalers = "autoscalers"
	typeDecisions   = "decisions"
	typeReplicas    = "replicas"
	typeExplanation = "explanation"
	typeAnnotations = "annotations"
	typeWhatIf      = "whatif"
	typeLive        = "live"
)

var types = []string{typeAutoscalers, typeDecisions, typeReplicas, typeExplanation, typeAnnotations, typeWhatIf, typeLive}

// What one query reads of history: of one autoscaler, and of all that it names. A decision takes about 2 KB.
const (
	maxDecisions  = 10_000
	maxAltogether = 50_000
)

// query is what a panel stores, and the range of time that is shown.
type query struct {
	QueryType string   `json:"queryType"`
	Namespace string   `json:"namespace"` // names with commas between them; empty for all
	Name      string   `json:"name"`      // likewise
	Limit     *int     `json:"limit"`     // of decisions
	Changes   *changes `json:"changes"`   // of whatif

	from, to, now time.Time
}

// ours are the fields of a query. Grafana adds others, and more of them with each version, so those are let pass.
var ours = []string{"queryType", "namespace", "name", "limit", "changes"}

// fieldError names a field of a query that is wrong, and says what to write instead.
type fieldError struct{ field, problem string }

func (e fieldError) Error() string { return e.field + ": " + e.problem }

func wrong(field, format string, args ...any) error {
	return fieldError{field, fmt.Sprintf(format, args...)}
}

// parse reads a query and checks it.
func parse(q backend.DataQuery) (query, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(q.JSON, &fields); err != nil {
		return query{}, wrong("query", "%s; it must be a JSON object", err)
	}
	for _, field := range slices.Sorted(maps.Keys(fields)) {
		if meant := misspelt(field); meant != "" {
			return query{}, wrong(field, "there is no such field; write %s", meant)
		}
	}
	out := query{from: q.TimeRange.From, to: q.TimeRange.To}
	if err := json.Unmarshal(q.JSON, &out); err != nil {
		return query{}, misfit(err)
	}
	return out, out.check()
}

// misspelt gives the field that was meant by one that differs only in case, dashes and underlines, or lacks or adds an s.
func misspelt(field string) string {
	plain := func(s string) string {
		return strings.TrimSuffix(strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(s)), "s")
	}
	if slices.Contains(ours, field) {
		return ""
	}
	for _, f := range ours {
		if plain(f) == plain(field) {
			return f
		}
	}
	return ""
}

// misfit says what a field's value should be.
func misfit(err error) error {
	var typed *json.UnmarshalTypeError
	var named fieldError
	switch {
	case errors.As(err, &named):
		return named
	case errors.As(err, &typed):
		return wrong(typed.Field, "a %s does not fit; give a %s", typed.Value, typed.Type)
	}
	return wrong("query", "%s", err)
}

func (q query) check() error {
	if !slices.Contains(types, q.QueryType) {
		return wrong("queryType", "%q is none; give one of %s", q.QueryType, strings.Join(types, ", "))
	}
	if err := q.checkNames(); err != nil {
		return err
	}
	switch {
	case q.Limit != nil && q.QueryType != typeDecisions:
		return wrong("limit", "only %s has a limit; remove it", typeDecisions)
	case q.Limit != nil && (*q.Limit < 1 || *q.Limit > maxDecisions):
		return wrong("limit", "%d is out of range; give 1 to %d, or leave it out for %d", *q.Limit, maxDecisions, maxDecisions)
	case q.Changes != nil && q.QueryType != typeWhatIf:
		return wrong("changes", "only %s has changes; remove them", typeWhatIf)
	case q.QueryType != typeAutoscalers && !q.from.Before(q.to):
		return wrong("time range", "it is empty; its end must be after its beginning")
	}
	if q.Changes == nil {
		return nil
	}
	_, err := q.Changes.message()
	return err
}

var nameForm = regexp.MustCompile(`^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$`)

func (q query) checkNames() error {
	single := q.QueryType == typeExplanation || q.QueryType == typeWhatIf
	for _, f := range []struct{ field, list string }{{"namespace", q.Namespace}, {"name", q.Name}} {
		list := names(f.list)
		for _, n := range list {
			switch {
			case strings.Contains(n, "$"):
				return wrong(f.field, "%q is a variable that this dashboard does not have; define it, or leave the field empty for all", n)
			case !nameForm.MatchString(n):
				return wrong(f.field, "%q is no name in Kubernetes; give names with commas between them, or leave it empty for all", n)
			}
		}
		switch {
		case single && len(list) != 1:
			return wrong(f.field, "%s is about one autoscaler, and here are %d names; give the autoscaler's", q.QueryType, len(list))
		case q.QueryType == typeLive && len(list) > 1:
			return wrong(f.field, "%s takes one name, and here are %d; leave it empty for all", q.QueryType, len(list))
		}
	}
	return nil
}

// names splits a list. A variable with several values becomes one.
func names(list string) []string {
	var out []string
	for n := range strings.SplitSeq(list, ",") {
		if n = strings.TrimSpace(n); n != "" {
			out = append(out, n)
		}
	}
	return out
}

// one says whether the query names one autoscaler, which need not be there any more.
func (q query) one() bool { return len(names(q.Namespace)) == 1 && len(names(q.Name)) == 1 }
