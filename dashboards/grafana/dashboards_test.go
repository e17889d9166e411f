package grafana

import (
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/grafana/grafana-foundation-sdk/go/units"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/flyball/flyball/collector"
)

type board struct {
	UID           string   `json:"uid"`
	ID            *int     `json:"id"`
	Title         string   `json:"title"`
	Description   string   `json:"description"`
	Tags          []string `json:"tags"`
	Editable      *bool    `json:"editable"`
	Timezone      string   `json:"timezone"`
	Refresh       string   `json:"refresh"`
	GraphTooltip  int      `json:"graphTooltip"`
	SchemaVersion int      `json:"schemaVersion"`
	Inputs        any      `json:"__inputs"`
	Time          struct{ From, To string }
	Panels        []panel `json:"panels"`
	Links         []struct {
		Type                  string
		Tags                  []string
		IncludeVars, KeepTime bool
	} `json:"links"`
	Templating struct {
		List []variable `json:"list"`
	} `json:"templating"`
	Annotations struct {
		List []struct {
			Name, Expr, IconColor string
			Datasource            reference
		} `json:"list"`
	} `json:"annotations"`
}

type reference struct{ Type, UID string }

type panel struct {
	ID          int
	Type, Title string
	Description string
	Datasource  reference
	GridPos     struct{ X, Y, W, H int }
	Targets     []struct {
		RefID, Expr, LegendFormat, Format string
		Instant, Range                    bool
		Datasource                        reference
	}
	Transformations []struct{ ID string }
	FieldConfig     struct {
		Defaults struct {
			Unit, NoValue string
			Mappings      []struct {
				Type    string
				Options json.RawMessage
			}
			Thresholds struct{ Steps []struct{ Color string } }
		}
		Overrides []struct {
			Properties []struct {
				ID    string
				Value json.RawMessage
			}
		}
	}
}

type variable struct {
	Name, Type, Label, Query, AllValue string
	Refresh                            int
	IncludeAll, Multi                  bool
	Datasource                         reference
}

func readDashboards(t *testing.T) []board {
	t.Helper()
	files, err := filepath.Glob("dashboards/*.json")
	require.NoError(t, err)
	var out []board
	for _, file := range files {
		data, err := os.ReadFile(file)
		require.NoError(t, err)
		var d board
		require.NoError(t, json.Unmarshal(data, &d), file)
		require.Equal(t, strings.TrimSuffix(filepath.Base(file), ".json"), d.UID)
		out = append(out, d)
	}
	require.Len(t, out, 4)
	return out
}

// templated is the data source that the person at the dashboard chose.
var templated = reference{"prometheus", "${datasource}"}

func TestDashboardsAreClassicAndMayBeProvisioned(t *testing.T) {
	titles := map[string]bool{}
	for _, d := range readDashboards(t) {
		require.Nil(t, d.ID, "an id is Grafana's to give")
		require.Nil(t, d.Inputs, "inputs are for uploads only")
		require.False(t, titles[d.Title], d.Title)
		titles[d.Title] = true
		require.NotEmpty(t, d.Description)
		require.Equal(t, []string{"flyball", "kubernetes", "autoscaling"}, d.Tags)
		require.GreaterOrEqual(t, d.SchemaVersion, 39)
		require.LessOrEqual(t, d.SchemaVersion, 42)
		require.False(t, *d.Editable)
		require.Equal(t, "browser", d.Timezone)
		require.Equal(t, "30s", d.Refresh)
		require.Equal(t, 1, d.GraphTooltip, "a shared crosshair")
		require.Equal(t, struct{ From, To string }{"now-1h", "now"}, d.Time)
		require.Equal(t, "dashboards", d.Links[0].Type)
		require.Equal(t, []string{"flyball"}, d.Links[0].Tags)
		require.True(t, d.Links[0].IncludeVars && d.Links[0].KeepTime)
	}
}

func TestVariablesFollowTheTimeRangeAndTheDataSource(t *testing.T) {
	for _, d := range readDashboards(t) {
		require.Equal(t, "datasource", d.Templating.List[0].Type)
		require.Equal(t, "datasource", d.Templating.List[0].Name)
		require.Equal(t, "prometheus", d.Templating.List[0].Query)
		names := map[string]bool{}
		for _, v := range d.Templating.List {
			require.False(t, names[v.Name])
			names[v.Name] = true
			require.NotEmpty(t, v.Label, v.Name)
			if v.Type != "query" {
				continue
			}
			require.Equal(t, templated, v.Datasource, v.Name)
			require.Equal(t, 2, v.Refresh, "%s: refresh on time range change", v.Name)
			require.Regexp(t, `^label_values\(.+, [a-z_]+\)$`, v.Query)
			metricsIn(t, selectorOf(v.Query))
			require.Equal(t, v.Multi, v.IncludeAll, v.Name)
			if v.IncludeAll {
				require.Equal(t, ".*", v.AllValue, v.Name)
			}
		}
		require.True(t, names["namespace"], d.UID)
		require.Equal(t, d.UID == "flyball-pipeline", names["job"], "flyball's own stages are of a job, all else of namespaces")
	}
}

func selectorOf(query string) string {
	inner := strings.TrimPrefix(query, "label_values(")
	return inner[:strings.LastIndex(inner, ", ")]
}

// An old panel type is gone from Grafana; a unit it doesn't know is shown as a suffix.
func TestPanelsSayWhatTheyShow(t *testing.T) {
	known := append(knownUnits(), "none")
	for _, d := range readDashboards(t) {
		ids := map[int]bool{}
		for _, p := range d.Panels {
			require.False(t, ids[p.ID], "%s: id %d twice", d.UID, p.ID)
			ids[p.ID] = true
			require.NotEmpty(t, p.Title)
			if p.Type == "row" {
				continue
			}
			where := d.UID + ", " + p.Title
			require.Contains(t, []string{"timeseries", "stat", "bargauge", "table", "state-timeline", "heatmap"}, p.Type, where)
			require.Equal(t, templated, p.Datasource, where)
			require.Contains(t, known, p.FieldConfig.Defaults.Unit, where)
			require.Equal(t, "No data", p.FieldConfig.Defaults.NoValue, where)
			require.NotEmpty(t, p.FieldConfig.Defaults.Thresholds.Steps, where)
			require.Contains(t, string(p.FieldConfig.Defaults.Mappings[0].Options), "No traffic", where)
			require.NotEmpty(t, p.Targets, where)
			refs := map[string]bool{}
			for _, target := range p.Targets {
				require.False(t, refs[target.RefID], where)
				refs[target.RefID] = true
				require.Equal(t, templated, target.Datasource, where)
				require.NotEqual(t, target.Instant, target.Range, where)
				require.NotEmpty(t, target.LegendFormat, where)
				for _, name := range metricsIn(t, target.Expr) {
					require.Contains(t, p.Description, "`"+name+"`", "%s names the metric", where)
				}
			}
			for _, o := range p.FieldConfig.Overrides {
				for _, property := range o.Properties {
					if property.ID == "unit" {
						require.Contains(t, known, strings.Trim(string(property.Value), `"`), where)
					}
				}
			}
			if p.Type == "table" {
				require.Equal(t, "merge", p.Transformations[0].ID, where)
			}
		}
	}
}

func knownUnits() []string {
	return []string{
		units.Short, units.Seconds, units.PercentUnit, units.OpsPerSecond, units.RequestsPerSecond, units.Watt, units.Celsius, units.BytesIEC, units.Hours,
		"count:tok/s", "count:samples/s", // any unit may follow count:
	}
}

func TestPanelsLieSideBySide(t *testing.T) {
	for _, d := range readDashboards(t) {
		taken := map[[2]int]string{}
		for _, p := range d.Panels {
			require.LessOrEqual(t, p.GridPos.X+p.GridPos.W, 24, p.Title)
			for x := p.GridPos.X; x < p.GridPos.X+p.GridPos.W; x++ {
				for y := p.GridPos.Y; y < p.GridPos.Y+p.GridPos.H; y++ {
					require.Empty(t, taken[[2]int{x, y}], "%s: %s lies on it", d.UID, p.Title)
					taken[[2]int{x, y}] = p.Title
				}
			}
		}
	}
}

func TestDecisionsAreMarked(t *testing.T) {
	marked := 0
	for _, d := range readDashboards(t) {
		for _, a := range d.Annotations.List {
			require.Equal(t, templated, a.Datasource)
			require.Equal(t, []string{"flyball_autoscaler_wanted_replicas"}, slices.Compact(metricsIn(t, a.Expr)))
			marked++
		}
	}
	require.Equal(t, 6, marked, "up and down, on each dashboard but the pipeline's")
}

// variables stand for Grafana's.
var variables = strings.NewReplacer("$__rate_interval", "1m", "$__range", "1h", "$__interval", "15s")

func metricsIn(t *testing.T, expr string) []string {
	t.Helper()
	e, err := parser.NewParser(parser.Options{}).ParseExpr(variables.Replace(expr))
	require.NoError(t, err, expr)
	var names []string
	parser.Inspect(e, func(n parser.Node, _ []parser.Node) error {
		if v, ok := n.(*parser.VectorSelector); ok {
			require.NotEmpty(t, v.Name, "a selector without a metric: %s", expr)
			names = append(names, v.Name)
		}
		return nil
	})
	return names
}

func expressions(t *testing.T) []string {
	t.Helper()
	var out []string
	for _, d := range readDashboards(t) {
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				out = append(out, target.Expr)
			}
		}
		for _, a := range d.Annotations.List {
			out = append(out, a.Expr)
		}
		for _, v := range d.Templating.List {
			if v.Type == "query" {
				out = append(out, selectorOf(v.Query))
			}
		}
	}
	return out
}

// A counter means nothing but by its rate, and a rate needs a range that has samples at any zoom.
func TestCountersAreRatedOverTheRateInterval(t *testing.T) {
	ranges := regexp.MustCompile(`\[([^\]]+)\]`)
	for _, expr := range expressions(t) {
		e, err := parser.NewParser(parser.Options{}).ParseExpr(variables.Replace(expr))
		require.NoError(t, err)
		parser.Inspect(e, func(n parser.Node, path []parser.Node) error {
			v, ok := n.(*parser.VectorSelector)
			if !ok || !strings.HasSuffix(v.Name, "_total") && !strings.HasSuffix(v.Name, "_bucket") {
				return nil
			}
			rated := slices.ContainsFunc(path, func(n parser.Node) bool {
				call, ok := n.(*parser.Call)
				return ok && slices.Contains([]string{"rate", "irate", "increase"}, call.Func.Name)
			})
			require.True(t, rated, "%s is not rated: %s", v.Name, expr)
			return nil
		})
		for _, found := range ranges.FindAllStringSubmatch(regexp.MustCompile(`"[^"]*"`).ReplaceAllString(expr, `""`), -1) {
			require.Contains(t, []string{"$__rate_interval", "$__range", "$__range:1m"}, found[1], expr)
		}
	}
}

// What the dashboards read of an exporter is in the collector's packs; a metric that has had another name is asked for by both; and the
// list of what is to be kept is exactly what they read.
func TestDashboardsReadWhatExportersHave(t *testing.T) {
	packs, err := collector.LoadPacks()
	require.NoError(t, err)
	var read []string
	for _, expr := range expressions(t) {
		names := metricsIn(t, expr)
		for _, name := range names {
			if name == "up" || strings.HasPrefix(name, "flyball_") {
				continue
			}
			read = append(read, name)
			m, ok := packs.Lookup(name)
			require.True(t, ok, "no pack knows %s", name)
			for _, alias := range m.Names {
				require.Contains(t, names, alias, "%s without its other name: %s", name, expr)
			}
		}
	}
	slices.Sort(read)
	require.Equal(t, slices.Compact(read), Metrics())
}

func TestProvisioningFilesAreWhatGrafanaReads(t *testing.T) {
	var sources struct {
		APIVersion  int `json:"apiVersion"`
		Datasources []struct {
			Name, UID, Type, Access, URL string
			JSONData                     map[string]string
		} `json:"datasources"`
	}
	var providers struct {
		APIVersion int `json:"apiVersion"`
		Providers  []struct {
			Name, Folder, Type              string
			OrgID                           int
			DisableDeletion, AllowUIUpdates bool
			UpdateIntervalSeconds           int
			Options                         map[string]any
		} `json:"providers"`
	}
	for file, into := range map[string]any{"datasources": &sources, "dashboards": &providers} {
		data, err := os.ReadFile("provisioning/" + file + "/flyball.yaml")
		require.NoError(t, err)
		require.NoError(t, yaml.UnmarshalStrict(data, into))
	}
	require.Equal(t, 1, sources.APIVersion)
	require.Equal(t, "prometheus", sources.Datasources[0].Type)
	require.Equal(t, 1, providers.APIVersion)
	require.Equal(t, "file", providers.Providers[0].Type)
	require.False(t, providers.Providers[0].AllowUIUpdates)
	require.NotEmpty(t, providers.Providers[0].Options["path"])
}
