package v1alpha1_test

import (
	"strings"
	"testing"
	"time"

	apivalidation "k8s.io/apimachinery/pkg/api/validation"

	"github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/decider"
)

const (
	prefix  = "autoscaling.aibrix.ai/"
	base    = "metadata.annotations[autoscaling.aibrix.ai/"
	kpaBase = "metadata.annotations[kpa.autoscaling.aibrix.ai/"
)

// chat is a small valid autoscaler that every story changes in one point.
func chat() *v1alpha1.PodAutoscaler {
	pa := &v1alpha1.PodAutoscaler{}
	pa.Name, pa.Namespace = "chat", "llm"
	pa.Annotations, pa.Labels = map[string]string{}, map[string]string{}
	pa.Spec.ScalingStrategy = decider.KPA
	pa.Spec.MaxReplicas = 8
	pa.Spec.ScaleTargetRef.APIVersion = "apps/v1"
	pa.Spec.ScaleTargetRef.Kind, pa.Spec.ScaleTargetRef.Name = "Deployment", "chat"
	pa.Spec.MetricsSources = []v1alpha1.MetricSource{{
		MetricSourceType: v1alpha1.TypePod, TargetMetric: "vllm:num_requests_waiting", TargetValue: "10",
	}}
	return pa
}

type story struct {
	name   string
	change func(*v1alpha1.PodAutoscaler)
	errs   []string // all of them, in order
	warns  []string // all of them, in order; not compared where errs are given
}

func tell(t *testing.T, stories []story) {
	t.Helper()
	for _, s := range stories {
		t.Run(s.name, func(t *testing.T) {
			pa := chat()
			s.change(pa)
			policy, warnings, errs := pa.Policy()
			var gotErrs, gotWarns []string
			for _, e := range errs {
				gotErrs = append(gotErrs, e.Error())
			}
			for _, w := range warnings {
				gotWarns = append(gotWarns, w.String())
			}
			compare(t, "errors", gotErrs, s.errs)
			if s.errs == nil {
				compare(t, "warnings", gotWarns, s.warns)
				checkPolicy(t, policy)
			}
		})
	}
}

func compare(t *testing.T, what string, got, want []string) {
	t.Helper()
	if g, w := strings.Join(got, "\n"), strings.Join(want, "\n"); g != w {
		t.Errorf("%s:\n%s\nwant:\n%s", what, g, w)
	}
}

func ptr[T any](v T) *T { return &v }

func annotate(key, value string) func(*v1alpha1.PodAutoscaler) {
	return func(pa *v1alpha1.PodAutoscaler) { pa.Annotations[key] = value }
}

func TestDefaultsOfAKPA(t *testing.T) {
	policy, warnings, errs := chat().Policy()
	if len(errs) > 0 || len(warnings) > 0 {
		t.Fatal(errs, warnings)
	}
	want := decider.Policy{
		Strategy: decider.KPA, Mode: decider.Enforce, MinReplicas: 1, MaxReplicas: 8,
		ObserveWindow: time.Minute, PanicWindow: 10 * time.Second, PanicThreshold: 2, ActivationScale: 1,
		MaxScaleUpRate: 1000, MaxScaleDownRate: 2, ScaleDownDelay: 5 * time.Minute,
	}
	source := policy.Sources[0]
	policy.Sources = nil
	if !equal(policy, want) {
		t.Errorf("got  %+v\nwant %+v", policy, want)
	}
	if source.Name != "vllm:num_requests_waiting" || source.Target != 10 ||
		source.TargetType != decider.AverageValue || source.SurvivesZero {
		t.Errorf("source: %+v", source)
	}
}

func TestDefaultsOfAnAPA(t *testing.T) {
	pa := chat()
	pa.Spec.ScalingStrategy = decider.APA
	policy, _, errs := pa.Policy()
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	if policy.ToleranceUp != 0.1 || policy.ToleranceDown != 0.1 || policy.PanicWindow != 0 || policy.PanicThreshold != 0 {
		t.Errorf("%+v", policy)
	}
}

func TestKeysThatTheAPIServerRefuses(t *testing.T) {
	const rule = "alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
	const name = "name part must consist of " + rule + "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"
	const value = "a valid label must be an empty string or consist of " + rule + "(e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
	tell(t, []story{
		{"keys and values as the API server takes them", func(pa *v1alpha1.PodAutoscaler) {
			pa.Labels["example.com/Team_1"], pa.Labels["empty"] = "A.b_c", ""
			pa.Annotations["Example.COM/x"] = "any text, of any length\n"
		}, nil, nil},
		{"a label's key with a space", func(pa *v1alpha1.PodAutoscaler) { pa.Labels["bad key"] = "x" }, []string{
			`metadata.labels[bad key]: Invalid value: "bad key": ` + name,
		}, nil},
		{"a label's value with spaces", func(pa *v1alpha1.PodAutoscaler) { pa.Labels["a"] = "with spaces" }, []string{
			`metadata.labels[a]: Invalid value: "with spaces": ` + value,
		}, nil},
		{"an annotation's key", annotate("bad key!", "x"), []string{
			`metadata.annotations[bad key!]: Invalid value: "bad key!": ` + name,
		}, nil},
		{"annotations that are too long", annotate("long", strings.Repeat("x", 256<<10)), []string{
			"metadata.annotations: Too long: may not be more than 262144 bytes",
		}, nil},
	})
}

func TestTargetAndBounds(t *testing.T) {
	tell(t, []story{
		{"everything missing comes as one list", func(pa *v1alpha1.PodAutoscaler) { *pa = v1alpha1.PodAutoscaler{} }, []string{
			"metadata.name: Required value: name the autoscaler",
			"spec.scaleTargetRef.kind: Required value: name the kind of the workload, such as Deployment",
			"spec.scaleTargetRef.name: Required value: name the workload to scale",
			"spec.maxReplicas: Invalid value: 0: must be 1 or more",
			"spec.scalingStrategy: Required value: write KPA, APA or HPA",
			"spec.metricsSources: Required value: name at least one metric to scale on",
		}, nil},
		{
			"a target in another namespace", func(pa *v1alpha1.PodAutoscaler) { pa.Spec.ScaleTargetRef.Namespace = "prod" },
			[]string{`spec.scaleTargetRef.namespace: Invalid value: "prod": must be the autoscaler's own namespace, llm; remove it or move the autoscaler`},
			nil,
		},
		{
			"names that no API server would take", func(pa *v1alpha1.PodAutoscaler) {
				pa.Name, pa.Namespace, pa.Spec.ScaleTargetRef.Name = "a b", "a.b", "a/b"
			},
			[]string{
				`metadata.name: Invalid value: "a b": ` + strings.Join(apivalidation.NameIsDNSSubdomain("a b", false), "; "),
				`metadata.namespace: Invalid value: "a.b": must not contain dots`,
				`spec.scaleTargetRef.name: Invalid value: "a/b": may not contain '/'`,
			},
			nil,
		},
		{"a target in the same namespace", func(pa *v1alpha1.PodAutoscaler) { pa.Spec.ScaleTargetRef.Namespace = "llm" }, nil, nil},
		{"a Deployment without apiVersion", func(pa *v1alpha1.PodAutoscaler) { pa.Spec.ScaleTargetRef.APIVersion = "" }, nil, nil},
		{
			"another kind without apiVersion", func(pa *v1alpha1.PodAutoscaler) {
				pa.Spec.ScaleTargetRef.APIVersion, pa.Spec.ScaleTargetRef.Kind = "", "LeaderWorkerSet"
			},
			[]string{"spec.scaleTargetRef.apiVersion: Required value: only the kinds of apps/v1 need none; write the group and version of LeaderWorkerSet"},
			nil,
		},
		{
			"an apiVersion with two slashes", func(pa *v1alpha1.PodAutoscaler) { pa.Spec.ScaleTargetRef.APIVersion = "a/b/c" },
			[]string{`spec.scaleTargetRef.apiVersion: Invalid value: "a/b/c": write a group and a version, such as apps/v1`},
			nil,
		},
		{
			"a uid on the target", func(pa *v1alpha1.PodAutoscaler) { pa.Spec.ScaleTargetRef.UID = "1" },
			nil,
			[]string{"spec.scaleTargetRef.uid: has no effect: a target is found by kind and name"},
		},
		{
			"min above max", func(pa *v1alpha1.PodAutoscaler) { pa.Spec.MinReplicas = ptr(int32(9)) },
			[]string{"spec.minReplicas: Invalid value: 9: must not be greater than maxReplicas (8); lower it or raise maxReplicas"},
			nil,
		},
		{
			"a negative min", func(pa *v1alpha1.PodAutoscaler) { pa.Spec.MinReplicas = ptr(int32(-1)) },
			[]string{"spec.minReplicas: Invalid value: -1: must be 0 or more"},
			nil,
		},
		{
			"zero without a source that survives it", func(pa *v1alpha1.PodAutoscaler) { pa.Spec.MinReplicas = ptr(int32(0)) },
			nil,
			[]string{"spec.minReplicas: 0 acts as 1: without pods no source has a value; add one with an endpoint to scale from zero"},
		},
		{"zero with an external metric", func(pa *v1alpha1.PodAutoscaler) {
			pa.Spec.MinReplicas = ptr(int32(0))
			pa.Spec.MetricsSources[0].MetricSourceType = v1alpha1.TypeExternal
		}, nil, nil},
		{
			"an unknown strategy", func(pa *v1alpha1.PodAutoscaler) { pa.Spec.ScalingStrategy = "kpa" },
			[]string{`spec.scalingStrategy: Unsupported value: "kpa": supported values: "KPA", "APA", "HPA"`},
			nil,
		},
		{
			"an unknown mode", func(pa *v1alpha1.PodAutoscaler) { pa.Spec.Mode = "DryRun" },
			[]string{`spec.mode: Unsupported value: "DryRun": supported values: "Enforce", "Advise"`},
			nil,
		},
		{
			"a role", func(pa *v1alpha1.PodAutoscaler) {
				pa.Spec.SubTargetSelector = &v1alpha1.SubTargetSelector{RoleName: "prefill"}
			},
			[]string{"spec.subTargetSelector.roleName: Forbidden: scaling one role is not supported yet; remove it to scale the whole target"},
			nil,
		},
		{
			"a role with HPA", func(pa *v1alpha1.PodAutoscaler) {
				pa.Spec.ScalingStrategy = decider.HPA
				pa.Spec.SubTargetSelector = &v1alpha1.SubTargetSelector{RoleName: "prefill"}
			},
			[]string{"spec.subTargetSelector.roleName: Forbidden: a native HorizontalPodAutoscaler can not scale a role; remove it"},
			nil,
		},
		{
			"prediction", func(pa *v1alpha1.PodAutoscaler) { pa.Spec.Predictive = &v1alpha1.Predictive{Mode: "Preview"} },
			[]string{"spec.predictive: Forbidden: predictive scaling is not supported yet; remove it"},
			nil,
		},
	})
}

func TestWindows(t *testing.T) {
	windows := func(observe, panic *int64) func(*v1alpha1.PodAutoscaler) {
		return func(pa *v1alpha1.PodAutoscaler) {
			pa.Spec.ObserveWindowSeconds, pa.Spec.PanicWindowSeconds = observe, panic
		}
	}
	tell(t, []story{
		{
			"an observe window of zero", windows(ptr(int64(0)), nil),
			[]string{"spec.observeWindowSeconds: Invalid value: 0: is out of range; write whole seconds from 1 to 3600"},
			nil,
		},
		{
			"a panic window above an hour", windows(nil, ptr(int64(3601))),
			[]string{"spec.panicWindowSeconds: Invalid value: 3601: is out of range; write whole seconds from 1 to 3600"},
			nil,
		},
		{
			"panic longer than observe", windows(ptr(int64(30)), ptr(int64(31))),
			[]string{`spec.panicWindowSeconds: Invalid value: "31s": must not be greater than the observe window (30s); lower it or raise spec.observeWindowSeconds`},
			nil,
		},
		{
			"panic longer than the default observe window", windows(nil, ptr(int64(90))),
			nil,
			[]string{"spec.observeWindowSeconds: not set: the observe window is 1m30s, since its default of 1m is shorter than the panic window"},
		},
		{
			"a short observe window shortens the panic default, aloud", windows(ptr(int64(6)), nil),
			nil,
			[]string{"spec.panicWindowSeconds: not set: the panic window is 6s, since its default of 10s is longer than the observe window"},
		},
		{
			"a panic window for APA", func(pa *v1alpha1.PodAutoscaler) {
				pa.Spec.ScalingStrategy = decider.APA
				pa.Spec.PanicWindowSeconds = ptr(int64(90))
			},
			nil,
			[]string{"spec.panicWindowSeconds: has no effect with strategy APA"},
		},
		{
			"a window in the spec and another in an annotation", func(pa *v1alpha1.PodAutoscaler) {
				pa.Spec.ObserveWindowSeconds = ptr(int64(120))
				pa.Annotations["kpa."+prefix+"stable-window"] = "60s"
			},
			[]string{kpaBase + `stable-window]: Invalid value: "1m": differs from spec.observeWindowSeconds, which sets the same observe window to 2m; keep one of them`},
			nil,
		},
		{"the same window twice", func(pa *v1alpha1.PodAutoscaler) {
			pa.Spec.ObserveWindowSeconds = ptr(int64(120))
			pa.Annotations["kpa."+prefix+"stable-window"] = "2m"
		}, nil, nil},
		{
			"a window of half a second", annotate("kpa."+prefix+"stable-window", "500ms"),
			[]string{kpaBase + `stable-window]: Invalid value: "500ms": must be whole seconds; write 1s`},
			nil,
		},
	})
}

// A manifest's schedules, and when they hold: in Berlin it is 14:00 on Sunday, 2026-11-22, when it is 13:00 in UTC.
func TestSchedulesBecomeBounds(t *testing.T) {
	pa := chat()
	pa.Spec.Schedules = []v1alpha1.Schedule{
		{Name: "office", Timezone: "Europe/Berlin", DaysOfWeek: []string{"mon", "TUE"}, StartTime: "08:30", EndTime: "18:00", MinReplicas: ptr(int32(4))},
		{Name: "sunday", Timezone: "Europe/Berlin", DaysOfWeek: []string{"Sun"}, StartTime: "14:00", EndTime: "23:59", MaxReplicas: ptr(int32(2))},
	}
	policy, warnings, errs := pa.Policy()
	if len(errs) > 0 || len(warnings) > 0 {
		t.Fatal(errs, warnings)
	}
	checkPolicy(t, policy)
	*pa.Spec.Schedules[1].MaxReplicas = 7 // the policy has its own copy
	for _, tc := range []struct {
		at          string
		least, most int32
		name, until string
	}{
		{"2026-11-22T12:59:59Z", 1, 8, "", "2026-11-22T13:00:00Z"},
		{"2026-11-22T13:00:00Z", 1, 2, "sunday", "2026-11-22T22:59:00Z"},
		{"2026-11-22T22:59:00Z", 1, 8, "", "2026-11-23T07:30:00Z"},
		{"2026-11-23T07:30:00Z", 4, 8, "office", "2026-11-23T17:00:00Z"},
	} {
		at, err := time.Parse(time.RFC3339, tc.at)
		if err != nil {
			t.Fatal(err)
		}
		least, most, name, until := policy.BoundsAt(at)
		if least != tc.least || most != tc.most || name != tc.name || until.Format(time.RFC3339) != tc.until {
			t.Errorf("at %s: %d to %d by %q until %s", tc.at, least, most, name, until)
		}
	}
}

func TestSchedules(t *testing.T) {
	day := v1alpha1.Schedule{Name: "day", StartTime: "08:00", EndTime: "18:00", MinReplicas: ptr(int32(2))}
	with := func(change ...func(*v1alpha1.Schedule)) func(*v1alpha1.PodAutoscaler) {
		return func(pa *v1alpha1.PodAutoscaler) {
			pa.Spec.Schedules = []v1alpha1.Schedule{}
			for _, f := range change {
				s := day
				f(&s)
				pa.Spec.Schedules = append(pa.Spec.Schedules, s)
			}
		}
	}
	tell(t, []story{
		{"a good one", with(func(*v1alpha1.Schedule) {}), nil, nil},
		{"zero, and nothing that could end it", with(func(s *v1alpha1.Schedule) { s.MinReplicas = ptr(int32(0)) }), nil, []string{
			"spec.schedules[0].minReplicas: 0 acts as 1: without pods no source has a value; add one with an endpoint to scale from zero",
		}},
		{"an empty list", with(), []string{"spec.schedules: Required value: an empty list says nothing; remove it"}, nil},
		{"every field wrong", with(func(s *v1alpha1.Schedule) {
			*s = v1alpha1.Schedule{Name: "Day!", Timezone: "Mars/Base", DaysOfWeek: []string{"mon", "Someday"}, StartTime: "8:00", EndTime: "24:00"}
		}), []string{
			`spec.schedules[0].name: Invalid value: "Day!": must be up to 63 lower-case letters, digits and '-', such as office-hours`,
			`spec.schedules[0].timezone: Invalid value: "Mars/Base": is not an IANA time zone; write something like Europe/Berlin`,
			`spec.schedules[0].daysOfWeek[1]: Unsupported value: "Someday": supported values: "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"`,
			`spec.schedules[0].startTime: Invalid value: "8:00": is not a time of day; write HH:MM, such as 09:00`,
			`spec.schedules[0].endTime: Invalid value: "24:00": is not a time of day; write HH:MM, such as 09:00`,
			"spec.schedules[0].minReplicas: Required value: give minReplicas, maxReplicas or both",
		}, nil},
		{"over midnight", with(func(s *v1alpha1.Schedule) { s.StartTime, s.EndTime = "22:00", "06:00" }), []string{
			`spec.schedules[0].endTime: Invalid value: "06:00": must be later than startTime (22:00); split a window that crosses midnight`,
		}, nil},
		{"two that overlap, of one name", with(
			func(s *v1alpha1.Schedule) { s.DaysOfWeek = []string{"mon", "TUE"} },
			func(s *v1alpha1.Schedule) { s.DaysOfWeek, s.StartTime = []string{"Tue"}, "17:59" },
		), []string{
			`spec.schedules[1].name: Duplicate value: "day"`,
			`spec.schedules[1]: Invalid value: "day": overlaps schedule day; at any time at most one may hold`,
		}, nil},
		{"two that touch", with(
			func(s *v1alpha1.Schedule) {},
			func(s *v1alpha1.Schedule) { s.Name, s.StartTime, s.EndTime = "evening", "18:00", "23:00" },
		), nil, nil},
		{"two time zones", with(
			func(s *v1alpha1.Schedule) {},
			func(s *v1alpha1.Schedule) {
				s.Name, s.StartTime, s.EndTime, s.Timezone = "evening", "18:00", "23:00", "Europe/Berlin"
			},
		), []string{`spec.schedules[1].timezone: Invalid value: "Europe/Berlin": must be the time zone of the first schedule, UTC`}, nil},
		{"bounds out of range, days that never are", with(
			func(s *v1alpha1.Schedule) { s.MinReplicas, s.DaysOfWeek = ptr(int32(-1)), []string{} },
			func(s *v1alpha1.Schedule) { s.Name, s.MaxReplicas, s.DaysOfWeek = "b", ptr(int32(0)), []string{"Sat"} },
			func(s *v1alpha1.Schedule) { s.Name, s.DaysOfWeek = "c", []string{"Sun"} },
		), []string{
			"spec.schedules[0].daysOfWeek: Required value: an empty list says nothing; remove it for every day",
			"spec.schedules[0].minReplicas: Invalid value: -1: must be 0 or more",
			"spec.schedules[1].maxReplicas: Invalid value: 0: must be 1 or more",
		}, nil},
		{
			"a minimum above the base maximum", with(func(s *v1alpha1.Schedule) { s.MinReplicas = ptr(int32(9)) }),
			[]string{"spec.schedules[0].minReplicas: Invalid value: 9: must not be greater than maxReplicas (8)"},
			nil,
		},
	})
}
