package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
)

// atRest is how long a fleet must cost the API server nothing but watches.
const atRest = 2 * time.Minute

// A fleet of every sort of autoscaler stands under loads that are the same but for a noise of 3 %. For two minutes nothing is
// written: no replica count, no HorizontalPodAutoscaler, no status.
func TestAFleetAtRestWritesNothing(t *testing.T) {
	fleet := 100
	if os.Getenv("FLYBALL_SOAK") != "" {
		fleet = 1000
	}
	c := startCluster(t)
	loads := newSteadyLoads(t)
	c.kubectl("", "create", "namespace", "rest")
	var manifest strings.Builder
	for i := range fleet {
		manifest.WriteString(restingManifest(i, loads.address))
	}
	c.apply(manifest.String())
	began := time.Now()
	s := c.flyball(t.TempDir())
	c.settled(fleet, began)

	started, before, pages := time.Now(), c.cpuSeconds(s), loads.pages.Load()
	<-time.After(atRest)
	cpu := c.cpuSeconds(s) - before
	require.Greater(t, loads.pages.Load()-pages, int64(float64(fleet)*7/10*0.8*atRest.Seconds()/scrapeInterval.Seconds()), "the noise was read")

	requests := c.requests(began, flyballUser)
	for _, news := range statusNews(t, requests, started) {
		t.Error(news)
	}
	asked := map[string]int{}
	for _, r := range requests {
		if r.Received.After(started) {
			asked[r.what()]++
			switch r.Verb {
			case "get", "list", "watch":
			case "update":
				require.Equal(t, "leases", r.Object.Resource, "%s %s: %s", r.what(), r.Object.Name, r.Body)
			default:
				require.Equal(t, "podautoscalers/status", r.Object.Resource+"/"+r.Object.Subresource, "%s %s: %s", r.what(), r.Object.Name, r.Body)
			}
		}
	}
	t.Logf("%d autoscalers at rest for %s: %.1f s of CPU time a minute; requests: %s", fleet, atRest, cpu/atRest.Minutes(), describe(asked))
}

// restingManifest is a target and an autoscaler: of ten, five are of strategy KPA, two of APA, one of HPA whose metric nobody
// serves; one has a mistake, and one has no target.
func restingManifest(i int, address string) string {
	name := fmt.Sprintf("x%d", i)
	source := fmt.Sprintf(`{metricSourceType: external, endpoint: %q, path: /%s, targetMetric: load, targetValue: "10"}`, address, name)
	scaler := autoscalerManifest("rest", name, "Deployment", "0s", source)
	switch i % 10 {
	case 5, 6:
		scaler = strings.Replace(scaler, "scalingStrategy: KPA", "scalingStrategy: APA", 1)
	case 7:
		scaler = nativeManifest("rest", name)
	case 8:
		scaler = strings.Replace(scaler, "scale-down-delay", "scale-dwn-delay", 1)
	case 9:
		return scaler
	}
	return idleDeployment("rest", name) + scaler
}

// steadyLoads serves a load for each path: the middle of what one count of replicas is right for, with a noise of 3 %
// that depends on path and page alone.
type steadyLoads struct {
	address string
	pages   atomic.Int64
	mu      sync.Mutex
	served  map[string]int
}

func newSteadyLoads(t *testing.T) *steadyLoads {
	l := &steadyLoads{served: map[string]int{}}
	srv := httptest.NewServer(l)
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	l.address = strings.TrimPrefix(srv.URL, "http://")
	return l
}

func (l *steadyLoads) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	l.mu.Lock()
	l.served[r.URL.Path]++
	n := l.served[r.URL.Path]
	l.mu.Unlock()
	l.pages.Add(1)
	which := fnv.New32a()
	fmt.Fprint(which, r.URL.Path)
	middle := float64(5 + 10*(which.Sum32()%5)) // 5 to 45: one to five replicas
	fmt.Fprint(which, n)
	noise := float64(which.Sum32()%6001)/100000 - 0.03
	fmt.Fprintf(w, "# TYPE load gauge\nload %g\n", middle*(1+noise))
}

// settled waits until every autoscaler's status has said how it is, and no status has been written for longer than a limit
// that does not apply any more stays in one (60 s).
func (c *cluster) settled(fleet int, began time.Time) {
	c.t.Helper()
	objects, err := dynamic.NewForConfig(c.cp.Config())
	require.NoError(c.t, err)
	said := 0
	within := 4*time.Minute + time.Duration(fleet)*100*time.Millisecond
	deadline := time.After(within)
	for quiet := time.Duration(0); said < fleet || quiet < 65*time.Second; {
		select {
		case <-deadline:
			c.t.Fatalf("not at rest in %s: %d of %d autoscalers have a status, the last was written %s ago", within, said, fleet, quiet)
		case <-time.After(time.Second):
		}
		said = 0
		all, err := objects.Resource(v1alpha1.Resource).List(c.t.Context(), metav1.ListOptions{})
		require.NoError(c.t, err)
		for i := range all.Items {
			var pa v1alpha1.PodAutoscaler
			require.NoError(c.t, runtime.DefaultUnstructuredConverter.FromUnstructured(all.Items[i].Object, &pa))
			if len(pa.Status.Conditions) > 0 {
				said++
			}
		}
		last := began
		for _, r := range c.requests(began, flyballUser) {
			if r.Object.Subresource == "status" {
				last = r.Received
			}
		}
		quiet = time.Since(last)
	}
}

// cpuSeconds is the CPU time that the process has used by the service's own account. It includes the endpoints and the test.
func (c *cluster) cpuSeconds(s *service) float64 {
	c.t.Helper()
	_, value, _ := strings.Cut(c.get(s, "/metrics"), "\nprocess_cpu_seconds_total ")
	value, _, _ = strings.Cut(value, "\n")
	seconds, err := strconv.ParseFloat(value, 64)
	require.NoError(c.t, err)
	return seconds
}

// statusNews is what each status that was written since then has that the one before had not.
func statusNews(t *testing.T, requests []request, since time.Time) []string {
	t.Helper()
	var out []string
	before := map[string]v1alpha1.PodAutoscalerStatus{}
	for _, r := range requests {
		if r.what() != "patch podautoscalers/status" || r.Response.Code != http.StatusOK {
			continue
		}
		var now struct{ Status v1alpha1.PodAutoscalerStatus }
		require.NoError(t, json.Unmarshal(r.Body, &now))
		if r.Received.After(since) {
			out = append(out, fmt.Sprintf("%s, %s after: %s", r.Object.Name, r.Received.Sub(since).Round(time.Second), difference(before[r.Object.Name], now.Status)))
		}
		before[r.Object.Name] = now.Status
	}
	return out
}

func difference(a, b v1alpha1.PodAutoscalerStatus) string {
	var out []string
	for _, now := range b.Conditions {
		for _, was := range a.Conditions {
			if was.Type == now.Type && (was.Status != now.Status || was.Reason != now.Reason) {
				out = append(out, fmt.Sprintf("%s %s %s becomes %s %s (%s)", now.Type, was.Status, was.Reason, now.Status, now.Reason, now.Message))
			}
		}
	}
	if a.DesiredScale != b.DesiredScale || a.ActualScale != b.ActualScale {
		out = append(out, fmt.Sprintf("desired %d becomes %d, actual %d becomes %d", a.DesiredScale, b.DesiredScale, a.ActualScale, b.ActualScale))
	}
	return cmp.Or(strings.Join(out, "; "), fmt.Sprintf("no condition and no count; targets %q become %q", a.Targets, b.Targets))
}
