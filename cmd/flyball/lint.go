package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/flyball/flyball/collector"
	"github.com/flyball/flyball/internal/lint"
	"github.com/flyball/flyball/internal/loop"
)

func newLint() *cobra.Command {
	var asJSON bool
	var scalers []string
	cmd := &cobra.Command{
		Use:   "lint FILE...",
		Short: "Check manifests: every finding with its line, its field and its fix",
		Long: `Check the PodAutoscalers of manifest files without a cluster, together with the Deployments, StatefulSets,
ReplicaSets, HorizontalPodAutoscalers and ScaledObjects that the same files hold, each as a document or as an item of a
List, as kubectl get -o yaml prints it. Other kinds are passed over.

One line per finding: file:line: object: severity: field: text. The exit code is 1 when there are errors; warnings
and notes leave it at 0.`,
		Args: cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, names []string) error {
			packs, err := collector.LoadPacks()
			if err != nil {
				return err
			}
			var files []lint.File
			for _, name := range names {
				data, err := os.ReadFile(name)
				if err != nil {
					return fmt.Errorf("lint: %w", err)
				}
				files = append(files, lint.File{Name: name, Data: data})
			}
			report := lint.Check(files, loop.Binder{Lookup: lookup(packs), MetricsAPIs: true, NativeHPAs: true}, scalers...)
			if asJSON {
				err = printFindings(cmd.OutOrStdout(), report)
			} else {
				err = printReport(cmd.OutOrStdout(), report)
			}
			if err != nil {
				return err
			}
			if bad := report.Errors(); bad > 0 {
				return fmt.Errorf("lint: %d errors", bad)
			}
			return nil
		},
	}
	cmd.Flags().StringSliceVar(&scalers, "scaler-addresses", nil,
		"those that flyball run is given; without them, a ScaledObject that asks a flyball elsewhere than in flyball-system is a warning")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object per finding and line: file, line, object, severity, field, text")
	return cmd
}

// printReport prints the findings for people, then the autoscalers that are right.
func printReport(w io.Writer, r lint.Report) error {
	for _, f := range r.Findings {
		if _, err := fmt.Fprintln(w, f); err != nil {
			return fmt.Errorf("lint: print: %w", err)
		}
	}
	for _, ok := range r.Right {
		if _, err := fmt.Fprintf(w, "%s: %s: ok\n", ok.File, ok.Object); err != nil {
			return fmt.Errorf("lint: print: %w", err)
		}
	}
	return nil
}

// printFindings prints the findings for programs.
func printFindings(w io.Writer, r lint.Report) error {
	out := json.NewEncoder(w)
	out.SetEscapeHTML(false)
	for _, f := range r.Findings {
		if err := out.Encode(f); err != nil {
			return fmt.Errorf("lint: print: %w", err)
		}
	}
	return nil
}
