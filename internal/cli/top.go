package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"k8s.io/apimachinery/pkg/util/duration"

	decisionv1 "github.com/flyball/flyball/api/decision/v1"
)

const topEvery = 2 * time.Second // a decision of each autoscaler is made as often

func newTop(s *scope) *cobra.Command {
	var again bool
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Rank autoscalers: those with a problem first, then by load over target",
		Long: "Rank autoscalers: those with a problem first, then by load over target on the ready pods. COVERAGE is the least of their sources', " +
			"OLDEST-SAMPLE how long the longest-silent source or pod has been silent, PANIC how long the panic lasts if nothing changes.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := top(cmd.Context(), cmd, s, again); err != nil {
				return fmt.Errorf("top: %w", err)
			}
			return nil
		},
	}
	s.flags(cmd)
	s.allFlag(cmd)
	cmd.Flags().BoolVarP(&again, "watch", "w", false, "draw again every 2 s, on a terminal, until Ctrl-C")
	return cmd
}

func top(ctx context.Context, cmd *cobra.Command, s *scope, again bool) error {
	w := cmd.OutOrStdout()
	width, _, isTerminal := terminal(w)
	if again && !isTerminal {
		return errors.New("--watch: the output is no terminal; leave it out, or see flyball watch for a line per decision")
	}
	namespace, _, err := s.who(nil)
	if err != nil {
		return err
	}
	c, err := s.client()
	if err != nil {
		return err
	}
	if again {
		return topAgain(ctx, w, c, namespace)
	}
	all, _, err := c.list(ctx, namespace)
	if err != nil {
		return err
	}
	if len(all.Autoscalers) == 0 {
		fmt.Fprintln(cmd.ErrOrStderr(), nobody(namespace))
		return nil
	}
	return writeTop(w, all.Autoscalers, width)
}

// topAgain draws over the last drawing until ctx ends. An error is shown above what was known last.
func topAgain(ctx context.Context, w io.Writer, c *client, namespace string) error {
	tick := time.NewTicker(topEvery)
	defer tick.Stop()
	var shown []*decisionv1.Autoscaler
	for first := true; ; first = false {
		all, now, err := c.list(ctx, namespace)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && (first || final(err)):
			return err
		}
		head := "flyball top  " + now.Local().Format(time.TimeOnly) + "  (Ctrl-C stops)"
		if err != nil {
			head = err.Error()
		} else {
			shown = all.Autoscalers
		}
		if err := drawTop(w, head, shown); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

func drawTop(w io.Writer, head string, all []*decisionv1.Autoscaler) error {
	width, height, _ := terminal(w)
	var b strings.Builder
	if err := writeTop(&b, all, width); err != nil {
		return err
	}
	lines := append([]string{plain(head), ""}, strings.Split(strings.TrimSuffix(b.String(), "\n"), "\n")...)
	b.Reset()
	b.WriteString("\x1b[H")
	for _, line := range lines[:min(len(lines), height-1)] {
		b.WriteString(cut(line, width) + "\x1b[K\n")
	}
	b.WriteString("\x1b[J")
	_, err := io.WriteString(w, b.String())
	return err
}

// writeTop ranks and writes autoscalers. The order of all is left as it is.
func writeTop(w io.Writer, all []*decisionv1.Autoscaler, width int) error {
	rows := [][]string{{"NAMESPACE", "NAME", "LOAD/TARGET%", "REPLICAS", "READY", "WANTED", "COVERAGE", "OLDEST-SAMPLE", "PANIC", "PROBLEM"}}
	for _, a := range ranked(all) {
		rows = append(rows, topRow(a))
	}
	return writeTable(w, rows, len(rows[0])-1, width)
}

func ranked(all []*decisionv1.Autoscaler) []*decisionv1.Autoscaler {
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(x, y *decisionv1.Autoscaler) int {
		px, py := problem(x) != "", problem(y) != ""
		if px != py {
			if px {
				return -1
			}
			return 1
		}
		return cmp.Or(-cmp.Compare(heat(x), heat(y)), cmp.Compare(x.Namespace, y.Namespace), cmp.Compare(x.Name, y.Name))
	})
	return all
}

// heat is load over target; who has none comes last.
func heat(a *decisionv1.Autoscaler) float64 {
	if ratio, ok := loadRatio(a); ok {
		return ratio
	}
	return math.Inf(-1)
}

func topRow(a *decisionv1.Autoscaler) []string {
	row := []string{a.Namespace, a.Name, "", "", "", "", "", "", "", problem(a)}
	if ratio, ok := loadRatio(a); ok {
		row[2] = percent(ratio)
	}
	d, in := a.GetDecision(), a.GetInputs()
	if d == nil {
		return row
	}
	row[3], row[4], row[5] = count(in.GetReplicas()), count(in.GetReady()), count(d.GetTo())
	least, oldest, measured, sampled := coverage(a)
	if measured {
		row[6] = percent(math.Floor(least*100+1e-6)/100) + "%" // 99.6 % is not whole
	}
	if sampled {
		row[7] = duration.HumanDuration(oldest)
	}
	if left, ok := panicLeft(d); ok {
		row[8] = duration.HumanDuration(left)
	}
	return row
}

// percent is a ratio in whole percent.
func percent(ratio float64) string { return fmt.Sprintf("%.0f", ratio*100) }
