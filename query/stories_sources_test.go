package query

// sourceStories are about sources: what an expression reads, and what its absence means.
var sourceStories = []story{
	{
		name: "a counter's rate survives its reset",
		src:  Source{Metric: "vllm:generation_tokens_total"},
		story: `
			flyball_pod_ready{pod="a"}: 1*11
			vllm:generation_tokens_total{pod="a"}: 0+10*6 0+10*5`,
		at: 10, rng: 10 * s,
		// In (0, 10]: 10..50 (+40), reset to 0 at 6 (+0), then up to 40 (+40): 80 in 9 s between first and last sample.
		// The window's edges: the last sample is on it, the first 1 s away, below 1.1 times the 1 s interval, and its
		// value of 10 allows 80/9 a second back to zero for 1.1 s; so 80*(10/9)/10 = 8.888…
		want: Window{Value: 80.0 / 9, State: Fresh, Coverage: 1, Expected: 1, Reporting: 1, MeanReady: 1},
	},
	{
		name: "both spellings at once count once, even when their label sets differ",
		src:  Source{Metric: "vllm:gpu_cache_usage_perc"},
		story: `
			flyball_pod_ready{pod="a"}: 1*11
			flyball_pod_ready{pod="b"}: 1*11
			vllm:kv_cache_usage_perc{pod="a",engine="0"}: 0.5*11
			vllm:gpu_cache_usage_perc{pod="a"}: 0.5*11
			vllm:gpu_cache_usage_perc{pod="b"}: 0.2*11`,
		at: 10, rng: 10 * s,
		want: Window{Value: 0.7, State: Fresh, Coverage: 1, Expected: 2, Reporting: 2, MeanReady: 2},
	},
	{
		name: "a ratio averages over a pod's engines before pods are summed",
		src:  Source{Metric: "vllm:kv_cache_usage_perc"},
		story: `
			flyball_pod_ready{pod="a"}: 1*11
			flyball_pod_ready{pod="b"}: 1*11
			vllm:kv_cache_usage_perc{pod="a",engine="0"}: 0.25*11
			vllm:kv_cache_usage_perc{pod="a",engine="1"}: 0.75*11
			vllm:kv_cache_usage_perc{pod="b",engine="0"}: 0.25*11`,
		at: 10, rng: 10 * s,
		want: Window{Value: 0.75, State: Fresh, Coverage: 1, Expected: 2, Reporting: 2, MeanReady: 2},
	},
	{
		name: "a quantile over the window is evaluated once, with the range put in",
		src:  Source{Query: `histogram_quantile(0.5, sum by (le) (rate(ttft_bucket[$window])))`},
		story: `
			flyball_pod_ready{pod="a"}: 1*11
			ttft_bucket{pod="a",le="1"}: 0+2*11
			ttft_bucket{pod="a",le="2"}: 0+8*11
			ttft_bucket{pod="a",le="+Inf"}: 0+8*11`,
		at: 10, rng: 10 * s,
		// Per second 2 in (0, 1] and 6 in (1, 2]; the median is the 4th of 8: 1 + (4-2)/6.
		want: Window{Value: 1 + 2.0/6, State: Fresh, Coverage: 1, Expected: 1, Reporting: 1, MeanReady: 1},
	},
	{
		name: "a label that comes into being later is no silence",
		src:  Source{Query: `sum(requests_total{reason="abort"})`},
		story: `
			flyball_pod_ready{pod="a"}: 1*11
			requests_total{pod="a",reason="stop"}: 5*11`,
		at: 10, rng: 10 * s,
		want: Window{State: Missing, Coverage: 1, Expected: 1, Reporting: 1, MeanReady: 1},
	},
	{
		name: "a constant does not stand in for data",
		src:  Source{Query: `sum(queue) or vector(0)`},
		story: `
			flyball_pod_ready{pod="a"}: 1*21
			queue{pod="a"}: 8*9`,
		at: 20, rng: 20 * s,
		// Second 1..13: 8. At 14..20 the expression says 0, which is not data.
		want: Window{
			Value: 8, State: Stale, NewestAge: 12 * s, Coverage: 13.0 / 20, Expected: 1,
			Silent: 1, SilentFor: 12 * s, MeanReady: 1,
		},
	},
	{
		name: "a constant does not stand in for a metric that never came",
		src:  Source{Query: `sum(rate(queue_total[$window])) or vector(0)`},
		story: `
			flyball_pod_ready{pod="a"}: 1*21`,
		at: 20, rng: 10 * s,
		want: Window{State: Missing, NewestAge: -1, Expected: 1, Silent: 1, SilentFor: 20 * s, MeanReady: 1},
	},
	{
		name: "every metric of a query must be there; the age is the worst one's",
		src:  Source{Query: `sum(busy) / sum(slots)`},
		story: `
			flyball_pod_ready{pod="a"}: 1*11
			busy{pod="a"}: 3*11
			slots{pod="a"}: 4*3`,
		at: 10, rng: 10 * s,
		// slots at 2 speaks through 7.
		want: Window{
			Value: 0.75, State: Stale, NewestAge: 8 * s, Coverage: 0.7, Expected: 1,
			Silent: 1, SilentFor: 8 * s, MeanReady: 1,
		},
	},
	{
		name: "or over pods: either metric will do, pod by pod",
		src:  Source{Query: `sum(new or old)`},
		story: `
			flyball_pod_ready{pod="a"}: 1*11
			flyball_pod_ready{pod="b"}: 1*11
			new{pod="a"}: 1*11
			old{pod="b"}: 2*11`,
		at: 10, rng: 10 * s,
		want: Window{Value: 3, State: Fresh, Coverage: 1, Expected: 2, Reporting: 2, MeanReady: 2},
	},
	{
		name: "or over sums: the sum taken lacks a pod, and says so",
		src:  Source{Query: `sum(new) or sum(old)`},
		story: `
			flyball_pod_ready{pod="a"}: 1*11
			flyball_pod_ready{pod="b"}: 1*11
			new{pod="a"}: 1*11
			old{pod="b"}: 2*11`,
		at: 10, rng: 10 * s,
		// NewestAge is of what the exporters deliver; b lacks new, for the 10 s that are stored.
		want: Window{
			Value: 1, State: Fresh, Coverage: 0.5, Expected: 2, Reporting: 1, Silent: 1, SilentFor: 10 * s, MeanReady: 2,
		},
	},
	{
		name: "a value that is not finite is none",
		src:  Source{Query: `sum(busy) / sum(slots)`},
		story: `
			flyball_pod_ready{pod="a"}: 1*11
			busy{pod="a"}: 3*11
			slots{pod="a"}: 0*6 3*5`,
		at: 10, rng: 10 * s,
		// 3/0 at 1..5, 1 at 6..10.
		want: Window{Value: 1, State: Fresh, Coverage: 1, Expected: 1, Reporting: 1, MeanReady: 1},
	},
	{
		name:  "an endpoint is expected always, and needs no readiness",
		src:   Source{Metric: "queue_depth"},
		owner: Owner{Namespace: "prod", AutoscalerUID: "a-1", Source: "s1"},
		story: `
			up{autoscaler_uid="a-1"}: 1*11
			queue_depth{autoscaler_uid="a-1",queue="x"}: 2*11
			queue_depth{autoscaler_uid="a-1",queue="y"}: 5*11
			queue_depth{autoscaler_uid="a-2",queue="x"}: 100*11
			queue_depth{autoscaler_uid="a-1",source="s2"}: 1000*11`,
		at: 10, rng: 10 * s,
		want: Window{Value: 7, State: Fresh, Coverage: 1, Expected: 1, Reporting: 1, Answering: 1},
	},
	{
		name:  "an endpoint may speak of pods: it is one endpoint all the same",
		src:   Source{Metric: "queue_depth"},
		owner: Owner{Namespace: "prod", AutoscalerUID: "a-1", Source: "s1"},
		story: `
			up{autoscaler_uid="a-1"}: 1*11
			queue_depth{autoscaler_uid="a-1",pod_uid="u1"}: 2*11
			queue_depth{autoscaler_uid="a-1",pod_uid="u2"}: 5*11`,
		at: 10, rng: 10 * s,
		want: Window{Value: 7, State: Fresh, Coverage: 1, Expected: 1, Reporting: 1, Answering: 1},
	},
	{
		name:  "an endpoint that stops: stale and silent, never without pods",
		src:   Source{Metric: "queue_depth"},
		owner: Owner{Namespace: "prod", AutoscalerUID: "a-1", Source: "s1"},
		story: `
			up{autoscaler_uid="a-1"}: 1*5 0*36
			queue_depth{autoscaler_uid="a-1"}: 2*5`,
		at: 40, rng: 20 * s,
		want: Window{State: Missing, NewestAge: 36 * s, Expected: 1, Silent: 1, SilentFor: 36 * s},
	},
	{
		name:  "an endpoint that answers without the metric is silent since it was first scraped",
		src:   Source{Metric: "queue_depth"},
		owner: Owner{Namespace: "prod", AutoscalerUID: "a-1", Source: "s1"},
		story: `up{autoscaler_uid="a-1"}: _*20 1*21`,
		at:    40, rng: 10 * s,
		want: Window{State: Missing, NewestAge: -1, Expected: 1, Answering: 1, Silent: 1, SilentFor: 20 * s},
	},
	{
		name:  "an endpoint that was first scraped within the lookback is given time",
		src:   Source{Metric: "queue_depth"},
		owner: Owner{Namespace: "prod", AutoscalerUID: "a-1", Source: "s1"},
		story: `up{autoscaler_uid="a-1"}: _*34 1*7`,
		at:    40, rng: 10 * s,
		want: Window{State: Missing, NewestAge: -1, Expected: 1, Answering: 1},
	},
	{
		name:  "an endpoint that was never scraped is missing, and not yet silent",
		src:   Source{Metric: "queue_depth"},
		owner: Owner{Namespace: "prod", AutoscalerUID: "a-9", Source: "s1"},
		story: `up{autoscaler_uid="a-1"}: 1*5`,
		at:    40, rng: 20 * s,
		want: Window{State: Missing, NewestAge: -1, Expected: 1},
	},
}
