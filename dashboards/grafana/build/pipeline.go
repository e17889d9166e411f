package build

import "github.com/grafana/grafana-foundation-sdk/go/dashboard"

// samples is the unit of a rate of samples.
const samples = "count:samples/s"

// pipeline is flyball itself, stage by stage: scrape, ingest, query, decide, act.
func pipeline() classic {
	const job = `job=~"$job"`
	return frame{
		uid: uidPipeline, title: "flyball / Pipeline",
		about: "flyball itself: how long scraping, storing, querying, deciding and acting take, and how whole the data are.",
		variables: []dashboard.VariableModel{
			many(values("job", "Job", "flyball_build_info", "job")),
			many(values("namespace", "Namespace", `flyball_autoscaler_wanted_replicas{`+job+`}`, "namespace")),
		},
	}.build(
		row{"", pipelineNow(job)},
		row{"Scrape", pipelineScrape(job)},
		row{"Ingest", pipelineIngest(job)},
		row{"Query, decide, act", pipelineDecide(job)},
		row{"Coverage", pipelineCoverage(job + `, namespace=~"$namespace"`)},
	)
}

func pipelineNow(job string) []dashboard.Panel {
	number := func(title, about, unit, expr string, steps ...step) dashboard.Panel {
		return panel{title: title, about: about, unit: unit, w: 3, h: 4, queries: []query{{expr, title}}, steps: steps}.stat()
	}
	failed := "sum(" + rate("flyball_scrapes_total", job+`, result!="success"`) + ") / sum(" + rate("flyball_scrapes_total", job) + ")"
	return []dashboard.Panel{
		number("Decision delay, p99", "From the time that a decision is for until it was journalled and acted on. A tick is 2 s; a decision later than that is acted on too late.", "s",
			quantile("0.99", rate("flyball_decision_delay_seconds_bucket", job), ""), step{1, orange}, step{2, red}),
		number("Decisions", "Decisions a second, over all autoscalers and instances.", "ops", "sum("+rate("flyball_decisions_total", job)+")"),
		number("Turns that failed", "Turns a second without a decision, or with one that could not be acted on.", "ops", or0("sum("+rate("flyball_decision_failures_total", job)+")"), step{0.001, red}),
		number("Samples", "Samples stored a second.", samples, "sum("+rate("flyball_scrape_samples_sum", job)+")"),
		number("Endpoints", "Pages that are scraped.", "short", "sum(max by (role) (flyball_scrape_endpoints{"+job+"}))"),
		number("Scrapes that failed", "Share of scrapes whose page was not stored.", "percentunit", failed, step{0.01, orange}, step{0.05, red}),
		panel{
			title: "Instances", about: "Instances of flyball that are scraped. In flyball's own store there is one: itself.", unit: "short", w: 3, h: 4,
			queries: []query{{"count(flyball_build_info{" + job + "})", "{{version}}"}},
		}.stat(still),
		panel{
			title: "Leader", about: "Instances that hold the Lease and write. It is one, or none while the Lease changes hands. Without a Lease, as in the demo, there is no such metric.", unit: "short", w: 3, h: 4,
			queries: []query{{"sum(flyball_leader{" + job + "})", "leaders"}}, steps: []step{{0, red}, {1, green}, {2, red}},
		}.stat(),
	}
}

// percentiles are those of a histogram, as three queries.
func percentiles(rates string) []query {
	return []query{{quantile("0.5", rates, ""), "p50"}, {quantile("0.95", rates, ""), "p95"}, {quantile("0.99", rates, ""), "p99"}}
}

func percentileColors() []option {
	return []option{series("p50", color("blue")), series("p95", color("orange")), series("p99", color("red"))}
}

func pipelineScrape(job string) []dashboard.Panel {
	return []dashboard.Panel{
		panel{
			title: "Scrape latency", about: "From the request to the stored page. A scrape fails after eight tenths of its interval.",
			unit: "s", w: 8, h: 8, queries: percentiles(rate("flyball_scrape_duration_seconds_bucket", job)),
		}.lines(percentileColors()...),
		panel{
			title: "Scrapes, by result", about: "Scrapes a second: success, or why the page was not stored.",
			unit: "ops", w: 8, h: 8, queries: []query{{"sum by (result) (" + rate("flyball_scrapes_total", job) + ")", "{{result}}"}},
		}.lines(series("success", color(green))),
		panel{
			title: "Endpoints, by role", about: "Pods' exporters, nodes' GPU exporters, and the endpoints of autoscalers' own sources.",
			unit: "short", w: 8, h: 8, queries: []query{{"max by (role) (flyball_scrape_endpoints{" + job + "})", "{{role}}"}},
		}.lines(stepped()),
	}
}

func pipelineIngest(job string) []dashboard.Panel {
	perPage := func(metric string) string {
		return "sum(" + rate(metric+"_sum", job) + ") / sum(" + rate(metric+"_count", job) + ")"
	}
	return []dashboard.Panel{
		panel{
			title: "Append latency", about: "Time to store the samples of one page. It rises when the disk is slow.",
			unit: "s", w: 8, h: 8, queries: percentiles(rate("flyball_store_append_seconds_bucket", job)),
		}.lines(percentileColors()...),
		panel{
			title: "Samples", about: "Samples stored a second, and those dropped because their series was on the page already.",
			unit: samples, w: 8, h: 8, queries: []query{
				{"sum(" + rate("flyball_scrape_samples_sum", job) + ")", "stored"}, {"sum(" + rate("flyball_scrape_duplicate_samples_total", job) + ")", "duplicates"},
			},
		}.lines(series("duplicates", color(red))),
		panel{
			title: "Pages", about: "Samples kept of a page on average, and the size of a page: what an exporter sends, and the part of it that is used.",
			unit: "short", w: 8, h: 8, queries: []query{{perPage("flyball_scrape_samples"), "samples kept"}, {perPage("flyball_scrape_body_bytes"), "size"}},
		}.lines(series("size", rightAxis("bytes")...)),
	}
}

func pipelineDecide(job string) []dashboard.Panel {
	stages := rate("flyball_decision_stage_seconds_bucket", job)
	return []dashboard.Panel{
		panel{
			title: "Decision latency by stage, p99", about: "What a turn does, in order: scale reads the target, windows queries the sources, history reads the journal, decide, journal writes the decision down, act writes the count, outcome writes down what came of it.",
			unit: "s", w: 12, h: 9, queries: []query{{quantile("0.99", stages, "stage"), "{{stage}}"}},
		}.lines(logarithmic),
		panel{
			title: "Decision latency by stage, median", about: "The same for the turn in the middle.",
			unit: "s", w: 12, h: 9, queries: []query{{quantile("0.5", stages, "stage"), "{{stage}}"}},
		}.lines(logarithmic),
		panel{
			title: "Time in each stage", about: "Seconds that turns spent in each stage, a second: where the time goes. Turns run side by side, so it may exceed 1.",
			unit: "s", w: 8, h: 9, queries: []query{{"sum by (stage) (" + rate("flyball_decision_stage_seconds_sum", job) + ")", "{{stage}}"}},
		}.lines(matching(".*", stacked(), property("custom.fillOpacity", 40))),
		panel{
			title: "Decision delay", about: "From the time that a decision is for until it was journalled and acted on.",
			unit: "s", w: 8, h: 9, queries: percentiles(rate("flyball_decision_delay_seconds_bucket", job)),
		}.lines(percentileColors()...),
		panel{
			title: "Decision delay, all of it", about: "How many decisions came how late.", unit: "s", w: 8, h: 9,
			queries: []query{{"sum by (le) (increase(flyball_decision_delay_seconds_bucket{" + job + "}[$__rate_interval]))", "{{le}}"}},
		}.heat(),
	}
}

func pipelineCoverage(some string) []dashboard.Panel {
	const who = "{{namespace}}/{{name}}"
	return []dashboard.Panel{
		panel{
			title: "Coverage, the worst source", about: "Pods that reported over pods that should have, of the source of each autoscaler that is worst off. Below 95 % nothing is lowered.",
			unit: "percentunit", w: 12, h: 9, queries: []query{{"min by (namespace, name) (flyball_source_coverage_ratio{" + some + `, window="stable"})`, who}},
		}.lines(limits(0, 1), marked(step{0.95, red})),
		panel{
			title: "Age of the newest sample", about: "Of the source of each autoscaler that is worst off. It is the part of the reaction time that scraping takes.",
			unit: "s", w: 12, h: 9, queries: []query{{"max by (namespace, name) (flyball_source_newest_age_seconds{" + some + "})", who}},
		}.lines(),
	}
}
