package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"go.uber.org/zap/exp/zapslog"
	"k8s.io/klog/v2"

	"github.com/flyball/flyball/collector"
	"github.com/flyball/flyball/internal/loop"
)

const scrapeInterval = 2 * time.Second

type runOptions struct {
	service    serviceOptions
	standalone bool
	manifests  []string
	targets    []string
	cluster    clusterOptions
}

func newRun() *cobra.Command {
	var o runOptions
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run the service: scrape, store, decide, explain, and scale",
		Long: "Run the service. In a cluster, or with --kubeconfig, autoscalers, targets and pods come from the Kubernetes API, and " +
			"decisions are written to the targets' scale subresources by the instance that holds the Lease.\n\n" +
			"With --standalone everything is on this machine: autoscalers come from manifest files, what to scrape from " +
			"Prometheus file_sd files; both are read again when they change. There is nothing to write to, so every " +
			"autoscaler is run in mode Advise: decisions are made, logged, journalled and shown.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.check(); err != nil {
				return fmt.Errorf("run: %w", err)
			}
			log, err := zap.NewProduction()
			if err != nil {
				return fmt.Errorf("run: %w", err)
			}
			o.service.Log, o.service.Scrape = log, scrapeInterval
			if o.standalone {
				err = runStandalone(cmd.Context(), o)
			} else {
				err = runCluster(cmd.Context(), o)
			}
			if err != nil {
				return fmt.Errorf("run: %w", err)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.standalone, "standalone", false, "manifests and targets from files, decisions shown and not written")
	f.StringSliceVar(&o.manifests, "manifests", nil, "standalone: files of PodAutoscalers (YAML; glob patterns allowed)")
	f.StringSliceVar(&o.targets, "targets", nil, "standalone: file_sd files of exporters (JSON or YAML; glob patterns allowed)")
	f.StringVar(&o.cluster.kubeconfig, "kubeconfig", "", "file that says how to reach the cluster; without it, as a pod in the cluster")
	f.StringSliceVar(&o.cluster.namespaces, "namespaces", nil, "namespaces to look at; all when omitted")
	f.StringVar(&o.cluster.gpuExporters, "gpu-exporters", "app.kubernetes.io/name=dcgm-exporter", "label selector of the GPU exporters' pods")
	f.StringVar(&o.cluster.leaseNamespace, "lease-namespace", "flyball-system", "namespace of the Lease flyball, whose holder writes")
	f.StringSliceVar(&o.cluster.scalers, "scaler-addresses", []string{"flyball.flyball-system:8091"},
		"addresses at which KEDA finds this service; a ScaledObject with one as scalerAddress is delegated to, any other is a conflict")
	f.StringSliceVar(&o.cluster.acknowledged, "acknowledge", nil,
		"write in spite of: "+strings.Join(acknowledgeable, ", ")+"; otherwise flyball only advises, for other-controller from when one was seen until this says so")
	f.StringVar(&o.cluster.externalURL, "external-url", "", "address at which people reach the page, such as https://flyball.example.com; events link to decisions there")
	f.StringVar(&o.service.Dir, "data-dir", "data", "directory of samples and journal")
	f.StringVar(&o.service.Listen, "listen", "127.0.0.1:8090", "address of the HTTP API")
	o.service.GRPC.flags(cmd)
	f.DurationVar(&o.service.Retention, "retention", 7*24*time.Hour, "how long samples and decisions are kept")
	f.Int64Var(&o.service.MaxBytes, "retention-bytes", 4<<30, "the most bytes that sample blocks may take on disk; 0 for no limit")
	return cmd
}

func (o *runOptions) check() error {
	if err := errors.Join(o.service.GRPC.check(), checkAcknowledged(o.cluster.acknowledged), o.cluster.checkURL()); err != nil {
		return err
	}
	switch {
	case !o.standalone && len(o.manifests)+len(o.targets) > 0:
		return errors.New("--manifests and --targets are for --standalone; give it, or leave them out")
	case o.standalone && o.cluster.externalURL != "":
		return errors.New("--external-url is for the events of a cluster; with --standalone leave it out")
	case o.standalone && o.cluster.kubeconfig != "":
		return errors.New("--kubeconfig and --standalone exclude each other; leave one out")
	case o.standalone && len(o.manifests) == 0:
		return errors.New("--manifests names no file; give the PodAutoscalers' files")
	case o.standalone && len(o.targets) == 0:
		return errors.New("--targets names no file; give file_sd files (JSON or YAML)")
	}
	return nil
}

func runStandalone(ctx context.Context, o runOptions) (err error) {
	packs, err := collector.LoadPacks()
	if err != nil {
		return err
	}
	s, err := newService(o.service)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	return s.Run(ctx, newFiles(o.manifests, o.targets, loop.Binder{Lookup: lookup(packs)}, o.service.Log))
}

func runCluster(ctx context.Context, o runOptions) (err error) {
	config, err := o.cluster.config()
	if err != nil {
		return err
	}
	f, err := newKubeFleet(config, o.cluster, o.service.Log)
	if err != nil {
		return err
	}
	klog.SetSlogLogger(slog.New(zapslog.NewHandler(o.service.Log.Core()))) // client-go's own words
	o.service.Pages = map[string]http.RoundTripper{kubeScheme: f.pages}
	o.service.Publish = f.publish
	s, err := newService(o.service)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	s.registry.MustRegister(f)
	return s.Run(ctx, f)
}
