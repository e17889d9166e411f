package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/flyball/flyball/collector"
	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/internal/loop"
)

// group is a group of a target file.
type group struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels"`
}

// rig is the standalone service over manifests and targets in files, with exporters on loopback.
type rig struct {
	t       *testing.T
	dir     string
	service *service
	results chan loop.Result

	mu     sync.Mutex
	groups map[string]group // by namespace/workload/pod
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), results: make(chan loop.Result, 4096), groups: map[string]group{}}
	r.open("127.0.0.1:0")
	return r
}

// open makes a service over the rig's store, with gRPC at an address.
func (r *rig) open(grpcListen string) {
	r.t.Helper()
	var err error
	r.service, err = newService(serviceOptions{
		Dir: r.data(), Listen: "127.0.0.1:0", GRPC: grpcOptions{Listen: grpcListen}, Scrape: 500 * time.Millisecond, Tick: time.Second,
		Log: zap.NewNop(), Publish: func(res loop.Result) { r.results <- res },
	})
	require.NoError(r.t, err)
}

func (r *rig) data() string { return filepath.Join(r.dir, "data") }

// exporter serves pages on an address of its own.
func (r *rig) exporter(h http.HandlerFunc) string {
	srv := httptest.NewServer(h)
	r.t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	return strings.TrimPrefix(srv.URL, "http://")
}

func page(format string, a ...any) http.HandlerFunc {
	body := fmt.Sprintf(format, a...)
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = w.Write([]byte(body))
	}
}

// pod lists a pod and writes the target file.
func (r *rig) pod(namespace, workload, pod, address string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.groups[namespace+"/"+workload+"/"+pod] = group{[]string{address}, map[string]string{"namespace": namespace, "workload": workload, "pod": pod}}
	r.writeTargets()
}

func (r *rig) remove(namespace, workload, pod string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.groups, namespace+"/"+workload+"/"+pod)
	r.writeTargets()
}

func (r *rig) writeTargets() {
	all := []group{}
	for _, g := range r.groups {
		all = append(all, g)
	}
	b, err := json.Marshal(all)
	require.NoError(r.t, err)
	tmp := filepath.Join(r.dir, "targets.tmp")
	require.NoError(r.t, os.WriteFile(tmp, b, 0o644))
	require.NoError(r.t, os.Rename(tmp, filepath.Join(r.dir, "targets.json")))
}

// autoscaler writes the manifest of a KPA with short windows.
func (r *rig) autoscaler(namespace, name, source string) {
	manifest := fmt.Sprintf(`
apiVersion: autoscaling.aibrix.ai/v1alpha1
kind: PodAutoscaler
metadata: {namespace: %s, name: %s}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: %s}
  scalingStrategy: KPA
  minReplicas: 1
  maxReplicas: 20
  observeWindowSeconds: 4
  panicWindowSeconds: 2
  metricsSources:
  - %s
`, namespace, name, name, source)
	require.NoError(r.t, os.WriteFile(filepath.Join(r.dir, namespace+"-"+name+".yaml"), []byte(manifest), 0o644))
}

// run runs the service until the test ends.
func (r *rig) run() { r.t.Cleanup(r.start()) }

// start runs the service until it is stopped.
func (r *rig) start() (stop func()) {
	packs, err := collector.LoadPacks()
	require.NoError(r.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	s := r.service
	f := newFiles([]string{filepath.Join(r.dir, "*.yaml")}, []string{filepath.Join(r.dir, "targets.json")}, loop.Binder{Lookup: lookup(packs)}, zap.NewNop())
	go func() { done <- s.Run(ctx, f) }()
	return sync.OnceFunc(func() {
		cancel()
		require.NoError(r.t, <-done)
		require.NoError(r.t, s.close())
	})
}

// await waits until each autoscaler, by namespace/name, has had a decision that is as it should be.
func (r *rig) await(want map[string]func(decider.Decision) error) {
	r.t.Helper()
	last := map[string]error{}
	for name := range want {
		last[name] = errors.New("no decision")
	}
	deadline := time.After(60 * time.Second)
	for len(last) > 0 {
		select {
		case res := <-r.results:
			name := res.Autoscaler.Namespace + "/" + res.Autoscaler.Name
			if _, open := last[name]; !open {
				continue
			}
			if err := errors.Join(res.Err, want[name](res.Decision)); err != nil {
				last[name] = err
			} else {
				delete(last, name)
			}
		case <-deadline:
			r.t.Fatalf("still waiting: %v", last)
		}
	}
}

func to(n int32) func(decider.Decision) error {
	return func(d decider.Decision) error {
		if d.To != n {
			return fmt.Errorf("decides for %d, not %d: %s", d.To, n, d.Explain())
		}
		return nil
	}
}

func holds(n int32, because string) func(decider.Decision) error {
	return func(d decider.Decision) error {
		if d.To != n || d.Reasons[0].Rule != decider.RuleNoData || !strings.Contains(d.Explain(), because) {
			return fmt.Errorf("does not hold at %d because %q: %s", n, because, d.Explain())
		}
		return nil
	}
}

const (
	queueSource = `{metricSourceType: pod, targetMetric: queue, targetValue: "10"}`
	million     = 1_000_000
)

// Every page that an exporter should not serve, at once; and two workloads with proper ones that never notice.
func TestBadPagesAreNobodyElsesBusiness(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	// One pod name, two namespaces, two loads.
	r.pod("a", "llm", "llm-0", r.exporter(page("queue 45\n")))
	r.pod("b", "llm", "llm-0", r.exporter(page("queue 3\n")))
	// One metric name, two paths.
	gateway := r.exporter(func(w http.ResponseWriter, req *http.Request) {
		page("suggested %d\n", map[string]int{"/two": 2, "/zero": 0}[req.URL.Path])(w, req)
	})
	r.pod("a", "two", "two-0", r.exporter(page("queue 0\n")))
	r.pod("a", "zero", "zero-0", r.exporter(page("queue 0\n")))

	r.pod("bad", "garbage", "p0", r.exporter(page("queue 45\n\x00{{{ not a page\n")))
	r.pod("bad", "endless", "p0", r.exporter(func(w http.ResponseWriter, _ *http.Request) {
		line := []byte("# " + strings.Repeat("x", 1<<20) + "\n")
		for range 100 { // 100 MB
			if _, err := w.Write(line); err != nil {
				return
			}
		}
	}))
	r.pod("bad", "million", "p0", r.exporter(func(w http.ResponseWriter, _ *http.Request) {
		for i := range million {
			if _, err := fmt.Fprintf(w, "queue{i=\"%d\"} 1\n", i); err != nil {
				return
			}
		}
	}))
	r.pod("bad", "hangs", "p0", r.exporter(func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() }))
	r.pod("bad", "nosuch", "p0", r.exporter(page("other 1\n")))
	r.pod("bad", "nan", "p0", r.exporter(page("queue NaN\n")))

	for _, ns := range []string{"a", "b"} {
		r.autoscaler(ns, "llm", queueSource)
	}
	for _, name := range []string{"two", "zero"} {
		r.autoscaler("a", name, fmt.Sprintf(`{metricSourceType: external, endpoint: %q, path: /%s, targetMetric: suggested, targetValue: "1"}`, gateway, name))
	}
	for _, name := range []string{"garbage", "endless", "million", "hangs", "nosuch", "nan"} {
		r.autoscaler("bad", name, queueSource)
	}
	require.NoError(t, os.WriteFile(filepath.Join(r.dir, "broken.yaml"), []byte("kind: PodAutoscaler\nspec: ["), 0o644))
	r.run()

	r.await(map[string]func(decider.Decision) error{
		"a/llm": to(5), "b/llm": to(1), "a/two": to(2), "a/zero": to(1),
		"bad/garbage": holds(1, "0 of 1 exporters answer"), "bad/endless": holds(1, "0 of 1 exporters answer"),
		"bad/million": holds(1, "0 of 1 exporters answer"), "bad/hangs": holds(1, "0 of 1 exporters answer"),
		"bad/nosuch": holds(1, "none exports it"), "bad/nan": holds(1, ""),
	})
	errs := map[string]string{}
	for _, h := range r.service.collector.Health() {
		if h.Err != nil {
			errs[h.Endpoint.Workload] = h.Err.Error()
		}
	}
	for _, workload := range []string{"garbage", "endless", "million", "hangs"} {
		require.Contains(t, errs[workload], "scrape http://127.0.0.1:", "the error names the endpoint")
		require.Contains(t, errs[workload], "of pod bad/p0")
	}
	require.NotContains(t, errs, "llm")
}

// A pod that is taken out of the target file for good stops counting with its load, within the lookback.
func TestAPodGoneForGoodNoLongerCounts(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.pod("a", "llm", "llm-0", r.exporter(page("queue 10\n")))
	r.pod("a", "llm", "llm-1", r.exporter(page("queue 60\n")))
	r.autoscaler("a", "llm", queueSource)
	r.run()
	r.await(map[string]func(decider.Decision) error{"a/llm": to(7)})
	r.remove("a", "llm", "llm-1")
	r.await(map[string]func(decider.Decision) error{"a/llm": func(d decider.Decision) error {
		w := d.Reasons[0].Window
		if w == nil || w.Expected != 1 || w.Value != 10 {
			return fmt.Errorf("the pod still counts: %s", d.Explain())
		}
		return nil
	}})
}

// An exporter that goes silent holds its workload; when it speaks again, decisions go on.
func TestSilenceHoldsAndSpeechResumes(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var silent atomic.Bool
	r.pod("a", "llm", "llm-0", r.exporter(func(w http.ResponseWriter, req *http.Request) {
		if silent.Load() {
			http.Error(w, "gone fishing", http.StatusServiceUnavailable)
			return
		}
		page("queue 45\n")(w, req)
	}))
	r.autoscaler("a", "llm", queueSource)
	r.run()
	r.await(map[string]func(decider.Decision) error{"a/llm": to(5)})
	silent.Store(true)
	r.await(map[string]func(decider.Decision) error{"a/llm": holds(1, "0 of 1 exporters answer")})
	silent.Store(false)
	r.await(map[string]func(decider.Decision) error{"a/llm": to(5)})
}
