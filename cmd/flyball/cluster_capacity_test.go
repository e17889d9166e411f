package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flyball/flyball/internal/sim"
)

// Load rises without end on two types of GPU. One fleet stops at maxReplicas, one at what its namespace's quota admits, one at
// the last GPU; each says so in its condition, an event and a metric, and the quota is never exceeded. When the load ends, all
// come back.
func TestLoadWithoutEndStopsAtWhatThereIs(t *testing.T) {
	c := startCluster(t,
		sim.WorkloadSpec{Namespace: "bounded", Name: "chat"},
		sim.WorkloadSpec{Namespace: "quota", Name: "code"},
		sim.WorkloadSpec{Namespace: "gpus", Name: "embed", GPU: sim.H100})
	c.apply(`{apiVersion: v1, kind: ResourceQuota, metadata: {namespace: quota, name: gpus}, spec: {hard: {requests.nvidia.com/gpu: "2"}}}`)
	fleets := map[string]struct{ name, reason, says string }{
		"bounded": {"chat", "TooManyReplicas", "maxReplicas is 3"},
		"quota":   {"code", "QuotaExhausted", "gpus"},
		"gpus":    {"embed", "PodsUnschedulable", "unschedulable"},
	}
	for ns, f := range fleets {
		manifest := autoscalerManifest(ns, f.name, "Deployment", "0s", inFlight)
		if ns == "bounded" {
			manifest = strings.Replace(manifest, "maxReplicas: 6", "maxReplicas: 3", 1)
		} else {
			manifest = strings.Replace(manifest, "maxReplicas: 6", "maxReplicas: 40", 1)
		}
		c.apply(workloadManifest("Deployment", ns, f.name, 1) + manifest)
	}
	s := c.flyball(t.TempDir())
	pods := func(ns string) (ready, waiting int) {
		list, err := c.client.CoreV1().Pods(ns).List(context.Background(), metav1.ListOptions{})
		require.NoError(t, err)
		for _, p := range list.Items {
			if p.DeletionTimestamp != nil {
				continue
			}
			if p.Status.Phase == corev1.PodRunning {
				ready++
			} else {
				waiting++
			}
		}
		return ready, waiting
	}
	for ns := range fleets {
		c.eventually(ns+" runs", func() bool { n, _ := pods(ns); return n == 1 })
	}

	most := map[string]int{}
	rate := 1.0
	told := func(ns string) bool {
		ready, waiting := pods(ns)
		most[ns] = max(most[ns], ready+waiting)
		said := c.condition(ns, fleets[ns].name, "ScalingLimited")
		return strings.HasPrefix(said, "True "+fleets[ns].reason) && strings.Contains(said, fleets[ns].says)
	}
	c.eventually("each stops at its limit and says so", func() bool {
		for ns, f := range fleets {
			c.load(ns, f.name, rate)
		}
		rate += 0.5
		bounded, quota, gpus := told("bounded"), told("quota"), told("gpus")
		return bounded && quota && gpus
	})
	for range 20 { // and the load rises on
		for ns, f := range fleets {
			c.load(ns, f.name, rate)
			told(ns)
		}
		rate += 2
		<-time.After(250 * time.Millisecond)
	}
	require.Equal(t, 3, most["bounded"])
	require.LessOrEqual(t, most["quota"], 2, "the quota admits no more, and no more are asked for")
	require.LessOrEqual(t, *c.deployment("quota", "code").Spec.Replicas, int32(2), "nothing is queued")
	ready, waiting := pods("gpus")
	require.LessOrEqual(t, ready, 3)
	require.Positive(t, waiting, "what waits is seen")
	limit := *c.deployment("gpus", "embed").Spec.Replicas
	for ns, f := range fleets {
		if ns == "bounded" {
			continue
		}
		c.eventually(ns+" alerts by an event", func() bool { return strings.Contains(c.kubectl("", "describe", "fpa", "-n", ns, f.name), f.reason) })
		metric := fmt.Sprintf(`flyball_autoscaler_short_replicas{name=%q,namespace=%q} `, f.name, ns)
		c.eventually(ns+" alerts by a metric", func() bool {
			_, value, found := strings.Cut(c.get(s, "/metrics"), metric)
			return found && !strings.HasPrefix(value, "0\n")
		})
	}
	require.Equal(t, limit, *c.deployment("gpus", "embed").Spec.Replicas, "nothing is raised while pods wait")

	for ns, f := range fleets {
		c.load(ns, f.name, 0)
	}
	for ns, f := range fleets {
		c.eventually(ns+" comes back", func() bool { return *c.deployment(ns, f.name).Spec.Replicas == 1 })
	}
}

// A load goes up in one step and is constant from then on, at what the count that was written for it carries. One fleet has three
// GPUs; of the other, which wakes from zero, nothing could be known of what its quota leaves. The count is as the load asks and
// stays, but not all of its pods can run: each fleet says so in its condition, an event and a metric until the load ends.
func TestAStepBeyondWhatThereIsAlerts(t *testing.T) {
	c := startCluster(t,
		sim.WorkloadSpec{Namespace: "stepgpus", Name: "embed", GPU: sim.H100},
		sim.WorkloadSpec{Namespace: "stepquota", Name: "code"})
	c.apply(`{apiVersion: v1, kind: ResourceQuota, metadata: {namespace: stepquota, name: gpus}, spec: {hard: {requests.nvidia.com/gpu: "2"}}}`)
	d := newDial(t)
	type fleet struct {
		ns, name, reason, says string
		least, takes           int32
	}
	fleets := []fleet{
		{"stepgpus", "embed", "PodsUnschedulable", "unschedulable, so more would only wait too", 1, 3},
		{"stepquota", "code", "QuotaExhausted", "the ResourceQuota gpus admits at most 2", 0, 2},
	}
	load := func(f fleet, pods int32) { d.set("/"+f.name, max(0, 10*float64(pods)-5)) }
	for _, f := range fleets {
		load(f, f.least)
		manifest := strings.NewReplacer( // APA, since a panic goes on asking for its highest while few pods are ready
			"maxReplicas: 6", "maxReplicas: 40", "minReplicas: 1", fmt.Sprintf("minReplicas: %d", f.least),
			"scalingStrategy: KPA", "scalingStrategy: APA", "  panicWindowSeconds: 2\n", "",
		).Replace(autoscalerManifest(f.ns, f.name, "Deployment", "0s", d.source("/"+f.name)))
		c.apply(workloadManifest("Deployment", f.ns, f.name, 1) + manifest)
	}
	s := c.flyball(t.TempDir())
	short := func(f fleet) string {
		_, value, _ := strings.Cut(c.get(s, "/metrics"), fmt.Sprintf(`flyball_autoscaler_short_replicas{name=%q,namespace=%q} `, f.name, f.ns))
		value, _, _ = strings.Cut(value, "\n")
		return value
	}
	rests := func(f fleet) bool {
		dep := c.deployment(f.ns, f.name)
		return *dep.Spec.Replicas == f.least && dep.Status.Replicas == f.least && dep.Status.ReadyReplicas == f.least &&
			short(f) == "0" && !strings.Contains(c.condition(f.ns, f.name, "ScalingLimited"), f.reason)
	}
	for _, f := range fleets {
		c.eventually(f.ns+" rests", func() bool { return rests(f) })
	}
	for _, f := range fleets {
		load(f, 20)
	}
	for _, f := range fleets {
		var asked int32
		c.eventually(f.ns+" is asked for more than there is", func() bool {
			asked = *c.deployment(f.ns, f.name).Spec.Replicas
			return asked > f.takes
		})
		load(f, asked)
		c.eventually(f.ns+" says that not all can run", func() bool {
			said, err := explained(f.ns+"/"+f.name, explainOptions{server: "http://" + s.listener.Addr().String()})
			return err == nil && strings.Contains(said, fmt.Sprintf("not all of %d can run: ", asked))
		})
		c.eventually(f.ns+" says so in its condition", func() bool {
			said := c.condition(f.ns, f.name, "ScalingLimited")
			return strings.HasPrefix(said, "True "+f.reason) && strings.Contains(said, f.says)
		})
		c.eventually(f.ns+" alerts by a metric", func() bool { return short(f) == fmt.Sprint(asked-f.takes) })
		c.eventually(f.ns+" alerts by an event", func() bool {
			for line := range strings.Lines(c.kubectl("", "describe", "fpa", "-n", f.ns, f.name)) {
				if words := strings.Fields(line); len(words) > 2 && words[0] == "Warning" && words[1] == f.reason {
					return true
				}
			}
			return false
		})
		require.Equal(t, asked, *c.deployment(f.ns, f.name).Spec.Replicas, "the count stays")
	}
	require.LessOrEqual(t, c.deployment("stepquota", "code").Status.Replicas, int32(2), "the quota is not exceeded")

	for _, f := range fleets {
		load(f, f.least)
	}
	for _, f := range fleets {
		c.eventually(f.ns+" comes back, and alerts no more", func() bool { return rests(f) })
	}
}

// get asks the service's HTTP API.
func (c *cluster) get(s *service, path string) string {
	c.t.Helper()
	resp, err := http.Get("http://" + s.listener.Addr().String() + path)
	require.NoError(c.t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(c.t, err)
	return string(body)
}
