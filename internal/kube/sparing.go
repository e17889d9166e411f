package kube

import (
	"context"
	"sync"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	apiwatch "k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/tools/cache"
)

const (
	// refusedOften is how many requests in a row are refused before they become rare: half a minute's, as informers wait
	// longer and longer, and send a watch and a list each time.
	refusedOften = 12
	// refusedFor is how long a refusal is taken to hold then, in units of rediscoverEvery: five minutes.
	refusedFor = 10
)

func (k *Kube) refusedPause() time.Duration { return refusedFor * k.mapper.every }

// refusal is an answer that the API server gave so often that it is not asked each time.
type refusal struct {
	pause func() time.Duration

	mu    sync.Mutex
	times int // in a row
	last  error
	at    time.Time
}

// sparing asks rarely for what the API server refuses time and again, such as nodes where flyball has rights in a few
// namespaces only. An informer would send two requests in less than a minute, for ever. In between the refusal is repeated.
func sparing(lw *cache.ListWatch, pause func() time.Duration) *cache.ListWatch {
	r := &refusal{pause: pause}
	return &cache.ListWatch{
		ListWithContextFunc: func(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
			if err := r.holds(); err != nil {
				return nil, err
			}
			list, err := lw.ListWithContext(ctx, o)
			r.heard(err)
			return list, err
		},
		WatchFuncWithContext: func(ctx context.Context, o metav1.ListOptions) (apiwatch.Interface, error) {
			if err := r.holds(); err != nil {
				return nil, err
			}
			w, err := lw.WatchWithContext(ctx, o)
			r.heard(err)
			return w, err
		},
	}
}

// holds is the refusal that is not asked about again yet.
func (r *refusal) holds() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.times >= refusedOften && time.Since(r.at) < r.pause() {
		return r.last
	}
	return nil
}

func (r *refusal) heard(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if !refused(err) {
		r.times, r.last = 0, nil
		return
	}
	r.times, r.last, r.at = r.times+1, err, time.Now()
}
