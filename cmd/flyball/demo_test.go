package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/collector"
	"github.com/flyball/flyball/internal/demo"
	"github.com/flyball/flyball/internal/loop"
	"github.com/flyball/flyball/internal/sim"
)

func demoReport(t *testing.T, o demoOptions) report {
	t.Helper()
	var out bytes.Buffer
	o.json, o.listen, o.grpc.Listen = true, "127.0.0.1:0", "127.0.0.1:0"
	require.NoError(t, runDemo(context.Background(), o, &out))
	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	var rep report
	dec := json.NewDecoder(strings.NewReader(lines[len(lines)-1]))
	dec.DisallowUnknownFields()
	require.NoError(t, dec.Decode(&rep), "the last line is one object")
	return rep
}

// The demo, shortened to its first burst: fleets scale, each by its own metrics.
func TestDemoScalesEachFleetByItsOwnMetrics(t *testing.T) {
	t.Parallel()
	rep := demoReport(t, demoOptions{length: 25 * time.Second, seed: 1})
	require.Len(t, rep.Workloads, 4)
	most := map[int]bool{}
	for _, w := range rep.Workloads {
		most[w.ReplicaMax] = true
		require.Equal(t, 1, w.ReplicaMin, w.Name)
		require.Greater(t, w.Decisions, 15, w.Name)
	}
	chat := rep.Workloads[0]
	require.Equal(t, []string{"team-a", "chat", "KPA"}, []string{chat.Namespace, chat.Name, string(chat.Strategy)})
	require.Greater(t, chat.ReplicaMax, 2, "the burst")
	require.Greater(t, len(most), 1, "fleets with different loads have different replica counts")
	require.Positive(t, rep.Samples)
	require.Positive(t, rep.Reaction.P50)
	require.GreaterOrEqual(t, rep.Reaction.P99, rep.Reaction.P50)
	// On a machine that is busy with other tests a scrape may miss its deadline of 0.8 s; a wrong order of closing
	// pages and forgetting endpoints would fail with every pod that goes.
	require.LessOrEqual(t, rep.Scrapes.Failed, rep.Scrapes.OK/10)
}

func TestDemoReplaysATrace(t *testing.T) {
	t.Parallel()
	rep := demoReport(t, demoOptions{length: 8 * time.Second, seed: 1, trace: "../../internal/sim/testdata/trace.csv"})
	require.Len(t, rep.Workloads, 4)
	require.Positive(t, rep.Scrapes.OK)
}

func TestDemoManifestsBind(t *testing.T) {
	packs, err := collector.LoadPacks()
	require.NoError(t, err)
	pas, err := demo.Autoscalers("127.0.0.1:1")
	require.NoError(t, err)
	for _, pa := range pas {
		_, warnings, errs := loop.Binder{Lookup: lookup(packs)}.Bind(pa, loop.Target{UID: "x"})
		require.Empty(t, errs)
		require.Empty(t, warnings)
	}
}

// A node's GPU exporter names pods; its series reach the UID of the pod that has the GPU, also when that pod is replaced
// by another of the same name on the same node.
func TestGPUSeriesFollowTheirPod(t *testing.T) {
	t.Parallel()
	plant, err := sim.New(sim.Config{
		Seed: 1, Start: time.Now(), Nodes: []sim.NodeSpec{{Name: "gpu-0", GPU: sim.A100, GPUs: 1}},
		Workloads: []sim.WorkloadSpec{{
			Namespace: "a", Name: "llm", GPU: sim.A100, GPUsPerPod: 1, Replicas: 1, ColdStart: time.Second, PodNames: sim.Ordinal,
			Load: sim.LoadSpec{Shape: sim.Constant{Rate: 2}, Prompt: sim.Tokens{Mean: 100, Max: 100}, Output: sim.Tokens{Mean: 50, Max: 50}},
		}},
	})
	require.NoError(t, err)
	pas, err := v1alpha1.Read(strings.NewReader(`
apiVersion: autoscaling.aibrix.ai/v1alpha1
kind: PodAutoscaler
metadata: {namespace: a, name: llm}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: StatefulSet, name: llm}
  scalingStrategy: APA
  maxReplicas: 1
  observeWindowSeconds: 3
  metricsSources:
  - {metricSourceType: pod, targetMetric: DCGM_FI_PROF_DRAM_ACTIVE, targetType: Value, targetValue: "0.8"}
`))
	require.NoError(t, err)
	packs, err := collector.LoadPacks()
	require.NoError(t, err)
	b := newBindings(loop.Binder{Lookup: lookup(packs)}, zap.NewNop())
	b.set(pas)

	states := make(chan sim.Snapshot, 1)
	f := &plantFleet{plant: plant, server: sim.NewServer(plant), bindings: b, log: zap.NewNop(), observe: func(s sim.Snapshot) {
		select {
		case states <- s:
		default:
		}
	}}
	require.NoError(t, f.server.Sync(context.Background()))
	results := make(chan loop.Result, 1024)
	s, err := newService(serviceOptions{
		Dir: t.TempDir(), Listen: "127.0.0.1:0", GRPC: grpcOptions{Listen: "127.0.0.1:0"}, Scrape: 500 * time.Millisecond, Tick: time.Second, Log: zap.NewNop(),
		Publish: func(r loop.Result) { results <- r },
	})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, f) }()
	defer func() {
		stop()
		require.NoError(t, <-done)
		require.NoError(t, s.close())
	}()

	first := awaitGPU(t, s, states, results, "")
	require.NoError(t, plant.KillPod(first.UID))
	second := awaitGPU(t, s, states, results, first.UID)
	require.Equal(t, first.Name, second.Name)
	require.Equal(t, first.Node, second.Node)

	// Each UID's series ends before the other's begins, and none starts before its pod was there.
	res, err := s.engine.Range(context.Background(), s.store, `DCGM_FI_PROF_DRAM_ACTIVE{pod_uid!=""}`, first.CreatedAt, time.Now(), 100*time.Millisecond)
	require.NoError(t, err)
	for _, series := range res.Value.(promql.Matrix) {
		uid, at := series.Metric.Get("pod_uid"), time.UnixMilli(series.Floats[0].T)
		switch uid {
		case first.UID:
			last := time.UnixMilli(series.Floats[len(series.Floats)-1].T)
			require.False(t, last.After(second.CreatedAt.Add(time.Second)), "the old pod's series ended with it")
		case second.UID:
			require.False(t, at.Before(second.CreatedAt.Add(time.Second)), "within its lag, the exporter may still speak of the old pod")
		default:
			t.Errorf("series of an unknown pod: %s", series.Metric)
		}
	}
}

// awaitGPU waits until a pod other than the given one is ready and decisions are made from its GPU's series.
func awaitGPU(t *testing.T, s *service, states chan sim.Snapshot, results chan loop.Result, other string) sim.PodState {
	t.Helper()
	deadline := time.After(40 * time.Second)
	var pod sim.PodState
	for {
		select {
		case snap := <-states:
			for _, p := range snap.Pods {
				if p.Phase == sim.Ready && p.UID != other {
					pod = p
				}
			}
		case r := <-results:
			if pod.UID == "" || r.Err != nil {
				continue
			}
			res, err := s.engine.Instant(context.Background(), s.store, fmt.Sprintf(`DCGM_FI_PROF_DRAM_ACTIVE{pod_uid=%q}`, pod.UID), time.Now())
			require.NoError(t, err)
			if v, ok := res.Value.(promql.Vector); ok && len(v) == 1 && r.Input.Windows[0].Stable.Reporting == 1 {
				require.Equal(t, pod.Name, v[0].Metric.Get("pod"))
				require.Equal(t, pod.WorkloadUID, v[0].Metric.Get("workload_uid"))
				return pod
			}
		case <-deadline:
			t.Fatalf("no GPU series of a pod other than %q", other)
		}
	}
}
