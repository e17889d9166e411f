package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/collector"
	"github.com/flyball/flyball/internal/loop"
)

func newLint() *cobra.Command {
	return &cobra.Command{
		Use:   "lint FILE...",
		Short: "Check PodAutoscaler manifests: every error with its field and its fix",
		Args:  cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, files []string) error {
			packs, err := collector.LoadPacks()
			if err != nil {
				return err
			}
			binder := loop.Binder{Lookup: lookup(packs), MetricsAPIs: true}
			bad := 0
			for _, file := range files {
				n, err := lintFile(cmd.OutOrStdout(), file, binder)
				if err != nil {
					return err
				}
				bad += n
			}
			if bad > 0 {
				return fmt.Errorf("lint: %d errors", bad)
			}
			return nil
		},
	}
}

// lintFile prints one line per finding and gives the number of errors.
func lintFile(w io.Writer, file string, binder loop.Binder) (int, error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, fmt.Errorf("lint: %w", err)
	}
	defer f.Close()
	pas, err := v1alpha1.Read(f)
	bad := 0
	if err != nil {
		fmt.Fprintf(w, "%s: error: %v\n", file, err)
		bad++
	}
	for _, pa := range pas {
		// The UID of the target is not known here and does not matter: any will do.
		_, warnings, errs := binder.Bind(pa, loop.Target{Kind: pa.Spec.ScaleTargetRef.Kind, Name: pa.Spec.ScaleTargetRef.Name, UID: "lint"})
		for _, err := range errs {
			fmt.Fprintf(w, "%s: %s/%s: error: %v\n", file, pa.Namespace, pa.Name, err)
			bad++
		}
		for _, warn := range warnings {
			fmt.Fprintf(w, "%s: %s/%s: warning: %s: %s\n", file, pa.Namespace, pa.Name, warn.Field, warn.Text)
		}
		for _, note := range pa.DefaultsUnlikeAIBrix() {
			fmt.Fprintf(w, "%s: %s/%s: note: %s: %s\n", file, pa.Namespace, pa.Name, note.Field, note.Text)
		}
		if len(errs) == 0 {
			fmt.Fprintf(w, "%s: %s/%s: ok\n", file, pa.Namespace, pa.Name)
		}
	}
	return bad, nil
}
