package actuator

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"
	"go.uber.org/zap"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordinationv1 "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/tools/leaderelection"
	"k8s.io/client-go/tools/leaderelection/resourcelock"
)

// How long a Lease holds, how long its holder may write after its last renewal, and how often it is renewed or tried for:
// what Kubernetes' own components use.
const (
	LeaseDuration = 15 * time.Second
	RenewDeadline = 10 * time.Second
	RetryPeriod   = 2 * time.Second
)

// ElectionOptions say which Lease is contended for.
type ElectionOptions struct {
	Leases          coordinationv1.LeasesGetter
	Namespace, Name string
	Identity        string // for people, such as the pod's name; made unique to this process
	Log             *zap.Logger
	Now             func() time.Time // when a renewal was sent; time.Now if nil
}

// Election makes one of several instances the one that writes.
//
// A leader may write until RenewDeadline after it sent its last successful renewal; another instance can take the Lease no
// sooner than LeaseDuration after that renewal was received. The 5 s between are for requests that are under way, each of
// which ends with its tick of 2 s, and after 5 s whatever the tick. It holds whatever the wall clocks say, since each instance measures with its own. What it
// leaves open: a process that is paused for longer, right between its last look at IsLeader and its sending of the request,
// and then goes on, sends one write that it may no longer send; and a write whose sender has given up may still be under
// way to the API server. Either carries a resourceVersion, so it is refused if the other leader has written since; if not,
// it sets a count that was right for the target as it still is.
//
// A leader that is told to stop gives the Lease up, and another instance may write within RetryPeriod. It stops being
// the leader before it sends that.
type Election struct {
	lock     *lock
	log      *zap.Logger
	duration time.Duration
	deadline time.Duration
	retry    time.Duration
}

// NewElection makes an Election; Run takes part in it.
func NewElection(o ElectionOptions) (*Election, error) {
	if o.Leases == nil || o.Namespace == "" || o.Name == "" {
		return nil, errors.New("leader election: needs the namespace and the name of a Lease, and a client for it")
	}
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	// An identity that two processes share, as a restarted container's host name, would make both of them leaders.
	identity := o.Identity + "_" + uuid.NewString()
	return &Election{
		lock: &lock{now: o.Now, LeaseLock: &resourcelock.LeaseLock{
			LeaseMeta:  metav1.ObjectMeta{Namespace: o.Namespace, Name: o.Name},
			Client:     o.Leases,
			LockConfig: resourcelock.ResourceLockConfig{Identity: identity},
		}},
		log:      o.Log.With(zap.String("lease", o.Namespace+"/"+o.Name), zap.String("identity", identity)),
		duration: LeaseDuration, deadline: RenewDeadline, retry: RetryPeriod,
	}, nil
}

// IsLeader says whether this instance may write at now.
func (e *Election) IsLeader(now time.Time) bool {
	sent := e.lock.lastRenewal()
	if sent.IsZero() {
		return false
	}
	// The monotonic clock stands still while the machine sleeps, the wall clock can be set back: neither may have gone too far.
	return now.Sub(sent) < e.deadline && now.Round(0).Sub(sent.Round(0)) < e.deadline
}

// Run contends for the Lease until ctx ends. Losing it ends nothing: the instance stands by and tries again.
func (e *Election) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		elector, err := leaderelection.NewLeaderElector(leaderelection.LeaderElectionConfig{
			Lock: e.lock, Name: e.lock.LeaseMeta.Name, ReleaseOnCancel: true,
			LeaseDuration: e.duration, RenewDeadline: e.deadline, RetryPeriod: e.retry,
			Callbacks: leaderelection.LeaderCallbacks{
				OnStartedLeading: func(context.Context) { e.log.Info("leading: this instance writes replica counts") },
				OnStoppedLeading: func() { e.lock.renewed(time.Time{}) },
			},
		})
		if err != nil {
			return fmt.Errorf("leader election for %s: %w", e.lock.Describe(), err)
		}
		elector.Run(ctx)
		if ctx.Err() == nil {
			e.log.Warn("the Lease was lost or could not be renewed: standing by")
		}
	}
	return nil
}

// lock is a Lease that remembers when this instance sent its last successful renewal.
type lock struct {
	*resourcelock.LeaseLock
	now func() time.Time

	mu   sync.Mutex
	sent time.Time // zero when this instance does not hold the Lease
}

func (l *lock) lastRenewal() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.sent
}

func (l *lock) renewed(sent time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent = sent
}

// Get also notices that somebody else holds the Lease.
func (l *lock) Get(ctx context.Context) (*resourcelock.LeaderElectionRecord, []byte, error) {
	record, raw, err := l.LeaseLock.Get(ctx)
	if err == nil && record.HolderIdentity != l.Identity() {
		l.renewed(time.Time{})
	}
	return record, raw, err
}

// Create takes a Lease that nobody ever held.
func (l *lock) Create(ctx context.Context, r resourcelock.LeaderElectionRecord) error {
	sent := l.now()
	err := l.LeaseLock.Create(ctx, r)
	if err == nil {
		l.renewed(sent)
	}
	return err
}

// Update takes the Lease, renews it or, with no holder, gives it up.
func (l *lock) Update(ctx context.Context, r resourcelock.LeaderElectionRecord) error {
	if r.HolderIdentity != l.Identity() {
		l.renewed(time.Time{})
		return l.LeaseLock.Update(ctx, r)
	}
	sent := l.now()
	err := l.LeaseLock.Update(ctx, r)
	if err == nil {
		l.renewed(sent)
	}
	return err
}
