package build

import "github.com/grafana/grafana-foundation-sdk/go/dashboard"

// fleet is all autoscalers at a glance: what needs a look first, then what became of the replicas, then what they cost.
func fleet() classic {
	const some = `namespace=~"$namespace"`
	return frame{
		uid: uidFleet, title: "flyball / Fleet",
		about:     "Every autoscaler: what is wrong now, what was decided, and what the replicas come to.",
		variables: []dashboard.VariableModel{many(values("namespace", "Namespace", "flyball_autoscaler_wanted_replicas", "namespace"))},
		// Hundreds of marks say nothing: the marks of a fleet are off until somebody wants them.
		annotations: switchedOff(decisions(some)),
	}.build(
		row{"", fleetNow(some)},
		row{"", []dashboard.Panel{fleetTable(some)}},
		row{"Replicas", fleetReplicas(some)},
		row{"Decisions", fleetDecisions(some)},
		row{"Cost and capacity", fleetCapacity(some)},
	)
}

func switchedOff(all []dashboard.AnnotationQuery) []dashboard.AnnotationQuery {
	for i := range all {
		all[i].Enable = false
	}
	return all
}

func fleetNow(some string) []dashboard.Panel {
	number := func(title, about, expr string, steps ...step) dashboard.Panel {
		return panel{title: title, about: about, unit: "short", w: 3, h: 4, queries: []query{{expr, title}}, steps: steps}.stat()
	}
	atMost := "(" + of("flyball_autoscaler_recommended_replicas", some) + " > " + of("flyball_autoscaler_max_replicas", some) + ")"
	blind := "(" + of("flyball_autoscaler_ready_replicas", some) + ` > 0) unless on (namespace, name) flyball_source_value{` + some + `, window="stable"}`
	return []dashboard.Panel{
		number("Autoscalers", "Autoscalers that are decided for.", "count("+of("flyball_autoscaler_wanted_replicas", some)+")"),
		number("Replicas ready", "Pods that are ready, over the whole fleet.", "sum("+of("flyball_autoscaler_ready_replicas", some)+")"),
		number("Replicas wanted", "Replicas that the last decisions want.", "sum("+of("flyball_autoscaler_wanted_replicas", some)+")"),
		number("Starting", "Pods that exist and are not ready yet.", "sum("+of("flyball_autoscaler_starting_replicas", some)+")"),
		number("Short of capacity", "Replicas that decisions did without, since no node or quota takes them. Anything above zero is load that is not served.",
			"sum("+of("flyball_autoscaler_short_replicas", some)+")", step{1, red}),
		number("At their maximum", "Autoscalers whose load asks for more than their greatest count, by spec or schedule.", or0("count("+atMost+")"), step{1, orange}),
		number("In panic", "Autoscalers in panic: the load has risen faster than the stable window shows.", "sum("+of("flyball_autoscaler_panic", some)+")", step{1, orange}),
		number("Without data", "Autoscalers with ready pods and without any usable source. Their counts are held.", or0("count("+blind+")"), step{1, red}),
	}
}

func fleetTable(some string) dashboard.Panel {
	panicking := []state{{0, "", gray}, {1, "panic", orange}}
	return panel{
		title: "Autoscalers", about: "Where each autoscaler stands. A click on a name leads to its dashboard. Load is that of the source with the most, on the pods that are ready; 100 % is on target.",
		unit: "none", w: 24, h: 10, queries: []query{
			{of("flyball_autoscaler_replicas", some), "Replicas"},
			{of("flyball_autoscaler_wanted_replicas", some), "Wanted"},
			{of("flyball_autoscaler_ready_replicas", some), "Ready"},
			{of("flyball_autoscaler_starting_replicas", some), "Starting"},
			{of("flyball_autoscaler_short_replicas", some), "Short"},
			{of("flyball_autoscaler_min_replicas", some), "Min"},
			{of("flyball_autoscaler_max_replicas", some), "Max"},
			{"max by (namespace, name) (" + loadOf("stable", some) + ")", "Load"},
			{`min by (namespace, name) (flyball_source_coverage_ratio{` + some + `, window="stable"})`, "Coverage"},
			{of("flyball_autoscaler_panic", some), "Panic"},
			{ruleNumbers(some), "Last word"},
		},
	}.rows([]column{
		{of: "namespace", name: "Namespace"},
		{of: "name", name: "Autoscaler", properties: []dashboard.DynamicConfigValue{
			property("links", []dashboard.DashboardLink{link("Show ${__value.text}", autoscalerURL("${__data.fields.Namespace}", "${__value.text}"))}),
		}},
		{of: "#A", name: "Replicas"},
		{of: "#B", name: "Wanted"},
		{of: "#C", name: "Ready"},
		{of: "#D", name: "Starting"},
		{of: "#E", name: "Short", properties: shaded("transparent", step{1, red})},
		{of: "#F", name: "Min"},
		{of: "#G", name: "Max"},
		{of: "#H", name: "Load", unit: "percentunit", properties: shaded("transparent", step{1.1, orange}, step{2, red})},
		{of: "#I", name: "Coverage", unit: "percentunit", properties: shaded(red, step{0.95, "transparent"})},
		{of: "#J", name: "Panic", properties: named(panicking)},
		{of: "#K", name: "Last word", properties: named(ruleStates())},
	}, sortedBy("Load"))
}

func fleetReplicas(some string) []dashboard.Panel {
	sum := func(metric string) string { return "sum(" + of(metric, some) + ")" }
	return []dashboard.Panel{
		panel{
			title: "The fleet's replicas", about: "What there is, what is wanted, and what the data would ask for without delays and bounds. A lasting gap between wanted and ready is a slow start or a full cluster.",
			unit: "short", w: 12, h: 9, queries: []query{
				{sum("flyball_autoscaler_wanted_replicas"), "wanted"},
				{sum("flyball_autoscaler_ready_replicas"), "ready"},
				{sum("flyball_autoscaler_starting_replicas"), "starting"},
				{sum("flyball_autoscaler_recommended_replicas"), "recommended"},
				{sum("flyball_autoscaler_short_replicas"), "short"},
			},
		}.lines(append(replicaColors(), stepped())...),
		panel{
			title: "Wanted, by autoscaler", about: "The fleet's replicas, one upon the other.", unit: "short", w: 12, h: 9,
			queries: []query{{of("flyball_autoscaler_wanted_replicas", some), "{{namespace}}/{{name}}"}},
		}.lines(stepped(), matching(".*", stacked(), property("custom.fillOpacity", 40))),
		panel{
			title: "Load, by autoscaler", about: "Window value over what the ready pods carry at the target, of the source with the most. 100 % is on target; what stays above is not scaled for.",
			unit: "percentunit", w: 12, h: 9, queries: []query{{"max by (namespace, name) (" + loadOf("stable", some) + ")", "{{namespace}}/{{name}}"}},
		}.lines(marked(step{1, colorRecommended})),
		panel{
			title: "The rule with the last word", about: "Which rule settled each autoscaler's count. Green and blue are the load's doing; orange is a limit that people set, red one that the cluster sets, purple missing data.",
			unit: "none", w: 12, h: 9, queries: []query{{ruleNumbers(some), "{{namespace}}/{{name}}"}},
		}.states(ruleStates(), unlegended),
	}
}

func fleetDecisions(some string) []dashboard.Panel {
	return []dashboard.Panel{
		panel{
			title: "Changes", about: "Decisions to change a count, by what became of them. Applied was written; NotLeader was left to the instance that writes.",
			unit: "short", w: 8, h: 8, queries: []query{{"sum by (outcome) (" + countsOf("flyball_decision_outcomes_total", some, "namespace, name, outcome") + ")", "{{outcome}}"}},
		}.lines(barred()),
		panel{
			title: "To and fro", about: "Writes in the other direction than the one before. Many of them mean that the delay is too short or the target too near the load's own noise.",
			unit: "short", w: 8, h: 8, queries: []query{{countsOf("flyball_autoscaler_reversals_total", some, "namespace, name"), "{{namespace}}/{{name}}"}},
		}.lines(barred()),
		panel{
			title: "Turns that failed", about: "Turns without a decision, or with one that could not be acted on. flyball's log has the error.",
			unit: "short", w: 8, h: 8, queries: []query{{countsOf("flyball_decision_failures_total", some, "namespace, name"), "{{namespace}}/{{name}}"}},
		}.lines(barred()),
	}
}

func fleetCapacity(some string) []dashboard.Panel {
	// A minute's grid: hours of pods that were not there for the whole time are counted right.
	hours := func(metric string) string {
		return "sum_over_time(" + of(metric, some) + "[$__range:1m]) / 60"
	}
	return []dashboard.Panel{
		panel{
			title: "Replica-hours", about: "Hours of replicas within the time shown, by autoscaler; times the GPUs of a replica they are GPU-hours.",
			unit: "h", w: 8, h: 9, queries: []query{{"sort_desc(" + hours("flyball_autoscaler_replicas") + ")", "{{namespace}}/{{name}}"}},
		}.bars(instant),
		panel{
			title: "Saved", about: "Hours of replicas that were not run, against running at the greatest count all the time.",
			unit: "h", w: 4, h: 9, queries: []query{{"sum(" + hours("flyball_autoscaler_max_replicas") + ") - sum(" + hours("flyball_autoscaler_replicas") + ")", "saved"}},
		}.stat(instant, still),
		panel{
			title: "Short of capacity, by autoscaler", about: "Replicas that decisions did without, since pods are unschedulable or a quota is used up: what to order, and for whom.",
			unit: "short", w: 6, h: 9, queries: []query{{of("flyball_autoscaler_short_replicas", some), "{{namespace}}/{{name}}"}},
		}.lines(stepped()),
		panel{
			title: "GPUs of the cluster", about: "GPUs that pods may have, and those that pods request, by model. Only where flyball may list nodes.",
			unit: "short", w: 6, h: 9, queries: []query{
				{"max by (model) (flyball_gpus_allocatable)", "{{model}} allocatable"}, {"max by (model) (flyball_gpus_requested)", "{{model}} requested"},
			},
		}.lines(stepped(), matching("allocatable", dashed()...)),
	}
}
