package deploy

import (
	"fmt"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
)

// autoscaler is a right manifest in which one thing is changed.
func autoscaler(name, from, to string) string {
	const right = `apiVersion: autoscaling.aibrix.ai/v1alpha1
kind: PodAutoscaler
metadata:
  name: NAME
  namespace: llm
spec:
  scalingStrategy: KPA
  minReplicas: 1
  maxReplicas: 8
  metricsSources:
  - metricSourceType: pod
    targetMetric: num_requests_waiting
    targetValue: "10"
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: chat}
`
	return strings.Replace(strings.Replace(right, from, to, 1), "NAME", name, 1)
}

// mistake is a manifest that the CRD refuses, and what it says: the field and the fix.
type mistake struct{ from, to, field, fix string }

var mistakes = []mistake{
	{"minReplicas: 1", "minReplicas: 9", "spec.minReplicas", "minReplicas must not be greater than maxReplicas: lower it or raise maxReplicas"},
	{"minReplicas: 1", "minReplicas: -1", "spec.minReplicas", "should be greater than or equal to 0"},
	{"maxReplicas: 8", "maxReplicas: 0", "spec.maxReplicas", "should be greater than or equal to 1"},
	{"  maxReplicas: 8\n", "", "spec.maxReplicas", "Required value"},
	{"minReplicas: 1", "observeWindowSeconds: 30\n  panicWindowSeconds: 31", "spec.panicWindowSeconds", "lower it or raise observeWindowSeconds"},
	{"minReplicas: 1", "panicWindowSeconds: 0", "spec.panicWindowSeconds", "should be greater than or equal to 1"},
	{"minReplicas: 1", "observeWindowSeconds: 3601", "spec.observeWindowSeconds", "should be less than or equal to 3600"},
	{"kind: Deployment", `kind: ""`, "spec.scaleTargetRef", "name that of the workload, such as Deployment"},
	{"name: chat", `name: ""`, "spec.scaleTargetRef", "name the workload to scale"},
	{`"10"`, `"100m"`, "spec.metricsSources[0].targetValue", "write it without unit, such as 0.5"},
	{`"10"`, `"0"`, "spec.metricsSources[0].targetValue", "must be a decimal number above 0"},
	{`"10"`, `"NaN"`, "spec.metricsSources[0].targetValue", "must be a decimal number above 0"},
	{"targetMetric: num_requests_waiting", `targetMetric: ""`, "spec.metricsSources[0]", "give either a targetMetric or a query, not both"},
	{`"10"`, "\"10\"\n    query: up", "spec.metricsSources[0]", "give either a targetMetric or a query, not both"},
	{`"10"`, "\"10\"\n    dialect: promql", "spec.metricsSources[0].dialect", "there is none: remove it"},
	{`"10"`, "\"10\"\n    aggregation: max", "spec.metricsSources[0].aggregation", "targetType Value with avg or max: change one of them"},
	{`"10"`, "\"10\"\n    interval: 5s", "spec.metricsSources[0].interval", "only an external source with an endpoint has an interval of its own: remove it"},
	{`"10"`, "\"10\"\n    metricSelector: {}", "spec.metricsSources[0].metricSelector", "remove metricSelector, or write a query"},
	{"metricSourceType: pod", "metricSourceType: resource", "spec.metricsSources[0]", "targetMetric of a resource source is cpu or memory"},
	{"pod\n    targetMetric: num_requests_waiting", "resource\n    port: \"80\"\n    targetMetric: cpu", "spec.metricsSources[0]", "remove protocolType, endpoint, path and port"},
	{"pod\n    targetMetric: num_requests_waiting", "custom\n    query: up", "spec.metricsSources[0].query", "use metricSourceType pod, or external with an endpoint"},
	{"pod\n", "external\n    endpoint: gateway:80\n    interval: 500ms\n", "spec.metricsSources[0].interval", "interval is out of range: write 1s to 5m"},
	{"KPA", "HPA\n  subTargetSelector: {roleName: prefill}", "spec.subTargetSelector", "remove subTargetSelector or use KPA or APA"},
	{"KPA\n  minReplicas: 1\n  maxReplicas: 8\n  metricsSources:\n  - metricSourceType: pod\n    targetMetric: num_requests_waiting", "HPA\n  maxReplicas: 8\n  metricsSources:\n  - metricSourceType: pod\n    query: up", "spec.metricsSources", "a native HorizontalPodAutoscaler can not evaluate a query"},
	{"KPA\n  minReplicas: 1\n  maxReplicas: 8\n  metricsSources:\n", "HPA\n  maxReplicas: 8\n  metricsSources:\n  - {metricSourceType: pod, targetMetric: a, targetValue: '1', targetType: Value}\n", "spec.metricsSources", "targetType Value for external metrics only"},
	{"minReplicas: 1", "schedules: [{name: a, startTime: '10:00', endTime: '09:00', minReplicas: 1}]", "spec.schedules[0].endTime", "split a window that crosses midnight"},
	{"minReplicas: 1", "schedules: [{name: a, startTime: '10:00', endTime: '11:00'}]", "spec.schedules[0]", "give minReplicas, maxReplicas or both"},
	{"minReplicas: 1", "schedules: [{name: a, startTime: '10:00', endTime: '11:00', minReplicas: 9}]", "spec.schedules", "a schedule's minReplicas must not be greater than its maxReplicas"},
	{"minReplicas: 1", "schedules: [{name: a, startTime: '10:00', endTime: '11:00', maxReplicas: 0}]", "spec.schedules[0].maxReplicas", "should be greater than or equal to 1"},
	{"minReplicas: 1", "schedules: [{name: a, startTime: '10:00', endTime: '11:00', daysOfWeek: [Montag], maxReplicas: 1}]", "spec.schedules[0].daysOfWeek[0]", "should match"},
	{"minReplicas: 1", "schedules: [{name: a, startTime: '10:00', endTime: '11:00', maxReplicas: 1}, {name: a, startTime: '12:00', endTime: '13:00', maxReplicas: 1}]", "spec.schedules[1]", "Duplicate value"},
	{"minReplicas: 1", "schedules: [{name: a, startTime: '10:00', endTime: '11:00', maxReplicas: 1}, {name: b, timezone: Europe/Berlin, startTime: '12:00', endTime: '13:00', maxReplicas: 1}]", "spec.schedules", "write the first one's in each"},
}

// mistakesAreRefused applies all of them at once. Whatever the CRD refuses, flyball refuses: it is no stricter.
func (c *cluster) mistakesAreRefused(t *testing.T) {
	var manifest []string
	for i, m := range mistakes {
		doc := autoscaler(fmt.Sprintf("mistake-%d", i), m.from, m.to)
		require.NotContains(t, doc, "NAME")
		manifest = append(manifest, doc)
	}
	cmd := c.Kubectl("apply", "--dry-run=server", "-f", "-")
	cmd.Stdin = strings.NewReader(strings.Join(manifest, "---\n"))
	out, err := cmd.CombinedOutput()
	require.Error(t, err)
	require.NotContains(t, string(out), "created", "%s", out)
	for i, m := range mistakes {
		name := fmt.Sprintf("mistake-%d", i)
		said := regexp.MustCompile(`(?m)^.* "` + name + `" is invalid: .*$`).FindString(string(out))
		require.Contains(t, said, m.field+": ", "%s\n%s", name, manifest[i])
		require.Contains(t, said, m.fix, "%s\n%s", name, manifest[i])
		require.True(t, policies(t, manifest[i])[name], "flyball accepts %s, and the CRD refuses it:\n%s", name, manifest[i])
	}
}

// meta adds an annotation or a label.
func meta(name, where, key, value string) string {
	return autoscaler(name, "  namespace: llm\n", fmt.Sprintf("  namespace: llm\n  %s: {%s: %q}\n", where, key, value))
}

func (c *cluster) keysAreWarnedOf(t *testing.T) {
	ask := func(manifest string) string {
		out := c.kubectl(t, manifest, "apply", "--dry-run=server", "-f", "-")
		require.Contains(t, out, "podautoscaler.autoscaling.aibrix.ai/x ", "warned, not refused")
		return out
	}
	eventually(t, func() string {
		if !strings.Contains(ask(meta("x", "annotations", "flyball.dev/puased", "true")), "Warning") {
			return "the API server knows the policy"
		}
		return ""
	})
	for _, test := range []struct{ manifest, want string }{
		{
			meta("x", "labels", "autoscaling.aibrix.ai/scale-down-delay", "0s"),
			`metadata.labels[autoscaling.aibrix.ai/scale-down-delay] has no effect as a label: move to metadata.annotations: autoscaling.aibrix.ai/scale-down-delay: "0s"`,
		},
		{
			meta("x", "labels", "kpa.autoscaling.aibrix.ai/scaleDownDelay", "0s"),
			`metadata.labels[kpa.autoscaling.aibrix.ai/scaleDownDelay] has no effect as a label: move to metadata.annotations: kpa.autoscaling.aibrix.ai/scale-down-delay: "0s"`,
		},
		{meta("x", "annotations", "flyball.dev/puased", "true"), `metadata.annotations[flyball.dev/puased] is not known; did you mean flyball.dev/paused?`},
		{meta("x", "annotations", "flyball.dev/Paused-scale_in", "true"), `did you mean flyball.dev/paused-scale-in?`},
		{meta("x", "annotations", "autoscaling.aibrix.ai/scaledown-delay", "1m"), `did you mean autoscaling.aibrix.ai/scale-down-delay?`},
		{meta("x", "annotations", "autoscaling.aibrix.ai/scale-dwn-delay", "1m"), `did you mean autoscaling.aibrix.ai/scale-down-delay?`},
		{meta("x", "annotations", "autoscaling.aibrix.ai/scale-down-dellaay", "1m"), `did you mean autoscaling.aibrix.ai/scale-down-delay?`},
		{meta("x", "annotations", "autoscaling.aibrix.ai/scale-dwon-dealy", "1m"), `is not known: write one of autoscaling.aibrix.ai/max-scale-up-rate, `},
		{meta("x", "annotations", "hpa.autoscaling.aibrix.ai/panic-treshold", "2"), `did you mean autoscaling.aibrix.ai/panic-threshold?`},
		{meta("x", "annotations", "flyball.dev/colour", "red"), `metadata.annotations[flyball.dev/colour] is not known: write one of flyball.dev/paused, flyball.dev/paused-replicas, `},
		{meta("x", "annotations", "autoscaling.aibrix.ai/scale-to-zero", "true"), `has no effect: minReplicas alone decides`},
		{meta("x", "annotations", "autoscaling.aibrix.ai/storm-service-mode", "pool"), `is not supported yet: roles of a StormService can not be scaled`},
		{meta("x", "annotations", "autoscaling.aibrix.ai/scale-down-delay", "300"), `metadata.annotations[autoscaling.aibrix.ai/scale-down-delay] is no duration: write a number with a unit, such as 300s or 5m`},
		{meta("x", "annotations", "autoscaling.aibrix.ai/panic-threshold", "200%"), `is no number: write a decimal number such as 0.5`},
		{meta("x", "annotations", "flyball.dev/paused", "yes"), `is no boolean: write "true" or "false"`},
		{autoscaler("x", "kind: Deployment", "namespace: other, kind: Deployment"), `spec.scaleTargetRef.namespace: must be the namespace of the autoscaler, llm: remove it or move the autoscaler`},
		{autoscaler("x", "minReplicas: 1", "predictive: {mode: Auto}"), `spec.predictive: is not supported yet: remove it`},
		{autoscaler("x", "minReplicas: 1", "subTargetSelector: {roleName: prefill}"), `spec.subTargetSelector.roleName: scaling one role is not supported yet`},
		{autoscaler("x", "maxReplicas: 8", "maxReplicas: 100000"), `maxReplicas: 100000 bounds nothing: write the greatest number of replicas that may ever run`},
		{autoscaler("x", "minReplicas: 1", "schedules: [{name: a, startTime: '10:00', endTime: '11:00', maxReplicas: 2000}]"), `maxReplicas: 2000 bounds nothing`},
	} {
		require.Contains(t, ask(test.manifest), test.want)
	}
	// Every key, its second letter forgotten or its last two swapped, all on one autoscaler.
	for _, misspell := range []func(string) string{
		func(name string) string { return name[:1] + name[2:] },
		func(name string) string { n := len(name); return name[:n-2] + name[n-1:] + name[n-2:n-1] },
	} {
		var annotations, want []string
		for _, a := range v1alpha1.Annotations() {
			host, name, _ := strings.Cut(a.Key, "/")
			annotations = append(annotations, fmt.Sprintf("%s/%s: x", host, misspell(name)))
			want = append(want, fmt.Sprintf("[%s/%s] is not known; did you mean %s?", host, misspell(name), a.Key))
		}
		out := ask(autoscaler("x", "  namespace: llm\n", "  namespace: llm\n  annotations: {"+strings.Join(annotations, ", ")+"}\n"))
		for _, w := range want {
			require.Contains(t, out, w)
		}
	}
	for _, manifest := range []string{
		autoscaler("x", "", ""),
		meta("x", "annotations", "flyball.dev/kpa", "strict"),
		meta("x", "annotations", "model.aibrix.ai/engine", "vllm"),
		meta("x", "labels", "flyball.dev/sim-workload", "chat"),
		meta("x", "annotations", "autoscaling.aibrix.ai/scale-down-delay", "1h30m"),
		autoscaler("x", "kind: Deployment", "namespace: llm, kind: Deployment"),
	} {
		require.NotContains(t, ask(manifest), "Warning", manifest)
	}
}
