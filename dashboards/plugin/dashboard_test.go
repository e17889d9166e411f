package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// dashboard is what is read here of a dashboard that the plugin brings.
type dashboard struct {
	UID, Title string
	Inputs     []struct{ Name, Type, PluginID string } `json:"__inputs"`
	Templating struct {
		List []struct{ Type, Name, Query string }
	}
	Annotations struct {
		List []struct{ Target json.RawMessage }
	}
	Panels []struct {
		ID          int
		Title       string
		Description string
		GridPos     struct{ X, Y, W, H int }
		Targets     []json.RawMessage
	}
}

func readDashboards(t *testing.T) []dashboard {
	t.Helper()
	var out []dashboard
	for _, include := range readManifest(t).Includes {
		require.Equal(t, "dashboard", include.Type)
		b, err := os.ReadFile(filepath.Join("frontend", include.Path))
		require.NoError(t, err)
		var d dashboard
		require.NoError(t, json.Unmarshal(b, &d))
		require.Equal(t, include.Name, d.Title)
		require.NotContains(t, strings.ReplaceAll(string(b), `"uid": "${DS_FLYBALL}"`, ""), `"uid": "${`, "one data source, that of the import")
		out = append(out, d)
	}
	require.NotEmpty(t, out)
	return out
}

func TestTheDashboardsFitTheGridAndAskThisDataSource(t *testing.T) {
	for _, d := range readDashboards(t) {
		require.Equal(t, "flyball-datasource", d.Inputs[0].PluginID)
		ids, taken := map[int]bool{}, map[[2]int]string{}
		for _, p := range d.Panels {
			require.False(t, ids[p.ID], "panel id %d twice", p.ID)
			ids[p.ID] = true
			require.NotEmpty(t, p.Description, p.Title)
			g := p.GridPos
			require.LessOrEqual(t, g.X+g.W, 24, p.Title)
			for x := g.X; x < g.X+g.W; x++ {
				for y := g.Y; y < g.Y+g.H; y++ {
					require.Empty(t, taken[[2]int{x, y}], "%s lies on another panel", p.Title)
					taken[[2]int{x, y}] = p.Title
				}
			}
		}
	}
}

// shown asks each query of the dashboards as the frontend would send it, with a value for each variable.
func shown(t *testing.T, h *host) {
	fill := strings.NewReplacer("$namespace", "team-a", "$name", "chat", "$delay", "30s")
	for _, d := range readDashboards(t) {
		queries := []json.RawMessage{}
		for _, a := range d.Annotations.List {
			queries = append(queries, a.Target)
		}
		for _, p := range d.Panels {
			queries = append(queries, p.Targets...)
		}
		for _, q := range queries {
			resp := h.query(t, fill.Replace(string(q)))
			require.NoError(t, resp.Error, string(q))
			require.Positive(t, rows(resp.Frames[0]), string(q))
		}
		for _, v := range d.Templating.List {
			if v.Type != "query" {
				continue
			}
			// namespaces, or autoscalers($namespace), as module.js reads them
			path, namespace, _ := strings.Cut(strings.TrimSuffix(fill.Replace(v.Query), ")"), "(")
			status, body := h.get(t, path+"?namespace="+namespace)
			require.Equal(t, 200, status, body)
			require.NotEqual(t, "[]", strings.TrimSpace(body))
		}
	}
}
