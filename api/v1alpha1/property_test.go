package v1alpha1_test

import (
	"math"
	"reflect"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/decider"
)

func equal(a, b any) bool { return reflect.DeepEqual(a, b) }

// checkPolicy checks what decider.Policy documents of every field.
func checkPolicy(t interface{ Errorf(string, ...any) }, p decider.Policy) {
	check := func(ok bool, what string) {
		if !ok {
			t.Errorf("policy breaks %s: %+v", what, p)
		}
	}
	known := p.Strategy == decider.KPA || p.Strategy == decider.APA || p.Strategy == decider.HPA
	check(known, "strategy")
	check(p.Mode == decider.Enforce || p.Mode == decider.Advise, "mode")
	check(p.MinReplicas >= 0 && p.MaxReplicas > 0 && p.MinReplicas <= p.MaxReplicas, "bounds")
	check(p.ObserveWindow >= time.Second && p.ObserveWindow <= time.Hour, "observe window")
	if p.Strategy == decider.KPA {
		check(p.PanicWindow >= time.Second && p.PanicWindow <= p.ObserveWindow, "panic window")
		check(p.PanicThreshold >= 1.1 && p.PanicThreshold <= 10, "panic threshold")
		check(p.ActivationScale >= 1 && p.ActivationScale <= p.MaxReplicas, "activation scale")
	} else {
		check(p.PanicWindow == 0 && p.PanicThreshold == 0 && p.ActivationScale == 0, "settings of KPA alone")
	}
	for _, rate := range []float64{p.MaxScaleUpRate, p.MaxScaleDownRate} {
		check(rate > 1 && !math.IsInf(rate, 0), "rates")
	}
	for _, delay := range []time.Duration{p.ScaleUpDelay, p.ScaleDownDelay} {
		check(delay >= 0 && delay <= time.Hour, "delays")
	}
	check(!p.Strict || p.Strategy == decider.KPA, "strict")
	check(p.Pause.Replicas == nil || *p.Pause.Replicas >= 0, "pause")
	for i, s := range p.Schedules {
		check(s.Name != "" && s.From >= 0 && s.From < s.To && s.To <= 1439 && s.Days != [7]bool{}, "schedule")
		check(s.MinReplicas != nil || s.MaxReplicas != nil, "bounds of schedules")
		for _, o := range p.Schedules[:i] {
			for day := range s.Days {
				check(!s.Days[day] || !o.Days[day] || s.From >= o.To || o.From >= s.To, "one schedule at a time")
			}
		}
	}
	if len(p.Schedules) > 0 {
		for hour := range 24 * 7 {
			least, most, _, until := p.BoundsAt(time.Date(2026, 3, 25, hour, 0, 0, 0, time.UTC))
			check(0 <= least && least <= most && most > 0 && !until.IsZero(), "bounds at every time")
		}
	}
	check(p.ToleranceUp >= 0 && p.ToleranceUp <= 1 && p.ToleranceDown >= 0 && p.ToleranceDown < 1, "tolerances")
	check(len(p.Sources) > 0, "sources")
	keys := map[string]bool{}
	for _, s := range p.Sources {
		check(len(s.Key) == 16 && !keys[s.Key] && s.Name != "", "identity of sources")
		check(s.Target > 0 && !math.IsInf(s.Target, 0), "target")
		check(s.TargetType == decider.AverageValue || s.TargetType == decider.Value, "target type")
		keys[s.Key] = true
	}
}

// numbers and durations that people write, good and bad.
var texts = []string{"", "0", "1", "1.0", "2", "1.1", "0.1", "10", "1e400", "NaN", "inf", "100m", "-3", "0s", "5s", "300s", "5m", "1h", "2h", "1d", "300", "true", "nope"}

// mostly draws the first value nine times out of ten, so that whole manifests are often good.
func mostly(t *rapid.T, name string, usual string, others ...string) string {
	if rapid.IntRange(0, 9).Draw(t, name+" is unusual") < 9 {
		return usual
	}
	return rapid.SampledFrom(others).Draw(t, name)
}

func drawSource(t *rapid.T) v1alpha1.MetricSource {
	s := v1alpha1.MetricSource{
		MetricSourceType: v1alpha1.MetricSourceType(mostly(t, "type", "pod", "external", "domain", "resource", "custom", "x")),
		ProtocolType:     v1alpha1.Protocol(mostly(t, "protocol", "", "http", "https", "ftp")),
		Endpoint:         mostly(t, "endpoint", "", "h:1", "h", "http://h", "h:", "[::1]:2"),
		Path:             mostly(t, "path", "", "/metrics", "metrics", "//", "a b", "%zz"),
		Port:             mostly(t, "port", "", "8000", "0", "http"),
		TargetMetric:     mostly(t, "metric", "m", "", "cpu", "sum(x)"),
		TargetValue:      mostly(t, "target", "3", texts...),
		Query:            mostly(t, "query", "", "sum(m)", " ", `a"`, "a'\\"),
		Dialect:          v1alpha1.Dialect(mostly(t, "dialect", "", "promql", "metricsql", "x")),
		Aggregation:      v1alpha1.Aggregation(mostly(t, "aggregation", "", "sum", "avg", "max", "x")),
		TargetType:       decider.TargetType(mostly(t, "targetType", "", "AverageValue", "Value", "x")),
		Interval:         mostly(t, "interval", "", "5s", "1", "1h"),
	}
	if rapid.Bool().Draw(t, "is an endpoint") {
		s.MetricSourceType, s.Endpoint = "external", "h:1"
	}
	return s
}

func drawSchedule(t *rapid.T) v1alpha1.Schedule {
	s := v1alpha1.Schedule{
		Name:      rapid.StringMatching("[a-z]{1,2}").Draw(t, "schedule"),
		Timezone:  mostly(t, "zone", "Europe/Berlin", "", "UTC", "Local", "Mars/Base"),
		StartTime: mostly(t, "start", "02:30", "00:00", "09:00", "23:59", "9:00", "24:00"),
		EndTime:   mostly(t, "end", "12:00", "02:30", "23:59", "", "00:00"),
	}
	if rapid.Bool().Draw(t, "some days") {
		s.DaysOfWeek = rapid.SliceOfN(rapid.SampledFrom([]string{"Mon", "tue", "SUN", "Someday"}), 0, 2).Draw(t, "days")
	}
	if rapid.Bool().Draw(t, "has a minimum") {
		s.MinReplicas = ptr(rapid.Int32Range(-1, 9).Draw(t, "schedule min"))
	}
	if rapid.Bool().Draw(t, "has a maximum") {
		s.MaxReplicas = ptr(rapid.Int32Range(0, 30).Draw(t, "schedule max"))
	}
	return s
}

func TestPolicyIsValidOrRefused(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pa := chat()
		pa.Spec.ScalingStrategy = decider.Strategy(rapid.SampledFrom([]string{"KPA", "KPA", "APA", "APA", "HPA", ""}).Draw(t, "strategy"))
		pa.Spec.Mode = decider.Mode(mostly(t, "mode", "", "Enforce", "Advise", "x"))
		if rapid.Bool().Draw(t, "min given") {
			pa.Spec.MinReplicas = ptr(rapid.SampledFrom([]int32{1, 0, 2, 5, -1}).Draw(t, "min"))
		}
		pa.Spec.MaxReplicas = rapid.SampledFrom([]int32{20, 8, 4, 1, 0}).Draw(t, "max")
		if rapid.Bool().Draw(t, "observe given") {
			pa.Spec.ObserveWindowSeconds = ptr(rapid.SampledFrom([]int64{30, 1, 5, 60, 3600, 0, 3601, math.MaxInt64, math.MinInt64}).Draw(t, "observe"))
		}
		if rapid.Bool().Draw(t, "panic given") {
			pa.Spec.PanicWindowSeconds = ptr(rapid.SampledFrom([]int64{1, 5, 10, 30, 90, 0}).Draw(t, "panic"))
		}
		for _, a := range v1alpha1.Annotations() {
			if a.Supported && rapid.IntRange(0, 14).Draw(t, a.Key) == 14 {
				pa.Annotations[a.Key] = rapid.SampledFrom(texts).Draw(t, "value")
			}
		}
		if rapid.Bool().Draw(t, "own sources") {
			pa.Spec.MetricsSources = rapid.SliceOfN(rapid.Custom(drawSource), 0, 2).Draw(t, "sources")
		}
		if rapid.IntRange(0, 2).Draw(t, "schedules") == 0 {
			pa.Spec.Schedules = rapid.SliceOfN(rapid.Custom(drawSchedule), 0, 3).Draw(t, "schedules")
		}
		before := pa.DeepCopy()
		policy, warnings, errs := pa.Policy()
		if !equal(before, pa) {
			t.Fatal("Policy changed its argument")
		}
		if len(errs) == 0 {
			checkPolicy(t, policy)
		} else if !equal(policy, decider.Policy{}) {
			t.Errorf("a refused manifest has a policy: %+v", policy)
		}
		for _, e := range errs {
			if e.Field == "" || e.Error() == "" {
				t.Errorf("error without a field: %v", e)
			}
		}
		again, sameWarnings, sameErrs := pa.Policy()
		if !equal(policy, again) || !equal(warnings, sameWarnings) || !equal(errs, sameErrs) {
			t.Error("the same manifest gave two answers")
		}
		pa.DefaultsUnlikeAIBrix()
	})
}

func TestGoodPartsMakeAGoodPolicy(t *testing.T) {
	good := map[string][]string{
		"max scale-up rate":    {"1.5", "2", "1e3"},
		"max scale-down rate":  {"1.01", "10"},
		"scale-up tolerance":   {"0", "0.25", "1"},
		"scale-down tolerance": {"0", "0.25", "0.99"},
		"panic threshold":      {"1.1", "10"},
		"scale-up delay":       {"0s", "0", "90s", "1h"},
		"scale-down delay":     {"0s", "1500ms", "5m", "1h"},
		"activation scale":     {"1", "2"},
		"observe window":       {"30s"},
		"panic window":         {"7s"},
		"pause":                {"true", "false"},
		"paused replicas":      {"0", "7"},
		"scale-in pause":       {"true", "false"},
		"scale-out pause":      {"true", "false"},
		"strict KPA":           {"strict"},
	}
	rapid.Check(t, func(t *rapid.T) {
		pa := chat()
		pa.Spec.ScalingStrategy = decider.Strategy(rapid.SampledFrom([]string{"KPA", "APA", "HPA"}).Draw(t, "strategy"))
		pa.Spec.MinReplicas = ptr(rapid.Int32Range(0, 5).Draw(t, "min"))
		pa.Spec.MaxReplicas = *pa.Spec.MinReplicas + rapid.Int32Range(2, 9).Draw(t, "more")
		set := map[string]bool{}
		for _, a := range v1alpha1.Annotations() {
			if !a.Supported || set[a.Setting] || rapid.Bool().Draw(t, a.Key) {
				continue
			}
			values := good[a.Setting]
			if a.Setting == "" {
				values = map[string][]string{"bool": {"true"}, "float": {"2.0"}}[a.Type]
			}
			pa.Annotations[a.Key] = rapid.SampledFrom(values).Draw(t, "value")
			set[a.Setting] = true
		}
		for _, metric := range rapid.SliceOfNDistinct(rapid.StringMatching("[a-z]{1,5}"), 0, 3, rapid.ID).Draw(t, "metrics") {
			pa.Spec.MetricsSources = append(pa.Spec.MetricsSources, v1alpha1.MetricSource{
				MetricSourceType: "pod", TargetMetric: metric, TargetValue: "0.5",
			})
		}
		policy, _, errs := pa.Policy()
		if len(errs) > 0 {
			t.Fatal(errs)
		}
		checkPolicy(t, policy)
	})
}
