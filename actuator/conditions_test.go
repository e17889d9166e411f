package actuator

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
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

func message(s v1alpha1.PodAutoscalerStatus, kind string) string {
	return find(s.Conditions, kind).Message
}

func TestConditionsSayHowItGoes(t *testing.T) {
	applied := decider.Outcome{Applied: true}
	unchanged := decider.Outcome{Why: decider.Unchanged}
	with := func(p decider.Policy, f func(*decider.Policy)) decider.Policy { f(&p); return p }
	blind := load(3, 0)
	blind.Windows[0].Stable = decider.Window{Range: time.Minute, At: noon, State: decider.Missing, NewestAge: -1, Expected: 3}
	crowded := load(3, 48)
	crowded.Unschedulable = 2
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
			"left to an HPA", turnOf(with(waiting(), func(p *decider.Policy) { p.Strategy = decider.HPA }), load(3, 48), unchanged),
			"True SucceededGetScale", "True Delegated", "False DesiredWithinRange", "True AsExpected", "HorizontalPodAutoscaler decides",
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
		{"the spec is wrong", invalid, "Unknown InvalidSpec", "Unknown InvalidSpec", "Unknown InvalidSpec", "False InvalidSpec", "not looked at"},
		{"no such target", lost, "False TargetNotFound", "Unknown TargetNotFound", "Unknown TargetNotFound", "False TargetNotFound", "not looked at"},
		{"nothing known, and it hangs", hung, "Unknown Pending", "False FailedComputeScale", "Unknown Pending", "Unknown Pending", "has not ended"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := Status(v1alpha1.PodAutoscalerStatus{}, tc.turn)
			require.Equal(t, []string{tc.able, tc.active, tc.limited, tc.ready},
				[]string{says(s, AbleToScale), says(s, ScalingActive), says(s, ScalingLimited), says(s, Ready)})
			require.Contains(t, message(s, ScalingActive), tc.why)
			require.Len(t, s.Conditions, 5, "the first status sets every type")
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

func TestConditionsOfAnotherControllerGo(t *testing.T) {
	prev := v1alpha1.PodAutoscalerStatus{Conditions: []metav1.Condition{{
		Type: "MultiPodAutoscalerConflict", Status: metav1.ConditionFalse, Reason: "MultiPodAutoscalerConflict",
	}}}
	s := Status(prev, turnOf(waiting(), load(3, 25), decider.Outcome{Why: decider.Unchanged}))
	require.Equal(t, []string{ValidSpec, AbleToScale, ScalingActive, ScalingLimited, Ready}, typesOf(s))
}

func typesOf(s v1alpha1.PodAutoscalerStatus) []string {
	var out []string
	for _, c := range s.Conditions {
		out = append(out, c.Type)
	}
	return out
}
