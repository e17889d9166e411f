package collector

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const podA = `endpoint="a/metrics", job="vllm", namespace="prod", node="n1", pod="llama-0", pod_uid="prod-llama-0", workload="llama", workload_uid="w1"`

func TestASeriesThatVanishesFromThePageEndsAtThatScrape(t *testing.T) {
	r := newRig(t)
	x := r.exporter("a")
	r.set("m n", x.pod("prod/llama-0"))
	x.serve("m 1\nn 1\n")
	r.tick()
	x.serve("n 2\n")
	r.tick()
	r.tick()
	x.serve("m 4\nn 4\n")
	r.tick()
	r.expect("m n", `{__name__="m", `+podA+`} 1 stale 4`, `{__name__="n", `+podA+`} 1 2 2 4`)
}

func TestNaNAndBlankValuesAreNoSample(t *testing.T) {
	r := newRig(t)
	x := r.exporter("a")
	r.set("m DCGM_FI_DEV_MEMORY_TEMP", x.pod("prod/llama-0"))
	for _, page := range []string{
		"m 1\nDCGM_FI_DEV_MEMORY_TEMP 9223372036854775794\n",
		"m NaN\nDCGM_FI_DEV_MEMORY_TEMP 41\n",
		"m 9223372036854775794\nDCGM_FI_DEV_MEMORY_TEMP 9223372036854775794\n", // blank is DCGM's word, not everyone's
		"m +Inf\nDCGM_FI_DEV_MEMORY_TEMP 42\n",
	} {
		x.serve(page)
		r.tick()
	}
	r.expect("m", `{__name__="m", `+podA+`} 1 stale 9.223372036854776e+18 +Inf`)
	r.expect("DCGM.*", `{__name__="DCGM_FI_DEV_MEMORY_TEMP", `+podA+`} 41 stale 42`)
}

func TestTwoFailuresInARowEndAPagesSeries(t *testing.T) {
	r := newRig(t)
	x := r.exporter("a")
	x.serve("m 1\n")
	r.set("m", x.pod("prod/llama-0"))
	r.tick()
	x.down()
	r.tick() // one lost scrape is no outage
	x.answer(nil)
	r.tick()
	r.expect("m", `{__name__="m", `+podA+`} 1 1`)
	x.down()
	r.tick()
	r.expect("m", `{__name__="m", `+podA+`} 1 1`)
	r.tick()
	r.tick() // marked once
	r.expect("m", `{__name__="m", `+podA+`} 1 1 stale`)
	x.answer(nil)
	r.tick()
	r.expect("m", `{__name__="m", `+podA+`} 1 1 stale 1`)
	r.expect("up", `{__name__="up", `+podA+`} 1 0 1 0 0 0 1`)
	// Readiness does not depend on the page.
	r.expect("flyball_pod_ready",
		`{__name__="flyball_pod_ready", namespace="prod", node="n1", pod="llama-0", pod_uid="prod-llama-0", workload="llama", workload_uid="w1"} 1 1 1 1 1 1 1`)
}

func TestAnEndpointThatIsGoneEndsAtOnce(t *testing.T) {
	r := newRig(t)
	a, b := r.exporter("a"), r.exporter("b")
	a.serve("m 1\n")
	b.serve("m 2\n")
	r.set("m", a.pod("prod/llama-0"), b.pod("prod/llama-1"))
	r.tick()
	r.set("m", b.pod("prod/llama-1"))
	gone := `node="n1", pod="llama-0", pod_uid="prod-llama-0", workload="llama", workload_uid="w1"`
	require.Contains(t, r.stored("m"), gone+"} 1 stale", "without another scrape")
	require.Contains(t, r.stored("up"), gone+"} 1 stale")
	require.Contains(t, r.stored("flyball_pod_ready"), gone+"} 1 stale")
	r.tick()
	require.Contains(t, r.stored("m"), `pod_uid="prod-llama-1", workload="llama", workload_uid="w1"} 2 2`)
	r.set("m", b.pod("prod/llama-1"))
	r.set("m")
	require.Contains(t, r.stored("m"), `pod_uid="prod-llama-1", workload="llama", workload_uid="w1"} 2 2 stale`)
	require.Contains(t, r.stored("m"), gone+"} 1 stale", "once only")
}

func TestAScrapeUnderWayStoresNothingOnceItsEndpointIsGone(t *testing.T) {
	r := newRig(t)
	x := r.exporter("a")
	x.serve("m 1\n")
	r.set("m", x.pod("prod/llama-0"))
	r.tick()
	asked, answer := make(chan struct{}), make(chan struct{})
	x.answer(func(w http.ResponseWriter, _ *http.Request) {
		close(asked)
		<-answer
		_, _ = w.Write([]byte("m 2\n"))
	})
	done := make(chan struct{})
	s := r.c.scrapers[x.pod("prod/llama-0").Key()]
	go func() {
		defer close(done)
		s.scrape(t.Context(), time.Minute)
	}()
	<-asked
	r.set("m")
	close(answer)
	<-done
	s.transport.CloseIdleConnections()
	r.expect("m", `{__name__="m", `+podA+`} 1 stale`)
	r.expect("up", `{__name__="up", `+podA+`} 1 stale`)
}

func TestAMetricTakenOffTheKeepListEnds(t *testing.T) {
	r := newRig(t)
	x := r.exporter("a")
	x.serve("m 1\nn 2\n")
	r.set("m", x.pod("prod/llama-0"))
	r.tick()
	r.set("n", x.pod("prod/llama-0"))
	r.tick()
	r.expect("m n", `{__name__="m", `+podA+`} 1 stale`, `{__name__="n", `+podA+`} 2`)
	require.EqualValues(t, 1, x.dials.Load(), "the same endpoint keeps its connection")
}

func TestReadinessIsOncePerPodAndChangesInPlace(t *testing.T) {
	r := newRig(t)
	a, b := r.exporter("a"), r.exporter("b")
	one, two := a.pod("prod/llama-0"), b.pod("prod/llama-0") // two ports of one pod
	r.set("m", one, two)
	r.tick()
	const ready = `{__name__="flyball_pod_ready", namespace="prod", node="n1", pod="llama-0", pod_uid="prod-llama-0", workload="llama", workload_uid="w1"}`
	r.expect("flyball_pod_ready", ready+" 1")
	one.Ready, two.Ready = false, false
	r.set("m", one, two)
	r.tick()
	r.expect("flyball_pod_ready", ready+" 1 0")
	require.EqualValues(t, 1, a.dials.Load(), "unready pods are scraped too, over the same connection")
	r.set("m", two)
	r.tick() // whichever of the two had reported it: the pod is still there
	r.expect("flyball_pod_ready", ready+" 1 0 0")
	r.set("m", one)
	r.tick()
	r.expect("flyball_pod_ready", ready+" 1 0 0 0")
	r.set("m")
	r.expect("flyball_pod_ready", ready+" 1 0 0 0 stale")
}

func TestANewPodOnAReusedAddressIsANewEndpoint(t *testing.T) {
	r := newRig(t)
	x := r.exporter("a")
	x.serve("m 1\n")
	r.set("m", x.pod("prod/llama-0", "old"))
	r.tick()
	r.tick()
	require.EqualValues(t, 1, x.dials.Load(), "connections are kept alive")
	r.set("m", x.pod("prod/llama-0", "new"))
	r.tick()
	require.EqualValues(t, 2, x.dials.Load(), "but not handed on")
	require.Contains(t, r.stored("m"), `pod_uid="old", workload="llama", workload_uid="w1"} 1 1 stale`)
	require.Contains(t, r.stored("m"), `pod_uid="new", workload="llama", workload_uid="w1"} 1`)
}
