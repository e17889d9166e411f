package collector

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flyball/flyball/store"
)

// Pods come, go, and are replaced under their names while everything is scraped. In the end every series that was
// ever stored has ended, and no GPU ever changed owners except through nobody.
func TestUnderChurnEverySeriesEnds(t *testing.T) {
	h := func(w http.ResponseWriter, req *http.Request) {
		if strings.HasPrefix(req.Host, "dcgm") {
			_, _ = io.WriteString(w, gpu0+gpu1)
			return
		}
		if rand.IntN(4) == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		_, _ = fmt.Fprintf(w, "m{i=\"%d\"} 1\n", rand.IntN(3))
	}
	inBubble(t, Options{DefaultInterval: 100 * time.Millisecond}, h, func(c *Collector) {
		keep := []string{"m", "DCGM_FI_DEV_GPU_UTIL"}
		rng := rand.New(rand.NewPCG(1, 2))
		for i := range 100 {
			endpoints := []Endpoint{
				{Role: GPUExporter, URL: "http://dcgm:9400/metrics", Identity: Identity{Node: "n1"}, Lag: time.Duration(rng.IntN(500)) * time.Millisecond},
			}
			for j := range 5 {
				e := pipeEndpoint(fmt.Sprintf("llama-%d", j))
				e.PodUID, e.Node, e.Ready = fmt.Sprintf("u-%d-%d", j, i/(3+j)), "n1", rng.IntN(2) == 0
				if rng.IntN(3) > 0 {
					endpoints = append(endpoints, e)
				}
			}
			require.NoError(t, c.Update(Config{Endpoints: endpoints, Keep: keep}))
			time.Sleep(time.Duration(rng.IntN(300)) * time.Millisecond)
			_ = c.Health()
		}
		require.NoError(t, c.Update(Config{}))
		r := rig{t: t, store: c.store.(*store.Store)}
		lines := strings.Split(r.stored(".*"), "\n")
		require.Greater(t, len(lines), 50)
		for _, line := range lines {
			require.True(t, strings.HasSuffix(line, " stale"), line)
			require.NotContains(t, line, "stale stale")
		}
	})
}

// failing is a store whose disk is full now and then.
type failing struct {
	Appender
	full bool
}

func (f *failing) Append(samples []store.Sample) (time.Time, error) {
	if f.full {
		return time.Time{}, errors.New("no space left on device")
	}
	return f.Appender.Append(samples)
}

func TestAStoreThatFailsIsAFailedScrapeAndLosesNoMarker(t *testing.T) {
	r := newRig(t)
	x := r.exporter("a")
	disk := &failing{Appender: r.store}
	r.c.store = disk
	r.set("m n", x.pod("prod/llama-0"))
	x.serve("m 1\nn 1\n")
	r.tick()
	disk.full = true
	x.serve("n 2\n") // m vanishes, but nobody could write that down
	for range 3 {
		r.tick()
	}
	require.ErrorContains(t, r.health(x.Server.URL+"/metrics").Err, "no space left on device (see the store's directory: is the disk full?)")
	disk.full = false
	r.tick()
	r.expect("m n", `{__name__="m", `+podA+`} 1 stale`, `{__name__="n", `+podA+`} 1 2`)
	r.expect("up", `{__name__="up", `+podA+`} 1 1`)
	disk.full = true
	require.ErrorContains(t, r.c.Update(Config{}), "mark 3 series of gone endpoints stale")
	require.Empty(t, r.c.Health(), "the new configuration holds all the same")
}
