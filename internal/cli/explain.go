package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strconv"
	"time"

	"github.com/prometheus/common/model"
	"github.com/spf13/cobra"

	decisionv1 "github.com/flyball/flyball/api/decision/v1"
	"github.com/flyball/flyball/internal/loop"
	"github.com/flyball/flyball/internal/rpc"
	"github.com/flyball/flyball/store"
)

type explainOptions struct {
	at, id, dir string
	json        bool
}

func newExplain(s *scope) *cobra.Command {
	var o explainOptions
	cmd := &cobra.Command{
		Use:   "explain NAMESPACE/NAME | --id ID",
		Short: "Say why an autoscaler has the replicas it has, now or then",
		Long: "Say why an autoscaler has the replicas it has: its last decision with every rule that led to it, what became of it, how " +
			"long it has held, what it was made from, and what the bounds changed. Of a decision that logs or events name, the id is enough.",
		Args: func(cmd *cobra.Command, args []string) error {
			if o.id != "" {
				return cobra.NoArgs(cmd, args)
			}
			return cobra.ExactArgs(1)(cmd, args)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := explain(cmd.Context(), cmd.OutOrStdout(), s, args, o); err != nil {
				return fmt.Errorf("explain: %w", err)
			}
			return nil
		},
	}
	s.flags(cmd)
	f := cmd.Flags()
	f.StringVar(&o.at, "at", "", "explain the last decision at or before this time: 2026-01-01T12:00:00Z, or how long ago: 10m; now when omitted")
	f.StringVar(&o.id, "id", "", "explain the decision of this id, as logs and events have it")
	cmd.MarkFlagsMutuallyExclusive("id", "at")
	f.BoolVar(&o.json, "json", false, "print the explanation as one JSON object; its text is what is printed without --json")
	if !s.plugin {
		cmd.Long += " A running flyball is asked; the store of one that is stopped is read with --data-dir."
		f.StringVar(&o.dir, "data-dir", "", "read the store of a stopped flyball instead: its --data-dir")
		cmd.MarkFlagsMutuallyExclusive("server", "data-dir")
	}
	return cmd
}

func explain(ctx context.Context, w io.Writer, s *scope, args []string, o explainOptions) error {
	q, err := o.question(s, args)
	if err != nil {
		return err
	}
	var why *decisionv1.ExplainResponse
	if o.dir != "" {
		why, err = explainStopped(q, o.dir)
	} else {
		why, err = explainRunning(ctx, s, q)
	}
	if err != nil {
		return err
	}
	if o.json {
		return writeJSON(w, why)
	}
	_, err = io.WriteString(w, why.GetText())
	return err
}

// question is what is to be explained: a decision by its id, or an autoscaler at a time.
type question struct {
	id              string
	namespace, name string
	when
}

func (o explainOptions) question(s *scope, args []string) (question, error) {
	if o.id != "" {
		return question{id: o.id}, nil
	}
	namespace, name, err := s.who(args)
	if err != nil {
		return question{}, err
	}
	at, err := parseAt(o.at)
	if err != nil {
		return question{}, fmt.Errorf("--at: %w", err)
	}
	return question{namespace: namespace, name: name, when: at}, nil
}

// when is a time, or how long ago it is; now is zero of both.
type when struct {
	at  time.Time
	ago time.Duration
}

// parseAt reads a time in RFC 3339, or as how long ago it is: 10m. Nothing means now.
func parseAt(text string) (when, error) {
	if text == "" {
		return when{}, nil
	}
	if ago, err := model.ParseDuration(text); err == nil {
		return when{ago: time.Duration(ago)}, nil
	}
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return when{}, fmt.Errorf("%q is neither a time such as 2026-01-01T12:00:00Z nor how long ago it is, such as 10m", text)
	}
	return when{at: t}, nil
}

// explainStopped reads the journal of a process that has ended. How long ago is by this machine's clock.
func explainStopped(q question, dir string) (*decisionv1.ExplainResponse, error) {
	t := q.at
	if t.IsZero() {
		t = time.Now().Add(-q.ago)
	}
	var e loop.Explanation
	err := store.ReadJournal(dir, func(j *store.Journal) (err error) {
		if q.id != "" {
			e, err = loop.Records{Journal: j}.ExplainID(q.id)
		} else {
			e, err = loop.Records{Journal: j}.Explain(q.namespace, q.name, t)
		}
		return err
	})
	if errors.Is(err, store.ErrInUse) {
		return nil, fmt.Errorf("%w; ask it: give --server with its address instead of --data-dir", err)
	}
	if err != nil {
		return nil, err
	}
	return rpc.NewExplanation(e), nil
}

// explainRunning asks a server. How long ago is by the server's clock.
func explainRunning(ctx context.Context, s *scope, q question) (*decisionv1.ExplainResponse, error) {
	c, err := s.client()
	if err != nil {
		return nil, err
	}
	path, query := pathOf(q.namespace, q.name)+"/explanation", url.Values{}
	switch {
	case q.id != "":
		path = "decisions/" + url.PathEscape(q.id)
	case !q.at.IsZero():
		query.Set("at", q.at.Format(time.RFC3339Nano))
	case q.ago != 0:
		query.Set("ago", strconv.FormatFloat(q.ago.Seconds(), 'f', -1, 64)+"s")
	}
	var why decisionv1.ExplainResponse
	_, err = c.get(ctx, path, query, "decision", &why)
	var unreached unreachedError
	if errors.As(err, &unreached) && !s.plugin {
		return nil, fmt.Errorf("%w, or the directory of a stopped one as --data-dir", err)
	}
	if err != nil {
		return nil, err
	}
	return &why, nil
}
