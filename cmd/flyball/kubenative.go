package main

import (
	"context"
	"errors"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"k8s.io/apimachinery/pkg/types"

	"github.com/flyball/flyball/actuator"
	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/internal/kube"
)

// hpaLanes is in how many namespaces at once native HorizontalPodAutoscalers are seen to.
const hpaLanes = 64

// syncNative keeps native HorizontalPodAutoscalers as strategies want them, until ctx ends. At rest it costs a look at the
// caches per autoscaler and second.
//
// Namespaces don't wait for each other: where every write takes its 5 s, as behind a webhook that does not answer, the others
// go on. Within one it is an autoscaler at a time.
func (f *kubeFleet) syncNative(ctx context.Context) error {
	var lanes errgroup.Group
	lanes.SetLimit(hpaLanes)
	var busy sync.Map // namespaces
	tick := time.NewTicker(follow)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return lanes.Wait()
		case <-tick.C:
		}
		for namespace, all := range f.lookForNatives() {
			if _, taken := busy.LoadOrStore(namespace, true); taken {
				continue
			}
			if !lanes.TryGo(func() error {
				defer busy.Delete(namespace)
				for _, uid := range all {
					f.syncNativeOf(ctx, uid)
				}
				return nil
			}) {
				busy.Delete(namespace) // no lane is free; the next tick has another order
			}
		}
	}
}

// lookForNatives finds the autoscalers for which a native HorizontalPodAutoscaler is wanted or stands, by namespace. Whether the
// spec is valid and the target there does not matter: one that stands acts.
func (f *kubeFleet) lookForNatives() map[string][]types.UID {
	if !f.kube.HasSynced() {
		return nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.delegating = map[types.UID]*v1alpha1.PodAutoscaler{}
	out := map[string][]types.UID{}
	for _, pa := range f.kube.Autoscalers() {
		if pa.Spec.ScalingStrategy == decider.HPA || len(f.kube.OwnedHPAs(pa)) > 0 {
			f.delegating[pa.UID] = pa
			out[pa.Namespace] = append(out[pa.Namespace], pa.UID)
		}
	}
	for uid := range f.native {
		if f.delegating[uid] == nil {
			delete(f.native, uid)
		}
	}
	return out
}

// syncNativeOf sees to one autoscaler's, as the autoscaler is by now. None is made for a target that is not there.
func (f *kubeFleet) syncNativeOf(ctx context.Context, uid types.UID) {
	f.mu.Lock()
	pa := f.delegating[uid]
	f.mu.Unlock()
	if pa == nil {
		return // it is gone, or needs none any more
	}
	owned := f.kube.OwnedHPAs(pa)
	var got actuator.HPAResult
	switch _, err := f.kube.Target(pa); {
	case err == nil, len(owned) > 0:
		contested, _ := f.others(pa)
		standing, _ := f.kube.HPA(pa.Namespace, actuator.NativeHPAName(pa))
		got = f.hpas.Sync(ctx, actuator.HPATurn{
			Autoscaler: pa, At: time.Now(), Contested: contested, Standing: standing, Owned: owned,
			Served: actuator.MetricsAPIs{Custom: f.kube.ServesCustomMetrics(), External: f.kube.ServesExternalMetrics()},
		})
	case errors.Is(err, kube.ErrUnread):
		return // in a moment
	default:
		got = actuator.HPAResult{Reason: actuator.Pending, Message: "a HorizontalPodAutoscaler is made once the target is there"}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.delegating[uid] != nil {
		f.native[uid] = &got
	}
}
