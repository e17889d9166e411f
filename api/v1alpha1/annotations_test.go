package v1alpha1_test

import (
	"strings"
	"testing"
	"time"

	"github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/decider"
)

func TestAnnotations(t *testing.T) {
	tell(t, []story{
		{
			"a scale-down delay written as a label, where nothing reads it", func(pa *v1alpha1.PodAutoscaler) {
				pa.Labels["kpa."+prefix+"scale-down-delay"] = "3m"
			},
			nil,
			[]string{`metadata.labels[kpa.autoscaling.aibrix.ai/scale-down-delay]: is a label; move it to metadata.annotations, as the line kpa.autoscaling.aibrix.ai/scale-down-delay: "3m"`},
		},
		{
			"the same, misspelt", func(pa *v1alpha1.PodAutoscaler) { pa.Labels[prefix+"scale-down-dealy"] = "3m" },
			nil,
			[]string{
				`metadata.labels[autoscaling.aibrix.ai/scale-down-dealy]: is a label; move it to metadata.annotations, as the line autoscaling.aibrix.ai/scale-down-delay: "3m"`,
			},
		},
		{
			"a label that only shares the prefix", func(pa *v1alpha1.PodAutoscaler) { pa.Labels["flyball.dev/team"] = "chat" }, nil,
			[]string{`metadata.labels[flyball.dev/team]: is a label, which nothing reads, and no annotation has a name like it; docs/policy.md has those that there are`},
		},
		{
			"a misspelt key", annotate(prefix+"max-scale-uprate", "2"),
			[]string{base + `max-scale-uprate]: Invalid value: "2": is not a known annotation; did you mean autoscaling.aibrix.ai/max-scale-up-rate?`},
			nil,
		},
		{
			"a key cut short", annotate("kpa."+prefix+"scale-up-cooldown", "30s"),
			[]string{kpaBase + `scale-up-cooldown]: Invalid value: "30s": is not a known annotation; did you mean autoscaling.aibrix.ai/scale-up-cooldown-window?`},
			nil,
		},
		{
			"a key under the wrong prefix", annotate("hpa."+prefix+"scale-down-delay", "5m"),
			[]string{
				`metadata.annotations[hpa.autoscaling.aibrix.ai/scale-down-delay]: Invalid value: "5m": is not a known annotation; did you mean kpa.autoscaling.aibrix.ai/scale-down-delay?`,
			},
			nil,
		},
		{
			"a key that resembles none", annotate("flyball.dev/colour", "red"),
			[]string{`metadata.annotations[flyball.dev/colour]: Invalid value: "red": is not a known annotation`},
			nil,
		},
		{"keys of others", func(pa *v1alpha1.PodAutoscaler) {
			pa.Annotations["autoscaling.knative.dev/window"] = "never"
			pa.Annotations["kubectl.kubernetes.io/last-applied-configuration"] = "{}"
			pa.Annotations["no-prefix"] = "x"
		}, nil, nil},
		{
			"a key that nothing implements yet", annotate(prefix+"storm-service-mode", "true"),
			[]string{base + "storm-service-mode]: Forbidden: is not supported yet; remove it: roles of a StormService can not be scaled"},
			nil,
		},
		{
			"a pause that is neither true nor false", annotate("flyball.dev/paused", "yes"),
			[]string{`metadata.annotations[flyball.dev/paused]: Invalid value: "yes": is not a boolean; write true or false`},
			nil,
		},
		{
			"a pause of scaling in, as people shout it", annotate("flyball.dev/paused-scale-in", "True"),
			[]string{`metadata.annotations[flyball.dev/paused-scale-in]: Invalid value: "True": is not a boolean; write true`},
			nil,
		},
		{
			"half a pod", annotate("flyball.dev/paused-replicas", "2.5"),
			[]string{`metadata.annotations[flyball.dev/paused-replicas]: Invalid value: "2.5": must be a whole number; write 3`},
			nil,
		},
		{
			"fewer pods than none", annotate("flyball.dev/paused-replicas", "-1"),
			[]string{`metadata.annotations[flyball.dev/paused-replicas]: Invalid value: "-1": is out of range; write a whole number from 0 to 2147483647`},
			nil,
		},
		{
			"more pods than can be counted", annotate("flyball.dev/paused-replicas", "2147483648"),
			[]string{`metadata.annotations[flyball.dev/paused-replicas]: Invalid value: "2147483648": is out of range; write a whole number from 0 to 2147483647`},
			nil,
		},
		{
			"a lenient KPA", annotate("flyball.dev/kpa", "lenient"),
			[]string{`metadata.annotations[flyball.dev/kpa]: Invalid value: "lenient": is not known; write strict, or remove it`},
			nil,
		},
		{
			"a strict APA", func(pa *v1alpha1.PodAutoscaler) {
				pa.Spec.ScalingStrategy = decider.APA
				pa.Annotations["flyball.dev/kpa"] = "strict"
			},
			nil,
			[]string{"metadata.annotations[flyball.dev/kpa]: has no effect with strategy APA"},
		},
		{
			"a pause of what a native HPA does", func(pa *v1alpha1.PodAutoscaler) {
				pa.Spec.ScalingStrategy = decider.HPA
				pa.Annotations["flyball.dev/paused"] = "true"
			},
			nil,
			[]string{"metadata.annotations[flyball.dev/paused]: has no effect with strategy HPA"},
		},
		{
			"keys without effect", func(pa *v1alpha1.PodAutoscaler) {
				pa.Annotations[prefix+"scale-to-zero"] = "false"
				pa.Annotations["kpa."+prefix+"target-burst-capacity"] = "2.0"
			},
			nil,
			[]string{
				base + "scale-to-zero]: has no effect: minReplicas alone decides: 0 allows zero replicas",
				kpaBase + "target-burst-capacity]: has no effect: there is no activator that would hold a burst of requests",
			},
		},
		{
			"a boolean as people shout it", annotate(prefix+"scale-to-zero", "TRUE"),
			[]string{base + `scale-to-zero]: Invalid value: "TRUE": is not a boolean; write true`},
			nil,
		},
		{
			"a duration without a unit", annotate(prefix+"scale-down-delay", "300"),
			[]string{base + `scale-down-delay]: Invalid value: "300": has no unit; write 300s for seconds or 300m for minutes`},
			nil,
		},
		{
			"a duration in days", annotate(prefix+"scale-down-delay", "1d"),
			[]string{base + `scale-down-delay]: Invalid value: "1d": has a unit that is not read; write 24h`},
			nil,
		},
		{
			"a delay above an hour", annotate(prefix+"scale-up-delay", "2h"),
			[]string{base + `scale-up-delay]: Invalid value: "2h": is out of range; write a duration from 0s to 1h`},
			nil,
		},
		{
			"a rate that never changes anything", annotate(prefix+"max-scale-down-rate", "1"),
			[]string{base + `max-scale-down-rate]: Invalid value: "1": is out of range; write a float above 1`},
			nil,
		},
		{
			"a tolerance as a percentage", annotate(prefix+"scale-up-tolerance", "10%"),
			[]string{base + `scale-up-tolerance]: Invalid value: "10%": has a percent sign; write 0.1 where 1 is full, 10 where 100 is`},
			nil,
		},
		{
			"a tolerance that nothing falls below", annotate(prefix+"scale-down-tolerance", "1"),
			[]string{base + `scale-down-tolerance]: Invalid value: "1": is out of range; write a float from 0 to below 1`},
			nil,
		},
		{
			"a panic threshold in percent", annotate(prefix+"panic-threshold", "200"),
			[]string{base + `panic-threshold]: Invalid value: "200": is out of range; write a float from 1.1 to 10`},
			nil,
		},
		{
			"half an activation scale", annotate("kpa."+prefix+"activation-scale", "1.5"),
			[]string{kpaBase + `activation-scale]: Invalid value: "1.5": must be a whole number; write 2`},
			nil,
		},
		{
			"an activation scale above the maximum", annotate("kpa."+prefix+"activation-scale", "9"),
			[]string{kpaBase + "activation-scale]: Invalid value: 9: must not be greater than maxReplicas (8)"},
			nil,
		},
		{
			"one delay under two names with two values", func(pa *v1alpha1.PodAutoscaler) {
				pa.Annotations["kpa."+prefix+"scale-down-delay"] = "3m"
				pa.Annotations[prefix+"scale-down-cooldown-window"] = "5m"
			},
			[]string{
				kpaBase + `scale-down-delay]: Invalid value: "3m": differs from metadata.annotations[autoscaling.aibrix.ai/scale-down-cooldown-window], which sets the same scale-down delay to 5m; keep one of them`,
			},
			nil,
		},
		{"one delay under two names with one value", func(pa *v1alpha1.PodAutoscaler) {
			pa.Annotations["kpa."+prefix+"scale-down-delay"] = "300s"
			pa.Annotations[prefix+"scale-down-cooldown-window"] = "5m"
		}, nil, nil},
		{
			"a key of APA on a KPA", annotate("apa."+prefix+"window", "30s"),
			nil,
			[]string{"metadata.annotations[apa.autoscaling.aibrix.ai/window]: has no effect with strategy KPA"},
		},
		{
			"a panic threshold on an APA", func(pa *v1alpha1.PodAutoscaler) {
				pa.Spec.ScalingStrategy = decider.APA
				pa.Annotations[prefix+"panic-threshold"] = "2.0"
			},
			nil,
			[]string{base + "panic-threshold]: has no effect with strategy APA"},
		},
	})
}

func TestEveryAnnotationReachesItsSetting(t *testing.T) {
	kpa := chat()
	kpa.Annotations = map[string]string{
		prefix + "max-scale-up-rate": "3", prefix + "max-scale-down-rate": "4",
		prefix + "scale-up-tolerance": "0.5", prefix + "scale-down-tolerance": "0.25",
		prefix + "scale-up-delay": "10s", "kpa." + prefix + "scale-down-delay": "3m",
		"kpa." + prefix + "activation-scale": "2", "kpa." + prefix + "panic-threshold": "1.5",
		"kpa." + prefix + "stable-window": "2m", "kpa." + prefix + "panic-window": "20s",
	}
	policy, warnings, errs := kpa.Policy()
	if len(errs) > 0 || len(warnings) > 0 {
		t.Fatal(errs, warnings)
	}
	want := decider.Policy{
		Strategy: decider.KPA, Mode: decider.Enforce, MinReplicas: 1, MaxReplicas: 8, Sources: policy.Sources,
		ObserveWindow: 2 * time.Minute, PanicWindow: 20 * time.Second, PanicThreshold: 1.5, ActivationScale: 2,
		MaxScaleUpRate: 3, MaxScaleDownRate: 4, ToleranceUp: 0.5, ToleranceDown: 0.25,
		ScaleUpDelay: 10 * time.Second, ScaleDownDelay: 3 * time.Minute,
	}
	if !equal(policy, want) {
		t.Errorf("got  %+v\nwant %+v", policy, want)
	}
}

func TestPauses(t *testing.T) {
	for key, want := range map[string]decider.Pause{
		"paused": {All: true}, "paused-scale-in": {ScaleIn: true}, "paused-scale-out": {ScaleOut: true},
	} {
		for _, value := range []string{"true", "false"} {
			pa := chat()
			pa.Annotations["flyball.dev/"+key] = value
			policy, warnings, errs := pa.Policy()
			if len(errs) > 0 || len(warnings) > 0 {
				t.Fatal(errs, warnings)
			}
			if value == "false" {
				want = decider.Pause{}
			}
			if !equal(policy.Pause, want) {
				t.Errorf("%s: %s: %+v", key, value, policy.Pause)
			}
		}
	}
	for value, want := range map[string]int32{"0": 0, "12": 12, "2147483647": 2147483647} {
		pa := chat()
		pa.Annotations["flyball.dev/paused-replicas"] = value
		if policy, _, errs := pa.Policy(); len(errs) > 0 || *policy.Pause.Replicas != want {
			t.Errorf("%s: %+v %v", value, policy.Pause, errs)
		}
	}
}

func TestStrictKPAWaitsForNothingUnlessToldTo(t *testing.T) {
	pa := chat()
	pa.Annotations["flyball.dev/kpa"] = "strict"
	if policy, _, errs := pa.Policy(); len(errs) > 0 || !policy.Strict || policy.ScaleDownDelay != 0 {
		t.Errorf("%+v %v", policy, errs)
	}
	pa.Annotations["kpa."+prefix+"scale-down-delay"] = "3m"
	if policy, _, errs := pa.Policy(); len(errs) > 0 || !policy.Strict || policy.ScaleDownDelay != 3*time.Minute {
		t.Errorf("%+v %v", policy, errs)
	}
}

func TestStrictKPASaysWhatKnativeDoesNotHave(t *testing.T) {
	const base = "metadata.annotations[" + prefix
	strict := func(more func(*v1alpha1.PodAutoscaler)) func(*v1alpha1.PodAutoscaler) {
		return func(pa *v1alpha1.PodAutoscaler) {
			pa.Annotations["flyball.dev/kpa"] = "strict"
			more(pa)
		}
	}
	tell(t, []story{
		{"nothing else", strict(func(*v1alpha1.PodAutoscaler) {}), nil, nil},
		{"what Knative has", strict(annotate(prefix+"scale-down-delay", "3m")), nil, nil},
		{"a tolerance", strict(annotate(prefix+"scale-up-tolerance", "0.1")), nil, []string{
			base + "scale-up-tolerance]: applies in strict KPA too, and Knative has no scale-up tolerance; remove it to decide as Knative does",
		}},
		{"one by its older name", strict(annotate(prefix+"down-fluctuation-tolerance", "0.2")), nil, []string{
			base + "down-fluctuation-tolerance]: applies in strict KPA too, and Knative has no scale-down tolerance; remove it to decide as Knative does",
		}},
		{"a scale-up delay", strict(annotate(prefix+"scale-up-delay", "30s")), nil, []string{
			base + "scale-up-delay]: applies in strict KPA too, and Knative has no scale-up delay; remove it to decide as Knative does",
		}},
		{"both at what they are anyway", strict(func(pa *v1alpha1.PodAutoscaler) {
			pa.Annotations[prefix+"scale-up-tolerance"], pa.Annotations[prefix+"scale-up-delay"] = "0", "0s"
		}), nil, nil},
		{"a tolerance without strict", annotate(prefix+"scale-up-tolerance", "0.1"), nil, nil},
	})
}

func TestEverySettingIsDocumented(t *testing.T) {
	seen := map[string]bool{}
	for _, a := range v1alpha1.Annotations() {
		if seen[a.Key] {
			t.Errorf("%s is in the table twice", a.Key)
		}
		seen[a.Key] = true
		if a.Supported && a.Setting != "" && (len(a.Strategies) == 0 || a.Range == "" || a.Type == "") {
			t.Errorf("%s lacks its documentation: %+v", a.Key, a)
		}
		if (!a.Supported || a.Setting == "") && a.Note == "" {
			t.Errorf("%s does not say why it has no effect", a.Key)
		}
	}
	for _, d := range v1alpha1.Defaults() {
		if d.Value == "" || d.Field == "" && len(d.Keys) == 0 {
			t.Errorf("%s can not be set: %+v", d.Setting, d)
		}
		for _, key := range d.Keys {
			if !seen[key] {
				t.Errorf("%s is set by %s, which is not in the table of keys", d.Setting, key)
			}
		}
	}
	if n := len(v1alpha1.Defaults()); n != 3*5+3*1+2*2 {
		t.Errorf("%d defaults", n)
	}
}

func TestADefaultIsWhatPolicyUses(t *testing.T) {
	for _, d := range v1alpha1.Defaults() {
		for _, key := range d.Keys {
			plain, spelled := chat(), chat()
			plain.Spec.ScalingStrategy, spelled.Spec.ScalingStrategy = d.Strategy, d.Strategy
			spelled.Annotations[key] = d.Value
			a, _, errs := plain.Policy()
			b, warnings, more := spelled.Policy()
			if len(errs)+len(more)+len(warnings) > 0 || !equal(a, b) {
				t.Errorf("%s: %s is not the default: %v %v", key, d.Value, more, warnings)
			}
		}
	}
}

func TestWhatDiffersFromAIBrixIsSaid(t *testing.T) {
	var got []string
	for _, w := range chat().DefaultsUnlikeAIBrix() {
		got = append(got, w.String())
	}
	compare(t, "warnings", got, []string{
		"spec.observeWindowSeconds: not set: the observe window is 1m here, 3m in AIBrix",
		"spec.panicWindowSeconds: not set: the panic window is 10s here, 1m in AIBrix",
		base + "scale-up-tolerance]: not set: the scale-up tolerance is 0 here, 0.1 in AIBrix",
		base + "scale-down-tolerance]: not set: the scale-down tolerance is 0 here, 0.1 in AIBrix",
		base + "max-scale-up-rate]: not set: the max scale-up rate is 1000 here, 2 in AIBrix",
	})
	pa := chat()
	pa.Spec.ScalingStrategy = decider.APA
	pa.Spec.ObserveWindowSeconds = ptr(int64(180))
	pa.Annotations[prefix+"max-scale-up-rate"] = "2"
	if more := pa.DefaultsUnlikeAIBrix(); len(more) > 0 {
		t.Error(more)
	}
}

func FuzzAnnotations(f *testing.F) {
	for _, a := range v1alpha1.Annotations() {
		_, name, _ := strings.Cut(a.Key, "/")
		f.Add(a.Key, "5m", name)
		f.Add(a.Key+"s", "0.1", name)
	}
	f.Add(prefix, "", "")
	f.Add("a/"+prefix, "1e999999999", "9999999999999999999999d")
	f.Fuzz(func(t *testing.T, key, value, label string) {
		pa := chat()
		pa.Annotations[key] = value
		pa.Labels[prefix+label] = value
		if policy, _, errs := pa.Policy(); len(errs) == 0 {
			checkPolicy(t, policy)
		}
		pa.Spec.MetricsSources[0].TargetValue = value
		pa.Spec.MetricsSources[0].TargetMetric, pa.Spec.MetricsSources[0].Query = "", label
		if policy, _, errs := pa.Policy(); len(errs) == 0 {
			checkPolicy(t, policy)
		}
	})
}
