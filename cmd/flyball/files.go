package main

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/collector"
	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/internal/loop"
)

// reread is how often manifests and target files are looked at for changes.
const reread = time.Second

// files is a fleet of manifests and target files. The pods listed are the replicas; there is nothing to write to, so
// every autoscaler is run in mode Advise.
type files struct {
	manifests []string // files or glob patterns
	targets   *collector.FileSD
	bindings  *bindings
	log       *zap.Logger

	mu        sync.Mutex
	texts     map[string]string // manifest file -> its content as last read
	endpoints []collector.Endpoint
	workloads map[workloadName]*workload
}

type workloadName struct{ namespace, name string }

// workload is the pods that the target files list for one name.
type workload struct {
	uid   string
	ready map[string]bool // pod UID -> all its exporters are listed as ready
}

func newFiles(manifests, targets []string, binder loop.Binder, log *zap.Logger) *files {
	b := newBindings(binder, log)
	b.tune = func(a *loop.Autoscaler) { a.Policy.Mode = decider.Advise }
	return &files{
		manifests: manifests, targets: &collector.FileSD{Paths: targets, Logger: log}, bindings: b, log: log,
		workloads: map[workloadName]*workload{},
	}
}

func (f *files) find(namespace, name string) (loop.Target, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w, ok := f.workloads[workloadName{namespace, name}]
	if !ok {
		return loop.Target{}, false
	}
	return loop.Target{Kind: "Workload", Name: name, UID: w.uid}, true
}

// Autoscalers implements loop.Fleet.
func (f *files) Autoscalers(time.Time) []loop.Autoscaler { return f.bindings.autoscalers(f.find) }

// Scale implements loop.Fleet.
func (f *files) Scale(_ context.Context, a loop.Autoscaler, _ time.Time) (loop.Scale, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w, ok := f.workloads[workloadName{a.Namespace, a.Target.Name}]
	if !ok || w.uid != a.Target.UID {
		return loop.Scale{}, errGone
	}
	s := loop.Scale{Replicas: int32(len(w.ready)), StatusReplicas: int32(len(w.ready))}
	for _, ready := range w.ready {
		if ready {
			s.Ready++
		}
	}
	s.Starting = s.Replicas - s.Ready
	return s, nil
}

// Apply implements loop.Fleet. It is never called: the mode is Advise.
func (f *files) Apply(_ context.Context, _ loop.Autoscaler, d decider.Decision) decider.Outcome {
	return decider.Outcome{Was: d.From, Now: d.From, Why: decider.Advised}
}

// Ready implements fleet.
func (f *files) Ready() error { return f.targets.Err() }

// Run implements fleet: it reads the files again when they change.
func (f *files) Run(ctx context.Context, scrape func(collector.Config) error) error {
	all, ctx := errgroup.WithContext(ctx)
	var one sync.Mutex // two updates at once could end with the older of them in force, for as long as no file changes
	update := func() {
		one.Lock()
		defer one.Unlock()
		f.mu.Lock()
		endpoints := slices.Clone(f.endpoints)
		f.mu.Unlock()
		if err := scrape(f.bindings.scrape(f.find, endpoints)); err != nil {
			f.log.Error("update endpoints", zap.Error(err))
		}
	}
	all.Go(func() error {
		tick := time.NewTicker(reread)
		defer tick.Stop()
		return f.targets.Run(ctx, tick.C, func(endpoints []collector.Endpoint) {
			f.setEndpoints(endpoints)
			update()
		})
	})
	all.Go(func() error {
		tick := time.NewTicker(reread)
		defer tick.Stop()
		for {
			if f.readManifests() {
				update()
			}
			select {
			case <-ctx.Done():
				return nil
			case <-tick.C:
			}
		}
	})
	return all.Wait()
}

func (f *files) setEndpoints(endpoints []collector.Endpoint) {
	workloads := map[workloadName]*workload{}
	for _, e := range endpoints {
		if e.Role != collector.PodExporter {
			continue
		}
		name := workloadName{e.Namespace, e.Workload}
		w := workloads[name]
		if w == nil {
			w = &workload{uid: e.WorkloadUID, ready: map[string]bool{}}
			workloads[name] = w
		}
		if w.uid != e.WorkloadUID {
			f.log.Error("target files give one workload two UIDs; pods of the second are not counted",
				zap.String("namespace", e.Namespace), zap.String("workload", e.Workload), zap.String("uid", e.WorkloadUID))
			continue
		}
		ready, listed := w.ready[e.PodUID]
		w.ready[e.PodUID] = e.Ready && (ready || !listed)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.endpoints, f.workloads = endpoints, workloads
}

// readManifests reads the manifest files and says whether one has changed. What is wrong in a file is logged; the
// autoscalers that are right are run.
func (f *files) readManifests() bool {
	texts, err := readFiles(f.manifests)
	if err != nil {
		f.log.Error("read manifests; what was read before holds", zap.Error(err))
		return false
	}
	if maps.Equal(texts, f.texts) {
		return false
	}
	f.mu.Lock()
	f.texts = texts
	f.mu.Unlock()
	var pas []*v1alpha1.PodAutoscaler
	seen := map[string]string{}
	for _, file := range slices.Sorted(maps.Keys(texts)) {
		read, err := v1alpha1.Read(bytes.NewReader([]byte(texts[file])))
		if err != nil {
			f.log.Error("manifest", zap.String("file", file), zap.Error(err))
		}
		for _, pa := range read {
			uid := v1alpha1.UID(pa)
			if other, twice := seen[uid]; twice {
				f.log.Error("manifest: the autoscaler is in two files; the first counts", zap.String("name", pa.Name),
					zap.String("file", file), zap.String("first", other))
				continue
			}
			seen[uid] = file
			pas = append(pas, pa)
		}
	}
	f.bindings.set(pas)
	return true
}

func readFiles(patterns []string) (map[string]string, error) {
	texts := map[string]string{}
	for _, pattern := range patterns {
		paths, err := filepath.Glob(pattern)
		if err != nil {
			return nil, fmt.Errorf("pattern %q: %w", pattern, err)
		}
		if len(paths) == 0 {
			return nil, fmt.Errorf("no file is named %s: give a file or a pattern that matches one", pattern)
		}
		for _, path := range paths {
			b, err := os.ReadFile(path)
			if err != nil {
				return nil, err
			}
			texts[path] = string(b)
		}
	}
	return texts, nil
}
