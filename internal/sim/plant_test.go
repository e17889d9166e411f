package sim

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func newPlant(t testing.TB, c Config) *Plant {
	t.Helper()
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// after advances the plant to a time since start and returns the snapshot.
func after(p *Plant, d time.Duration) Snapshot {
	p.Advance(start.Add(d))
	return p.Snapshot()
}

// phases counts the pods of a snapshot by phase.
func phases(s Snapshot) map[Phase]int {
	out := map[Phase]int{}
	for _, d := range s.Pods {
		out[d.Phase]++
	}
	return out
}

// pages are all pages of the plant.
func pages(t testing.TB, p *Plant) string {
	t.Helper()
	var b bytes.Buffer
	s := p.Snapshot()
	for _, d := range s.Pods {
		if err := p.WritePodPage(&b, d.UID); err != nil && !errors.Is(err, ErrNotReady) {
			t.Fatal(err)
		}
	}
	for _, n := range s.Nodes {
		must(t, p.WriteNodePage(&b, n.Name))
	}
	for _, w := range s.Workloads {
		must(t, p.WriteGatewayPage(&b, w.Namespace, w.Name))
	}
	return b.String()
}

func TestOverloadFillsTheQueueAndMoreReplicasDrainIt(t *testing.T) {
	c := fleet(1, Constant{20}) // one A100 carries about 8/s of these
	c.Workloads[0].ColdStart = time.Minute
	p := newPlant(t, c)
	early, late := after(p, 3*time.Minute).Workloads[0], after(p, 6*time.Minute).Workloads[0]
	if early.Waiting < 500 || late.Waiting < early.Waiting+500 {
		t.Errorf("%d requests wait after 3 min and %d after 6 min; want a queue that grows", early.Waiting, late.Waiting)
	}
	must(t, p.Scale("chat", "llama", 6))
	// Requests stay with the engine that accepted them, so the old queue drains at one replica's pace; new ones go elsewhere.
	if got := after(p, 30*time.Minute).Workloads[0]; got.Waiting > 5 || got.Running == 0 {
		t.Errorf("%d requests wait after 23 min with 6 replicas, %d run; want none waiting", got.Waiting, got.Running)
	}
}

func TestAReplicaServesNoMoreThanItsProfileAllows(t *testing.T) {
	c := fleet(1, Constant{40})
	c.Workloads[0].Load.Prompt, c.Workloads[0].Load.Output = Tokens{1000, 0, 1000}, Tokens{200, 0, 200}
	p := newPlant(t, c)
	from, to := after(p, 5*time.Minute).Workloads[0].Completed, after(p, 15*time.Minute).Workloads[0].Completed
	rate := float64(to-from) / 600
	// A full batch of 256: per request 1000·Beta of prefill and 200 steps' share of Alpha/256 + Delta + ~1100·Gamma.
	e := engineA100
	want := 1000 / (1000*e.Beta + 200*(e.Alpha/256+e.Delta+1100*e.Gamma))
	if rate < 0.93*want || rate > 1.02*want {
		t.Errorf("saturated at %.2f requests/s, want about %.2f", rate, want)
	}
}

func TestAPodIsReadyAfterItsColdStartAndGoneAfterItsDrain(t *testing.T) {
	c := fleet(1, Constant{3})
	c.Workloads[0].ColdStart, c.Workloads[0].DrainGrace = 90*time.Second, 5*time.Second
	c.Workloads[0].Load.Output = Tokens{2000, 0, 2000} // at least 17 s each: more than the grace
	p := newPlant(t, c)
	if s := after(p, 90*time.Second-1); s.Pods[0].Phase != Starting || s.Workloads[0].Queued < 200 {
		t.Errorf("just before the cold start is over: pod %s, %d requests at the gateway", s.Pods[0].Phase, s.Workloads[0].Queued)
	}
	s := after(p, 90*time.Second)
	if s.Pods[0].Phase != Ready || !s.Pods[0].ReadyAt.Equal(start.Add(90*time.Second)) || s.Workloads[0].Queued != 0 {
		t.Errorf("when it is over: pod %+v, %d requests at the gateway", s.Pods[0], s.Workloads[0].Queued)
	}
	before := after(p, 200*time.Second).Workloads[0]
	must(t, p.Scale("chat", "llama", 0))
	s = p.Snapshot()
	if w := s.Workloads[0]; s.Pods[0].Phase != Draining || w.Queued < 300 || w.Queued+w.Waiting != before.Waiting || w.StatusReplicas != 0 {
		t.Errorf("draining: pod %s, workload %+v; want its %d waiting requests back at the gateway, but for preempted ones", s.Pods[0].Phase, w, before.Waiting)
	}
	if s := after(p, 205*time.Second-1); len(s.Pods) != 1 {
		t.Error("the pod is gone before its grace is over")
	}
	if s := after(p, 205*time.Second); len(s.Pods) != 0 || s.Workloads[0].Running != 0 || s.Nodes[0].Free != 8 {
		t.Errorf("after the grace: pods %v, workload %+v, %d GPUs free on the first node", s.Pods, s.Workloads[0], s.Nodes[0].Free)
	}
}

func TestADrainedPodLeavesBeforeItsGraceEnds(t *testing.T) {
	c := fleet(1, Steps{{5, time.Minute}})
	c.Workloads[0].DrainGrace = time.Hour
	p := newPlant(t, c)
	after(p, 59*time.Second)
	must(t, p.Scale("chat", "llama", 0))
	if s := after(p, 5*time.Minute); len(s.Pods) != 0 {
		t.Errorf("pod still %s four minutes after the last request", s.Pods[0].Phase)
	}
}

func TestReplicasWithNothingToDoTakeTurns(t *testing.T) {
	c := fleet(4, Constant{0.1})
	byPod := map[string]int{}
	c.Completed = func(d Completion) { byPod[d.PodUID]++ }
	after(newPlant(t, c), time.Hour) // about 360 requests, hardly ever two at once
	for uid, n := range byPod {
		if n < 60 {
			t.Errorf("pod %s served %d of 360 requests, want about a quarter", uid, n)
		}
	}
	if len(byPod) != 4 {
		t.Errorf("%d pods of 4 served requests", len(byPod))
	}
}

func TestPodsWithoutAFreeGPUAreUnschedulableUntilOneIsFreed(t *testing.T) {
	big := WorkloadSpec{Namespace: "b", Name: "big", GPU: A100, GPUsPerPod: 4, Replicas: 2, Load: LoadSpec{Shape: Constant{0}}}
	small := WorkloadSpec{Namespace: "a", Name: "small", GPU: A100, GPUsPerPod: 1, Replicas: 6, Load: LoadSpec{Shape: Constant{0}}}
	p := newPlant(t, Config{
		Start: start, Workloads: []WorkloadSpec{small, big},
		Nodes: []NodeSpec{{"other", A40, 8}, {"n0", A100, 8}, {"n1", A100, 4}},
	})
	s := p.Snapshot()
	if w := s.Workloads[1]; w.Unschedulable != 1 || w.StatusReplicas != 2 || w.Ready != 1 {
		t.Fatalf("%+v; want one pod on n1 and one without GPUs", w)
	}
	if last := s.Pods[len(s.Pods)-1]; last.Phase != Pending || last.Node != "" || last.Address != "" {
		t.Errorf("%+v; want a pending pod without node and address", last)
	}
	must(t, p.Scale("a", "small", 4))
	if s := p.Snapshot(); s.Workloads[1].Ready != 2 || s.Pods[len(s.Pods)-1].Node != "n0" {
		t.Errorf("%+v; want the second pod on n0 now that four GPUs are free there", s.Workloads[1])
	}
}

func TestPodNames(t *testing.T) {
	spec := func(ns string, naming PodNaming) WorkloadSpec {
		return WorkloadSpec{Namespace: ns, Name: "llm", GPU: A40, GPUsPerPod: 1, Replicas: 3, PodNames: naming, Load: LoadSpec{Shape: Constant{0}}}
	}
	p := newPlant(t, Config{Start: start, Nodes: []NodeSpec{{"n", A40, 16}}, Workloads: []WorkloadSpec{spec("x", Ordinal), spec("y", Ordinal), spec("z", Hashed)}})
	names := map[string][]string{}
	for _, d := range p.Snapshot().Pods {
		names[d.Namespace] = append(names[d.Namespace], d.Name)
	}
	if want := []string{"llm-0", "llm-1", "llm-2"}; !slices.Equal(names["x"], want) || !slices.Equal(names["y"], want) {
		t.Errorf("x has %v and y %v, want both %v", names["x"], names["y"], want)
	}
	for _, n := range names["z"] {
		if parts := strings.Split(n, "-"); len(parts) != 3 || len(parts[1]) != 10 || len(parts[2]) != 5 {
			t.Errorf("hashed name %q, want llm-<10>-<5>", n)
		}
	}
	must(t, p.Scale("x", "llm", 2))
	must(t, p.Scale("x", "llm", 3))
	var again []string
	for _, d := range p.Snapshot().Pods {
		if d.Namespace == "x" {
			again = append(again, d.Name)
		}
	}
	if want := []string{"llm-0", "llm-1", "llm-2"}; !slices.Equal(again, want) {
		t.Errorf("after 3 → 2 → 3: %v, want %v", again, want)
	}
}

func TestScalingDownRemovesTheHighestOrdinals(t *testing.T) {
	p := newPlant(t, fleet(12, Constant{0}))
	must(t, p.Scale("chat", "llama", 10))
	for _, d := range p.Snapshot().Pods {
		if d.Name == "llama-10" || d.Name == "llama-11" {
			t.Errorf("%s is still there", d.Name)
		}
	}
}

func TestANewLoadStartsNow(t *testing.T) {
	p := newPlant(t, fleet(1, Constant{0}))
	after(p, 10*time.Minute)
	l := p.cfg.Workloads[0].Load
	l.Shape, l.Arrivals = Steps{{2, time.Minute}}, Even
	must(t, p.SetLoad("chat", "llama", l))
	if w := after(p, 10*time.Minute+30*time.Second).Workloads[0]; w.Arrived != 60 || w.Load != 2 {
		t.Errorf("30 s later %d requests have arrived at %v/s, want 60 at 2/s", w.Arrived, w.Load)
	}
	if w := after(p, time.Hour).Workloads[0]; w.Arrived != 120 || w.Load != 0 {
		t.Errorf("in the end %d requests have arrived and %v/s come, want 120 and none", w.Arrived, w.Load)
	}
	if err := p.SetLoad("chat", "llama", LoadSpec{}); err == nil {
		t.Error("a load without shape and trace is taken")
	}
}

func TestQwenSaturatesAtThePublishedRate(t *testing.T) {
	e := Qwen32BOnH100TP2
	c := Config{Start: start, Nodes: []NodeSpec{{"h100", H100, 8}}, Workloads: []WorkloadSpec{{
		Namespace: "chat", Name: "qwen", GPU: H100, GPUsPerPod: 2, Engine: &e, Replicas: 1,
		Load: LoadSpec{Shape: Constant{4}, Prompt: Tokens{4000, 0, 4000}, Output: Tokens{1000, 0, 1000}},
	}}}
	p := newPlant(t, c)
	from, to := after(p, 10*time.Minute).Workloads[0].Completed, after(p, time.Hour).Workloads[0].Completed
	if rate := float64(to-from) / 3000; rate < 1.4 || rate > 1.5 {
		t.Errorf("saturated at %.2f requests/s, want the published 1.4–1.5", rate)
	}
}

func TestARecreatedWorkloadIsAnother(t *testing.T) {
	p := newPlant(t, fleet(2, Constant{4}))
	before := after(p, time.Minute)
	must(t, p.Recreate("chat", "llama"))
	s := p.Snapshot()
	if len(s.Workloads) != 1 || s.Workloads[0].UID == before.Workloads[0].UID || s.Workloads[0].Arrived != 0 {
		t.Errorf("workloads %+v; want one with a new UID that starts fresh", s.Workloads)
	}
	if got := phases(s); got[Draining] != 2 || len(s.Pods) != 2 {
		t.Errorf("pods %v; the old pods drain, and their names are taken until they are gone", got)
	}
	s = after(p, 2*time.Minute)
	if got := phases(s); got[Ready] != 2 || len(s.Pods) != 2 || s.Pods[0].WorkloadUID != s.Workloads[0].UID {
		t.Errorf("pods %+v; want two of the new workload", s.Pods)
	}
	must(t, p.Delete("chat", "llama"))
	if s := after(p, 5*time.Minute); len(s.Workloads)+len(s.Pods) != 0 {
		t.Errorf("after Delete: %+v", s)
	}
	if err := p.Scale("chat", "llama", 1); !errors.Is(err, ErrNotFound) {
		t.Errorf("Scale of a deleted workload: %v", err)
	}
}

func TestGivenPodsComeAndGoAsTheCallerSays(t *testing.T) {
	c := fleet(0, Constant{4})
	c.Workloads[0].PodNames = Given
	p := newPlant(t, c)
	must(t, p.AddPod("chat", "llama", "llama-abc", "u1"))
	if err := p.AddPod("chat", "llama", "llama-abc", "u2"); err == nil {
		t.Error("two pods of one name")
	}
	s := after(p, time.Minute)
	if len(s.Pods) != 1 || s.Pods[0].UID != "u1" || s.Workloads[0].Replicas != 1 || s.Workloads[0].Completed == 0 {
		t.Errorf("pods %+v, workload %+v", s.Pods, s.Workloads[0])
	}
	if err := p.Scale("chat", "llama", 2); err == nil {
		t.Error("Scale of a workload whose pods are given")
	}
	must(t, p.RemovePod("u1"))
	if s := after(p, 3*time.Minute); len(s.Pods) != 0 || s.Workloads[0].Queued == 0 {
		t.Errorf("after RemovePod: pods %+v, workload %+v", s.Pods, s.Workloads[0])
	}
	must(t, p.AddPod("chat", "llama", "llama-def", "u3"))
	must(t, p.Delete("chat", "llama"))
	if s := after(p, 5*time.Minute); len(s.Pods) != 0 {
		t.Errorf("after Delete of the workload: pods %+v", s.Pods)
	}
}

func TestKilledPodsAreReplacedAndTheirRequestsServedElsewhere(t *testing.T) {
	p := newPlant(t, fleet(2, Constant{8}))
	before := after(p, time.Minute)
	must(t, p.KillPod(before.Pods[0].UID))
	s := p.Snapshot()
	if len(s.Pods) != 2 || s.Pods[1].Name != before.Pods[0].Name || s.Pods[1].UID == before.Pods[0].UID {
		t.Errorf("pods %+v; want a new pod of the old name", s.Pods)
	}
	if w := s.Workloads[0]; w.Retried == 0 || w.Running+w.Waiting != before.Workloads[0].Running+before.Workloads[0].Waiting {
		t.Errorf("%+v; want the killed pod's requests back in the fleet", w)
	}
}

func TestTheSameSeedAndCallsGiveTheSamePages(t *testing.T) {
	play := func(seed uint64, cut time.Duration) string {
		c := fleet(3, Bursts{Base: 6, Peak: 60, For: 20 * time.Second, Every: time.Minute})
		c.Seed = seed
		c.Workloads[0].PodNames, c.Workloads[0].ColdStart = Hashed, 20*time.Second
		p := newPlant(t, c)
		for _, n := range []int{5, 2, 4} {
			until := p.Now().Add(time.Minute)
			for p.Now().Before(until) {
				p.Advance(p.Now().Add(min(cut, until.Sub(p.Now()))))
			}
			must(t, p.Scale("chat", "llama", n))
		}
		p.Advance(p.Now().Add(30 * time.Second))
		return pages(t, p)
	}
	first := play(1, time.Hour)
	if play(1, time.Hour) != first {
		t.Error("the same seed gave other pages")
	}
	if play(1, 37*time.Millisecond) != first {
		t.Error("cutting the time into small Advances changed the pages")
	}
	if play(2, time.Hour) == first {
		t.Error("another seed gave the same pages")
	}
}

func TestNoRequestIsLostWhateverIsDone(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := fleet(rapid.IntRange(0, 4).Draw(t, "replicas"), Constant{10})
		c.Nodes = []NodeSpec{{"a100-0", A100, 4}}
		c.Workloads[0].ColdStart = time.Duration(rapid.IntRange(0, 20).Draw(t, "cold")) * time.Second
		c.Workloads[0].DrainGrace = time.Duration(rapid.IntRange(0, 20).Draw(t, "grace")) * time.Second
		c.Workloads[0].PodNames = PodNaming(rapid.IntRange(0, 1).Draw(t, "names"))
		completions := 0
		c.Completed = func(Completion) { completions++ }
		p, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		seen := map[string]float64{}
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			p.Advance(p.Now().Add(time.Duration(rapid.IntRange(1, 20_000).Draw(t, "ms")) * time.Millisecond))
			switch s := p.Snapshot(); rapid.SampledFrom([]string{"scale", "kill", "remove", "wait"}).Draw(t, "do") {
			case "scale":
				err = p.Scale("chat", "llama", rapid.IntRange(0, 6).Draw(t, "to"))
			case "kill":
				if len(s.Pods) > 0 {
					err = p.KillPod(rapid.SampledFrom(s.Pods).Draw(t, "pod").UID)
				}
			case "remove":
				if len(s.Pods) > 0 {
					err = p.RemovePod(rapid.SampledFrom(s.Pods).Draw(t, "pod").UID)
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			w := p.Snapshot().Workloads[0]
			if got := int(w.Completed) + w.Running + w.Waiting + w.Queued; got != int(w.Arrived) {
				t.Fatalf("%d arrived; %d completed + %d running + %d waiting + %d queued = %d", w.Arrived, w.Completed, w.Running, w.Waiting, w.Queued, got)
			}
			if completions != int(w.Completed) {
				t.Fatalf("Completed was called %d times for %d requests", completions, w.Completed)
			}
			checkPages(t, p, seen)
		}
	})
}
