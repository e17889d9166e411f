package actuator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/events"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
)

const (
	statusWorkers = 4                // how many statuses are written at once
	statusQueue   = 1024             // how many wait; one that finds no room is queued again at its next turn
	statusTimeout = 5 * time.Second  // for one request
	statusRetry   = 10 * time.Second // after a write that failed
	statusForget  = 5 * time.Minute  // after the last turn of an autoscaler
)

// StatusOptions are what a StatusWriter writes through.
type StatusOptions struct {
	Client dynamic.Interface
	Leader func() bool          // whether this instance may write at this moment; the standby writes no status
	Events events.EventRecorder // nil: no events
	Log    *zap.Logger
}

// StatusWriter keeps the status of PodAutoscalers up to date: at once when a condition or a replica count changes, else
// at most every 30 s and only if there is news. Of several turns that wait to be written, the latest wins.
type StatusWriter struct {
	client dynamic.Interface
	leader func() bool
	events events.EventRecorder
	log    *zap.Logger
	queue  chan types.UID

	mu     sync.Mutex
	states map[types.UID]*statusState
}

// statusState is what is known of one autoscaler's status.
type statusState struct {
	namespace, name string
	cached          string // metadata.resourceVersion of the object in the last turn
	version         string // the newest that is known
	status          v1alpha1.PodAutoscalerStatus
	decision        string // the id of the last turn's
	written         v1alpha1.PodAutoscalerStatus
	writtenAt       time.Time // the turn's; zero: not by this instance
	retryAt         time.Time // after a failure
	seenAt          time.Time // the last turn's
	queued          bool      // waits for a worker, or a worker has it
}

// NewStatusWriter makes a StatusWriter; Run does its writing.
func NewStatusWriter(o StatusOptions) *StatusWriter {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	return &StatusWriter{
		client: o.Client, leader: o.Leader, events: o.Events, log: o.Log,
		queue: make(chan types.UID, statusQueue), states: map[types.UID]*statusState{},
	}
}

// Observe takes what a turn came to. It sends nothing itself and never waits for the API server; it is safe for concurrent use.
func (w *StatusWriter) Observe(t Turn) {
	uid := t.Autoscaler.UID
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.leader() {
		delete(w.states, uid) // the leader moves the status on
		return
	}
	s := w.state(t)
	s.status, s.decision = Status(s.status, t), t.DecisionID
	if s.queued || t.At.Before(s.retryAt) {
		return
	}
	switch news(s.written, s.status) {
	case noNews:
		return
	case soon:
		if t.At.Sub(s.writtenAt) < statusEvery {
			return
		}
	}
	select {
	case w.queue <- uid:
		s.queued = true
	default:
	}
}

// state finds or begins what is known of the autoscaler's status; w.mu is held.
func (w *StatusWriter) state(t Turn) *statusState {
	pa := t.Autoscaler
	s := w.states[pa.UID]
	if s == nil {
		for uid, old := range w.states {
			if t.At.Sub(old.seenAt) > statusForget {
				delete(w.states, uid)
			}
		}
		s = &statusState{namespace: pa.Namespace, name: pa.Name, status: pa.Status, written: pa.Status}
		w.states[pa.UID] = s
	}
	if s.cached != pa.ResourceVersion {
		s.cached, s.version = pa.ResourceVersion, pa.ResourceVersion
	}
	s.seenAt = t.At
	return s
}

// Run writes until ctx ends.
func (w *StatusWriter) Run(ctx context.Context) error {
	var workers sync.WaitGroup
	for range statusWorkers {
		workers.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case uid := <-w.queue:
					w.write(ctx, uid)
				}
			}
		})
	}
	workers.Wait()
	return nil
}

// write sends the latest status of the autoscaler.
func (w *StatusWriter) write(ctx context.Context, uid types.UID) {
	job, ok := w.take(uid)
	if !ok {
		return
	}
	err := errNotLeader
	for try := 1; try <= attempts && w.leader(); try++ {
		if err = w.patch(ctx, &job); !apierrors.IsConflict(err) {
			break
		}
		if err = w.rebase(ctx, uid, &job); err != nil {
			break
		}
		err = errContended
	}
	w.done(uid, job, err)
}

var (
	errNotLeader = errors.New("not the leader any more")
	errGone      = errors.New("the autoscaler is gone")
	errContended = fmt.Errorf("others wrote to it %d times meanwhile", attempts)
)

// take is a copy of the state, to work on without the lock.
func (w *StatusWriter) take(uid types.UID) (statusState, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s, ok := w.states[uid]
	if !ok {
		return statusState{}, false
	}
	job := *s
	job.status = *s.status.DeepCopy()
	return job, true
}

// done notes what became of the write.
func (w *StatusWriter) done(uid types.UID, job statusState, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s, ok := w.states[uid]
	if !ok {
		return
	}
	s.queued = false
	switch {
	case err == nil:
		if s.cached == job.cached {
			s.version = job.version // a newer one that the cache has brought meanwhile would stand
		}
		w.tell(uid, s.written, job)
		s.written, s.writtenAt = job.status, job.seenAt
		s.status = merge(job.status, s.status)
	case errors.Is(err, errNotLeader), errors.Is(err, errGone), apierrors.IsNotFound(err):
		delete(w.states, uid)
	default:
		s.retryAt = s.seenAt.Add(statusRetry)
		w.log.Warn("status not written; it is tried again", zap.String("namespace", s.namespace), zap.String("name", s.name), zap.Error(err))
	}
}

// patch writes the status, and nothing else, of the object in the version that is known.
func (w *StatusWriter) patch(ctx context.Context, job *statusState) error {
	status, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&job.status)
	if err != nil {
		return fmt.Errorf("encode status: %w", err)
	}
	for _, optional := range []string{"lastScaleTime", "targets", "scalingHistory", "scheduledBounds"} {
		if _, set := status[optional]; !set {
			status[optional] = nil // a merge patch removes only what it names
		}
	}
	data, err := json.Marshal(map[string]any{"metadata": map[string]any{"resourceVersion": job.version}, "status": status})
	if err != nil {
		return fmt.Errorf("encode status: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	got, err := w.client.Resource(v1alpha1.Resource).Namespace(job.namespace).
		Patch(ctx, job.name, types.MergePatchType, data, metav1.PatchOptions{FieldManager: FieldManager}, "status")
	if err != nil {
		return err
	}
	job.version = got.GetResourceVersion()
	return nil
}

// rebase puts our status on top of the object as it is now.
func (w *StatusWriter) rebase(ctx context.Context, uid types.UID, job *statusState) error {
	ctx, cancel := context.WithTimeout(ctx, statusTimeout)
	defer cancel()
	got, err := w.client.Resource(v1alpha1.Resource).Namespace(job.namespace).Get(ctx, job.name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	if got.GetUID() != uid {
		return errGone
	}
	var fresh v1alpha1.PodAutoscaler
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(got.Object, &fresh); err != nil {
		return fmt.Errorf("decode the autoscaler: %w", err)
	}
	job.version, job.status = fresh.ResourceVersion, merge(fresh.Status, job.status)
	return nil
}
