package deploy

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"
)

// ofKind are the objects of one kind among what helm rendered, by name.
func ofKind(t *testing.T, out, kind string) map[string]map[string]any {
	t.Helper()
	found := map[string]map[string]any{}
	for _, text := range strings.Split(out, "\n---\n") {
		var object map[string]any
		require.NoError(t, yaml.Unmarshal([]byte(text), &object))
		if object["kind"] == kind {
			found[object["metadata"].(map[string]any)["name"].(string)] = object
		}
	}
	return found
}

func TestEveryDashboardIsAConfigMapForTheSidecar(t *testing.T) {
	require.Empty(t, ofKind(t, template(t), "ConfigMap"), "off by default")
	maps := ofKind(t, template(t, "--set", "dashboards.enabled=true,dashboards.labels.team=gpu,externalURL=https://flyball.example/x/"), "ConfigMap")
	files, err := os.ReadDir("../dashboards/grafana/dashboards")
	require.NoError(t, err)
	require.Len(t, maps, len(files))
	linked := 0
	for _, file := range files {
		object := maps["flyball-dashboard-"+strings.TrimSuffix(strings.TrimPrefix(file.Name(), "flyball-"), ".json")]
		require.NotNil(t, object, file.Name())
		metadata := object["metadata"].(map[string]any)
		require.Equal(t, "1", metadata["labels"].(map[string]any)["grafana_dashboard"])
		require.Equal(t, "gpu", metadata["labels"].(map[string]any)["team"])
		require.Equal(t, map[string]any{"grafana_folder": "flyball"}, metadata["annotations"])
		want, err := os.ReadFile("../dashboards/grafana/dashboards/" + file.Name())
		require.NoError(t, err)
		got := object["data"].(map[string]any)[file.Name()].(string)
		require.NotContains(t, got, "127.0.0.1")
		require.JSONEq(t, strings.ReplaceAll(string(want), "http://127.0.0.1:8090", "https://flyball.example/x"), got)
		linked += strings.Count(got, "https://flyball.example/x")
	}
	require.Positive(t, linked)
	bare := ofKind(t, template(t, "--set", "dashboards.enabled=true,dashboards.folder="), "ConfigMap")
	require.NotContains(t, bare["flyball-dashboard-fleet"]["metadata"], "annotations")
}

func TestTheRulesAreAPrometheusRule(t *testing.T) {
	const operator = "monitoring.coreos.com/v1"
	require.Empty(t, ofKind(t, template(t, "--set", "prometheusRule.enabled=true"), "PrometheusRule"), "this cluster has none")
	require.Empty(t, ofKind(t, template(t, "--api-versions", operator), "PrometheusRule"), "off by default")

	file, err := os.ReadFile("../dashboards/grafana/rules/flyball.rules.yaml")
	require.NoError(t, err)
	groups := func(text string) any {
		var rules map[string]any
		require.NoError(t, yaml.Unmarshal([]byte(text), &rules))
		return rules["groups"]
	}
	rule := ofKind(t, template(t, "--set", "prometheusRule.enabled=true,prometheusRule.labels.release=p,prometheusRule.runbooks=https://wiki.example/r/,externalURL=https://flyball.example",
		"--api-versions", operator), "PrometheusRule")["flyball"]
	require.Equal(t, "p", rule["metadata"].(map[string]any)["labels"].(map[string]any)["release"])
	want := strings.NewReplacer("docs/runbooks/Fly", "https://wiki.example/r/Fly", "page: /", "page: https://flyball.example/").Replace(string(file))
	require.Equal(t, groups(want), rule["spec"].(map[string]any)["groups"])

	out := template(t, "--set", "prometheusRule.enabled=true", "--api-versions", operator)
	require.Contains(t, out, "runbook_url: docs/runbooks/FlyballDown.md")
	require.NotRegexp(t, `(?m)^ +page:`, out, "no link to a page that nobody has named")
}

func TestAnExternalURLIsAURL(t *testing.T) {
	_, err := helm(t.Context(), "template", "flyball", chart, "--set", "externalURL=flyball.example")
	require.ErrorContains(t, err, "'/externalURL': 'flyball.example' does not match pattern")
}
