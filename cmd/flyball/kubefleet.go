package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"k8s.io/client-go/tools/events"

	"github.com/flyball/flyball/actuator"
	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/collector"
	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/internal/kube"
	"github.com/flyball/flyball/internal/loop"
)

// kubeFleet is a cluster as the service sees it: policies, targets and pods from the API's caches, decisions through /scale.
type kubeFleet struct {
	kube     *kube.Kube
	actuator *actuator.Actuator
	hpas     *actuator.HPAs
	status   *actuator.StatusWriter
	election *actuator.Election
	pages    *kubePages
	binder   loop.Binder
	log      *zap.Logger

	acknowledged map[string]bool // see acknowledgeable
	externalURL  string

	broadcaster events.EventBroadcaster

	mu      sync.Mutex
	bound   map[types.UID]kubeBinding
	present map[string]kubeTurn // by autoscaler UID: as of the last step
	turns   map[string]kubeTurn // likewise: what its turn, under way or last, decides from
	native  map[types.UID]*actuator.HPAResult

	delegating map[types.UID]*v1alpha1.PodAutoscaler // see lookForNatives
}

// kubeBinding is what came of binding one version of an autoscaler to one target.
type kubeBinding struct {
	version string
	target  types.UID
	a       loop.Autoscaler
	warns   []v1alpha1.Warning
	errs    field.ErrorList
}

// kubeTurn is the objects that a decision is made from, and who else has the target.
type kubeTurn struct {
	pa        *v1alpha1.PodAutoscaler
	target    kube.Target
	warnings  []v1alpha1.Warning
	contested *actuator.Contested
	delegated string              // the ScaledObject
	native    *actuator.HPAResult // as of the last look
}

// scaled is an autoscaler that can be decided for, and its objects.
type scaled struct {
	kubeTurn
	a loop.Autoscaler
}

// Autoscalers implements loop.Fleet. Of those that can't be decided for, the status says why.
func (f *kubeFleet) Autoscalers(t time.Time) []loop.Autoscaler {
	all := f.scaled(t)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.present = make(map[string]kubeTurn, len(all))
	out := make([]loop.Autoscaler, len(all))
	for i, s := range all {
		out[i], f.present[s.a.UID] = s.a, s.kubeTurn
	}
	return out
}

// scaled binds every autoscaler whose target is there; none before the caches are filled, since a pod that is not in the cache
// yet would look like one that is not there.
func (f *kubeFleet) scaled(t time.Time) []scaled {
	if !f.kube.HasSynced() {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []scaled
	known := map[types.UID]bool{}
	for _, pa := range f.kube.Autoscalers() {
		known[pa.UID] = true
		target, err := f.kube.Target(pa)
		b := f.bind(pa, target)
		switch {
		case len(b.errs) > 0:
			f.status.Observe(actuator.Turn{Autoscaler: pa, At: t, Warnings: b.warns, Invalid: b.errs, HPA: f.native[pa.UID]})
		case errors.Is(err, kube.ErrUnread): // in a moment
		case err != nil:
			f.status.Observe(actuator.Turn{
				Autoscaler: pa, At: t, Warnings: b.warns, TargetReason: targetReason(err), TargetMessage: err.Error(), HPA: f.native[pa.UID],
			})
		default:
			turn := kubeTurn{pa: pa, target: target, warnings: b.warns, native: f.native[pa.UID]}
			turn.contested, turn.delegated = f.others(pa)
			b.a.Withheld = turn.withheld()
			out = append(out, scaled{turn, b.a})
		}
	}
	for uid := range f.bound {
		if !known[uid] {
			delete(f.bound, uid)
			delete(f.turns, string(uid))
		}
	}
	return out
}

// bind binds the autoscaler unless it was bound as it is to this target. f.mu is held.
func (f *kubeFleet) bind(pa *v1alpha1.PodAutoscaler, target kube.Target) kubeBinding {
	now := kubeBinding{version: kube.Version(pa), target: target.UID}
	if before, ok := f.bound[pa.UID]; ok && before.version == now.version && before.target == now.target {
		return before
	}
	now.a, now.warns, now.errs = f.binder.Bind(pa, loop.Target{Kind: pa.Target().Kind, Name: target.Name, UID: bindable(target)})
	who := []zap.Field{zap.String("namespace", pa.Namespace), zap.String("name", pa.Name)}
	for _, w := range now.warns {
		f.log.Warn("autoscaler", append(who, zap.String("field", w.Field), zap.String("warning", w.Text))...)
	}
	if len(now.errs) > 0 {
		f.log.Error("autoscaler is not run", append(who, zap.Error(now.errs.ToAggregate()))...)
	}
	f.bound[pa.UID] = now
	return now
}

// bindable is a UID to bind to. While the target is not there, the spec is checked all the same.
func bindable(t kube.Target) string {
	if t.UID == "" {
		return "absent"
	}
	return string(t.UID)
}

// targetReason is the condition's reason for a target that can't be read.
func targetReason(err error) string {
	switch {
	case errors.Is(err, kube.ErrTargetNotFound):
		return actuator.TargetNotFound
	case errors.Is(err, kube.ErrNoScale):
		return actuator.NoScaleSubresource
	case errors.Is(err, kube.ErrNoSelector):
		return actuator.NoSelector
	}
	return actuator.FailedGetScale
}

// Scale implements loop.Fleet. What it reads is what Apply will hold the target against.
func (f *kubeFleet) Scale(_ context.Context, a loop.Autoscaler, _ time.Time) (loop.Scale, error) {
	f.mu.Lock()
	s, ok := f.present[a.UID]
	f.turns[a.UID] = s
	f.mu.Unlock()
	if !ok || string(s.target.UID) != a.Target.UID {
		return loop.Scale{}, errGone
	}
	out := counted(f.kube.Pods(s.target))
	out.Replicas, out.StatusReplicas, out.Quota = s.target.Replicas, s.target.StatusReplicas, f.kube.Quota(s.target)
	return out, nil
}

// counted are the pods that are there to stay, by how far they have come.
func counted(pods []*corev1.Pod) (out loop.Scale) {
	for _, pod := range pods {
		switch {
		case pod.DeletionTimestamp != nil, kube.Ended(pod):
		case kube.Ready(pod):
			out.Ready++
		case kube.Unschedulable(pod):
			out.Unschedulable++
		default:
			out.Starting++
		}
	}
	return out
}

func (f *kubeFleet) turn(uid string) (kubeTurn, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	t, ok := f.turns[uid]
	return t, ok
}

// Apply implements loop.Fleet.
func (f *kubeFleet) Apply(ctx context.Context, a loop.Autoscaler, d decider.Decision) decider.Outcome {
	s, ok := f.turn(a.UID)
	if !ok {
		return decider.Outcome{Was: d.From, Now: d.From, Why: decider.TargetGone, Detail: "the autoscaler was deleted"}
	}
	return f.actuator.Apply(ctx, actuator.Target{
		Resource: s.target.GVR, Kind: a.Target.Kind, Namespace: s.target.Namespace, Name: s.target.Name, UID: s.target.UID,
		Generation: s.target.Generation, Replicas: s.target.Replicas, ResourceVersion: s.target.ResourceVersion,
		DecisionID: f.named(a, d.At),
	}, s.pa, d)
}

// publish brings what a turn came to into the autoscaler's status.
func (f *kubeFleet) publish(r loop.Result) {
	s, ok := f.turn(r.Autoscaler.UID)
	if !ok || errors.Is(r.Err, errGone) { // what is gone, the next step tells
		return
	}
	f.status.Observe(actuator.Turn{
		Autoscaler: s.pa, At: r.At, Warnings: s.warnings, Contested: s.contested, DelegatedTo: s.delegated, HPA: s.native,
		Policy: r.Autoscaler.Policy, Input: r.Input, Decision: r.Decision, DecisionID: f.named(r.Autoscaler, r.At), Err: r.Err,
	})
}

// named is how events name a decision: by its id, and where it is explained.
func (f *kubeFleet) named(a loop.Autoscaler, at time.Time) string {
	id := loop.DecisionID(a, at)
	if f.externalURL == "" {
		return id
	}
	return id + ", " + f.externalURL + "/decisions/" + id
}

// Ready implements fleet.
func (f *kubeFleet) Ready() error { return f.kube.Unsynced() }

// follow is how often endpoints are looked at again when nothing seems to have changed, and between the least time between two
// looks: one goes over the whole fleet, 10 ms for 500 autoscalers, and a rollout changes a hundred pods a second.
const follow, between = time.Second, 100 * time.Millisecond

// Run implements fleet.
func (f *kubeFleet) Run(ctx context.Context, scrape func(collector.Config) error) error {
	all, ctx := errgroup.WithContext(ctx)
	defer f.broadcaster.Shutdown()
	if err := f.broadcaster.StartRecordingToSinkWithContext(ctx); err != nil {
		return fmt.Errorf("record events: %w", err)
	}
	all.Go(func() error { return f.kube.Run(ctx) })
	all.Go(func() error { return f.status.Run(ctx) })
	all.Go(func() error { return f.election.Run(ctx) })
	all.Go(func() error { return f.syncNative(ctx) })
	all.Go(func() error {
		tick := time.NewTicker(follow)
		defer tick.Stop()
		for {
			if f.Ready() == nil {
				if err := scrape(f.config(time.Now())); err != nil {
					f.log.Error("update endpoints", zap.Error(err))
				}
			}
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(between):
			}
			select {
			case <-ctx.Done():
				return nil
			case <-f.kube.Changed():
			case <-tick.C:
			}
		}
	})
	return all.Wait()
}

// config is what there is to scrape.
func (f *kubeFleet) config(t time.Time) collector.Config {
	endpoints := f.exporters()
	var autoscalers []loop.Autoscaler
	seen, known := map[string]bool{}, map[string]bool{}
	for _, s := range f.scaled(t) {
		autoscalers = append(autoscalers, s.a)
		known[s.a.UID], known[s.a.Target.UID] = true, true
		pods := f.running(s)
		for _, e := range append(f.podEndpoints(s, pods), f.pages.endpoints(s, pods)...) {
			if !seen[e.Key()] { // two autoscalers may read one pod
				seen[e.Key()] = true
				endpoints = append(endpoints, e)
			}
		}
	}
	f.pages.keep(known)
	return scrapeFor(autoscalers, endpoints)
}
