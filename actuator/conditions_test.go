package actuator

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/decider"
)

// says is a condition without its times: "True AsExpected".
func says(s v1alpha1.PodAutoscalerStatus, kind string) string {
	c := find(s.Conditions, kind)
	return string(c.Status) + " " + c.Reason
}

// with is a copy with a change.
func with[T any](v T, change func(*T)) T { change(&v); return v }

func message(s v1alpha1.PodAutoscalerStatus, kind string) string {
	return find(s.Conditions, kind).Message
}

func TestConditionsSayHowItGoes(t *testing.T) {
	applied := decider.Outcome{Applied: true}
	unchanged := decider.Outcome{Why: decider.Unchanged}
	blind := load(3, 0)
	blind.Windows[0].Stable = decider.Window{Range: time.Minute, At: noon, State: decider.Missing, NewestAge: -1, Expected: 3}
	crowded := load(3, 48)
	crowded.Unschedulable = 2
	rationed := load(3, 48)
	rationed.Quota = decider.Quota{Name: "gpus", Resource: "requests.nvidia.com/gpu", Most: 3}
	stuck := load(5, 48)
	stuck.Ready, stuck.Unschedulable = 3, 2
	calm := load(3, 5)
	calm.Windows[0].Panic = calm.Windows[0].Stable
	partly := load(3, 5)
	partly.Windows[0].Stable.Silent, partly.Windows[0].Stable.SilentFor = 1, 20*time.Second
	invalid := Turn{Autoscaler: chat(), At: noon, Invalid: field.ErrorList{
		field.Invalid(field.NewPath("spec", "maxReplicas"), 0, "must be 1 or more"),
		field.Required(field.NewPath("spec", "scaleTargetRef", "name"), "name the workload to scale"),
	}}
	lost := Turn{Autoscaler: chat(), At: noon, TargetReason: TargetNotFound, TargetMessage: "there is no Deployment chat"}
	hung := Turn{Autoscaler: chat(), At: noon, Err: errors.New("the previous turn has not ended")}

	for _, tc := range []struct {
		name                         string
		turn                         Turn
		able, active, limited, ready string
		why                          string // in ScalingActive's message
	}{
		{
			"a rise is written", turnOf(waiting(), load(3, 48), applied),
			"True SucceededRescale", "True ValidMetricFound", "False DesiredWithinRange", "True AsExpected", "waiting asks for 5: 48 over 1m",
		},
		{
			"steady", turnOf(waiting(), load(3, 25), unchanged),
			"True SucceededGetScale", "True ValidMetricFound", "False DesiredWithinRange", "True AsExpected", "as many as there are",
		},
		{
			"at maxReplicas", turnOf(waiting(), load(9, 999), applied),
			"True SucceededRescale", "True ValidMetricFound", "True TooManyReplicas", "True AsExpected", "maxReplicas is 10",
		},
		{
			"at minReplicas", turnOf(with(waiting(), func(p *decider.Policy) { p.MinReplicas = 3 }), load(3, 5), unchanged),
			"True SucceededGetScale", "True ValidMetricFound", "True TooFewReplicas", "True AsExpected", "minReplicas is 3",
		},
		{
			"the rate limits a fall", turnOf(waiting(), load(8, 5), applied),
			"True SucceededRescale", "True ValidMetricFound", "True RateLimited", "True AsExpected", "8 ready pods over 2",
		},
		{
			"a fall waits", turnOf(with(waiting(), func(p *decider.Policy) { p.ScaleDownDelay = time.Minute }), load(3, 12), unchanged),
			"True SucceededGetScale", "True ValidMetricFound", "True ScaleDownDelayed", "True AsExpected", "fewer must be asked for",
		},
		{
			"a rise waits", turnOf(with(waiting(), func(p *decider.Policy) { p.ScaleUpDelay = time.Minute }), load(3, 48), unchanged),
			"True SucceededGetScale", "True ValidMetricFound", "True ScaleUpDelayed", "True AsExpected", "more must be asked for",
		},
		{
			"paused", turnOf(with(waiting(), func(p *decider.Policy) { p.Pause.All = true }), load(3, 48), unchanged),
			"True SucceededGetScale", "True ValidMetricFound", "True Paused", "True AsExpected", "scaling is paused",
		},
		{
			"at the schedule's maximum", turnOf(with(waiting(), func(p *decider.Policy) { p.Schedules = atNoon(nil, new(int32(3))) }), load(3, 48), unchanged),
			"True SucceededGetScale", "True ValidMetricFound", "True TooManyReplicas", "True AsExpected", "schedule noon allows 1 to 3",
		},
		{
			"beyond maxReplicas, as the schedule allows", turnOf(with(waiting(), func(p *decider.Policy) { p.Schedules = atNoon(nil, new(int32(20))) }), load(3, 148), applied),
			"True SucceededRescale", "True ValidMetricFound", "False DesiredWithinRange", "True AsExpected", "within the bounds of schedule noon, 1 to 20",
		},
		{
			"no node for more", turnOf(waiting(), crowded, unchanged),
			"True SucceededGetScale", "True ValidMetricFound", "True PodsUnschedulable", "True AsExpected", "2 pods are unschedulable",
		},
		{
			"all that are asked for are there, and no node takes two of them", turnOf(waiting(), stuck, unchanged),
			"True SucceededGetScale", "True ValidMetricFound", "True PodsUnschedulable", "True AsExpected", "as many as there are",
		},
		{
			"one exporter is silent", turnOf(waiting(), partly, unchanged),
			"True SucceededGetScale", "True ValidMetricFound", "True IncompleteMetrics", "True AsExpected", "1 of 3 exporters silent",
		},
		{
			"no data", turnOf(waiting(), blind, unchanged),
			"True SucceededGetScale", "False FailedGetMetric", "False DesiredWithinRange", "False FailedGetMetric", "waiting has had no sample",
		},
		{
			"advice only", turnOf(with(waiting(), func(p *decider.Policy) { p.Mode = decider.Advise }), load(3, 48), decider.Outcome{Why: decider.Advised}),
			"True SucceededGetScale", "True Advised", "False DesiredWithinRange", "True AsExpected", "waiting asks for 5",
		},
		{
			"switched off by hand", turnOf(waiting(), load(0, 0), unchanged),
			"True SucceededGetScale", "False ScalingDisabled", "False DesiredWithinRange", "False ScalingDisabled", "left at 0",
		},
		{
			"left to an HPA that nobody has looked for", turnOf(with(waiting(), func(p *decider.Policy) { p.Strategy = decider.HPA }), load(3, 48), unchanged),
			"True SucceededGetScale", "Unknown Pending", "False DesiredWithinRange", "Unknown Pending", "nothing is known",
		},
		{
			"panic keeps them", turnOf(with(waiting(), func(p *decider.Policy) { p.Strategy, p.PanicWindow, p.PanicThreshold = decider.KPA, 10*time.Second, 2 }),
				calm, unchanged),
			"True SucceededGetScale", "True ValidMetricFound", "True Panicking", "True AsExpected", "there is no history",
		},
		{
			"somebody else wrote", turnOf(waiting(), load(3, 48), decider.Outcome{Why: decider.Conflict, Detail: "spec.replicas is 4"}),
			"False Conflict", "True ValidMetricFound", "False DesiredWithinRange", "False Conflict", "waiting asks for 5",
		},
		{
			"not permitted", turnOf(waiting(), load(3, 48), decider.Outcome{Why: decider.Refused, Detail: "forbidden"}),
			"False Refused", "True ValidMetricFound", "False DesiredWithinRange", "False Refused", "waiting asks for 5",
		},
		{
			"deleted meanwhile", turnOf(waiting(), load(3, 48), decider.Outcome{Why: decider.TargetGone, Detail: "not found"}),
			"False TargetNotFound", "True ValidMetricFound", "False DesiredWithinRange", "False TargetNotFound", "waiting asks for 5",
		},
		{
			"the quota is used up", turnOf(waiting(), rationed, unchanged),
			"True SucceededGetScale", "True ValidMetricFound", "True QuotaExhausted", "True AsExpected", "the ResourceQuota gpus admits at most 3",
		},
		{
			"somebody else has the target", with(turnOf(waiting(), load(3, 48), decider.Outcome{Why: decider.Contested}), func(t *Turn) { t.Contested = ContestedBy("ScaledObject", "llm", "chat") }),
			"False ForeignScaledObject", "True ValidMetricFound", "False DesiredWithinRange", "False ForeignScaledObject", "waiting asks for 5",
		},
		{
			"KEDA asks", with(turnOf(waiting(), load(3, 48), decider.Outcome{Why: decider.Delegated}), func(t *Turn) { t.DelegatedTo = "chat" }),
			"True SucceededGetScale", "True Delegated", "False DesiredWithinRange", "True AsExpected", "waiting asks for 5",
		},
		{"the spec is wrong", invalid, "Unknown InvalidSpec", "Unknown InvalidSpec", "Unknown InvalidSpec", "False InvalidSpec", "not looked at"},
		{"no such target", lost, "False TargetNotFound", "Unknown TargetNotFound", "Unknown TargetNotFound", "False TargetNotFound", "not looked at"},
		{"nothing known, and it hangs", hung, "Unknown Pending", "False FailedComputeScale", "Unknown Pending", "Unknown Pending", "has not ended"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := Status(v1alpha1.PodAutoscalerStatus{}, tc.turn)
			require.Equal(t, []string{tc.able, tc.active, tc.limited, tc.ready},
				[]string{says(s, AbleToScale), says(s, ScalingActive), says(s, ScalingLimited), says(s, Ready)})
			require.Contains(t, message(s, ScalingActive), tc.why)
			require.Len(t, s.Conditions, 9, "the first status sets every type")
			documented(t, s)
			for _, c := range s.Conditions {
				require.Equal(t, int64(7), c.ObservedGeneration, c.Type)
				require.Equal(t, noon, c.LastTransitionTime.Time, c.Type)
				require.NotEmpty(t, c.Message, c.Type)
			}
			require.Equal(t, s, Status(v1alpha1.PodAutoscalerStatus{}, tc.turn), "the same turn, the same status")
		})
	}
	require.Contains(t, message(Status(v1alpha1.PodAutoscalerStatus{}, invalid), ValidSpec), "spec.scaleTargetRef.name", "every error is told")
}

func TestConditionTimesMoveOnlyWhenAStatusDoes(t *testing.T) {
	up := turnOf(waiting(), load(3, 48), decider.Outcome{Applied: true})
	s := Status(v1alpha1.PodAutoscalerStatus{}, up)

	hold := turnOf(waiting(), load(5, 48), decider.Outcome{Why: decider.Unchanged})
	hold.At = noon.Add(time.Minute)
	later := Status(s, hold)
	require.Equal(t, metav1.NewTime(noon), find(later.Conditions, ScalingActive).LastTransitionTime)
	require.Equal(t, "True SucceededRescale", says(later, AbleToScale), "the last rescale stays what is known of writing")

	lost := Turn{Autoscaler: chat(), At: noon.Add(2 * time.Minute), TargetReason: NoScaleSubresource, TargetMessage: "no /scale"}
	gone := Status(later, lost)
	require.Equal(t, metav1.NewTime(noon.Add(2*time.Minute)), find(gone.Conditions, AbleToScale).LastTransitionTime)
	require.Equal(t, metav1.NewTime(noon), find(gone.Conditions, ValidSpec).LastTransitionTime)
	require.EqualValues(t, 5, gone.DesiredScale, "what was decided last stands")
}

// A new process has not looked at the native HorizontalPodAutoscaler when it first decides: that changes nothing.
func TestWhatIsKnownOfANativeHPAOutlivesARestart(t *testing.T) {
	turn := turnOf(with(waiting(), func(p *decider.Policy) { p.Strategy = decider.HPA }), load(3, 0), decider.Outcome{Why: decider.Unchanged})
	turn.HPA = nativeSays("AbleToScale True ReadyForNewScale", "ScalingActive False FailedGetResourceMetric")
	before := Status(v1alpha1.PodAutoscalerStatus{}, turn)
	turn.HPA = nil
	require.Equal(t, "False FailedGetResourceMetric", says(Status(before, turn), ScalingActive))
	require.Equal(t, "False FailedGetResourceMetric", says(Status(before, turn), Ready))
}

func TestConditionsOfAnotherControllerGo(t *testing.T) {
	prev := v1alpha1.PodAutoscalerStatus{Conditions: []metav1.Condition{{
		Type: "MultiPodAutoscalerConflict", Status: metav1.ConditionFalse, Reason: "MultiPodAutoscalerConflict",
	}}}
	s := Status(prev, turnOf(waiting(), load(3, 25), decider.Outcome{Why: decider.Unchanged}))
	require.Equal(t, []string{ValidSpec, AbleToScale, SignalsFresh, ScalingActive, ScalingLimited, Conflict, Paused, Delegated, Ready}, typesOf(s))
}

func typesOf(s v1alpha1.PodAutoscalerStatus) []string {
	var out []string
	for _, c := range s.Conditions {
		out = append(out, c.Type)
	}
	return out
}

func TestTheOtherConditionsAreFalseAtRest(t *testing.T) {
	p, hold := waiting(), decider.Outcome{Why: decider.Unchanged}
	p.Sources = append(p.Sources, decider.Source{Key: "q", Name: "queue", Target: 100})
	whole := func() decider.Input {
		in := load(3, 25)
		in.Windows = append(in.Windows, decider.SourceWindows{Key: "q", Stable: fresh(7, 3)})
		return in
	}
	after := func(change func(*decider.Input)) Turn { return turnOf(p, with(whole(), change), hold) }
	paused := func(pause decider.Pause) Turn {
		return turnOf(with(p, func(p *decider.Policy) { p.Pause = pause }), whole(), hold)
	}
	for _, tc := range []struct {
		name  string
		turn  Turn
		kind  string
		want  string
		about string // in the message
	}{
		{"all is well", after(func(*decider.Input) {}), SignalsFresh, "True AsExpected", "every source"},
		{"nothing scales it too", after(func(*decider.Input) {}), Conflict, "False NoConflict", "nothing else"},
		{"nothing is paused", after(func(*decider.Input) {}), Paused, "False NotPaused", "nothing is paused"},
		{"nobody writes in our place", after(func(*decider.Input) {}), Delegated, "False NotDelegated", "flyball decides"},
		{"no samples", after(func(in *decider.Input) { in.Windows[1].Stable.State = decider.Missing }), SignalsFresh, "False SignalsMissing", "no samples at all: queue"},
		{"old samples", after(func(in *decider.Input) { in.Windows[0].Stable.State = decider.Stale }), SignalsFresh, "False SignalsStale", "no recent samples: waiting"},
		{"a silent pod", after(func(in *decider.Input) { in.Windows[0].Stable.Silent = 1 }), SignalsFresh, "False SignalsSilent", "none from some pods: waiting"},
		{"no pods", after(func(in *decider.Input) { in.Windows[0].Stable.State = decider.NoPods }), SignalsFresh, "Unknown NoPods", "no pods to come from: waiting"},
		{"not evaluated", after(func(in *decider.Input) { in.Windows = in.Windows[:1] }), SignalsFresh, "False SignalsError", "can't be evaluated: queue"},
		{"the worst comes first", after(func(in *decider.Input) {
			in.Windows[0].Stable.Silent, in.Windows[1].Error = 2, "timeout"
		}), SignalsFresh, "False SignalsError", "can't be evaluated: queue; none from some pods: waiting"},
		{"all paused", paused(decider.Pause{All: true}), Paused, "True Paused", "nothing changes"},
		{"both ways", paused(decider.Pause{ScaleIn: true, ScaleOut: true}), Paused, "True Paused", "nothing changes"},
		{"held at a count", paused(decider.Pause{Replicas: new(int32(4)), All: true}), Paused, "True PausedReplicas", "held at 4"},
		{"no fewer", paused(decider.Pause{ScaleIn: true}), Paused, "True PausedScaleIn", "lowered"},
		{"no more", paused(decider.Pause{ScaleOut: true}), Paused, "True PausedScaleOut", "raised"},
		{"another PodAutoscaler", with(after(func(*decider.Input) {}), func(t *Turn) { t.Contested = ContestedBy(v1alpha1.Kind, "llm", "older") }), Conflict, "True AnotherPodAutoscaler", "llm/older scales the same target and keeps it"},
		{"an HPA", with(after(func(*decider.Input) {}), func(t *Turn) { t.Contested = ContestedBy("HorizontalPodAutoscaler", "llm", "web") }), Conflict, "True ForeignHPA", "llm/web"},
		{"another controller", with(after(func(*decider.Input) {}), func(t *Turn) { t.Contested = ContestedByController("manager") }), Conflict, "True OtherController", "manager handles"},
		{"an older CRD", with(after(func(*decider.Input) {}), func(t *Turn) { t.Contested = ContestedByOlderCRD([]string{"spec.mode"}) }), Conflict, "True OlderCRD", "drops spec.mode"},
		{"KEDA", with(after(func(*decider.Input) {}), func(t *Turn) { t.DelegatedTo = "chat" }), Delegated, "True ScaledObject", "ScaledObject chat"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := Status(v1alpha1.PodAutoscalerStatus{}, tc.turn)
			require.Equal(t, tc.want, says(s, tc.kind))
			require.Contains(t, message(s, tc.kind), tc.about)
			documented(t, s)
		})
	}
}

// nativeSays is a HorizontalPodAutoscaler that stands, with conditions such as "ScalingActive False FailedGetResourceMetric".
func nativeSays(all ...string) *HPAResult {
	hpa := &autoscalingv2.HorizontalPodAutoscaler{}
	for _, c := range all {
		words := strings.Fields(c)
		hpa.Status.Conditions = append(hpa.Status.Conditions, autoscalingv2.HorizontalPodAutoscalerCondition{
			Type: autoscalingv2.HorizontalPodAutoscalerConditionType(words[0]), Status: corev1.ConditionStatus(words[1]), Reason: words[2], Message: "so it is",
		})
	}
	return &HPAResult{Stands: true, Reason: ToNativeHPA, Message: "HorizontalPodAutoscaler chat-hpa decides", Native: hpa}
}

func TestANativeHPAsConditionsAreOurs(t *testing.T) {
	absent := func(reason string) *HPAResult { return &HPAResult{Reason: reason, Message: "because"} }
	well := []string{"AbleToScale True ReadyForNewScale", "ScalingActive True ValidMetricFound", "ScalingLimited False DesiredWithinRange"}
	for _, tc := range []struct {
		name                                    string
		hpa                                     *HPAResult
		able, active, limited, delegated, ready string
	}{
		{"well", nativeSays(well...), "True SucceededGetScale", "True Delegated", "False DesiredWithinRange", "True NativeHPA", "True AsExpected"},
		{"new", nativeSays(), "True SucceededGetScale", "Unknown Pending", "Unknown Pending", "True NativeHPA", "Unknown Pending"},
		{
			"no metrics", nativeSays("AbleToScale True SucceededGetScale", "ScalingActive False FailedGetResourceMetric", "ScalingLimited True TooFewReplicas"),
			"True SucceededGetScale", "False FailedGetResourceMetric", "True TooFewReplicas", "True NativeHPA", "False FailedGetResourceMetric",
		},
		{
			"no scale", nativeSays("AbleToScale False FailedGetScale"),
			"False FailedGetScale", "Unknown Pending", "Unknown Pending", "True NativeHPA", "False FailedGetScale",
		},
		{"nobody serves its metric", absent(ExternalMetricsAPIMissing), "True SucceededGetScale", "False ExternalMetricsAPIMissing", "Unknown Pending", "False ExternalMetricsAPIMissing", "False ExternalMetricsAPIMissing"},
		{"nobody serves what its pods say", absent(CustomMetricsAPIMissing), "True SucceededGetScale", "False CustomMetricsAPIMissing", "Unknown Pending", "False CustomMetricsAPIMissing", "False CustomMetricsAPIMissing"},
		{"nobody serves what was added", with(*nativeSays(well...), func(r *HPAResult) { r.Reason = CustomMetricsAPIMissing }).pointer(), "True SucceededGetScale", "False CustomMetricsAPIMissing", "False DesiredWithinRange", "True NativeHPA", "False CustomMetricsAPIMissing"},
		{"new, and nobody serves what was added", with(*nativeSays(), func(r *HPAResult) { r.Reason = CustomMetricsAPIMissing }).pointer(), "True SucceededGetScale", "False CustomMetricsAPIMissing", "Unknown Pending", "True NativeHPA", "False CustomMetricsAPIMissing"},
		{"advice only", absent(Advised), "True SucceededGetScale", "False ScalingDisabled", "Unknown Pending", "False Advised", "False ScalingDisabled"},
		{"forbidden", absent(Refused), "False Refused", "False Refused", "Unknown Pending", "False Refused", "False Refused"},
		{"in a moment", absent(Pending), "True SucceededGetScale", "Unknown Pending", "Unknown Pending", "False Pending", "Unknown Pending"},
		{"the next can't be written", with(*nativeSays(well...), func(r *HPAResult) { r.Reason = Unreachable }).pointer(), "False Unreachable", "False Unreachable", "False DesiredWithinRange", "True NativeHPA", "False Unreachable"},
		{"its name is taken", (&HPAResult{Reason: ForeignHPA, Message: "taken", Contested: ContestedBy(hpaKind, "llm", "chat-hpa")}), "False ForeignHPA", "False ForeignHPA", "Unknown Pending", "False ForeignHPA", "False ForeignHPA"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			turn := turnOf(with(waiting(), func(p *decider.Policy) { p.Strategy = decider.HPA }), load(3, 0), decider.Outcome{Why: decider.Unchanged})
			turn.HPA = tc.hpa
			s := Status(v1alpha1.PodAutoscalerStatus{}, turn)
			require.Equal(t, []string{tc.able, tc.active, tc.limited, tc.delegated, tc.ready},
				[]string{says(s, AbleToScale), says(s, ScalingActive), says(s, ScalingLimited), says(s, Delegated), says(s, Ready)})
			require.Equal(t, "Unknown Delegated", says(s, SignalsFresh))
			require.Len(t, s.Conditions, 9)
		})
	}
}

func (r HPAResult) pointer() *HPAResult { return &r }

// An HPA that acts is not passed over in silence, whatever keeps flyball from looking after it; and none is claimed that is not there.
func TestWhoScalesIsSaidTruly(t *testing.T) {
	other, older := ContestedByController("aibrix"), ContestedByOlderCRD([]string{"spec.mode"})
	goesOn := func(reason, message string) *HPAResult {
		r := nativeSays("AbleToScale True SucceededGetScale", "ScalingActive True ValidMetricFound")
		r.Native.Name, r.Reason, r.Message = "chat-hpa", reason, message
		return r
	}
	invalid := func(t *Turn) {
		t.Invalid = field.ErrorList{field.Invalid(field.NewPath("spec"), "x", "is wrong")}
		t.Policy, t.Decision = decider.Policy{}, decider.Decision{}
	}
	for _, tc := range []struct {
		name     string
		strategy decider.Strategy
		turn     func(*Turn)
		want     string
		about    string // in the message
	}{
		{"strategy HPA, another controller", decider.HPA, func(t *Turn) { t.Contested, t.HPA = other, goesOn(OtherController, other.Message) }, "True NativeHPA", "HorizontalPodAutoscaler chat-hpa goes on as it was made: aibrix handles"},
		{"strategy HPA, an older CRD", decider.HPA, func(t *Turn) { t.Contested, t.HPA = older, goesOn(OlderCRD, older.Message) }, "True NativeHPA", "drops spec.mode"},
		{"strategy KPA, another controller", decider.KPA, func(t *Turn) { t.Contested, t.HPA = other, goesOn("", other.Message) }, "True NativeHPA", "chat-hpa goes on"},
		{"strategy HPA, another controller, and none is there", decider.HPA, func(t *Turn) { t.Contested, t.HPA = other, &HPAResult{Reason: OtherController, Message: other.Message} }, "False OtherController", "aibrix handles"},
		{"strategy HPA, an older CRD, and none is there", decider.HPA, func(t *Turn) { t.Contested, t.HPA = older, &HPAResult{Reason: OlderCRD, Message: older.Message} }, "False OlderCRD", "drops spec.mode"},
		{"strategy KPA, another autoscaler", decider.KPA, func(t *Turn) { t.Contested = ContestedBy(v1alpha1.Kind, "llm", "older") }, "False NotDelegated", "who else has it, Conflict says"},
		{"strategy KPA, not valid, and one can't be removed", decider.KPA, func(t *Turn) { invalid(t); t.HPA = goesOn("", "it can't be removed: forbidden") }, "True NativeHPA", "goes on as it was made: it can't be removed"},
		{"strategy HPA, not valid", decider.HPA, func(t *Turn) { invalid(t); t.HPA = goesOn(InvalidSpec, "spec: is wrong") }, "True NativeHPA", "goes on as it was made: spec: is wrong"},
		{"strategy HPA, not valid, and none is there", decider.HPA, func(t *Turn) { invalid(t); t.HPA = &HPAResult{Reason: InvalidSpec, Message: "spec: is wrong"} }, "Unknown InvalidSpec", "not looked at"},
		{"strategy HPA, no target", decider.HPA, func(t *Turn) {
			t.TargetReason, t.HPA = TargetNotFound, goesOn(ToNativeHPA, "HorizontalPodAutoscaler chat-hpa decides")
		}, "True NativeHPA", "chat-hpa decides"},
		{"strategy HPA, just now", decider.HPA, func(*Turn) {}, "Unknown Pending", "has not been looked for yet"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			turn := turnOf(with(waiting(), func(p *decider.Policy) { p.Strategy = tc.strategy }), load(3, 0), decider.Outcome{Why: decider.Unchanged})
			turn.Autoscaler = turn.Autoscaler.DeepCopy()
			turn.Autoscaler.Spec.ScalingStrategy = tc.strategy
			tc.turn(&turn)
			s := Status(v1alpha1.PodAutoscalerStatus{}, turn)
			require.Equal(t, tc.want, says(s, Delegated))
			require.Contains(t, message(s, Delegated), tc.about)
			documented(t, s)

			turn.HPA = nil // after a restart
			was, again := says(s, Delegated), says(Status(s, turn), Delegated)
			if tc.strategy == decider.HPA && was == "True NativeHPA" {
				require.Equal(t, was, again, "what is not looked for yet has not ended")
			} else {
				require.NotEqual(t, "True NativeHPA", again)
			}
		})
	}
}
