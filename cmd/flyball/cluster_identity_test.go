package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/prometheus/promql"
	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/internal/sim"
)

// everPods are the distinct values of namespace/pod/workload_uid that a pod UID's samples have ever had, by UID.
func everPods(t *testing.T, s *service, metric string) map[string][]string {
	t.Helper()
	expr := fmt.Sprintf("count by (namespace, pod, pod_uid, workload_uid) (max_over_time(%s[1h]))", metric)
	res, err := s.engine.Instant(context.Background(), s.store, expr, time.Now())
	require.NoError(t, err)
	out := map[string][]string{}
	for _, v := range res.Value.(promql.Vector) {
		uid := v.Metric.Get("pod_uid")
		out[uid] = append(out[uid], v.Metric.Get("namespace")+"/"+v.Metric.Get("pod")+"/"+v.Metric.Get("workload_uid"))
	}
	return out
}

// Two StatefulSets of one name in two namespaces, whose pods are both named chat-0; one of the pods is deleted and comes
// back under its old name. Nobody's samples become anybody else's, and each set gets its own result.
func TestPodsOfOneNameNeverShareASample(t *testing.T) {
	c := startCluster(t, sim.WorkloadSpec{Namespace: "a", Name: "chat"}, sim.WorkloadSpec{Namespace: "b", Name: "chat"})
	for _, ns := range []string{"a", "b"} {
		c.apply(workloadManifest("StatefulSet", ns, "chat", 1) + autoscalerManifest(ns, "chat", "StatefulSet", "0s", inFlight))
	}
	s := c.flyball(t.TempDir())
	ctx := context.Background()
	ready := func(ns string) int32 {
		sts, err := c.client.AppsV1().StatefulSets(ns).Get(ctx, "chat", metav1.GetOptions{})
		require.NoError(t, err)
		return sts.Status.ReadyReplicas
	}
	c.eventually("both are ready", func() bool { return ready("a") == 1 && ready("b") == 1 })
	c.load("a", "chat", 4)
	c.eventually("a is scaled by its own load", func() bool { return ready("a") >= 2 })
	require.EqualValues(t, 1, ready("b"), "b has none")

	first, err := c.client.CoreV1().Pods("a").Get(ctx, "chat-0", metav1.GetOptions{})
	require.NoError(t, err)
	require.NoError(t, c.client.CoreV1().Pods("a").Delete(ctx, "chat-0", metav1.DeleteOptions{}))
	c.eventually("the pod is back under its name, with samples of its own", func() bool {
		second, err := c.client.CoreV1().Pods("a").Get(ctx, "chat-0", metav1.GetOptions{})
		return err == nil && second.UID != first.UID && len(everPods(t, s, "vllm:num_requests_running")[string(second.UID)]) == 1
	})

	sets := map[string]string{}
	for _, ns := range []string{"a", "b"} {
		sts, err := c.client.AppsV1().StatefulSets(ns).Get(ctx, "chat", metav1.GetOptions{})
		require.NoError(t, err)
		sets[ns] = string(sts.UID)
	}
	pods := everPods(t, s, "vllm:num_requests_running")
	require.GreaterOrEqual(t, len(pods), 4, "chat-0 of b, and of a: chat-0 twice, chat-1")
	names := map[string]int{}
	for uid, who := range pods {
		require.Len(t, who, 1, "samples of %s went to several pods", uid)
		names[who[0]]++
	}
	require.Equal(t, 2, names["a/chat-0/"+sets["a"]], "two pods, one after the other, under one name: %v", names)
	require.Equal(t, 1, names["b/chat-0/"+sets["b"]])

	// Decisions and events are each its own: a's went up, b's never did.
	for ns, scaled := range map[string]bool{"a": true, "b": false} {
		rose := slices.ContainsFunc(c.entries(s, ns, "chat"), func(e decider.Entry) bool { return e.To > e.From })
		require.Equal(t, scaled, rose, ns)
		c.eventually("events of "+ns, func() bool {
			return scaled == strings.Contains(c.kubectl("", "describe", "fpa", "-n", ns, "chat"), "SuccessfulRescale")
		})
	}

	// The GPU exporters' series went the same way.
	for uid, who := range everPods(t, s, "flyball_pod_ready") {
		require.Len(t, who, 1, uid)
	}
}
