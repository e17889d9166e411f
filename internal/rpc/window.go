package rpc

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"google.golang.org/grpc/codes"

	decisionv1 "github.com/flyball/flyball/api/decision/v1"
	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/internal/loop"
	"github.com/flyball/flyball/query"
)

// The range of a window. A day is 86,400 points of the grid: a second's work.
const (
	minRange = time.Second
	maxRange = 24 * time.Hour
)

// GetWindow implements DecisionService.
func (d decisions) GetWindow(ctx context.Context, req *decisionv1.GetWindowRequest) (*decisionv1.GetWindowResponse, error) {
	if err := checkName(req); err != nil {
		return nil, err
	}
	if err := d.unready(); err != nil {
		return nil, err
	}
	r, err := d.find(req)
	if err != nil {
		return nil, err
	}
	source, bound, err := sourceOf(r, req.GetSource())
	if err != nil {
		return nil, err
	}
	span := r.Autoscaler.Policy.ObserveWindow
	if asked := req.GetRange(); asked != nil {
		if span = asked.AsDuration(); asked.CheckValid() != nil || span < minRange || span > maxRange {
			return nil, invalid("range", "it is out of range; give 1s to 24h (in JSON 86400s)")
		}
	}
	now := d.Now()
	at, err := timeOf("at", req.GetAt(), now)
	if err != nil {
		return nil, err
	}
	if at.After(now) {
		return nil, invalid("at", "%s is ahead of the server's clock; give a time that has passed, or none", at.Format(time.RFC3339))
	}
	windows, err := d.Windows.Windows(ctx, bound, at, span)
	about := []string{"source", source.Name, "source_key", source.Key}
	switch {
	case err != nil && (ctx.Err() != nil || errors.Is(err, context.DeadlineExceeded)):
		return nil, fmt.Errorf("source %s: %w", source.Name, err)
	case err != nil:
		return nil, fail(codes.Unavailable, reasonUnevaluated, fmt.Sprintf("source %s: %s", source.Name, err), about...)
	}
	if err := blind(source.Name, windows[0], about); err != nil {
		return nil, err
	}
	w := windows[0]
	return &decisionv1.GetWindowResponse{Source: source.Name, SourceKey: source.Key, Window: newWindow(decider.Window{
		Range: w.Range, Value: w.Value, At: w.At, State: decider.State(w.State), NewestAge: w.NewestAge, Coverage: w.Coverage,
		Expected: w.Expected, Reporting: w.Reporting, Answering: w.Answering, Silent: w.Silent, SilentFor: w.SilentFor, MeanReady: w.MeanReady,
	})}, nil
}

// sourceOf finds the source that is asked for by name or key.
func sourceOf(r loop.Result, asked string) (decider.Source, *query.Bound, error) {
	a := r.Autoscaler
	var names []string
	found := -1
	for i, s := range a.Policy.Sources {
		names = append(names, s.Name)
		switch {
		case s.Key == asked || asked == "" && len(a.Policy.Sources) == 1:
			found = i
		case s.Name != asked:
		case found >= 0:
			return decider.Source{}, nil, invalid("source", "two sources are named %s; give a key: Autoscaler.inputs has them", asked)
		default:
			found = i
		}
	}
	who := a.Namespace + "/" + a.Name
	switch {
	case a.Policy.Strategy == decider.HPA:
		return decider.Source{}, nil, fail(codes.FailedPrecondition, reasonDelegated, who+": strategy HPA leaves measuring to a native HorizontalPodAutoscaler; ask that")
	case found < 0 && asked == "":
		return decider.Source{}, nil, invalid("source", "missing; %s has %s", who, strings.Join(names, ", "))
	case found < 0:
		return decider.Source{}, nil, fail(codes.NotFound, reasonNoSource, fmt.Sprintf("%s has no source %s; it has %s", who, asked, strings.Join(names, ", ")))
	case found >= len(a.Sources):
		return decider.Source{}, nil, fail(codes.Unavailable, reasonNotReady, who+": no decision has been made for it since the start; ask again in a few seconds")
	}
	return a.Policy.Sources[found], a.Sources[found], nil
}

// blind says why a window has no usable value; nil when it has one.
func blind(source string, w query.Window, about []string) error {
	reason, what := "", ""
	switch {
	case w.State == query.Stale:
		reason, what = "STALE", "its newest sample is too old"
	case w.State == query.Missing:
		reason, what = "MISSING", "it has no value in that time"
	case w.State == query.NoPods:
		reason, what = "NO_PODS", "there is no pod that it could come from"
	case math.IsNaN(w.Value) || math.IsInf(w.Value, 0):
		reason, what = reasonNotNumber, "its value is not a finite number"
	default:
		return nil
	}
	message := fmt.Sprintf("source %s, %s until %s: %s", source, w.Range, w.At.UTC().Format(time.RFC3339), what)
	if w.NewestAge >= 0 {
		message += fmt.Sprintf("; newest sample %s old", w.NewestAge)
		about = append(about, "newest_age", w.NewestAge.String())
	}
	message += fmt.Sprintf("; %d of %d exporters answer", w.Answering, w.Expected)
	about = append(about, "expected", fmt.Sprint(w.Expected), "reporting", fmt.Sprint(w.Reporting), "answering", fmt.Sprint(w.Answering))
	return fail(codes.Unavailable, reason, message, about...)
}
