package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/flyball/flyball/collector"
	"github.com/flyball/flyball/internal/loop"
)

const scrapeInterval = 2 * time.Second

func newRun() *cobra.Command {
	var o serviceOptions
	var standalone bool
	var manifests, targets []string
	cmd := &cobra.Command{
		Use:   "run --standalone --manifests FILE --targets FILE",
		Short: "Run the service: scrape, store, decide, explain",
		Long: "Run the service on this machine with everything embedded. Autoscalers come from manifest files, what to scrape " +
			"from Prometheus file_sd files; both are read again when they change. There is nothing to write to, so every " +
			"autoscaler is run in mode Advise: decisions are made, logged, journalled and shown.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case !standalone:
				return errors.New("run: only --standalone is built: give it, with --manifests and --targets")
			case len(manifests) == 0:
				return errors.New("run: --manifests names no file; give the PodAutoscalers' files")
			case len(targets) == 0:
				return errors.New("run: --targets names no file; give file_sd files (JSON or YAML)")
			}
			log, err := zap.NewProduction()
			if err != nil {
				return fmt.Errorf("run: %w", err)
			}
			o.Log, o.Scrape = log, scrapeInterval
			s, err := newService(o)
			if err != nil {
				return fmt.Errorf("run: %w", err)
			}
			defer s.close()
			packs, err := collector.LoadPacks()
			if err != nil {
				return fmt.Errorf("run: %w", err)
			}
			return s.Run(cmd.Context(), newFiles(manifests, targets, loop.Binder{Lookup: lookup(packs)}, log))
		},
	}
	f := cmd.Flags()
	f.BoolVar(&standalone, "standalone", false, "manifests and targets from files, decisions shown and not written")
	f.StringSliceVar(&manifests, "manifests", nil, "files of PodAutoscalers (YAML; glob patterns allowed)")
	f.StringSliceVar(&targets, "targets", nil, "file_sd files of exporters (JSON or YAML; glob patterns allowed)")
	f.StringVar(&o.Dir, "data", "data", "directory of samples and journal")
	f.StringVar(&o.Listen, "listen", "127.0.0.1:8090", "address of the HTTP API")
	f.DurationVar(&o.Retention, "retention", 7*24*time.Hour, "how long samples and decisions are kept")
	f.Int64Var(&o.MaxBytes, "retention-bytes", 4<<30, "the most bytes that sample blocks may take on disk; 0 for no limit")
	return cmd
}
