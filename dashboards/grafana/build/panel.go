package build

import (
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/bargauge"
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/heatmap"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
	"github.com/grafana/grafana-foundation-sdk/go/stat"
	"github.com/grafana/grafana-foundation-sdk/go/statetimeline"
	"github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// panel is what panels of every kind have.
type panel struct {
	title   string
	about   string // what it shows and what to make of it; the metrics are added
	unit    string
	w, h    uint32
	queries []query
	steps   []step // thresholds; none: green
}

// query is one query of a panel; legend names its series, or its column in a table.
type query struct{ expr, legend string }

// step is a threshold: this color from this value on.
type step struct {
	from  float64
	color string
}

// option is the last word on a panel.
type option func(*dashboard.Panel)

var source = common.DataSourceRef{Type: cog.ToPtr("prometheus"), Uid: cog.ToPtr("${datasource}")}

// build fills in what the kinds share.
func (p panel) build(kind string, options any, custom any, with []option) dashboard.Panel {
	var exprs []string
	for _, q := range p.queries {
		exprs = append(exprs, q.expr)
	}
	out := dashboard.Panel{
		Type: kind, Title: &p.title, Datasource: &source, Options: options,
		Description: cog.ToPtr(p.about + " " + metricsLine(exprs)),
		GridPos:     &dashboard.GridPos{W: p.w, H: p.h},
		FieldConfig: &dashboard.FieldConfigSource{Overrides: []dashboard.DashboardFieldConfigSourceOverrides{}, Defaults: dashboard.FieldConfig{
			Unit: &p.unit, NoValue: cog.ToPtr("No data"), Thresholds: thresholds(p.steps), Custom: custom,
			Mappings: []dashboard.ValueMapping{special(dashboard.SpecialValueMatchNaN, "No traffic")},
			Color:    &dashboard.FieldColor{Mode: dashboard.FieldColorModeIdThresholds},
		}},
	}
	for i, q := range p.queries {
		out.Targets = append(out.Targets, prometheus.Dataquery{
			RefId: cog.ToPtr(string(rune('A' + i))), Expr: q.expr, LegendFormat: &q.legend, Datasource: &source,
			Range: cog.ToPtr(true), EditorMode: cog.ToPtr(prometheus.QueryEditorModeCode),
		})
	}
	for _, do := range with {
		do(&out)
	}
	return out
}

// metricsLine names what the expressions read.
func metricsLine(exprs []string) string {
	names := metricsOf(exprs...)
	for i := range names {
		names[i] = "`" + names[i] + "`"
	}
	if len(names) == 1 {
		return "Metric: " + names[0] + "."
	}
	return "Metrics: " + strings.Join(names, ", ") + "."
}

func thresholds(steps []step) *dashboard.ThresholdsConfig {
	out := &dashboard.ThresholdsConfig{Mode: dashboard.ThresholdsModeAbsolute, Steps: []dashboard.Threshold{{Color: green}}}
	for _, s := range steps {
		out.Steps = append(out.Steps, dashboard.Threshold{Value: &s.from, Color: s.color})
	}
	return out
}

// last reduces a series to its last value.
var last = common.ReduceDataOptions{Calcs: []string{"lastNotNull"}, Values: cog.ToPtr(false), Fields: cog.ToPtr("")}

// stat is one number, with its course behind it.
func (p panel) stat(with ...option) dashboard.Panel {
	return p.build("stat", &stat.Options{
		GraphMode: common.BigValueGraphModeArea, ColorMode: common.BigValueColorModeValue, JustifyMode: common.BigValueJustifyModeAuto,
		TextMode: common.BigValueTextModeValue, ReduceOptions: last, Orientation: common.VizOrientationAuto, WideLayout: true,
		PercentChangeColorMode: common.PercentChangeColorModeStandard,
	}, nil, with)
}

// lines are values over time.
func (p panel) lines(with ...option) dashboard.Panel {
	custom := &timeseries.FieldConfig{
		DrawStyle: cog.ToPtr(common.GraphDrawStyleLine), LineWidth: cog.ToPtr(1.0), FillOpacity: cog.ToPtr(8.0),
		ShowPoints: cog.ToPtr(common.VisibilityModeNever), LineInterpolation: cog.ToPtr(common.LineInterpolationLinear), AxisSoftMin: cog.ToPtr(0.0),
	}
	return p.build("timeseries", &timeseries.Options{
		Legend: legend(), Tooltip: common.VizTooltipOptions{Mode: common.TooltipDisplayModeMulti, Sort: common.SortOrderDescending},
	}, custom, append([]option{byName}, with...))
}

func legend() common.VizLegendOptions {
	return common.VizLegendOptions{
		DisplayMode: common.LegendDisplayModeTable, Placement: common.LegendPlacementBottom, ShowLegend: true, Calcs: []string{"lastNotNull", "max"},
	}
}

// byName gives a series the same color wherever it is drawn.
func byName(p *dashboard.Panel) {
	p.FieldConfig.Defaults.Color.Mode = dashboard.FieldColorModeIdPaletteClassicByName
}

// states are numbers over time that stand for states.
func (p panel) states(values []state, with ...option) dashboard.Panel {
	custom := &statetimeline.FieldConfig{FillOpacity: cog.ToPtr(uint32(80)), LineWidth: cog.ToPtr(uint32(0))}
	return p.build("state-timeline", &statetimeline.Options{
		ShowValue: common.VisibilityModeAuto, RowHeight: 0.85, MergeValues: cog.ToPtr(true), AlignValue: cog.ToPtr(common.TimelineValueAlignmentLeft),
		Legend:  common.VizLegendOptions{DisplayMode: common.LegendDisplayModeList, Placement: common.LegendPlacementBottom, ShowLegend: true, Calcs: []string{}},
		Tooltip: common.VizTooltipOptions{Mode: common.TooltipDisplayModeSingle, Sort: common.SortOrderNone},
	}, custom, append([]option{mapped(values)}, with...))
}

// bars compare the series' last values.
func (p panel) bars(with ...option) dashboard.Panel {
	return p.build("bargauge", &bargauge.Options{
		DisplayMode: common.BarGaugeDisplayModeBasic, ValueMode: common.BarGaugeValueModeText, NamePlacement: common.BarGaugeNamePlacementAuto,
		Sizing: common.BarGaugeSizingAuto, MinVizWidth: 8, MinVizHeight: 16, MaxVizHeight: 300, ReduceOptions: last,
		Orientation: common.VizOrientationHorizontal, ShowUnfilled: true,
		Legend: common.VizLegendOptions{DisplayMode: common.LegendDisplayModeList, Placement: common.LegendPlacementBottom, Calcs: []string{}},
	}, nil, with)
}

// heat is how many observations fell into each bucket of a histogram.
func (p panel) heat(with ...option) dashboard.Panel {
	out := p.build("heatmap", &heatmap.Options{
		Calculate: cog.ToPtr(false), CellGap: cog.ToPtr(uint8(1)), ShowValue: common.VisibilityModeNever,
		Color:   heatmap.HeatmapColorOptions{Mode: cog.ToPtr(heatmap.HeatmapColorModeScheme), Scheme: "Oranges", Fill: "dark-orange", Exponent: 0.5, Steps: 64},
		YAxis:   heatmap.YAxisConfig{Unit: &p.unit, AxisPlacement: cog.ToPtr(common.AxisPlacementLeft)},
		Legend:  heatmap.HeatmapLegend{Show: true},
		Tooltip: heatmap.HeatmapTooltip{Mode: common.TooltipDisplayModeSingle, YHistogram: cog.ToPtr(true)},
	}, &heatmap.FieldConfig{}, with)
	format(&out, prometheus.PromQueryFormatHeatmap, false)
	return out
}

// rows are the last values of several queries, joined by the labels that they have in common: a query's legend is its column.
func (p panel) rows(columns []column, with ...option) dashboard.Panel {
	out := p.build("table", &table.Options{ShowHeader: true, CellHeight: cog.ToPtr(common.TableCellHeightSm)}, nil, append([]option{columned(columns)}, with...))
	format(&out, prometheus.PromQueryFormatTable, true)
	return out
}

// format sets how the answers are laid out, and whether they are of one instant.
func format(p *dashboard.Panel, as prometheus.PromQueryFormat, instant bool) {
	for i, t := range p.Targets {
		q := t.(prometheus.Dataquery) // build makes no others
		q.Format, q.Range, q.Instant = &as, cog.ToPtr(!instant), &instant
		p.Targets[i] = q
	}
}
