package build

import (
	"fmt"
	"strconv"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/statetimeline"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// Grafana's names of the colors, which fit its light theme and its dark one. A quantity has the same color on every dashboard.
const (
	green  = "green"
	orange = "orange"
	red    = "red"
	gray   = "#8e8e8e"

	colorWanted      = "blue"
	colorReady       = "green"
	colorStarting    = "yellow"
	colorRecommended = "purple"
	colorShort       = "red"
)

// state is what a number stands for.
type state struct {
	value       int
	text, color string
}

func special(match dashboard.SpecialValueMatch, text string) dashboard.ValueMapping {
	return dashboard.ValueMapping{SpecialValueMap: &dashboard.SpecialValueMap{
		Type: dashboard.MappingTypeSpecialValue, Options: dashboard.DashboardSpecialValueMapOptions{Match: match, Result: dashboard.ValueMappingResult{Text: &text}},
	}}
}

// mapping says what numbers stand for.
func mapping(values []state) dashboard.ValueMapping {
	options := map[string]dashboard.ValueMappingResult{}
	for i, s := range values {
		options[strconv.Itoa(s.value)] = dashboard.ValueMappingResult{Text: &s.text, Color: &s.color, Index: cog.ToPtr(int32(i))}
	}
	return dashboard.ValueMapping{ValueMap: &dashboard.ValueMap{Type: dashboard.MappingTypeValueToText, Options: options}}
}

func mapped(values []state) option {
	return func(p *dashboard.Panel) {
		p.FieldConfig.Defaults.Mappings = append(p.FieldConfig.Defaults.Mappings, mapping(values))
	}
}

// property is one setting of a series or a column.
func property(id string, value any) dashboard.DynamicConfigValue {
	return dashboard.DynamicConfigValue{Id: id, Value: value}
}

// series sets properties of the series, or the column, of that name.
func series(name string, properties ...dashboard.DynamicConfigValue) option {
	return func(p *dashboard.Panel) {
		p.FieldConfig.Overrides = append(p.FieldConfig.Overrides, dashboard.DashboardFieldConfigSourceOverrides{
			Matcher: dashboard.MatcherConfig{Id: "byName", Options: name}, Properties: properties,
		})
	}
}

// matching does so for the series whose names match.
func matching(pattern string, properties ...dashboard.DynamicConfigValue) option {
	return func(p *dashboard.Panel) {
		p.FieldConfig.Overrides = append(p.FieldConfig.Overrides, dashboard.DashboardFieldConfigSourceOverrides{
			Matcher: dashboard.MatcherConfig{Id: "byRegexp", Options: "/" + pattern + "/"}, Properties: properties,
		})
	}
}

func color(name string) dashboard.DynamicConfigValue {
	return property("color", dashboard.FieldColor{Mode: dashboard.FieldColorModeIdFixed, FixedColor: &name})
}

// dashed is for what limits or what might have been: lines that are not a measurement.
func dashed() []dashboard.DynamicConfigValue {
	return []dashboard.DynamicConfigValue{
		property("custom.lineStyle", common.LineStyle{Fill: cog.ToPtr(common.LineStyleFillDash), Dash: []float64{8, 6}}), property("custom.fillOpacity", 0),
	}
}

// barred draws events: a bar for those of each interval.
func barred() option {
	return matching(".*", property("custom.drawStyle", common.GraphDrawStyleBars), property("custom.fillOpacity", 70), property("custom.lineWidth", 0), stacked())
}

// marked draws a threshold as a dashed line.
func marked(at step) option {
	return func(p *dashboard.Panel) {
		p.FieldConfig.Defaults.Thresholds = thresholds([]step{at})
		p.FieldConfig.Defaults.Custom.(*timeseries.FieldConfig).ThresholdsStyle = &common.GraphThresholdsStyleConfig{Mode: common.GraphThresholdsStyleModeDashed}
	}
}

// logarithmic is for values some of which are thousands of times the others.
func logarithmic(p *dashboard.Panel) {
	custom := p.FieldConfig.Defaults.Custom.(*timeseries.FieldConfig)
	custom.ScaleDistribution, custom.AxisSoftMin, custom.FillOpacity = &common.ScaleDistributionConfig{Type: common.ScaleDistributionLog, Log: cog.ToPtr(10.0)}, nil, cog.ToPtr(0.0)
}

// instant asks for the last moment only.
func instant(p *dashboard.Panel) { format(p, prometheus.PromQueryFormatTimeSeries, true) }

// unlegended is for states, whose colors have their names written in them.
func unlegended(p *dashboard.Panel) { p.Options.(*statetimeline.Options).Legend.ShowLegend = false }

// sortedBy puts the rows with the most in that column first.
func sortedBy(name string) option {
	return func(p *dashboard.Panel) {
		p.Options.(*table.Options).SortBy = []common.TableSortByFieldState{{DisplayName: name, Desc: cog.ToPtr(true)}}
	}
}

// replicaColors are those of the counts, by the names that the series have on every dashboard.
func replicaColors() []option {
	return []option{
		series("wanted", color(colorWanted), property("custom.lineWidth", 2)),
		series("ready", color(colorReady), property("custom.lineWidth", 2)),
		series("starting", color(colorStarting)),
		series("short", color(colorShort)),
		series("recommended", append(dashed(), color(colorRecommended))...),
		series("min", append(dashed(), color(gray))...),
		series("max", append(dashed(), color(gray))...),
	}
}

// rightAxis is for a second unit.
func rightAxis(unit string) []dashboard.DynamicConfigValue {
	return []dashboard.DynamicConfigValue{property("custom.axisPlacement", common.AxisPlacementRight), property("unit", unit), property("custom.fillOpacity", 0)}
}

func stacked() dashboard.DynamicConfigValue {
	return property("custom.stacking", common.StackingConfig{Mode: cog.ToPtr(common.StackingModeNormal), Group: cog.ToPtr("A")})
}

// stepped draws counts: they change at once.
func stepped() option {
	return matching(".*", property("custom.lineInterpolation", common.LineInterpolationStepAfter), property("custom.fillOpacity", 0), property("decimals", 0))
}

func limits(least, most float64) option {
	return func(p *dashboard.Panel) {
		p.FieldConfig.Defaults.Min, p.FieldConfig.Defaults.Max = &least, &most
	}
}

// still is a stat without the course behind it.
func still(p *dashboard.Panel) {
	p.Options.(*stat.Options).GraphMode = common.BigValueGraphModeNone
}

// link leads from a series or a row to what its labels name.
func link(title, url string) dashboard.DashboardLink {
	return dashboard.DashboardLink{Title: title, Type: dashboard.DashboardLinkTypeLink, Url: &url, Tags: []string{}}
}

// column is a table's: of a label, or of the query with that letter.
type column struct {
	of         string // a label; or "#A" for the value of query A
	name, unit string
	width      float64
	properties []dashboard.DynamicConfigValue
}

// columned joins the queries' answers by their labels and orders the columns.
func columned(columns []column) option {
	return func(p *dashboard.Panel) {
		index, names := map[string]any{}, map[string]any{}
		for i, c := range columns {
			field := c.of
			if c.of[0] == '#' {
				field = "Value " + c.of
				if len(p.Targets) == 1 {
					field = "Value"
				}
			}
			index[field], names[field] = i, c.name
			var properties []dashboard.DynamicConfigValue
			if c.unit != "" {
				properties = append(properties, property("unit", c.unit))
			}
			if c.width > 0 {
				properties = append(properties, property("custom.width", c.width))
			}
			if properties = append(properties, c.properties...); len(properties) > 0 {
				series(c.name, properties...)(p)
			}
		}
		p.Transformations = []dashboard.DataTransformerConfig{
			{Id: "merge", Options: map[string]any{}},
			{Id: "organize", Options: map[string]any{"excludeByName": map[string]any{"Time": true}, "indexByName": index, "renameByName": names}},
		}
	}
}

// shaded colors a table's cell by thresholds.
func shaded(base string, steps ...step) []dashboard.DynamicConfigValue {
	t := thresholds(steps)
	t.Steps[0].Color = base
	return []dashboard.DynamicConfigValue{
		property("thresholds", t), property("custom.cellOptions", map[string]any{"type": "color-background", "mode": "basic"}),
	}
}

func named(values []state) []dashboard.DynamicConfigValue {
	return []dashboard.DynamicConfigValue{
		property("mappings", []dashboard.ValueMapping{mapping(values)}), property("custom.cellOptions", map[string]any{"type": "color-text"}),
	}
}

// autoscalerURL is one autoscaler's dashboard, for the labels that the two expressions name.
func autoscalerURL(namespace, name string) string {
	return fmt.Sprintf("/d/%s?var-datasource=${datasource}&var-namespace=%s&var-autoscaler=%s&${__url_time_range}", uidAutoscaler, namespace, name)
}
