package actuator

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	coordinationv1 "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/tools/leaderelection/resourcelock"

	"github.com/flyball/flyball/decider"
)

// candidate is an Election under way, with a Lease that is renewed every 100 ms and holds for 2 s.
type candidate struct {
	*Election
	stop  context.CancelFunc
	ended chan error
}

func (w *world) candidate(t *testing.T, name string) candidate {
	t.Helper()
	typed, err := kubernetes.NewForConfig(w.config)
	require.NoError(t, err)
	e, err := NewElection(ElectionOptions{Leases: typed.CoordinationV1(), Namespace: w.namespace, Name: "flyball", Identity: name})
	require.NoError(t, err)
	e.duration, e.deadline, e.retry = 2*time.Second, time.Second, 100*time.Millisecond
	ctx, stop := context.WithCancel(t.Context())
	c := candidate{e, stop, make(chan error, 1)}
	go func() { c.ended <- e.Run(ctx) }()
	t.Cleanup(stop)
	return c
}

func (c candidate) leads() bool { return c.IsLeader(time.Now()) }

func contenders(t *testing.T, w *world) {
	first := w.candidate(t, "same-name")
	require.Eventually(t, first.leads, patience, glance)
	second := w.candidate(t, "same-name")
	tried := w.ours.count("GET ")
	require.Eventually(t, func() bool { return w.ours.count("GET ") > tried+3 }, patience, glance, "the second tries")
	require.False(t, second.leads(), "even though they have one name")
	require.True(t, first.leads())

	w.ours.forget()
	first.stop()
	require.NoError(t, <-first.ended)
	require.False(t, first.leads())
	released := time.Now()
	require.Eventually(t, second.leads, patience, 5*time.Millisecond)
	require.Less(t, time.Since(released), second.duration, "the Lease was given up, not waited for")
	second.stop()
	require.NoError(t, <-second.ended)
}

func stolenLease(t *testing.T, w *world) {
	c := w.candidate(t, "victim")
	require.Eventually(t, c.leads, patience, glance)
	leases := w.typed.CoordinationV1().Leases(w.namespace)
	_, err := leases.Patch(t.Context(), "flyball", types.MergePatchType,
		[]byte(`{"spec":{"holderIdentity":"thief","leaseDurationSeconds":1}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	require.Eventually(t, func() bool { return !c.leads() }, patience, 5*time.Millisecond)
	require.Eventually(t, c.leads, patience, glance, "the thief never renews, so it leads again")
	c.stop()
	require.NoError(t, <-c.ended)
}

// A leader stops being one before the Lease is free for others, and as soon as it sees that somebody else has it.
func leaderNoMore(t *testing.T, w *world) {
	typed, err := kubernetes.NewForConfig(w.config)
	require.NoError(t, err)
	e, err := NewElection(ElectionOptions{Leases: typed.CoordinationV1(), Namespace: w.namespace, Name: "flyball", Identity: "leader"})
	require.NoError(t, err)
	leads := func() bool { return e.IsLeader(time.Now()) }
	mine := resourcelock.LeaderElectionRecord{HolderIdentity: e.lock.Identity(), LeaseDurationSeconds: 15}
	require.NoError(t, e.lock.Create(t.Context(), mine))
	require.True(t, leads())
	_, _, err = e.lock.Get(t.Context())
	require.NoError(t, err)
	require.True(t, leads())

	asked := false
	w.ours.hook(func(r *http.Request) { asked = asked || r.Method == http.MethodPut && leads() }, nil)
	require.NoError(t, e.lock.Update(t.Context(), resourcelock.LeaderElectionRecord{LeaseDurationSeconds: 1}))
	require.False(t, asked, "it leads while it gives the Lease up")
	w.ours.hook(nil, nil)

	require.NoError(t, e.lock.Update(t.Context(), mine))
	require.True(t, leads())
	_, err = w.typed.CoordinationV1().Leases(w.namespace).Patch(t.Context(), "flyball", types.MergePatchType,
		[]byte(`{"spec":{"holderIdentity":"thief"}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	require.Error(t, e.lock.Update(t.Context(), mine), "a conflict")
	_, _, err = e.lock.Get(t.Context())
	require.NoError(t, err)
	require.False(t, leads())
}

// outage is the worst case: the leader can reach nobody, and so nobody tells it that it is not the leader any more.
func outage(t *testing.T, w *world) {
	w.worker(t, "chat", 1)
	target := w.target(t, workers, "chat")
	pa := w.autoscaler(t, "chat")
	c := w.candidate(t, "leader")
	a := w.actuator(t, Options{Leader: c.leads})
	writer := w.statusWriter(t, c.leads)
	require.Eventually(t, c.leads, patience, glance)

	require.NoError(t, w.cp.StopAPI())
	out := w.actuatorOffline(a, target, decide(target, 3))
	require.Contains(t, []string{decider.Unreachable, decider.NotLeader}, out.Why, "%+v", out)
	if out.Why == decider.Unreachable {
		require.Contains(t, out.Detail, "unknown")
	}
	require.False(t, c.IsLeader(time.Now().Add(c.deadline)), "whatever happens")
	require.Eventually(t, func() bool { return !c.leads() }, patience, glance)
	w.ours.forget()
	require.Equal(t, decider.NotLeader, w.actuatorOffline(a, target, decide(target, 3)).Why)
	require.Zero(t, w.ours.count("/workers/"), "past the renew deadline not even tried")
	writer.Observe(holdAt(pa, 0, 25))
	require.Zero(t, drain(t.Context(), writer))

	require.NoError(t, w.cp.StartAPI(t.Context()))
	now := w.target(t, workers, "chat")
	require.Equal(t, target, now, "nothing was written")
	require.Eventually(t, c.leads, patience, glance, "it stood by and leads again")
	out = a.Apply(t.Context(), now, w.scaler(), decide(now, 3))
	require.True(t, out.Applied, "%+v", out)
	require.Equal(t, target.Generation+1, w.target(t, workers, "chat").Generation, "once")
	writer.Observe(holdAt(pa, 2, 25))
	require.Equal(t, 1, drain(t.Context(), writer))
	require.NotEmpty(t, w.readAutoscaler(t, "chat").Status.Conditions)
	c.stop()
	require.NoError(t, <-c.ended)
}

// actuatorOffline applies with the deadline of a tick.
func (w *world) actuatorOffline(a *Actuator, target Target, d decider.Decision) decider.Outcome {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	return a.Apply(ctx, target, w.scaler(), d)
}

// noLeases is a client for Leases that is never asked.
type noLeases struct{ coordinationv1.LeasesGetter }

func TestALeaderIsOneOnlyUntilTheRenewDeadline(t *testing.T) {
	e, err := NewElection(ElectionOptions{Leases: noLeases{}, Namespace: "flyball", Name: "flyball"})
	require.NoError(t, err)
	require.False(t, e.IsLeader(time.Now()), "nobody is the leader from the start")

	sent := time.Now()
	e.lock.renewed(sent)
	require.True(t, e.IsLeader(sent))
	require.True(t, e.IsLeader(sent.Add(RenewDeadline-time.Nanosecond)))
	require.False(t, e.IsLeader(sent.Add(RenewDeadline)))
	wall := sent.Round(0) // without the monotonic clock, as after a machine has slept
	require.True(t, e.IsLeader(wall.Add(RenewDeadline-time.Second)))
	require.False(t, e.IsLeader(wall.Add(RenewDeadline)))
	require.Greater(t, LeaseDuration-RenewDeadline, 2*time.Second, "a request that was sent in time ends in time: a tick is 2 s")

	_, err = NewElection(ElectionOptions{Namespace: "flyball"})
	require.ErrorContains(t, err, "needs the namespace and the name of a Lease")
}

func TestAnUnchangedFailureIsAnnouncedEveryFiveMinutes(t *testing.T) {
	n := newAnnouncer(nil)
	refused, conflict := decider.Outcome{Why: decider.Refused}, decider.Outcome{Why: decider.Conflict}
	require.True(t, n.isNew("a", refused, noon))
	require.False(t, n.isNew("a", refused, noon.Add(2*time.Second)))
	require.True(t, n.isNew("b", refused, noon.Add(2*time.Second)), "another autoscaler's")
	require.True(t, n.isNew("a", conflict, noon.Add(4*time.Second)), "another failure")
	require.False(t, n.isNew("a", conflict, noon.Add(4*time.Second+quiet-1)))
	require.True(t, n.isNew("a", conflict, noon.Add(4*time.Second+quiet)))
	require.True(t, n.isNew("a", decider.Outcome{Applied: true}, noon.Add(6*time.Minute)))
	require.True(t, n.isNew("a", conflict, noon.Add(6*time.Minute)), "after a success it is new")
	require.True(t, n.isNew("c", conflict, noon.Add(time.Hour)))
	require.Len(t, n.failed, 1, "old ones are forgotten")
}
