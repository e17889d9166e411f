package server

import (
	"errors"
	"net/http"
	"time"

	"github.com/prometheus/common/model"

	"github.com/flyball/flyball/internal/loop"
)

// ExplainPath is where explanations are asked for.
const ExplainPath = "/api/v1/explain"

// Explained is an explanation as programs read it, and as people do.
type Explained struct {
	Explanation loop.Explanation `json:"explanation"`
	Text        string           `json:"text"`
}

// NewExplained renders an explanation.
func NewExplained(e loop.Explanation) Explained { return Explained{Explanation: e, Text: e.String()} }

// explain is GET /api/v1/explain: namespace, name, at (see ParseAt; now when absent).
func (s *Server) explain(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	for _, name := range []string{"namespace", "name"} {
		if q.Get(name) == "" {
			fail(w, bad("parameter %s: missing; ask as %s?namespace=a&name=llm", name, ExplainPath))
			return
		}
	}
	at, err := ParseAt(q.Get("at"), s.Now())
	if err != nil {
		fail(w, bad("parameter at: %w", err))
		return
	}
	e, err := s.Explain(q.Get("namespace"), q.Get("name"), at)
	switch {
	case errors.Is(err, loop.ErrNoRecord):
		write(w, http.StatusNotFound, response{Status: "error", ErrorType: "not_found", Error: err.Error()})
	case err != nil:
		write(w, http.StatusInternalServerError, response{Status: "error", ErrorType: "internal", Error: err.Error()})
	default:
		write(w, http.StatusOK, response{Status: "success", Data: NewExplained(e)})
	}
}

// ParseAt reads a time in RFC 3339, or as how long ago it is: 10m. Nothing means now.
func ParseAt(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return now, nil
	}
	if ago, err := model.ParseDuration(text); err == nil {
		return now.Add(-time.Duration(ago)), nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return t, bad("%q is neither a time such as 2026-01-01T12:00:00Z nor how long ago it is, such as 10m", text)
	}
	return t, nil
}
