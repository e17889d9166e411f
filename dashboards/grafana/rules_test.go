package grafana

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

const runbooks = "../../docs/runbooks"

// ruleFile is a rule file of Prometheus.
type ruleFile struct {
	Groups []struct {
		Name  string `json:"name"`
		Rules []rule `json:"rules"`
	} `json:"groups"`
}

type rule struct {
	Record      string            `json:"record"`
	Alert       string            `json:"alert"`
	Expr        string            `json:"expr"`
	For         string            `json:"for"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

func readRules(t *testing.T) (alerts, records []rule) {
	t.Helper()
	data, err := os.ReadFile("rules/flyball.rules.yaml")
	require.NoError(t, err)
	var file ruleFile
	require.NoError(t, yaml.UnmarshalStrict(data, &file))
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			if r.Alert != "" {
				alerts = append(alerts, r)
			} else {
				records = append(records, r)
			}
		}
	}
	return alerts, records
}

// An alert says in words what is wrong and what to do, and where to read on.
func TestEveryAlertSaysWhatToDo(t *testing.T) {
	alerts, records := readRules(t)
	require.NotEmpty(t, alerts)
	for _, a := range alerts {
		require.Regexp(t, `^Flyball([A-Z][a-z]+)+$`, a.Alert)
		require.NotEmpty(t, a.For, a.Alert)
		require.Contains(t, []string{"critical", "warning", "info"}, a.Labels["severity"], a.Alert)
		require.Regexp(t, `^[^{}]+\.$`, a.Annotations["summary"], "%s: one sentence without variables", a.Alert)
		require.NotEmpty(t, a.Annotations["description"], a.Alert)
		require.Equal(t, "docs/runbooks/"+a.Alert+".md", a.Annotations["runbook_url"])
		if strings.Contains(a.Expr, "by (namespace, name") || strings.Contains(a.Expr, "namespace_name:") {
			require.Contains(t, a.Annotations["description"], "{{ $labels.namespace }}/{{ $labels.name }}", a.Alert)
			require.Equal(t, "/autoscalers/{{ $labels.namespace }}/{{ $labels.name }}", a.Annotations["page"], a.Alert)
		}
	}
	for _, r := range records {
		require.Regexp(t, `^[a-z_]+:[a-z_]+:[a-z0-9_]+$`, r.Record, "level:metric:operations")
	}
}

func TestEveryAlertHasARunbookAndEveryRunbookAnAlert(t *testing.T) {
	alerts, _ := readRules(t)
	var want, got []string
	for _, a := range alerts {
		want = append(want, a.Alert+".md")
		page, err := os.ReadFile(filepath.Join(runbooks, a.Alert+".md"))
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(string(page), "# "+a.Alert+"\n\n"+a.Annotations["summary"]+"\n"), "%s.md begins with the alert's summary", a.Alert)
		rest := string(page)
		for _, section := range []string{"Meaning", "Impact", "Diagnosis", "Mitigation"} {
			_, after, found := strings.Cut(rest, "\n## "+section+"\n")
			require.True(t, found, "%s.md has no section %s in its place", a.Alert, section)
			rest = after
		}
	}
	pages, err := os.ReadDir(runbooks)
	require.NoError(t, err)
	for _, p := range pages {
		got = append(got, p.Name())
	}
	slices.Sort(want)
	require.Equal(t, want, got)
}

// story is what one alert is told, and what it is to make of it. Samples are a minute apart.
type story struct {
	alert  string
	notYet string   // the last minute at which it has not lasted long enough
	at     string   // when it fires
	series []string // of which the last word is the values
	labels map[string]string
	value  string            // as the description has it, where it has one
	quiet  map[string]string // by what makes it so: series in place of those of the same beginning
}

const llm = `namespace="a",name="llm"`

var (
	who = map[string]string{"namespace": "a", "name": "llm"}
	job = map[string]string{"job": "flyball"}
)

func with(labels map[string]string, name, value string) map[string]string {
	out := map[string]string{name: value}
	for k, v := range labels {
		out[k] = v
	}
	return out
}

var stories = []story{
	{alert: "FlyballDown", notYet: "4m", at: "10m", quiet: map[string]string{"an instance is scraped": `flyball_build_info{job="flyball"} 1+0x60`}},
	{
		alert: "FlyballNoLeader", notYet: "1m", at: "10m", labels: job,
		series: []string{`flyball_leader{job="flyball",instance="a"} 0+0x60`, `flyball_leader{job="flyball",instance="b"} 0+0x60`},
		quiet:  map[string]string{"the other instance writes": `flyball_leader{job="flyball",instance="b"} 1+0x60`},
	},
	{
		alert: "FlyballDecisionsStopped", notYet: "4m", at: "15m", labels: job,
		series: []string{`flyball_decisions_total{job="flyball",verdict="Hold",` + llm + `} 7+0x60`, `flyball_autoscaler_wanted_replicas{job="flyball",` + llm + `} 3+0x60`},
		quiet: map[string]string{
			"decisions go on":      `flyball_decisions_total{job="flyball",verdict="Hold",` + llm + `} 7+30x60`,
			"no autoscaler's left": `flyball_autoscaler_wanted_replicas{job="flyball",` + llm + `} _x60`,
		},
	},
	{
		alert: "FlyballDecisionsLate", notYet: "9m", at: "30m", labels: job, value: "4.97s",
		series: []string{
			`flyball_decision_delay_seconds_bucket{job="flyball",le="2"} 0+0x60`, `flyball_decision_delay_seconds_bucket{job="flyball",le="5"} 0+10x60`,
			`flyball_decision_delay_seconds_bucket{job="flyball",le="+Inf"} 0+10x60`,
		},
		quiet: map[string]string{"all are within a tick": `flyball_decision_delay_seconds_bucket{job="flyball",le="2"} 0+10x60`},
	},
	{
		alert: "FlyballScrapesFailing", notYet: "9m", at: "30m", labels: job, value: "10%",
		series: []string{`flyball_scrapes_total{job="flyball",result="success"} 0+90x60`, `flyball_scrapes_total{job="flyball",result="timeout"} 0+10x60`},
		quiet:  map[string]string{"one in a hundred fails": `flyball_scrapes_total{job="flyball",result="timeout"} 0+1x60`},
	},
	{
		alert: "FlyballStoreErrors", notYet: "4m", at: "30m", labels: job, value: "10",
		series: []string{`flyball_scrapes_total{job="flyball",result="store"} 0+2x60`},
		quiet:  map[string]string{"it has stopped": `flyball_scrapes_total{job="flyball",result="store"} 9+0x60`},
	},
	{
		alert: "FlyballTargetAtMax", notYet: "14m", at: "30m", labels: who, value: "12",
		series: []string{
			`flyball_autoscaler_recommended_replicas{instance="a",` + llm + `} 12+0x60`, `flyball_autoscaler_max_replicas{instance="a",` + llm + `} 8+0x60`,
			`flyball_autoscaler_recommended_replicas{instance="b",` + llm + `} 11+0x60`, `flyball_autoscaler_max_replicas{instance="b",` + llm + `} 8+0x60`,
		},
		quiet: map[string]string{"its greatest count is enough": `flyball_autoscaler_max_replicas{instance="a",` + llm + `} 12+0x60`},
	},
	{
		alert: "FlyballShortOfCapacity", notYet: "9m", at: "30m", labels: who, value: "3",
		series: []string{`flyball_autoscaler_short_replicas{` + llm + `} 3+0x60`},
		quiet:  map[string]string{"there is room now and then": `flyball_autoscaler_short_replicas{` + llm + `} 3+0x24 0 3+0x30`},
	},
	{
		alert: "FlyballStartsSlow", notYet: "9m", at: "45m", labels: who,
		series: []string{`flyball_autoscaler_starting_replicas{` + llm + `} 1+0x60`},
		quiet:  map[string]string{"each start ends": `flyball_autoscaler_starting_replicas{` + llm + `} 1+0x30 0 1+0x30`},
	},
	{
		alert: "FlyballSignalsMissing", notYet: "4m", at: "15m", labels: with(who, "source", "queue"),
		series: []string{
			`flyball_source_target{source="queue",` + llm + `} 16+0x60`, `flyball_autoscaler_ready_replicas{` + llm + `} 2+0x60`,
			`flyball_source_value{source="queue",window="panic",` + llm + `} 5+0x60`,
		},
		quiet: map[string]string{
			"there is a value":          `flyball_source_value{source="queue",window="stable",` + llm + `} 5+0x60`,
			"no pod is there to report": `flyball_autoscaler_ready_replicas{` + llm + `} 0+0x60`,
		},
	},
	{
		alert: "FlyballSignalsIncomplete", notYet: "9m", at: "30m", labels: with(who, "source", "queue"), value: "50%",
		series: []string{
			`flyball_source_coverage_ratio{source="queue",window="stable",` + llm + `} 0.5+0x60`,
			`flyball_source_value{source="queue",window="stable",` + llm + `} 5+0x60`,
		},
		quiet: map[string]string{
			"nearly all report":               `flyball_source_coverage_ratio{source="queue",window="stable",` + llm + `} 0.96+0x60`,
			"there is none, which is another": `flyball_source_value{source="queue",window="stable",` + llm + `} _x60`,
		},
	},
	{
		alert: "FlyballDecisionsFailing", notYet: "4m", at: "30m", labels: who,
		series: []string{`flyball_decision_failures_total{` + llm + `} 0+6x60`},
		quiet:  map[string]string{"one turn in thirty fails": `flyball_decision_failures_total{` + llm + `} 0+1x60`},
	},
	{
		alert: "FlyballDecisionNotApplied", notYet: "4m", at: "30m", labels: with(who, "outcome", "Refused"),
		series: []string{`flyball_decision_outcomes_total{outcome="Refused",` + llm + `} 0+30x60`, `flyball_decision_outcomes_total{outcome="NotLeader",` + llm + `} 0+30x60`},
		quiet:  map[string]string{"only the standby does not write": `flyball_decision_outcomes_total{outcome="Refused",` + llm + `} 4+0x60`},
	},
	{
		alert: "FlyballFlapping", notYet: "14m", at: "90m", labels: who, value: "12",
		series: []string{`flyball_autoscaler_reversals_total{` + llm + `} 0+0.2x120`},
		quiet:  map[string]string{"it turns every quarter of an hour": `flyball_autoscaler_reversals_total{` + llm + `} 0+0.0667x120`},
	},
	{
		alert: "FlyballPaused", notYet: "1499m", at: "26h", labels: who,
		series: []string{`flyball_autoscaler_paused{` + llm + `} 1+0x1600`},
		quiet:  map[string]string{"it went on after a day": `flyball_autoscaler_paused{` + llm + `} 1+0x1440 0+0x160`},
	},
}

// promtool holds each alert against a story in which it fires, with its whole text, and against those in which it must not.
func TestAlertsFireWhenTheyShouldAndNotOtherwise(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		t.Skip("promtool is not on PATH: make prometheus unpacks it")
	}
	rules, err := filepath.Abs("rules/flyball.rules.yaml")
	require.NoError(t, err)
	out, err := exec.CommandContext(t.Context(), promtool, "check", "rules", rules).CombinedOutput()
	require.NoError(t, err, "%s", out)

	alerts, _ := readRules(t)
	var tests []any
	for _, a := range alerts {
		i := slices.IndexFunc(stories, func(s story) bool { return s.alert == a.Alert })
		require.GreaterOrEqual(t, i, 0, "%s has no story", a.Alert)
		s := stories[i]
		require.NotEmpty(t, s.quiet, a.Alert)
		tests = append(tests, s.test(a, "fires", s.series, true))
		for why, series := range s.quiet {
			tests = append(tests, s.test(a, why, replaced(s.series, series), false))
		}
	}
	require.Len(t, stories, len(alerts))
	file := filepath.Join(t.TempDir(), "stories.yaml")
	text, err := yaml.Marshal(map[string]any{"rule_files": []string{rules}, "evaluation_interval": "1m", "tests": tests})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, text, 0o600))
	out, err = exec.CommandContext(t.Context(), promtool, "test", "rules", file).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "SUCCESS")
}

// test is a story as promtool reads it. It must not fire before its time either.
func (s story) test(a rule, name string, series []string, fires bool) map[string]any {
	input := []any{}
	for _, one := range series {
		metric, values, _ := strings.Cut(one, "} ")
		input = append(input, map[string]any{"series": metric + "}", "values": values})
	}
	expected := []any{}
	if fires {
		annotations := map[string]string{}
		for k, v := range a.Annotations {
			annotations[k] = s.render(v)
		}
		expected = append(expected, map[string]any{"exp_labels": with(s.labels, "severity", a.Labels["severity"]), "exp_annotations": annotations})
	}
	return map[string]any{
		"name": s.alert + ": " + name, "interval": "1m", "input_series": input,
		"alert_rule_test": []any{
			map[string]any{"alertname": s.alert, "eval_time": s.notYet, "exp_alerts": []any{}},
			map[string]any{"alertname": s.alert, "eval_time": s.at, "exp_alerts": expected},
		},
	}
}

var templates = regexp.MustCompile(`\{\{ *\$(labels\.(\w+)|value[^}]*) *\}\}`)

// render puts labels and value into an annotation, as Prometheus does.
func (s story) render(text string) string {
	return templates.ReplaceAllStringFunc(text, func(found string) string {
		if label := templates.FindStringSubmatch(found)[2]; label != "" {
			return s.labels[label]
		}
		return s.value
	})
}

// replaced are the series with this one in place of that with the same name and labels, or added.
func replaced(series []string, by string) []string {
	name, _, _ := strings.Cut(by, "} ")
	out := slices.Clone(series)
	for i, one := range out {
		if strings.HasPrefix(one, name+"} ") {
			out[i] = by
			return out
		}
	}
	return append(out, by)
}

// What the rules read is what they record or what a dashboard reads: cmd/flyball holds that the demo exports each of those.
func TestTheRulesReadWhatIsThere(t *testing.T) {
	alerts, records := readRules(t)
	var there []string
	for _, r := range records {
		there = append(there, r.Record)
	}
	for _, expr := range expressions(t) {
		there = append(there, metricsIn(t, expr)...)
	}
	for _, r := range append(alerts, records...) {
		for _, name := range metricsIn(t, r.Expr) {
			require.Contains(t, there, name, r.Alert+r.Record)
		}
	}
	for _, r := range records {
		require.True(t, slices.ContainsFunc(alerts, func(a rule) bool { return strings.Contains(a.Expr, r.Record) }) || strings.HasSuffix(r.Record, ":max"),
			"%s is neither asked by an alert nor kept for the long run", r.Record)
	}
}
