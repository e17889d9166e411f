package actuator

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	autoscalingv2ac "k8s.io/client-go/applyconfigurations/autoscaling/v2"
	autoscalingv2client "k8s.io/client-go/kubernetes/typed/autoscaling/v2"
	"k8s.io/client-go/tools/events"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/decider"
)

// hpaPatience is how long a write is not sent again: after a failure, and while the cache does not show it yet.
const hpaPatience = 10 * time.Second

const hpaKind = "HorizontalPodAutoscaler"

// HPAOptions are what HPAs writes through.
type HPAOptions struct {
	Client autoscalingv2client.HorizontalPodAutoscalersGetter
	Leader func() bool          // whether this instance may write at this moment
	Events events.EventRecorder // nil: no events
	Log    *zap.Logger
}

// HPAs keeps the native HorizontalPodAutoscalers of the autoscalers of strategy HPA, and removes those of others. An
// autoscaler owns its one by a controller ownerReference, so that the garbage collector takes it along; no finalizer is
// needed. It is safe for concurrent use, one autoscaler at a time; it starts nothing.
type HPAs struct {
	client autoscalingv2client.HorizontalPodAutoscalersGetter
	leader func() bool
	events events.EventRecorder
	log    *zap.Logger

	mu   sync.Mutex
	sent map[types.UID]sentHPA // by autoscaler
}

// sentHPA is the last request for one autoscaler, and what came of it.
type sentHPA struct {
	what   string // the request
	over   string // the resourceVersion that the cache had before; empty: none
	at     time.Time
	seenAt time.Time // when it last mattered
	err    error
	got    *autoscalingv2.HorizontalPodAutoscaler // the answer
	looked bool                                   // nothing was written, only read
}

// NewHPAs makes HPAs.
func NewHPAs(o HPAOptions) *HPAs {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	return &HPAs{client: o.Client, leader: o.Leader, events: o.Events, log: o.Log, sent: map[types.UID]sentHPA{}}
}

// HPATurn is what is known of one autoscaler's native HorizontalPodAutoscaler at one time. What stands comes from a cache and
// is not changed.
type HPATurn struct {
	Autoscaler *v1alpha1.PodAutoscaler // of any strategy; not valid: nothing is made or changed, and what is not wanted goes
	At         time.Time
	Contested  *Contested // who else has the target; nil: nobody
	Served     MetricsAPIs

	Standing *autoscalingv2.HorizontalPodAutoscaler   // the one named NativeHPAName, whoever made it; nil: none
	Owned    []*autoscalingv2.HorizontalPodAutoscaler // all that the autoscaler controls
}

// overName says whether the conflict is over the HorizontalPodAutoscaler of the name that ours has: an orphan is taken over.
func (t HPATurn) overName() bool {
	return t.Contested.Kind == hpaKind && t.Contested.Name == NativeHPAName(t.Autoscaler)
}

// Sync makes what stands what is wanted: one HorizontalPodAutoscaler for strategy HPA in mode Enforce, none otherwise. It
// sends nothing when that is so already. Writes are server-side applies as FieldManager, forced; a delete carries the UID.
//
// One of that name that the autoscaler does not control is taken over only if nobody controls it, it scales the same
// target, and it bears flyball's or AIBrix's marks: what is left when an autoscaler was deleted with its dependents
// orphaned. Any other is a conflict, and is not touched. While another object has the target, ours is removed; while
// another controller handles the autoscalers, nothing is, since that would be a fight; nor while ours is the garbage
// collector's, since the autoscaler is being deleted.
func (h *HPAs) Sync(ctx context.Context, t HPATurn) HPAResult {
	pa := t.Autoscaler
	ctx, cancel := context.WithTimeout(ctx, LeaseDuration-RenewDeadline)
	defer cancel()
	switch {
	case pa.DeletionTimestamp != nil:
		return t.leaving()
	case t.Contested != nil && !t.Contested.object():
		return t.untouched()
	case !t.wants():
		return h.without(ctx, t, HPAResult{})
	case t.Contested != nil && !t.overName():
		return h.without(ctx, t, HPAResult{Reason: t.Contested.Reason, Message: t.Contested.Message})
	case pa.Spec.Mode == decider.Advise:
		return h.without(ctx, t, HPAResult{
			Reason: Advised, Message: "mode Advise makes no HorizontalPodAutoscaler, so nothing decides; strategies KPA and APA show what they would do",
		})
	}
	want, warnings, err := NativeHPA(pa, t.At, t.Served)
	if err != nil {
		return h.unservable(t, err)
	}
	return h.with(ctx, t, want, warnings)
}

// unservable leaves what stands as it is.
func (h *HPAs) unservable(t HPATurn, err error) HPAResult {
	out := HPAResult{Reason: InvalidSpec, Message: err.Error()}
	if u := new(Unservable); errors.As(err, &u) {
		out.Reason = u.Reason
	}
	return out.acting(t.ours())
}

// without removes what the autoscaler owns. As long as one is there all the same, it has the target: Kubernetes lets it
// scale until the last finalizer is gone.
func (h *HPAs) without(ctx context.Context, t HPATurn, out HPAResult) HPAResult {
	for _, hpa := range t.Owned {
		var why string
		if !stands(hpa) {
			why = "is being deleted and acts until then; what holds it up is " + strings.Join(hpa.Finalizers, ", ")
		} else if err := h.remove(ctx, t, hpa); err != nil {
			why = "can't be removed: " + err.Error()
		}
		if why == "" {
			continue
		}
		out = out.acting(hpa)
		if out.Reason == "" {
			out.Message = "it " + why
		}
		out.Contested = ContestedBy(hpaKind, hpa.Namespace, hpa.Name)
		out.Contested.Message = fmt.Sprintf("HorizontalPodAutoscaler %s/%s, made for strategy HPA, %s", hpa.Namespace, hpa.Name, why)
	}
	return out
}

// with makes the one that is wanted, and removes others.
func (h *HPAs) with(ctx context.Context, t HPATurn, want *autoscalingv2ac.HorizontalPodAutoscalerApplyConfiguration, warnings []v1alpha1.Warning) HPAResult {
	others := t
	others.Owned = slices.DeleteFunc(slices.Clone(t.Owned), func(o *autoscalingv2.HorizontalPodAutoscaler) bool { return o.Name == *want.Name })
	out := h.without(ctx, others, HPAResult{})
	spec, text := typed(want)
	over := version(t.Standing)
	last, known := h.last(t, text, over)
	if t.Standing == nil && !known && h.leader() {
		last = h.look(ctx, t, *want.Name, text)
	}
	if t.Standing == nil {
		t.Standing = last.got // the cache is behind, or sees none
	}
	now := t.Standing
	if now != nil && !stands(now) {
		out.Reason, out.Message = Pending, "the HorizontalPodAutoscaler before is being deleted"
		return out
	}
	if now != nil {
		if why := notOurs(now, t.Autoscaler, spec); why != "" {
			out.Reason, out.Message = ForeignHPA, why
			out.Contested = &Contested{Reason: ForeignHPA, Kind: hpaKind, Namespace: now.Namespace, Name: now.Name, Message: why}
			return out
		}
		out.Native, out.Stands = now, metav1.IsControlledBy(now, t.Autoscaler)
	}
	if last.err != nil {
		return out.failed(last.err)
	}
	out.Reason, out.Message = ToNativeHPA, decides(*want.Name, warnings)
	if now != nil && h.asWanted(t, spec, text) || known && !last.looked {
		return out
	}
	return h.apply(ctx, t, want, sentHPA{what: text, over: over}, out)
}

func stands(hpa *autoscalingv2.HorizontalPodAutoscaler) bool {
	return hpa != nil && hpa.DeletionTimestamp == nil
}

func decides(name string, warnings []v1alpha1.Warning) string {
	text := "HorizontalPodAutoscaler " + name + " decides"
	for i, w := range warnings {
		if i == 0 {
			text += "; what it can't do as asked: "
		} else {
			text += "; "
		}
		text += w.String()
	}
	return text
}

// typed is what is wanted as the API's own type, and as text.
func typed(want *autoscalingv2ac.HorizontalPodAutoscalerApplyConfiguration) (autoscalingv2.HorizontalPodAutoscalerSpec, string) {
	data, err := json.Marshal(want)
	var out autoscalingv2.HorizontalPodAutoscaler
	if err == nil {
		err = json.Unmarshal(data, &out)
	}
	if err != nil {
		panic(fmt.Sprintf("BUG: an apply configuration is not of its type: %v", err))
	}
	return out.Spec, string(data)
}

// asWanted compares what stands with what is wanted, or with what the API server last made of that: an older one drops
// fields that it does not know, and somebody else may have set one that we leave open.
func (h *HPAs) asWanted(t HPATurn, want autoscalingv2.HorizontalPodAutoscalerSpec, text string) bool {
	now := t.Standing
	if now.Labels[managedBy] != managedByUs || !held(now, t.Autoscaler) {
		return false
	}
	if equality.Semantic.DeepEqual(now.Spec, want) {
		return true
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	last, ok := h.sent[t.Autoscaler.UID]
	if !ok || last.what != text || last.looked || last.got == nil || !equality.Semantic.DeepEqual(now.Spec, last.got.Spec) {
		return false
	}
	last.seenAt = t.At
	h.sent[t.Autoscaler.UID] = last
	return true
}

// last is the same request, if it was sent over the same state a moment ago.
func (h *HPAs) last(t HPATurn, what, over string) (sentHPA, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	last, ok := h.sent[t.Autoscaler.UID]
	if !ok || last.what != what || last.over != over || t.At.Sub(last.at) >= hpaPatience {
		return sentHPA{}, false
	}
	return last, true
}

// note remembers a request.
func (h *HPAs) note(t HPATurn, s sentHPA) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for uid, old := range h.sent {
		if t.At.Sub(old.seenAt) > statusForget {
			delete(h.sent, uid)
		}
	}
	s.at, s.seenAt = t.At, t.At
	h.sent[t.Autoscaler.UID] = s
}

func version(hpa *autoscalingv2.HorizontalPodAutoscaler) string {
	if hpa == nil {
		return ""
	}
	return hpa.ResourceVersion
}

// look asks the API server for the one that the cache does not have: a forced apply would take over what is not ours.
func (h *HPAs) look(ctx context.Context, t HPATurn, name, what string) sentHPA {
	s := sentHPA{what: what, looked: true}
	hpa, err := h.client.HorizontalPodAutoscalers(t.Autoscaler.Namespace).Get(ctx, name, metav1.GetOptions{})
	switch {
	case apierrors.IsNotFound(err):
		return sentHPA{}
	case err != nil:
		s.err = fmt.Errorf("read HorizontalPodAutoscaler %s: %w", name, err)
	default:
		s.got = hpa
	}
	h.note(t, s)
	return s
}

// apply sends what is wanted.
func (h *HPAs) apply(ctx context.Context, t HPATurn, want *autoscalingv2ac.HorizontalPodAutoscalerApplyConfiguration, s sentHPA, out HPAResult) HPAResult {
	if !h.leader() {
		if !out.Stands {
			out.Reason, out.Message = Pending, "another instance writes"
		}
		return out
	}
	event := EventHPACreated
	if t.Standing != nil {
		event = ""
		if !out.Stands {
			event = EventHPAAdopted
		}
		want.WithUID(t.Standing.UID) // not over another of the same name
	}
	s.got, s.err = h.client.HorizontalPodAutoscalers(t.Autoscaler.Namespace).
		Apply(ctx, want, metav1.ApplyOptions{FieldManager: FieldManager, Force: true})
	h.note(t, s)
	if s.err != nil {
		h.log.Warn("HorizontalPodAutoscaler not written; it is tried again",
			zap.String("namespace", t.Autoscaler.Namespace), zap.String("name", t.Autoscaler.Name), zap.Error(s.err))
		return out.failed(s.err)
	}
	if event != "" {
		h.tell(t, s.got, event, decides(s.got.Name, nil))
	}
	out.Native, out.Stands = s.got, true
	return out
}

// failed is the result with what became of a request.
func (r HPAResult) failed(err error) HPAResult {
	r.Reason, r.Message = failure(err, wroteHPA)
	if r.Reason != Unreachable {
		r.Reason = Refused
	}
	return r
}

// remove deletes one that is not wanted any more, and no other of its name.
func (h *HPAs) remove(ctx context.Context, t HPATurn, hpa *autoscalingv2.HorizontalPodAutoscaler) error {
	if !h.leader() {
		return nil
	}
	what := "delete " + string(hpa.UID)
	if last, ok := h.last(t, what, ""); ok {
		return last.err
	}
	err := h.client.HorizontalPodAutoscalers(hpa.Namespace).
		Delete(ctx, hpa.Name, metav1.DeleteOptions{Preconditions: &metav1.Preconditions{UID: &hpa.UID}})
	if err == nil {
		h.tell(t, hpa, EventHPARemoved, "HorizontalPodAutoscaler "+hpa.Name+" is not wanted any more")
	}
	if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
		err = nil // it is gone, or another one by now
	}
	h.note(t, sentHPA{what: what, err: err})
	return err
}

func (h *HPAs) tell(t HPATurn, hpa *autoscalingv2.HorizontalPodAutoscaler, reason, note string) {
	if h.events == nil {
		return
	}
	h.events.Eventf(reference(t.Autoscaler), &corev1.ObjectReference{
		APIVersion: autoscalingv2.SchemeGroupVersion.String(), Kind: hpaKind, Namespace: hpa.Namespace, Name: hpa.Name, UID: hpa.UID,
	}, corev1.EventTypeNormal, reason, "Delegate", "%s", truncate(note, maxNote))
}
