package sim

import (
	"math"
	"strings"
	"testing"
	"time"
)

// arrivals counts a load's requests in successive spans.
func arrivals(l LoadSpec, span time.Duration, spans int) []int {
	src := newSource(l, 32768, 1, 2)
	out := make([]int, spans)
	for {
		r, ok := src.next()
		if !ok || r.arrived >= span*time.Duration(spans) {
			return out
		}
		out[r.arrived/span]++
	}
}

func shaped(s Shape, a Arrivals) LoadSpec {
	return LoadSpec{Shape: s, Arrivals: a, Prompt: Tokens{100, 0, 100}, Output: Tokens{10, 0, 10}}
}

func TestEvenArrivalsFollowTheShapeExactly(t *testing.T) {
	tests := []struct {
		name  string
		shape Shape
		want  []int // per minute
	}{
		{"constant", Constant{2}, []int{119, 120, 120, 120}}, // the first comes after half a second, the 120th at the minute
		{"nothing", Constant{0}, []int{0, 0, 0, 0}},
		{"steps end", Steps{{1, time.Minute}, {3, time.Minute}}, []int{59, 180, 1, 0}}, // the last one falls on the end itself
		{"last step for ever", Steps{{0, time.Minute}, {1, 0}}, []int{0, 59, 60, 60}},
		{"on and off", OnOff{On: time.Minute, Off: time.Minute, Rate: 1}, []int{59, 1, 59, 1}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := arrivals(shaped(tt.shape, Even), time.Minute, 4)
			for i := range got {
				if d := got[i] - tt.want[i]; d < -1 || d > 1 { // a request on a boundary may fall either side by rounding
					t.Fatalf("requests per minute %v, want %v", got, tt.want)
				}
			}
		})
	}
}

func TestDiurnalStartsLowAndPeaksAtHalfItsPeriod(t *testing.T) {
	got := arrivals(shaped(Diurnal{Low: 1, High: 5, Period: 4 * time.Hour}, Even), time.Hour, 8)
	sum := 0
	for i, n := range got {
		sum += n
		if d := got[i%4] - n; d < -2 || d > 2 {
			t.Errorf("hours %v: the second period differs from the first", got)
		}
	}
	if want := 8 * 3600 * 3; math.Abs(float64(sum-want)) > 3 {
		t.Errorf("%d requests, want %d: the mean rate is (1+5)/2", sum, want)
	}
	if got[0] >= got[1] || got[2] <= got[3] {
		t.Errorf("hours %v, want low, high, high, low", got)
	}
}

func TestPoissonArrivalsHaveTheRateAndVarianceOfOne(t *testing.T) {
	got := arrivals(shaped(Constant{5}, Poisson), 10*time.Second, 5000)
	mean, square := 0.0, 0.0
	for _, n := range got {
		mean += float64(n) / 5000
		square += float64(n*n) / 5000
	}
	if math.Abs(mean-50) > 0.5 || math.Abs((square-mean*mean)/mean-1) > 0.1 {
		t.Errorf("per 10 s: mean %.2f, variance %.2f; want both about 50", mean, square-mean*mean)
	}
}

func TestBurstsComeAndGoAndTheRateFollowsThem(t *testing.T) {
	l := shaped(Bursts{Base: 1, Peak: 50, For: 20 * time.Second, Every: 3 * time.Minute}, Even)
	got := arrivals(l, time.Second, 3600)
	src := newSource(l, 32768, 1, 2)
	agree, burst := 0, 0
	for i, n := range got {
		rate := src.rate(time.Duration(i)*time.Second + time.Second/2)
		if rate == 50 {
			burst++
		}
		if (rate == 50) == (n > 20) {
			agree++
		}
	}
	if burst < 100 || burst > 900 { // 3600·20/200 = 360 expected
		t.Errorf("%d seconds of burst in an hour, want about 360", burst)
	}
	if agree < 3500 {
		t.Errorf("rate() and the arrivals agree in %d of 3600 seconds", agree)
	}
}

func TestTokensAreLognormalWithTheGivenMean(t *testing.T) {
	l := shaped(Constant{100}, Even)
	l.Prompt = Tokens{Mean: 1000, Sigma: 0.6, Max: 20000}
	l.Output = Tokens{Mean: 200, Sigma: 1, Max: 300}
	l.PrefixCached = 0.5
	src := newSource(l, 4096, 1, 2)
	sum, logs, squares, capped := 0.0, 0.0, 0.0, 0
	const n = 50_000
	for range n {
		r, _ := src.next()
		if r.prompt < 1 || r.output < 1 || r.output > 300 || r.prompt+r.output > 4096 || r.cached%16 != 0 || r.cached > r.prompt/2 {
			t.Fatalf("request %+v breaks a limit", r)
		}
		sum += float64(r.prompt) / n
		logs += math.Log(float64(r.prompt)) / n
		squares += math.Pow(math.Log(float64(r.prompt)), 2) / n
		if r.capped {
			capped++
		}
	}
	if math.Abs(sum-1000) > 15 || math.Abs(math.Sqrt(squares-logs*logs)-0.6) > 0.01 {
		t.Errorf("prompts: mean %.1f, sigma %.3f; want 1000, 0.6", sum, math.Sqrt(squares-logs*logs))
	}
	// P(lognormal of mean 200, sigma 1 > 300.5) = 1−Φ((ln 300.5 − ln 200 + 0.5)/1) = 0.182
	if got := float64(capped) / n; math.Abs(got-0.182) > 0.01 {
		t.Errorf("%.3f of the outputs were cut, want 0.182", got)
	}
}

func TestATraceCanBePlayedFaster(t *testing.T) {
	trace := &TraceSpec{Speedup: 4, Requests: []Request{{0, 10, 1}, {40 * time.Second, 20, 2}, {80 * time.Second, 30, 3}}}
	src := newSource(LoadSpec{Trace: trace}, 32768, 0, 0)
	for _, want := range []time.Duration{0, 10 * time.Second, 20 * time.Second} {
		if r, ok := src.next(); !ok || r.arrived != want {
			t.Fatalf("request at %v, %v; want %s", r, ok, want)
		}
	}
	if _, ok := src.next(); ok {
		t.Error("the trace goes on after its end")
	}
	if got := src.rate(10 * time.Second); got != 0.1 { // (0 s, 10 s]
		t.Errorf("rate %v, want one request in 10 s", got)
	}
}

func TestLoadsThatMakeNoSenseAreRefused(t *testing.T) {
	tests := []struct {
		name string
		load LoadSpec
		want string
	}{
		{"nothing", LoadSpec{}, "has no shape and no trace"},
		{"both", LoadSpec{Shape: Constant{1}, Trace: &TraceSpec{}}, "has a shape and a trace"},
		{"empty trace", LoadSpec{Trace: &TraceSpec{}}, "no requests"},
		{"unsorted trace", LoadSpec{Trace: &TraceSpec{Requests: []Request{{2, 1, 1}, {1, 1, 1}}}}, "sort the requests by time"},
		{"no tokens", LoadSpec{Shape: Constant{1}}, "prompt tokens: mean 0"},
		{"negative rate", shaped(Constant{-1}, Even), "rate -1 requests/s"},
		{"not a number", shaped(Constant{math.NaN()}, Even), "rate NaN requests/s"},
		{"endless first step", shaped(Steps{{1, 0}, {2, 0}}, Even), "step 0: lasts 0s"},
		{"never off", shaped(OnOff{On: 1, Rate: 1}, Even), "both must be above 0"},
		{"no bursts", shaped(Bursts{Base: 1, For: 1, Every: 1}, Even), "peak 0 requests/s"},
		{"no period", shaped(Diurnal{Low: 1, High: 2}, Even), "period 0s"},
		{"all cached", LoadSpec{Shape: Constant{0}, PrefixCached: 1}, "prefix cached 1"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := tt.load.validate(); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want one with %q", err, tt.want)
			}
		})
	}
}
