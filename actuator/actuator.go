package actuator

import (
	"context"
	"fmt"
	"time"

	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/scale"
	"k8s.io/client-go/tools/events"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/decider"
)

// FieldManager is who the API server says wrote a replica count or a status.
const FieldManager = "flyball"

// attempts is how often one decision is sent at most: once, and three times more after conflicts.
const attempts = 4

// Target is the workload as it was when the decision was made.
type Target struct {
	Resource        schema.GroupVersionResource
	Kind            string
	Namespace, Name string
	UID             types.UID
	Generation      int64  // metadata.generation: moves with every write to the spec, also through /scale
	Replicas        int32  // spec.replicas, as /scale gave it
	ResourceVersion string // metadata.resourceVersion of that /scale
	DecisionID      string // how events name the decision that was made for it; empty: not at all
}

// Options are what an Actuator writes through.
type Options struct {
	Scales   scale.ScalesGetter   // reads and writes /scale
	Metadata metadata.Interface   // reads UID and generation
	Events   events.EventRecorder // nil: no events
	Leader   func() bool          // whether this instance may write at this moment, as Election.IsLeader says
	Now      func() time.Time     // stamps outcomes; time.Now if nil
}

// Actuator writes replica counts. It is safe for concurrent use; it starts nothing.
type Actuator struct {
	scales   scale.ScalesGetter
	metadata metadata.Interface
	leader   func() bool
	now      func() time.Time
	news     *announcer
}

// New makes an Actuator.
func New(o Options) *Actuator {
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Actuator{scales: o.Scales, metadata: o.Metadata, leader: o.Leader, now: o.Now, news: newAnnouncer(o.Events)}
}

// Apply makes d.To the target's spec.replicas, through the scale subresource and nothing else, provided that the target is
// still the one that d was made for. The write carries the resourceVersion that the decision was made from, so that no
// write of somebody else's is undone unseen.
//
// A conflict alone does not mean that the decision is out of date: a status update of the target or a new annotation also
// moves the resourceVersion. So the target is read again, and the write is repeated (three times at most) if UID,
// generation and spec.replicas are unchanged. Otherwise the decision is dropped, and the next one starts from what is there
// then. (Of a Deployment, a new annotation also moves the generation; its decision is dropped.)
//
// Each request is preceded by a look at the leadership and at ctx, which should end with the tick. It takes 5 s at most:
// one that was sent while leading, just before the renew deadline, must end before another instance can take the Lease.
func (a *Actuator) Apply(ctx context.Context, t Target, pa *v1alpha1.PodAutoscaler, d decider.Decision) decider.Outcome {
	out := decider.Outcome{Was: d.From, Now: d.From}
	out.Why, out.Detail = a.idle(t, pa, d)
	if out.Why != "" {
		return a.tell(t, pa, d, out)
	}
	asked := &autoscalingv1.Scale{
		ObjectMeta: metav1.ObjectMeta{Namespace: t.Namespace, Name: t.Name, UID: t.UID, ResourceVersion: t.ResourceVersion},
		Spec:       autoscalingv1.ScaleSpec{Replicas: d.To},
	}
	ctx, cancel := context.WithTimeout(ctx, LeaseDuration-RenewDeadline)
	defer cancel()
	for try := 1; ; try++ {
		if out.Why, out.Detail = a.mayWrite(ctx); out.Why != "" {
			break
		}
		written, err := a.scales.Scales(t.Namespace).Update(ctx, t.Resource.GroupResource(), asked, metav1.UpdateOptions{FieldManager: FieldManager})
		if err == nil {
			out.Applied, out.Now, out.At = true, written.Spec.Replicas, a.now()
			t.ResourceVersion = written.ResourceVersion
			break
		}
		if !apierrors.IsConflict(err) {
			out.Why, out.Detail = failure(err, wrote)
			break
		}
		if try == attempts {
			out.Why = decider.Conflict
			out.Detail = fmt.Sprintf("the target was written to by others %d times while this was being written; the next decision tries again", attempts)
			break
		}
		if asked.ResourceVersion, out.Why, out.Detail = a.reread(ctx, t); out.Why != "" {
			break
		}
	}
	return a.tell(t, pa, d, out)
}

// idle says why there is nothing to send; empty when there is.
func (a *Actuator) idle(t Target, pa *v1alpha1.PodAutoscaler, d decider.Decision) (why, detail string) {
	switch {
	case d.To == d.From:
		return decider.Unchanged, ""
	case pa.Spec.Mode == decider.Advise:
		return decider.Advised, ""
	case t.Namespace != pa.Namespace:
		return decider.Refused, fmt.Sprintf("the target is in namespace %s, the autoscaler in %s; move one of them", t.Namespace, pa.Namespace)
	case t.Replicas != d.From:
		return decider.Conflict, changed("spec.replicas", t.Replicas, d.From)
	}
	return "", ""
}

// mayWrite says why no request may be sent at this moment; empty when it may.
func (a *Actuator) mayWrite(ctx context.Context) (why, detail string) {
	if !a.leader() {
		return decider.NotLeader, ""
	}
	if err := ctx.Err(); err != nil {
		return decider.Unreachable, fmt.Sprintf("not sent: %v; the next decision tries again", err)
	}
	return "", ""
}

// reread gives the resourceVersion that a repeated write must carry, or says why there must be none. /scale is read before
// the metadata: whatever changes in between makes the write conflict again.
func (a *Actuator) reread(ctx context.Context, t Target) (resourceVersion, why, detail string) {
	if why, detail = a.mayWrite(ctx); why != "" {
		return "", why, detail
	}
	now, err := a.scales.Scales(t.Namespace).Get(ctx, t.Resource.GroupResource(), t.Name, metav1.GetOptions{})
	if err != nil {
		why, detail = failure(err, read)
		return "", why, detail
	}
	meta, err := a.metadata.Resource(t.Resource).Namespace(t.Namespace).Get(ctx, t.Name, metav1.GetOptions{})
	if err != nil {
		why, detail = failure(err, read)
		return "", why, detail
	}
	switch {
	case meta.UID != t.UID:
		return "", decider.TargetGone, changed("metadata.uid", meta.UID, t.UID) + ": it was deleted and created again"
	case meta.DeletionTimestamp != nil:
		return "", decider.TargetGone, "it is being deleted"
	case now.Spec.Replicas != t.Replicas:
		return "", decider.Conflict, changed("spec.replicas", now.Spec.Replicas, t.Replicas)
	case meta.Generation != t.Generation:
		return "", decider.Conflict, changed("metadata.generation", meta.Generation, t.Generation) + ": its spec was changed"
	}
	return now.ResourceVersion, "", ""
}

func changed(field string, is, was any) string {
	return fmt.Sprintf("%s is %v now and was %v when the decision was made", field, is, was)
}
