package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/flyball/flyball/internal/loop"
	"github.com/flyball/flyball/internal/server"
	"github.com/flyball/flyball/store"
)

const (
	defaultServer = "http://127.0.0.1:8090" // where run and demo listen unless told otherwise
	explainWait   = 10 * time.Second
	// maxAnswer bounds what is read of a server's answer. A decision with a hundred sources takes 100 kB.
	maxAnswer = 16 << 20
)

type explainOptions struct {
	at, server, dir string
	json            bool
}

func newExplain() *cobra.Command {
	var o explainOptions
	cmd := &cobra.Command{
		Use:   "explain NAMESPACE/NAME",
		Short: "Say why an autoscaler has the replicas it has, now or then",
		Long: "Say why an autoscaler has the replicas it has: its last decision with every rule that led to it, what became of it, how " +
			"long it has held, what it was made from, and what the bounds changed. A running flyball is asked; the store of one " +
			"that is stopped is read with --data-dir.",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := explain(cmd.Context(), cmd.OutOrStdout(), args[0], o); err != nil {
				return fmt.Errorf("explain: %w", err)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.at, "at", "", "explain the last decision at or before this time: 2026-01-01T12:00:00Z, or how long ago: 10m; now when omitted")
	f.BoolVar(&o.json, "json", false, "print the record and the text as one JSON object")
	f.StringVar(&o.server, "server", defaultServer, "address of the running flyball")
	f.StringVar(&o.dir, "data-dir", "", "read the store of a stopped flyball instead: the directory that it had as --data")
	cmd.MarkFlagsMutuallyExclusive("server", "data-dir")
	return cmd
}

func explain(ctx context.Context, w io.Writer, who string, o explainOptions) error {
	namespace, name, ok := strings.Cut(who, "/")
	if !ok || namespace == "" || name == "" || strings.Contains(name, "/") {
		return fmt.Errorf("%q is not an autoscaler's name; give NAMESPACE/NAME, such as default/llm", who)
	}
	if _, err := server.ParseAt(o.at, time.Time{}); err != nil {
		return fmt.Errorf("--at: %w", err)
	}
	var data json.RawMessage
	var err error
	if o.dir != "" {
		data, err = explainStopped(namespace, name, o)
	} else {
		data, err = explainRunning(ctx, namespace, name, o)
	}
	if err != nil {
		return err
	}
	if o.json {
		_, err = fmt.Fprintf(w, "%s\n", data)
		return err
	}
	var answer struct{ Text string }
	if err := json.Unmarshal(data, &answer); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	_, err = io.WriteString(w, answer.Text)
	return err
}

// explainStopped reads the journal of a process that has ended. The time is the clock's unless --at gives another.
func explainStopped(namespace, name string, o explainOptions) (json.RawMessage, error) {
	at, err := server.ParseAt(o.at, time.Now())
	if err != nil {
		return nil, err
	}
	var e loop.Explanation
	err = store.ReadJournal(o.dir, func(j *store.Journal) (err error) {
		e, err = loop.Records{Journal: j}.Explain(namespace, name, at)
		return err
	})
	if errors.Is(err, store.ErrInUse) {
		return nil, fmt.Errorf("%w; ask it: give --server with its address instead of --data-dir", err)
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(server.NewExplained(e))
}

// explainRunning asks a server. What --at says is left to the server's clock.
func explainRunning(ctx context.Context, namespace, name string, o explainOptions) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, explainWait)
	defer cancel()
	query := url.Values{"namespace": {namespace}, "name": {name}}
	if o.at != "" {
		query.Set("at", o.at)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(o.server, "/")+server.ExplainPath+"?"+query.Encode(), nil)
	if err != nil {
		return nil, fmt.Errorf("--server: %w; give something like %s", err, defaultServer)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%w; give the address of a running flyball as --server, or the directory of a stopped one as --data-dir", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("read the answer of %s: %w", o.server, err)
	}
	var answer struct {
		Status, Error string
		Data          json.RawMessage
	}
	switch err := json.Unmarshal(body, &answer); {
	case err != nil || answer.Status == "":
		return nil, fmt.Errorf("%s answers %s, and not as flyball does; is --server its address?", o.server, resp.Status)
	case answer.Status != "success":
		return nil, errors.New(answer.Error)
	}
	return answer.Data, nil
}
