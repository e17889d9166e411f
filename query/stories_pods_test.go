package query

import "time"

const s = time.Second

// story is what happened, and the window that must come of it. Samples are 1 s apart unless it says otherwise, the lookback is
// 6 s, the grid is the whole seconds in (at-range, at].
type story struct {
	name  string
	story string
	every time.Duration
	src   Source // vllm:num_requests_waiting when empty
	owner Owner  // chat when empty
	at    float64
	rng   time.Duration
	want  Window
}

// podStories are about pods: who is expected, who reports, what a window makes of it.
var podStories = []story{
	{
		name: "a pod that joins counts for the seconds it was there",
		story: `
			flyball_pod_ready{pod="a"}: 1*11
			flyball_pod_ready{pod="b"}: _*6 1*5
			up{pod="a"}: 1*11
			up{pod="b"}: _*6 1*5
			vllm:num_requests_waiting{pod="a"}: 4*11
			vllm:num_requests_waiting{pod="b"}: _*6 10*5`,
		at: 10, rng: 10 * s,
		// seconds 1..5: 4; seconds 6..10: 14; (5*4 + 5*14)/10 = 9. Expected 10 + 5 of 10 known points.
		want: Window{Value: 9, State: Fresh, Coverage: 1, Expected: 2, Reporting: 2, Answering: 2, MeanReady: 1.5},
	},
	{
		name: "a pod that leaves with a stale marker counts until then",
		story: `
			flyball_pod_ready{pod="a"}: 1*11
			flyball_pod_ready{pod="b"}: 1*6 x
			up{pod="a"}: 1*11
			up{pod="b"}: 1*6 x
			vllm:num_requests_waiting{pod="a"}: 4*11
			vllm:num_requests_waiting{pod="b"}: 10*6 x`,
		at: 10, rng: 10 * s,
		want: Window{Value: 9, State: Fresh, Coverage: 1, Expected: 1, Reporting: 1, Answering: 1, MeanReady: 1.5},
	},
	{
		name: "a pod that is scraped but not ready adds its value, and is not expected",
		story: `
			flyball_pod_ready{pod="a"}: 1*11
			flyball_pod_ready{pod="b"}: 0*11
			vllm:num_requests_waiting{pod="a"}: 4*11
			vllm:num_requests_waiting{pod="b"}: 1*11`,
		at: 10, rng: 10 * s,
		want: Window{Value: 5, State: Fresh, Coverage: 1, Expected: 1, Reporting: 1, MeanReady: 1},
	},
	{
		name: "one of two pods falls silent",
		story: `
			flyball_pod_ready{pod="a"}: 1*21
			flyball_pod_ready{pod="b"}: 1*21
			up{pod="a"}: 1*21
			up{pod="b"}: 1*9 0*12
			vllm:num_requests_waiting{pod="a"}: 4*21
			vllm:num_requests_waiting{pod="b"}: 10*9`,
		at: 20, rng: 20 * s,
		// b's last sample, at 8, speaks through 13. Seconds 1..13: 14; 14..20: 4; (13*14 + 7*4)/20 = 10.5.
		// Reporting 20 + 13 of 40 expected.
		want: Window{
			Value: 10.5, State: Fresh, Coverage: 33.0 / 40, Expected: 2, Reporting: 1, Answering: 1,
			Silent: 1, SilentFor: 12 * s, MeanReady: 2,
		},
	},
	{
		name: "all pods fall silent: the average is of what was there, and it is stale",
		story: `
			flyball_pod_ready{pod="a"}: 1*21
			vllm:num_requests_waiting{pod="a"}: 4*9`,
		at: 20, rng: 20 * s,
		want: Window{
			Value: 4, State: Stale, NewestAge: 12 * s, Coverage: 13.0 / 20, Expected: 1,
			Silent: 1, SilentFor: 12 * s, MeanReady: 1,
		},
	},
	{
		name: "silent for longer than the window: missing, and known since when",
		story: `
			flyball_pod_ready{pod="a"}: 1*41
			vllm:num_requests_waiting{pod="a"}: 4*9`,
		at: 40, rng: 10 * s,
		want: Window{
			State: Missing, NewestAge: 32 * s, Coverage: 0, Expected: 1,
			Silent: 1, SilentFor: 32 * s, MeanReady: 1,
		},
	},
	{
		name: "a metric that never came: silent since the pod was ready",
		story: `
			flyball_pod_ready{pod="a"}: 0*10 1*31
			up{pod="a"}: 1*41`,
		at: 40, rng: 10 * s,
		want: Window{
			State: Missing, NewestAge: -1, Expected: 1, Answering: 1,
			Silent: 1, SilentFor: 30 * s, MeanReady: 1,
		},
	},
	{
		name: "a pod ready for just the lookback is given time",
		story: `
			flyball_pod_ready{pod="a"}: 1*21
			flyball_pod_ready{pod="b"}: _*14 1*7
			vllm:num_requests_waiting{pod="a"}: 4*21`,
		at: 20, rng: 10 * s,
		// b is expected at 14..20 (7 points) and reports at none: 10 of 17.
		want: Window{Value: 4, State: Fresh, Coverage: 10.0 / 17, Expected: 2, Reporting: 1, MeanReady: 1.7},
	},
	{
		name: "nothing is expected",
		story: `
			flyball_pod_ready{pod="a"}: 0*11
			vllm:num_requests_waiting{pod="a"}: 3*11`,
		at: 10, rng: 10 * s,
		want: Window{State: NoPods},
	},
	{
		name:  "nothing is known at all",
		story: `other{pod="a"}: 1`,
		at:    10, rng: 10 * s,
		want: Window{State: NoPods, NewestAge: -1},
	},
	{
		name: "lookback edge: a sample 5.999 s old still speaks",
		story: `
			flyball_pod_ready{pod="a"}: 1*11
			vllm:num_requests_waiting{pod="a"}: _*4 7`,
		at: 9.999, rng: 5 * s,
		// The grid ends at 9: seconds 5..9, all within (3 s, 9 s] of the sample at 4.
		want: Window{
			Value: 7, State: Fresh, NewestAge: 5999 * time.Millisecond, Coverage: 1,
			Expected: 1, Reporting: 1, MeanReady: 1,
		},
	},
	{
		name: "lookback edge: left-open, so a sample exactly 6 s old is gone",
		story: `
			flyball_pod_ready{pod="a"}: 1*11
			vllm:num_requests_waiting{pod="a"}: _*4 7`,
		at: 10, rng: 5 * s,
		// Seconds 6..9 have the value, 10 has none.
		want: Window{
			Value: 7, State: Stale, NewestAge: 6 * s, Coverage: 4.0 / 5, Expected: 1,
			Silent: 1, SilentFor: 6 * s, MeanReady: 1,
		},
	},
	{
		name:  "2 s scrapes: each sample speaks until the next",
		every: 2 * s,
		story: `
			flyball_pod_ready{pod="a"}: 1*6
			vllm:num_requests_waiting{pod="a"}: 0+2*6`,
		at: 10, rng: 10 * s,
		// seconds 1..10: 0 2 2 4 4 6 6 8 8 10 = 50
		want: Window{Value: 5, State: Fresh, Coverage: 1, Expected: 1, Reporting: 1, MeanReady: 1},
	},
	{
		name:  "scrapes off the grid: each second has the newest sample up to it",
		every: 2500 * time.Millisecond,
		story: `
			flyball_pod_ready{pod="a"}: 1*5
			vllm:num_requests_waiting{pod="a"}: 0+1*5`,
		at: 10, rng: 10 * s,
		// samples at 0, 2.5, 5, 7.5, 10; seconds 1..10: 0 0 1 1 2 2 2 3 3 4 = 18
		want: Window{Value: 1.8, State: Fresh, Coverage: 1, Expected: 1, Reporting: 1, MeanReady: 1},
	},
	{
		name: "a gap, as of a restart: readiness was unknown too, so nothing was missed",
		story: `
			flyball_pod_ready{pod="a"}: 1*3 _*20 1*8
			vllm:num_requests_waiting{pod="a"}: 4*3 _*20 6*8`,
		at: 30, rng: 30 * s,
		// Samples 0..2 speak through 7 (seconds 1..7: 4), 23..30: 6; 15 points; (7*4 + 8*6)/15.
		want: Window{Value: 76.0 / 15, State: Fresh, Coverage: 1, Expected: 1, Reporting: 1, MeanReady: 1},
	},
	{
		name: "stale markers after failed scrapes end the value at once",
		story: `
			flyball_pod_ready{pod="a"}: 1*11
			up{pod="a"}: 1*6 0*5
			vllm:num_requests_waiting{pod="a"}: 4*6 x`,
		at: 10, rng: 10 * s,
		// Seconds 1..5 have 4; from 6 on nothing. The newest sample, at 5, is 5 s old.
		want: Window{Value: 4, State: Fresh, NewestAge: 5 * s, Coverage: 0.5, Expected: 1, MeanReady: 1},
	},
	{
		name: "NaN is no sample",
		story: `
			flyball_pod_ready{pod="a"}: 1*11
			vllm:num_requests_waiting{pod="a"}: 4*6 n*5`,
		at: 10, rng: 10 * s,
		want: Window{Value: 4, State: Fresh, NewestAge: 5 * s, Coverage: 0.5, Expected: 1, MeanReady: 1},
	},
}
