package cli

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/proto"
	"sigs.k8s.io/yaml"

	decisionv1 "github.com/flyball/flyball/api/decision/v1"
	"github.com/flyball/flyball/internal/rpc"
)

func newGet(s *scope) *cobra.Command {
	output := "table"
	cmd := &cobra.Command{
		Use:   "get [NAMESPACE/NAME]",
		Short: "List autoscalers: the replicas they have and want, and why",
		Long: "List autoscalers, or show one: bounds, replicas, what is wanted and why. The age is that of the last decision, which is seconds " +
			"old unless turns fail. -o name gives NAMESPACE/NAME, -o json what the API answers.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := get(cmd.Context(), cmd, s, args, output); err != nil {
				return fmt.Errorf("get: %w", err)
			}
			return nil
		},
	}
	s.flags(cmd)
	s.allFlag(cmd)
	cmd.Flags().StringVarP(&output, "output", "o", output, "table, wide, json, yaml or name; wide adds load over target")
	return cmd
}

func get(ctx context.Context, cmd *cobra.Command, s *scope, args []string, output string) error {
	if err := known(output, "table", "wide", "json", "yaml", "name"); err != nil {
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
	var all []*decisionv1.Autoscaler
	var answer proto.Message
	var now time.Time
	if name != "" {
		var one decisionv1.GetAutoscalerResponse
		if now, err = c.get(ctx, pathOf(namespace, name), nil, "autoscaler", &one); err != nil {
			return err
		}
		all, answer = []*decisionv1.Autoscaler{one.Autoscaler}, one.Autoscaler
	} else {
		var list *decisionv1.ListAutoscalersResponse
		if list, now, err = c.list(ctx, namespace); err != nil {
			return err
		}
		all, answer = list.Autoscalers, list
	}
	w := cmd.OutOrStdout()
	switch output {
	case "json":
		return writeJSON(w, answer)
	case "yaml":
		return writeYAML(w, answer)
	case "name":
		for _, a := range all {
			if _, err := fmt.Fprintf(w, "%s/%s\n", a.Namespace, a.Name); err != nil {
				return err
			}
		}
		return nil
	}
	if len(all) == 0 {
		fmt.Fprintln(cmd.ErrOrStderr(), nobody(namespace))
		return nil
	}
	rows, flex := fleetRows(all, now, output == "wide")
	width, _, _ := terminal(w)
	return writeTable(w, rows, flex, width)
}

// known checks the value of --output.
func known(output string, values ...string) error {
	for _, v := range values {
		if v == output {
			return nil
		}
	}
	last := len(values) - 1
	return fmt.Errorf("--output: %q is not known; give %s or %s", output, strings.Join(values[:last], ", "), values[last])
}

func nobody(namespace string) string {
	if namespace == "" {
		return "no autoscaler is decided for"
	}
	return "no autoscaler is decided for in namespace " + namespace
}

func writeYAML(w io.Writer, m proto.Message) error {
	data, err := rpc.JSON.Marshal(m)
	if err != nil {
		return err
	}
	if data, err = yaml.JSONToYAML(data); err != nil {
		return err
	}
	_, err = w.Write(data)
	return err
}

// fleetRows is a table of autoscalers, and which of its columns may be cut.
func fleetRows(all []*decisionv1.Autoscaler, now time.Time, wide bool) (rows [][]string, flex int) {
	header := []string{"NAMESPACE", "NAME", "TARGET", "MIN", "MAX", "REPLICAS", "WANTED", "READY", "STRATEGY", "MODE"}
	if wide {
		header = append(header, "LOAD/TARGET")
	}
	flex = len(header)
	rows = append(rows, append(header, "WHY", "AGE"))
	for _, a := range all {
		row := []string{
			a.Namespace, a.Name, a.GetTarget().GetKind() + "/" + a.GetTarget().GetName(),
			count(a.GetBounds().GetMinReplicas()), count(a.GetBounds().GetMaxReplicas()),
		}
		since := ""
		if d, in := a.GetDecision(), a.GetInputs(); d != nil {
			row = append(row, count(in.GetReplicas()), count(d.GetTo()), count(in.GetReady()))
			since = age(d.GetAt().AsTime(), now)
		} else {
			row = append(row, "", "", "")
		}
		row = append(row, a.Strategy, a.Mode)
		if wide {
			row = append(row, loads(a))
		}
		rows = append(rows, append(row, why(a), since))
	}
	return rows, flex
}

// loads is what each source measures. That which decided is as its target counts it, over that target; the others' targets are
// in the manifest alone. A source without a usable value has the window's state instead.
func loads(a *decisionv1.Autoscaler) string {
	var cells []string
	ask := asking(a)
	for _, s := range a.GetInputs().GetSources() {
		value := "error"
		switch w := s.GetStable(); {
		case ask != nil && s.Source == ask.GetSource():
			value = number(perPod(ask, a.GetInputs())) + "/" + number(ask.GetTarget())
		case w == nil:
		case w.GetState() == decisionv1.WindowState_WINDOW_STATE_FRESH && w.Value != nil:
			value = number(w.GetValue())
		default:
			state := strings.TrimPrefix(w.GetState().String(), "WINDOW_STATE_")
			value = strings.ReplaceAll(strings.ToLower(state), "_", "-")
		}
		cells = append(cells, s.Source+"="+value)
	}
	return strings.Join(cells, ",")
}
