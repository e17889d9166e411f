// Command cluster runs the demo's fleets on a real Kubernetes control plane: `make demo-cluster`.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/flyball/flyball/internal/controlplane"
	"github.com/flyball/flyball/internal/demo"
	"github.com/flyball/flyball/internal/sim"
	"github.com/flyball/flyball/internal/simkube"
)

func main() {
	flyball := flag.String("flyball", "bin/flyball", "the program to govern the cluster with")
	length := flag.Duration("for", 0, "stop after this long; 0 means at Ctrl-C")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if *length > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, *length)
		defer cancel()
	}
	if err := run(ctx, *flyball); err != nil {
		fmt.Fprintln(os.Stderr, "demo-cluster:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, flyball string) (err error) {
	cp, err := controlplane.Start(ctx, controlplane.Options{
		CRDs: []string{"deploy/crd/autoscaling.aibrix.ai_podautoscalers.yaml"}, Log: os.Stderr,
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, cp.Stop()) }()
	plant, err := sim.New(sim.Config{Seed: 1, Start: time.Now(), Nodes: demo.Nodes(), Workloads: given()})
	if err != nil {
		return err
	}
	kubelet, err := simkube.New(simkube.Options{Config: cp.Config(), Plant: plant, Server: sim.NewServer(plant), Now: time.Now})
	if err != nil {
		return err
	}
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error { return kubelet.Run(ctx) })
	all.Go(func() error { return govern(ctx, cp, plant, flyball) })
	return all.Wait()
}

// given are the demo's workloads without pods of the plant's own and without load: Kubernetes makes the pods, and load
// comes when they are there.
func given() []sim.WorkloadSpec {
	workloads := demo.Workloads(nil)
	for i := range workloads {
		workloads[i].PodNames, workloads[i].Replicas = sim.Given, 0
		workloads[i].Load = sim.LoadSpec{Shape: sim.Constant{}}
	}
	return workloads
}

// govern applies the fleets, starts flyball, begins the load, and shows the autoscalers until ctx ends.
func govern(ctx context.Context, cp *controlplane.ControlPlane, plant *sim.Plant, flyball string) error {
	apply := []string{"apply", "-f", "-"}
	if err := kubectl(ctx, cp, fleets()+demo.Manifests(plant.Snapshot().Gateway), apply...); err != nil {
		return err
	}
	if err := kubectl(ctx, cp, "", "apply", "-f", "deploy/rbac.yaml"); err != nil {
		return err
	}
	kubeconfig, err := cp.KubeconfigAs("system:serviceaccount:flyball-system:flyball")
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "flyball-demo-cluster-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	fmt.Printf(greeting, cp.Kubeconfig(), filepath.Dir(cp.Kubectl().Path), filepath.Join(dir, "flyball.log"))
	all, ctx := errgroup.WithContext(ctx)
	all.Go(func() error {
		log, err := os.Create(filepath.Join(dir, "flyball.log"))
		if err != nil {
			return err
		}
		defer log.Close()
		return child(ctx, log, exec.Command(flyball, "run", "--kubeconfig", kubeconfig, "--data-dir", filepath.Join(dir, "data")))
	})
	all.Go(func() error {
		for _, w := range demo.Workloads(nil) {
			if err := plant.SetLoad(w.Namespace, w.Name, w.Load); err != nil {
				return err
			}
		}
		return child(ctx, os.Stdout, cp.Kubectl("get", "fpa", "-A", "-w"))
	})
	return all.Wait()
}

const greeting = `
The demo's fleets are on a Kubernetes API of their own. In another terminal:

    export KUBECONFIG=%s PATH=%s:$PATH
    kubectl describe fpa -n team-a chat      # why so many replicas?
    kubectl get pods -A -w                   # pods that the real controllers make
    kubectl edit fpa -n team-a chat          # change it, and watch
    curl 'http://127.0.0.1:8090/api/v1/query?query=vllm:num_requests_waiting'

flyball logs to %s. Ctrl-C stops everything.

`

// child runs a program until it ends or ctx does, which it is told by SIGTERM. Ending with ctx is no error.
func child(ctx context.Context, out *os.File, cmd *exec.Cmd) error {
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err := <-ended:
		return fmt.Errorf("%s ended: %w", filepath.Base(cmd.Path), errors.Join(err, errors.New("see its log")))
	case <-ctx.Done():
		_ = cmd.Process.Signal(syscall.SIGTERM)
		<-ended
		return nil
	}
}

func kubectl(ctx context.Context, cp *controlplane.ControlPlane, stdin string, args ...string) error {
	cmd := cp.Kubectl(args...)
	cmd.Stdin = strings.NewReader(stdin)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("kubectl %s: %w: %s", strings.Join(args, " "), err, out.String())
	}
	return nil
}

// fleets are the namespaces and workloads of the demo's autoscalers.
func fleets() string {
	var b strings.Builder
	seen := map[string]bool{}
	for _, w := range demo.Workloads(nil) {
		if !seen[w.Namespace] {
			seen[w.Namespace] = true
			fmt.Fprintf(&b, "apiVersion: v1\nkind: Namespace\nmetadata: {name: %s}\n---\n", w.Namespace)
		}
		kind := "StatefulSet"
		if w.PodNames == sim.Hashed {
			kind = "Deployment"
		}
		fmt.Fprintf(&b, `apiVersion: apps/v1
kind: %[1]s
metadata: {namespace: %[2]s, name: %[3]s}
spec:
  replicas: 1
  selector: {matchLabels: {app: %[3]s}}
  template:
    metadata: {labels: {app: %[3]s, %[4]s: %[3]s}}
    spec:
      terminationGracePeriodSeconds: 5
      containers:
      - {name: vllm, image: vllm, ports: [{containerPort: 8000, name: http}], resources: {limits: {nvidia.com/gpu: 1}}}
---
`, kind, w.Namespace, w.Name, simkube.WorkloadLabel)
	}
	return b.String()
}
