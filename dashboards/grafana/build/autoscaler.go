package build

import (
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// autoscaler is one autoscaler: its load against its target, the count that came of it, and which rule settled it.
func autoscaler() classic {
	const one = `namespace="$namespace", name="$autoscaler"`
	return frame{
		uid: uidAutoscaler, title: "flyball / Autoscaler",
		about: "One autoscaler: its load against its target, the count that came of it, and which rule settled it.",
		variables: []dashboard.VariableModel{
			values("namespace", "Namespace", "flyball_autoscaler_wanted_replicas", "namespace"),
			values("autoscaler", "Autoscaler", `flyball_autoscaler_wanted_replicas{namespace="$namespace"}`, "name"),
			many(values("source", "Source", "flyball_source_target{"+one+"}", "source")),
			pageVariable(),
		},
		annotations: decisions(one),
		links: []dashboard.DashboardLink{{
			Title: "Why? flyball's page", Type: dashboard.DashboardLinkTypeLink, Icon: "question", Tooltip: "The explanation of its decisions",
			Url: cog.ToPtr("${page}/autoscalers/${namespace}/${autoscaler}"), Tags: []string{}, TargetBlank: true,
		}},
	}.build(
		row{"", autoscalerNow(one)},
		row{"", []dashboard.Panel{autoscalerLoad(one), autoscalerReplicas(one)}},
		row{"", autoscalerStates(one)},
		row{"Why", autoscalerReasons(one)},
		row{"What it was decided from", autoscalerSignals(one)},
	)
}

func autoscalerNow(one string) []dashboard.Panel {
	number := func(title, about, unit, expr string, steps ...step) dashboard.Panel {
		return panel{title: title, about: about, unit: unit, w: 3, h: 4, queries: []query{{expr, title}}, steps: steps}.stat()
	}
	panicking := panel{
		title: "Panic", about: "Whether a rise has been seen in the panic window. While it lasts nothing is lowered.", unit: "none", w: 3, h: 4,
		queries: []query{{of("flyball_autoscaler_panic", one), "panic"}}, steps: []step{{1, orange}},
	}.stat(mapped([]state{{0, "no", green}, {1, "panic", orange}}))
	word := panel{
		title: "Last word", about: "The rule that settled the last decision's count.", unit: "none", w: 3, h: 4,
		queries: []query{{ruleNumbers(one), "rule"}},
	}.stat(mapped(ruleStates()), still)
	return []dashboard.Panel{
		number("Wanted", "Replicas that the last decision wants.", "short", of("flyball_autoscaler_wanted_replicas", one)),
		number("Ready", "Pods that are ready.", "short", of("flyball_autoscaler_ready_replicas", one)),
		number("Starting", "Pods that exist and are not ready yet.", "short", of("flyball_autoscaler_starting_replicas", one)),
		number("Short", "Replicas that the last decision did without, since no node or quota takes them.", "short", of("flyball_autoscaler_short_replicas", one), step{1, red}),
		number("Load", "Window value over what the ready pods carry at the target, of the source with the most. 100 % is on target.", "percentunit",
			"max("+loadOf("stable", one)+")", step{1.1, orange}, step{2, red}),
		panicking,
		number("Newest sample", "Age of the newest sample of the source that is worst off. Above three scrape intervals it is no longer used.", "s",
			"max("+sourceOf("flyball_source_newest_age_seconds", one)+")", step{6, orange}, step{30, red}),
		word,
	}
}

func autoscalerLoad(one string) dashboard.Panel {
	here := one + `, source=~"$source"`
	value := func(window string) string { return sourceOf("flyball_source_value", here+`, window="`+window+`"`) }
	return panel{
		title: "Load against target", about: "Both windows of each source, in its own unit, against what the ready pods carry at the target. Above the dashed line more pods are needed; the panic window shows a rise first.",
		unit: "short", w: 12, h: 11, queries: []query{
			{value("stable"), "{{source}} stable window"},
			{value("panic"), "{{source}} panic window"},
			{sourceOf("flyball_source_capacity", here), "{{source}} capacity at target"},
		},
	}.lines(
		matching("stable window", property("custom.lineWidth", 2)), matching("panic window", color(orange), property("custom.fillOpacity", 0)),
		matching("capacity at target", append(dashed(), color(colorRecommended), property("custom.lineInterpolation", "stepAfter"))...),
	)
}

func autoscalerReplicas(one string) dashboard.Panel {
	return panel{
		title: "Replicas", about: "What is wanted, what there is, and the bounds. Recommended is what the data ask for without delays and bounds.",
		unit: "short", w: 12, h: 11, queries: []query{
			{of("flyball_autoscaler_wanted_replicas", one), "wanted"},
			{of("flyball_autoscaler_ready_replicas", one), "ready"},
			{of("flyball_autoscaler_starting_replicas", one), "starting"},
			{of("flyball_autoscaler_recommended_replicas", one), "recommended"},
			{of("flyball_autoscaler_short_replicas", one), "short"},
			{of("flyball_autoscaler_min_replicas", one), "min"},
			{of("flyball_autoscaler_max_replicas", one), "max"},
		},
	}.lines(append(replicaColors(), stepped())...)
}

func autoscalerStates(one string) []dashboard.Panel {
	return []dashboard.Panel{
		panel{
			title: "The rule with the last word", about: "Which rule settled the count.", unit: "none", w: 24, h: 4,
			queries: []query{{ruleNumbers(one), "rule"}},
		}.states(ruleStates(), unlegended),
		panel{
			title: "Panic and pause", about: "While in panic nothing is lowered; while paused nothing is changed, or not in one direction.", unit: "none", w: 24, h: 4,
			queries: []query{{of("flyball_autoscaler_panic", one), "panic"}, {of("flyball_autoscaler_paused", one), "paused"}},
		}.states([]state{{0, "no", "transparent"}, {1, "yes", orange}}, unlegended),
	}
}

func autoscalerReasons(one string) []dashboard.Panel {
	meaning := map[string]dashboard.ValueMappingResult{}
	for i, v := range verdicts {
		meaning[string(v.rule)] = dashboard.ValueMappingResult{Text: cog.ToPtr(string(v.rule) + ": " + v.text), Color: cog.ToPtr(v.color), Index: cog.ToPtr(int32(i))}
	}
	words := property("mappings", []dashboard.ValueMapping{{ValueMap: &dashboard.ValueMap{Type: dashboard.MappingTypeValueToText, Options: meaning}}})
	times := "max by (rule) (count_over_time(flyball_autoscaler_binding_rule{" + one + "}[$__range]))"
	return []dashboard.Panel{
		panel{
			title: "Reasons", about: "How much of the time shown each rule had the last word. flyball's page has every decision's whole chain of rules, with its numbers.",
			unit: "percentunit", w: 12, h: 9, queries: []query{{times + " / scalar(sum(" + times + "))", "share"}},
		}.rows([]column{
			{of: "rule", name: "Rule", properties: []dashboard.DynamicConfigValue{words, property("custom.cellOptions", map[string]any{"type": "color-text"})}},
			{of: "#A", name: "Share of the time", width: 280, properties: []dashboard.DynamicConfigValue{
				property("min", 0), property("max", 1), property("custom.cellOptions", map[string]any{"type": "gauge", "mode": "basic"}),
			}},
		}, sortedBy("Share of the time")),
		panel{
			title: "What became of changes", about: "Decisions to change the count, by what became of them. Applied was written; NotLeader was left to the instance that writes.",
			unit: "short", w: 6, h: 9, queries: []query{{countsOf("flyball_decision_outcomes_total", one, "outcome"), "{{outcome}}"}},
		}.lines(barred()),
		panel{
			title: "Decisions", about: "Decisions by verdict. In mode Advise a change that nobody makes is decided at each turn.",
			unit: "short", w: 6, h: 9, queries: []query{{countsOf("flyball_decisions_total", one, "verdict"), "{{verdict}}"}},
		}.lines(barred(), series("ScaleUp", color(colorWanted)), series("ScaleDown", color(orange)), series("Hold", color(gray))),
	}
}

func autoscalerSignals(one string) []dashboard.Panel {
	here := one + `, source=~"$source"`
	return []dashboard.Panel{
		panel{
			title: "Load, by source", about: "Each source over what the ready pods carry at its target. The source with the most decides; 100 % is on target.",
			unit: "percentunit", w: 8, h: 8, queries: []query{{loadOf("stable", here), "{{source}}"}},
		}.lines(marked(step{1, colorRecommended})),
		panel{
			title: "Coverage", about: "Pods that reported over pods that should have, by source and window. Below 95 % nothing is lowered.",
			unit: "percentunit", w: 8, h: 8, queries: []query{{"min by (source, window) (flyball_source_coverage_ratio{" + here + "})", "{{source}} {{window}}"}},
		}.lines(limits(0, 1), marked(step{0.95, red})),
		panel{
			title: "Age of the newest sample", about: "By source. It rises in a line where an exporter has stopped.",
			unit: "s", w: 8, h: 8, queries: []query{{sourceOf("flyball_source_newest_age_seconds", here), "{{source}}"}},
		}.lines(),
	}
}
