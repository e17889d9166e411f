package cli

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	decisionv1 "github.com/flyball/flyball/api/decision/v1"
)

func newWatch(s *scope) *cobra.Command {
	output := "table"
	cmd := &cobra.Command{
		Use:   "watch [NAMESPACE/NAME]",
		Short: "Print a line for each decision as it is recorded, until Ctrl-C",
		Long: "Print a line for each decision that is recorded, first the last one of each autoscaler: when, for whom, from how many replicas to " +
			"how many, and why. If flyball goes away, it is asked again until it is back; what was recorded meanwhile is read from its " +
			"history, so that no decision is left out. -o json gives an object per line: {\"decision\": …} or {\"removed\": …}.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := watch(cmd.Context(), cmd, s, args, output); err != nil {
				return fmt.Errorf("watch: %w", err)
			}
			return nil
		},
	}
	s.flags(cmd)
	s.allFlag(cmd)
	cmd.Flags().StringVarP(&output, "output", "o", output, "table or json")
	return cmd
}

func watch(ctx context.Context, cmd *cobra.Command, s *scope, args []string, output string) error {
	if err := known(output, "table", "json"); err != nil {
		return err
	}
	namespace, name, err := s.who(args)
	if err != nil {
		return err
	}
	c, err := s.client()
	if err != nil {
		return err
	}
	f := newFollower(c, namespace, name)
	f.tell = func(e *decisionv1.WatchDecisionsResponse) error { return writeEvent(cmd.OutOrStdout(), e) }
	if output == "json" {
		f.tell = func(e *decisionv1.WatchDecisionsResponse) error { return writeEventJSON(cmd.OutOrStdout(), e) }
	}
	f.note = func(format string, a ...any) {
		fmt.Fprintf(cmd.ErrOrStderr(), "flyball: watch: "+format+"\n", a...)
	}
	return f.Run(ctx)
}

// writeEvent writes a line. Times are in UTC, as in explain.
func writeEvent(w io.Writer, e *decisionv1.WatchDecisionsResponse) error {
	var line string
	if d := e.GetDecision(); d != nil {
		line = fmt.Sprintf("%s  %-30s  %3d → %-3d  %s", d.GetAt().AsTime().Format(time.RFC3339), d.Namespace+"/"+d.Name, d.From, d.To, whyDecided(d))
	} else {
		r := e.GetRemoved()
		line = fmt.Sprintf("%-20s  %-30s  removed: it is no longer decided for", "-", r.GetNamespace()+"/"+r.GetName())
	}
	line = plain(line)
	if width, _, ok := terminal(w); ok {
		line = cut(line, width)
	}
	_, err := io.WriteString(w, line+"\n")
	return err
}

// writeEventJSON writes what happened in the API's own JSON. Where to go on and what was skipped are no concern of the reader.
func writeEventJSON(w io.Writer, e *decisionv1.WatchDecisionsResponse) error {
	key, data, err := "decision", []byte(nil), error(nil)
	if d := e.GetDecision(); d != nil {
		data, err = oneLine(d)
	} else {
		key = "removed"
		data, err = oneLine(e.GetRemoved())
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "{%q:%s}\n", key, data[:len(data)-1])
	return err
}
