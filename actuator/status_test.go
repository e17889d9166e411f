package actuator

import (
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"
	"pgregory.net/rapid"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/decider"
)

func TestTargetsReadLikeThoseOfAnHPA(t *testing.T) {
	p := waiting()
	p.Sources = append(p.Sources,
		decider.Source{Key: "c", Name: "cache", Target: 0.8, TargetType: decider.Value},
		decider.Source{Key: "q", Name: "queue", Target: 100, TargetType: decider.AverageValue})
	in := load(3, 37.2)
	in.Windows = append(in.Windows, decider.SourceWindows{Key: "c", Stable: fresh(0.5512, 3)})
	require.Equal(t, "12/10, 0.55/0.8, <unknown>/100", targets(p, in), "12.4 per ready pod; the queue was not evaluated")

	in.Ready = 0
	in.Windows[0].Stable.State = decider.Stale
	in.Windows = append(in.Windows, decider.SourceWindows{Key: "q", Stable: fresh(7, 0)})
	require.Equal(t, "<unknown>/10, 0.55/0.8, 7/100", targets(p, in), "no ready pod counts as one")
}

func TestValuesHaveTwoDigits(t *testing.T) {
	for v, want := range map[float64]string{
		0: "0", math.Copysign(0, -1): "0", 12.4: "12", 12.6: "13", 0.0553: "0.055", 1234: "1200", 99.6: "100", 3: "3", -0.126: "-0.13",
		1e20: "1e+20", 1e-9: "1e-09", math.MaxFloat64: "1.8e+308",
	} {
		require.Equal(t, want, rounded(v))
	}
}

func FuzzRounded(f *testing.F) {
	f.Add(12.4)
	f.Add(5e-324)
	f.Add(1.7976931348623157e308)
	f.Fuzz(func(t *testing.T, v float64) {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return // a window's value is finite
		}
		text := rounded(v)
		if short, err := strconv.ParseFloat(text, 64); err == nil && math.Abs(short-v) > 0.05*math.Abs(v) && math.Abs(v) > 1e-300 {
			t.Fatalf("%g became %s", v, text)
		}
	})
}

func TestStatusTellsWhatWasDoneAndWhatWasNot(t *testing.T) {
	s := Status(v1alpha1.PodAutoscalerStatus{}, turnOf(waiting(), load(3, 48), decider.Outcome{Applied: true}))
	require.EqualValues(t, 5, s.DesiredScale)
	require.EqualValues(t, 3, s.ActualScale)
	require.Equal(t, int64(7), s.ObservedGeneration)
	require.Equal(t, noon, s.LastScaleTime.Time)
	require.Len(t, s.ScalingHistory, 1)
	require.Equal(t, v1alpha1.ScalingDecision{
		Timestamp: metav1.NewTime(noon), PreviousScale: 3, NewScale: 5, Success: true, Reason: s.ScalingHistory[0].Reason,
	}, s.ScalingHistory[0])
	require.Contains(t, s.ScalingHistory[0].Reason, "waiting asks for 5")

	refused := turnOf(waiting(), load(5, 78), decider.Outcome{Why: decider.Refused, Detail: "quota: exceeded"})
	s = Status(Status(s, refused), refused)
	require.Len(t, s.ScalingHistory, 2, "a failure that repeats itself is one entry")
	require.Equal(t, "Refused: quota: exceeded", s.ScalingHistory[1].Error)
	require.False(t, s.ScalingHistory[1].Success)
	require.Equal(t, noon, s.LastScaleTime.Time)

	for _, why := range []string{decider.Unchanged, decider.Advised, decider.NotLeader} {
		quiet := Status(s, turnOf(waiting(), load(5, 78), decider.Outcome{Why: why}))
		require.Equal(t, s.ScalingHistory, quiet.ScalingHistory, "%s is no failure", why)
	}

	for range 7 {
		s = Status(s, turnOf(waiting(), load(5, 78), decider.Outcome{Applied: true}))
	}
	require.Len(t, s.ScalingHistory, maxHistory, "the oldest go")
	require.True(t, s.ScalingHistory[0].Success)
}

// atNoon is a schedule from 11:00 to 13:00 UTC.
func atNoon(least, most *int32) []decider.Schedule {
	every := [7]bool{true, true, true, true, true, true, true}
	return []decider.Schedule{{Name: "noon", Days: every, From: 11 * 60, To: 13 * 60, MinReplicas: least, MaxReplicas: most}}
}

func TestStatusSaysWhichBoundsAreInEffect(t *testing.T) {
	hold := decider.Outcome{Why: decider.Unchanged}
	s := Status(v1alpha1.PodAutoscalerStatus{}, turnOf(waiting(), load(3, 25), hold))
	require.Nil(t, s.ScheduledBounds, "no schedules, no word of them")

	p := waiting()
	p.Schedules = atNoon(new(int32(2)), nil)
	s = Status(s, turnOf(p, load(3, 25), hold))
	require.Equal(t, &v1alpha1.ScheduledBoundsStatus{ActiveSchedule: "noon", EffectiveMinReplicas: 2, EffectiveMaxReplicas: 10}, s.ScheduledBounds)

	afternoon := turnOf(p, load(3, 25), hold)
	afternoon.At = noon.Add(time.Hour)
	next := Status(s, afternoon)
	require.Equal(t, &v1alpha1.ScheduledBoundsStatus{EffectiveMinReplicas: 1, EffectiveMaxReplicas: 10}, next.ScheduledBounds)
	require.Equal(t, atOnce, news(s, next), "other bounds")

	require.Nil(t, Status(s, Turn{Autoscaler: chat(), At: noon, Invalid: field.ErrorList{field.Required(field.NewPath("spec"), "x")}}).ScheduledBounds)
}

func TestNewsIsWhatPeopleWouldCallNews(t *testing.T) {
	hold := decider.Outcome{Why: decider.Unchanged}
	was := Status(v1alpha1.PodAutoscalerStatus{}, turnOf(waiting(), load(3, 25), hold))
	next := func(in decider.Input, out decider.Outcome) v1alpha1.PodAutoscalerStatus {
		return Status(was, turnOf(waiting(), in, out))
	}
	require.Equal(t, noNews, news(was, was))

	older := load(3, 25)
	older.Windows[0].Stable.NewestAge = 1700 * time.Millisecond
	require.NotEqual(t, message(was, ScalingActive), message(next(older, hold), ScalingActive))
	require.Equal(t, noNews, news(was, next(older, hold)), "another age of the newest sample")
	require.Equal(t, noNews, news(was, next(load(3, 24.8), hold)), "8.27 per pod instead of 8.33")
	require.Equal(t, soon, news(was, next(load(3, 28), hold)), "9.3 per pod instead of 8.3")
	require.Equal(t, atOnce, news(was, next(load(3, 48), decider.Outcome{Applied: true})), "a rescale")
	more := load(3, 25)
	more.StatusReplicas = 4
	require.Equal(t, atOnce, news(was, next(more, hold)), "the target has another pod")
	blind := load(3, 25)
	blind.Windows[0].Error = "no such metric"
	require.Equal(t, atOnce, news(was, next(blind, hold)), "a condition")
	require.Equal(t, atOnce, news(v1alpha1.PodAutoscalerStatus{}, was), "the first status")

	blind.Windows[0].Error = "out of memory"
	before := Status(was, turnOf(waiting(), blind, hold))
	blind.Windows[0].Error = "query timed out"
	require.Equal(t, soon, news(before, Status(before, turnOf(waiting(), blind, hold))), "another cause, in the same condition")
}

// Whatever happens, the status keeps to what the API and people may rely on.
func TestStatusKeepsItsPromises(t *testing.T) {
	whys := []string{decider.Unchanged, decider.Advised, decider.NotLeader, decider.Conflict, decider.TargetGone, decider.Refused, decider.Unreachable}
	rapid.Check(t, func(t *rapid.T) {
		var s v1alpha1.PodAutoscalerStatus
		for i := range rapid.IntRange(1, 12).Draw(t, "turns") {
			at := noon.Add(time.Duration(i) * 2 * time.Second)
			turn := Turn{Autoscaler: chat(), At: at, TargetReason: FailedGetScale, TargetMessage: strings.Repeat("é", rapid.IntRange(1, 40000).Draw(t, "long"))}
			if rapid.Bool().Draw(t, "decided") {
				in := load(rapid.Int32Range(0, 12).Draw(t, "pods"), rapid.Float64Range(0, 500).Draw(t, "load"))
				in.At = at
				turn = turnOf(waiting(), in, decider.Outcome{Applied: rapid.Bool().Draw(t, "applied"), Why: rapid.SampledFrom(whys).Draw(t, "why")})
			}
			next := Status(s, turn)
			if len(next.ScalingHistory) > maxHistory {
				t.Fatalf("history of %d", len(next.ScalingHistory))
			}
			for _, c := range next.Conditions {
				old := find(s.Conditions, c.Type)
				if moved := !c.LastTransitionTime.Equal(&old.LastTransitionTime); i > 0 && moved != (c.Status != old.Status) {
					t.Fatalf("%s: %s → %s, and its time moved: %v", c.Type, old.Status, c.Status, moved)
				}
				if len(c.Message) > maxMessage || c.Reason == "" {
					t.Fatalf("%s: reason %q, message of %d bytes", c.Type, c.Reason, len(c.Message))
				}
			}
			s = next
		}
	})
}

func TestMergeKeepsTheChangesOfBoth(t *testing.T) {
	change := func(second int, from, to int32) v1alpha1.ScalingDecision {
		return v1alpha1.ScalingDecision{Timestamp: metav1.NewTime(noon.Add(time.Duration(second) * time.Second)), PreviousScale: from, NewScale: to}
	}
	early, late := metav1.NewTime(noon), metav1.NewTime(noon.Add(time.Minute))
	theirs := v1alpha1.PodAutoscalerStatus{LastScaleTime: &late, DesiredScale: 9, ScalingHistory: []v1alpha1.ScalingDecision{change(0, 1, 2), change(60, 2, 9)}}
	ours := v1alpha1.PodAutoscalerStatus{LastScaleTime: &early, DesiredScale: 3, ScalingHistory: []v1alpha1.ScalingDecision{change(0, 1, 2), change(90, 9, 3)}}
	got := merge(theirs, ours)
	require.EqualValues(t, 3, got.DesiredScale)
	require.Equal(t, late, *got.LastScaleTime)
	require.Equal(t, []v1alpha1.ScalingDecision{change(0, 1, 2), change(60, 2, 9), change(90, 9, 3)}, got.ScalingHistory)
	require.Equal(t, late, *merge(theirs, v1alpha1.PodAutoscalerStatus{}).LastScaleTime)
}
