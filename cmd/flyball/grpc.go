package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/spf13/cobra"

	"github.com/flyball/flyball/internal/board"
	"github.com/flyball/flyball/internal/keda"
	"github.com/flyball/flyball/internal/loop"
	"github.com/flyball/flyball/internal/replay"
	"github.com/flyball/flyball/internal/rpc"
	"github.com/flyball/flyball/internal/telemetry"
)

// grpcOptions say where gRPC is served, and to whom.
type grpcOptions struct {
	Listen string
	TLS    rpc.TLS
}

func (o *grpcOptions) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&o.Listen, "grpc-listen", "127.0.0.1:8091", "address of the gRPC API: decisions, KEDA's external scaler, health")
	f.StringVar(&o.TLS.Cert, "grpc-tls-cert", "", "certificate of the gRPC API (PEM, read again when it changes); plaintext when omitted")
	f.StringVar(&o.TLS.Key, "grpc-tls-key", "", "key of that certificate (PEM)")
	f.StringVar(&o.TLS.ClientCA, "grpc-client-ca", "", "admit only gRPC clients with a certificate by one of these authorities (PEM)")
}

func (o *grpcOptions) check() error {
	switch {
	case o.Listen == "":
		return errors.New("--grpc-listen is empty; give an address such as 127.0.0.1:8091")
	case o.TLS.Cert != "" && o.TLS.Key == "":
		return errors.New("--grpc-tls-cert without --grpc-tls-key; give both")
	case o.TLS.Cert == "" && o.TLS.Key != "":
		return errors.New("--grpc-tls-key without --grpc-tls-cert; give both")
	case o.TLS.Cert == "" && o.TLS.ClientCA != "":
		return errors.New("--grpc-client-ca without --grpc-tls-cert; clients show certificates only to a server that has one")
	}
	return nil
}

func (o *grpcOptions) listen() (net.Listener, error) {
	l, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w (choose another address with --grpc-listen)", o.Listen, err)
	}
	return l, nil
}

// newRPC makes the gRPC server: decisions, and what KEDA asks.
func (s *service) newRPC(f fleet, ready func() error) (*rpc.Server, error) {
	scaler := keda.New(keda.Options{Results: s.board, Now: time.Now, Tick: s.opts.Tick, Log: s.opts.Log})
	s.registry.MustRegister(prometheus.NewGaugeFunc(
		prometheus.GaugeOpts{Name: "flyball_keda_scaledobjects", Help: "ScaledObjects that KEDA asked about within the last two minutes."},
		func() float64 { return float64(len(scaler.Asking())) }))
	r, err := rpc.New(rpc.Options{
		Board: s.board, Records: s.records, Windows: facts{s.store, s.engine}, Tick: s.opts.Tick, Counts: s.counts, Findings: f.Findings,
		Ready: ready, Now: time.Now, Log: s.opts.Log, TLS: s.opts.GRPC.TLS, Register: scaler.Register,
	})
	if err != nil {
		return nil, fmt.Errorf("--grpc-tls-cert, --grpc-tls-key, --grpc-client-ca: %w", err)
	}
	return r, nil
}

// counts says how a target stood.
func (s *service) counts(ctx context.Context, namespace, name string, from, to time.Time) (replay.Counts, error) {
	tick := cmp.Or(s.opts.Tick, loop.DefaultTick)
	return telemetry.Counts(ctx, s.engine.PromQL(), s.store, namespace, name, from, to, tick)
}

// shown is a fleet that tells the board and the recorder who is decided for.
type shown struct {
	fleet
	board    *board.Board
	recorder *telemetry.Recorder
}

// Autoscalers implements loop.Fleet. While the fleet is still being read, who is not there yet is not gone.
func (s shown) Autoscalers(t time.Time) []loop.Autoscaler {
	ready := s.Ready() == nil
	all := s.fleet.Autoscalers(t)
	if ready {
		s.board.Present(all)
		s.recorder.Present(all)
	}
	return all
}
