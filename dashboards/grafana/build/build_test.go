package build

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	sdk "github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/stretchr/testify/require"
)

func TestRenderedFilesAreFresh(t *testing.T) {
	root, there := t.TempDir(), filepath.Join("..", "..", "..")
	rules := filepath.Join("dashboards", "grafana", "rules", "flyball.rules.yaml")
	require.NoError(t, os.MkdirAll(filepath.Join(root, filepath.Dir(rules)), 0o755))
	text, err := os.ReadFile(filepath.Join(there, rules))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(root, rules), text, 0o600))
	require.NoError(t, Render(root))

	for _, folder := range []string{"dashboards/grafana/dashboards", "deploy/chart/flyball/files/dashboards"} {
		fresh, err := filepath.Glob(filepath.Join(root, folder, "*"))
		require.NoError(t, err)
		committed, err := filepath.Glob(filepath.Join(there, folder, "*"))
		require.NoError(t, err)
		require.Len(t, committed, len(fresh), "a dashboard that is no longer made is in %s", folder)
	}
	require.NoError(t, filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		require.NoError(t, err)
		if d.IsDir() {
			return nil
		}
		name, err := filepath.Rel(root, path)
		require.NoError(t, err)
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		got, err := os.ReadFile(filepath.Join(there, name))
		require.NoError(t, err)
		require.Equal(t, string(want), string(got), "%s is stale: run go generate ./dashboards/grafana", name)
		return nil
	}))
}

func TestRenderSaysWhatIsMissing(t *testing.T) {
	require.ErrorContains(t, Render(t.TempDir()), "flyball.rules.yaml")
}

// Read back with every unknown field refused, each dashboard is what was written.
func TestDashboardsAreOfGrafanasOwnSchema(t *testing.T) {
	plugins.RegisterDefaultPlugins() // what panels and queries of each kind may have
	for _, d := range dashboards() {
		text, err := marshal(d)
		require.NoError(t, err)
		var back classic
		require.Empty(t, said(back.UnmarshalJSONStrict(text)), *d.Uid)
		require.NoError(t, back.Validate())
		require.Len(t, back.Panels, len(d.Panels))
		wrong := strings.Replace(string(text), `"gridPos"`, `"place"`, 1)
		require.Contains(t, said(new(classic).UnmarshalJSONStrict([]byte(wrong))), "place")
		for _, p := range d.Panels { // what is not looked into on the way
			if p.Panel != nil {
				text, err := json.Marshal(p.Panel.FieldConfig)
				require.NoError(t, err)
				require.Empty(t, said(new(sdk.FieldConfigSource).UnmarshalJSONStrict(text)), *p.Panel.Title)
			}
		}
	}
}

// said is an error's text. The SDK returns empty lists of errors for none.
func said(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// A rule without a color and a sentence would be a number on the state timeline.
func TestEveryRuleOfTheDeciderHasItsColor(t *testing.T) {
	source, err := os.ReadFile("../../../decider/decision.go")
	require.NoError(t, err)
	var want, got []string
	for _, m := range regexp.MustCompile(`\tRule\w+ +Rule = "([a-z-]+)"`).FindAllStringSubmatch(string(source), -1) {
		want = append(want, m[1])
	}
	require.NotEmpty(t, want)
	colors := map[string]bool{}
	for _, v := range verdicts {
		got = append(got, string(v.rule))
		require.False(t, colors[v.color], "two rules are %s", v.color)
		colors[v.color] = true
		require.NotEmpty(t, v.text)
	}
	require.ElementsMatch(t, want, got)
}
