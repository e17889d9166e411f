package build

import (
	"fmt"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// The dashboards' ids, which are part of their addresses.
const (
	uidFleet      = "flyball-fleet"
	uidAutoscaler = "flyball-autoscaler"
	uidPipeline   = "flyball-pipeline"
	uidEngines    = "flyball-engines"
)

// tag is on every dashboard of flyball; the links between them go by it.
const tag = "flyball"

// page is where flyball's own page is unless the chart or the person at the dashboard says otherwise.
const page = "http://127.0.0.1:8090"

// classic is the model that every Grafana from 11 on reads. The SDK prefers the one that only Grafana 13 knows.
type classic = dashboard.Dashboard //lint:ignore SA1019 see above

// frame is a dashboard without its panels.
type frame struct {
	uid, title, about string
	variables         []dashboard.VariableModel
	annotations       []dashboard.AnnotationQuery
	links             []dashboard.DashboardLink
}

// row is a title and the panels below it; without a title just the panels. Widths of 24 fill a line.
type row struct {
	title  string
	panels []dashboard.Panel
}

// build places the panels, line by line.
func (f frame) build(rows ...row) classic {
	d := *dashboard.NewDashboard()
	d.Uid, d.Title, d.Description = &f.uid, &f.title, &f.about
	d.Tags = []string{tag, "kubernetes", "autoscaling"}
	d.Editable, d.GraphTooltip = cog.ToPtr(false), cog.ToPtr(dashboard.DashboardCursorSyncCrosshair)
	d.Refresh, d.Time = cog.ToPtr("30s"), &dashboard.DashboardDashboardTime{From: "now-1h", To: "now"}
	d.Links = append([]dashboard.DashboardLink{{
		Title: "flyball", Type: dashboard.DashboardLinkTypeDashboards, Icon: "external link", Tooltip: "The other dashboards of flyball",
		Tags: []string{tag}, IncludeVars: true, KeepTime: true,
	}}, f.links...)
	d.Templating.List = append([]dashboard.VariableModel{datasource()}, f.variables...)
	d.Annotations.List = f.annotations

	id, y := uint32(0), uint32(0)
	for _, r := range rows {
		if r.title != "" {
			id++
			d.Panels = append(d.Panels, dashboard.PanelOrRowPanel{RowPanel: &dashboard.RowPanel{
				Type: "row", Id: id, Title: &r.title, GridPos: &dashboard.GridPos{Y: y, W: 24, H: 1}, Panels: []dashboard.Panel{},
			}})
			y++
		}
		x, height := uint32(0), uint32(0)
		for _, p := range r.panels {
			if x+p.GridPos.W > 24 {
				x, y, height = 0, y+height, 0
			}
			id++
			p.Id, p.GridPos.X, p.GridPos.Y = cog.ToPtr(id), x, y
			x, height = x+p.GridPos.W, max(height, p.GridPos.H)
			d.Panels = append(d.Panels, dashboard.PanelOrRowPanel{Panel: &p})
		}
		y += height
	}
	return d
}

func datasource() dashboard.VariableModel {
	return dashboard.VariableModel{
		Type: dashboard.VariableTypeDatasource, Name: "datasource", Label: cog.ToPtr("Data source"), Query: &dashboard.StringOrMap{String: cog.ToPtr("prometheus")},
		Description: cog.ToPtr("flyball itself, or a Prometheus that scrapes it"),
	}
}

// values is a variable of the values that a label has.
func values(name, label, metric, of string) dashboard.VariableModel {
	ask := fmt.Sprintf("label_values(%s, %s)", metric, of)
	return dashboard.VariableModel{
		Type: dashboard.VariableTypeQuery, Name: name, Label: &label, Query: &dashboard.StringOrMap{String: &ask}, Definition: &ask, Datasource: &source,
		Refresh: cog.ToPtr(dashboard.VariableRefreshOnTimeRangeChanged), Sort: cog.ToPtr(dashboard.VariableSortAlphabeticalAsc),
	}
}

// many lets several values be chosen, or all of them, as it is at first.
func many(v dashboard.VariableModel) dashboard.VariableModel {
	text := func(s string) dashboard.StringOrArrayOfString {
		return dashboard.StringOrArrayOfString{ArrayOfString: []string{s}}
	}
	v.Multi, v.IncludeAll, v.AllValue = cog.ToPtr(true), cog.ToPtr(true), cog.ToPtr(".*")
	v.Current = &dashboard.VariableOption{Selected: cog.ToPtr(true), Text: text("All"), Value: text("$__all")}
	return v
}

// choice is a variable of a few values; the first holds until another is chosen.
func choice(name, label, about string, of ...string) dashboard.VariableModel {
	v := dashboard.VariableModel{Type: dashboard.VariableTypeCustom, Name: name, Label: &label, Description: &about}
	list := ""
	for i, s := range of {
		if i > 0 {
			list += ","
		}
		list += s
		text := dashboard.StringOrArrayOfString{String: cog.ToPtr(s)}
		v.Options = append(v.Options, dashboard.VariableOption{Selected: cog.ToPtr(i == 0), Text: text, Value: text})
	}
	v.Query, v.Current = &dashboard.StringOrMap{String: &list}, &v.Options[0]
	return v
}

// pageVariable is where flyball's own page is.
func pageVariable() dashboard.VariableModel {
	text := dashboard.StringOrArrayOfString{String: cog.ToPtr(page)}
	option := dashboard.VariableOption{Selected: cog.ToPtr(true), Text: text, Value: text}
	return dashboard.VariableModel{
		Type: dashboard.VariableTypeTextbox, Name: "page", Label: cog.ToPtr("flyball's page"), Description: cog.ToPtr("Where the browser reaches flyball's own page"),
		Query: &dashboard.StringOrMap{String: cog.ToPtr(page)}, Current: &option, Options: []dashboard.VariableOption{option},
	}
}

// decisions marks where the count wanted rose and where it fell, for the autoscalers that the matchers leave. The difference of two grid
// points is exact, and names each change once.
func decisions(matchers string) []dashboard.AnnotationQuery {
	wanted := of("flyball_autoscaler_wanted_replicas", matchers)
	before := "max by (namespace, name) (flyball_autoscaler_wanted_replicas{" + matchers + "} offset $__interval)"
	mark := func(name, expr, what, color string) dashboard.AnnotationQuery {
		return dashboard.AnnotationQuery{
			Name: name, Datasource: &source, Enable: true, IconColor: color, Expr: &expr, Step: cog.ToPtr("10s"),
			TitleFormat: cog.ToPtr("{{namespace}}/{{name}}"), TextFormat: &what, TagKeys: cog.ToPtr("namespace,name"),
		}
	}
	return []dashboard.AnnotationQuery{
		mark("Up", "("+wanted+" - "+before+") > 0", "wants more replicas", colorWanted),
		mark("Down", "("+before+" - "+wanted+") > 0", "wants fewer replicas", orange),
	}
}
