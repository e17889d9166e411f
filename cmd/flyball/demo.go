package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	"github.com/flyball/flyball/collector"
	"github.com/flyball/flyball/internal/demo"
	"github.com/flyball/flyball/internal/loop"
	"github.com/flyball/flyball/internal/sim"
)

// The demo's scrape interval and tick, compressed as its manifests are.
const (
	demoScrape = time.Second
	demoTick   = time.Second
)

type demoOptions struct {
	length time.Duration
	seed   uint64
	trace  string
	json   bool
	listen string
	grpc   grpcOptions
}

func newDemo() *cobra.Command {
	var o demoOptions
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Watch simulated GPU fleets scale: real pages, real scrapes, real decisions",
		Long: "Run the whole pipeline over a simulated GPU fleet on loopback addresses: vLLM and DCGM pages that follow their load, " +
			"scraped over HTTP into a store on disk, decided for, and scaled. Times are compressed some ten times. Ctrl-C stops it.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := runDemo(cmd.Context(), o, cmd.OutOrStdout()); err != nil {
				return fmt.Errorf("demo: %w", err)
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.DurationVar(&o.length, "for", 0, "stop after this long; 0 means at Ctrl-C")
	f.Uint64Var(&o.seed, "seed", 1, "seed of loads and pod names")
	f.StringVar(&o.trace, "trace", "", "Azure LLM trace (CSV: TIMESTAMP,ContextTokens,GeneratedTokens) as the load of team-a/chat")
	f.BoolVar(&o.json, "json", false, "print one JSON object at the end, as the last line")
	f.StringVar(&o.listen, "listen", "127.0.0.1:8090", "address of the HTTP API")
	o.grpc.flags(cmd)
	return cmd
}

// runDemo ends without an error when its time is up or ctx ends.
func runDemo(ctx context.Context, o demoOptions, out io.Writer) (err error) {
	if o.length < 0 {
		return fmt.Errorf("--for %s: give a positive duration", o.length)
	}
	if err := o.grpc.check(); err != nil {
		return err
	}
	trace, err := readTrace(o.trace)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "flyball-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	if o.length > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, o.length)
		defer cancel()
	}
	plant, err := sim.New(sim.Config{Seed: o.seed, Start: time.Now(), Nodes: demo.Nodes(), Workloads: demo.Workloads(trace)})
	if err != nil {
		return err
	}
	server := sim.NewServer(plant)
	defer server.Close()
	if err := server.Sync(ctx); err != nil { // before the first scrape, so that every address is the real one
		return err
	}
	watch := newWatch(out)
	s, err := newService(serviceOptions{
		Dir: dir, Listen: o.listen, GRPC: o.grpc, Scrape: demoScrape, Tick: demoTick, Log: zap.NewNop(), Publish: watch.result,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if err := serveDemo(ctx, s, plant, server, watch); err != nil {
		return err
	}
	if !o.json {
		return nil
	}
	rep, err := watch.report(s.registry)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(rep)
}

func serveDemo(ctx context.Context, s *service, plant *sim.Plant, server *sim.Server, watch *watch) error {
	packs, err := collector.LoadPacks()
	if err != nil {
		return err
	}
	pas, err := demo.Autoscalers(plant.Snapshot().Gateway)
	if err != nil {
		return err
	}
	b := newBindings(loop.Binder{Lookup: lookup(packs)}, s.opts.Log)
	b.set(pas)
	f := &plantFleet{plant: plant, server: server, bindings: b, log: s.opts.Log, observe: watch.observe}
	watch.begin(s.listener.Addr().String())
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return s.Run(ctx, f) })
	all.Go(func() error { return watch.show(ctx) })
	return all.Wait()
}

func readTrace(path string) ([]sim.Request, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("--trace: %w", err)
	}
	defer f.Close()
	reqs, err := sim.ReadAzureTrace(f)
	if err != nil {
		return nil, fmt.Errorf("--trace %s: %w", path, err)
	}
	if len(reqs) == 0 {
		return nil, fmt.Errorf("--trace %s: no requests", path)
	}
	return reqs, nil
}
