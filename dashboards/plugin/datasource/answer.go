package datasource

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/data"
	"golang.org/x/sync/errgroup"

	decisionv1 "github.com/flyball/flyball/api/decision/v1"
	"github.com/flyball/flyball/dashboards/plugin/client"
	"github.com/flyball/flyball/dashboards/plugin/frames"
)

// past is how long ago a range must have ended to be about the past.
const past = 2 * time.Minute

// answer asks flyball and says the answer in frames. Each has its Meta.
func (q query) answer(ctx context.Context, c *client.Client, uid, page string) (data.Frames, error) {
	switch q.QueryType {
	case typeAutoscalers:
		all, absent, err := q.autoscalers(ctx, c)
		if err != nil {
			return nil, err
		}
		f := frames.Autoscalers(all, page)
		if q.now.Sub(q.to) > past {
			f.AppendNotices(data.Notice{Severity: data.NoticeSeverityInfo, Text: "this is how they stand now, and not at the range's end; replicas, decisions and explanation show the past"})
		}
		f.AppendNotices(frames.Warnings(absent...)...)
		return data.Frames{f}, nil
	case typeDecisions, typeAnnotations:
		return q.history(ctx, c, page)
	case typeReplicas:
		return q.replicas(ctx, c)
	case typeExplanation:
		e, err := c.Explain(ctx, q.Namespace, q.Name, q.to)
		if err != nil {
			return nil, err
		}
		return frames.Explanation(e, page), nil
	case typeWhatIf:
		return q.whatIf(ctx, c, page)
	case typeLive:
		return q.live(ctx, c, uid, page)
	}
	panic("BUG: an unchecked query type " + q.QueryType)
}

// autoscalers lists those that the query names, and says which names nobody has.
func (q query) autoscalers(ctx context.Context, c *client.Client) (all []*decisionv1.Autoscaler, absent []string, err error) {
	spaces, wanted := names(q.Namespace), names(q.Name)
	only := ""
	if len(spaces) == 1 {
		only = spaces[0]
	}
	if all, err = c.Autoscalers(ctx, only); err != nil {
		return nil, nil, err
	}
	inSpace, named := map[string]bool{}, map[string]bool{}
	all = slices.DeleteFunc(all, func(a *decisionv1.Autoscaler) bool {
		if len(spaces) > 0 && !slices.Contains(spaces, a.GetNamespace()) {
			return true
		}
		inSpace[a.GetNamespace()], named[a.GetName()] = true, true
		return len(wanted) > 0 && !slices.Contains(wanted, a.GetName())
	})
	for _, n := range spaces {
		if !inSpace[n] {
			absent = append(absent, "namespace "+n+": no autoscaler has it")
		}
	}
	for _, n := range wanted {
		if !named[n] {
			absent = append(absent, "name "+n+": no autoscaler has it")
		}
	}
	return all, absent, nil
}

// whose are the autoscalers that history is asked of. One that is named need not be there any more.
func (q query) whose(ctx context.Context, c *client.Client) (of [][2]string, absent []string, err error) {
	if q.one() {
		return [][2]string{{names(q.Namespace)[0], names(q.Name)[0]}}, nil, nil
	}
	all, absent, err := q.autoscalers(ctx, c)
	for _, a := range all {
		of = append(of, [2]string{a.GetNamespace(), a.GetName()})
	}
	return of, absent, err
}

// each asks of several autoscalers at once, and keeps the answers in their order.
func each[T any](ctx context.Context, of [][2]string, ask func(ctx context.Context, namespace, name string) (T, error)) ([]T, error) {
	out := make([]T, len(of))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for i, w := range of {
		group.Go(func() (err error) {
			out[i], err = ask(ctx, w[0], w[1])
			return err
		})
	}
	return out, group.Wait()
}

// part is one autoscaler's share of an answer.
type part struct {
	frames.Past
	cut     bool
	missing error // flyball has nothing of it
}

// remarks says of whom there is more in the range than was read, and whom flyball does not know.
func remarks(parts []part, limit int) []string {
	var out []string
	for _, p := range parts {
		if p.cut {
			out = append(out, fmt.Sprintf("%s/%s: only the first %d decisions of the range are shown; choose a shorter range or fewer autoscalers", p.Namespace, p.Name, limit))
		}
		if p.missing != nil {
			out = append(out, p.missing.Error())
		}
	}
	return out
}

// share is how many decisions are read of each of n autoscalers.
func share(n, limit int) int { return max(1, min(limit, maxAltogether/max(1, n))) }

// history is decisions or annotations.
func (q query) history(ctx context.Context, c *client.Client, page string) (data.Frames, error) {
	whose, absent, err := q.whose(ctx, c)
	if err != nil {
		return nil, err
	}
	limit := maxDecisions
	if q.Limit != nil {
		limit = *q.Limit
	}
	limit = share(len(whose), limit)
	parts, err := each(ctx, whose, func(ctx context.Context, namespace, name string) (p part, err error) {
		p.Namespace, p.Name = namespace, name
		p.Decisions, p.cut, err = c.Decisions(ctx, namespace, name, q.from, q.to, limit)
		return p, q.unless(err, &p.missing)
	})
	if err != nil {
		return nil, err
	}
	var all []*decisionv1.Decision
	for _, p := range parts {
		all = append(all, p.Decisions...)
	}
	slices.SortStableFunc(all, func(a, b *decisionv1.Decision) int { return a.GetAt().AsTime().Compare(b.GetAt().AsTime()) })
	var f *data.Frame
	if q.QueryType == typeAnnotations {
		f = frames.Annotations(all)
	} else {
		f = frames.Decisions(all, page)
	}
	f.AppendNotices(frames.Warnings(append(absent, remarks(parts, limit)...)...)...)
	return data.Frames{f}, nil
}

// unless gives the error, but for one: among several autoscalers, that nothing is recorded of one of them is a remark.
func (q query) unless(err error, missing *error) error {
	if client.Missing(err) && !q.one() {
		*missing = err
		return nil
	}
	return err
}

// replicas is a series for each autoscaler of which anything was decided.
func (q query) replicas(ctx context.Context, c *client.Client) (data.Frames, error) {
	whose, absent, err := q.whose(ctx, c)
	if err != nil {
		return nil, err
	}
	limit := share(len(whose), maxDecisions)
	parts, err := each(ctx, whose, func(ctx context.Context, namespace, name string) (p part, err error) {
		p.Namespace, p.Name = namespace, name
		if p.Decisions, p.cut, err = c.Decisions(ctx, namespace, name, q.from, q.to, limit); err != nil {
			return p, q.unless(err, &p.missing)
		}
		if p.Before, err = c.Explain(ctx, namespace, name, q.from); err != nil && !client.Missing(err) {
			return p, err
		}
		if p.cut {
			return p, nil // the end of what was read is not the end of the range
		}
		p.Last, err = c.Explain(ctx, namespace, name, q.to)
		if client.Missing(err) {
			p.missing, err = err, nil
		}
		return p, err
	})
	if err != nil {
		return nil, err
	}
	var out data.Frames
	for _, p := range parts {
		if f := frames.Wanted(p.Past, q.from, q.to); f != nil {
			out = append(out, f)
		}
	}
	if len(out) == 0 {
		out = data.Frames{frames.NoSeries()}
	}
	out[0].AppendNotices(frames.Warnings(append(absent, remarks(parts, limit)...)...)...)
	return out, nil
}

func (q query) whatIf(ctx context.Context, c *client.Client, page string) (data.Frames, error) {
	var differently *decisionv1.PolicyChanges
	if q.Changes != nil {
		var err error
		if differently, err = q.Changes.message(); err != nil {
			return nil, err
		}
	}
	namespace, name := names(q.Namespace)[0], names(q.Name)[0]
	r, err := c.Backtest(ctx, namespace, name, q.from, q.to, differently)
	if err != nil {
		return nil, err
	}
	return frames.Backtest(r, namespace, name, page), nil
}
