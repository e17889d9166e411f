package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/internal/sim"
)

// Everything that flyball can do, it does here, with the rights that it is shipped with: it is refused nothing, and there is
// none of its rights that it has not used.
func TestRightsAreEnoughAndAllUsed(t *testing.T) {
	c := startCluster(t, sim.WorkloadSpec{Namespace: "rights", Name: "resource"}, sim.WorkloadSpec{Namespace: "rights", Name: "custom"},
		sim.WorkloadSpec{Namespace: "rights", Name: "chat"})
	begun := time.Now()
	c.kubectl("", "apply", "-f", "testdata/cluster/scaledobjects.yaml")
	c.kubectl("", "delete", "lease", "-n", "flyball-system", "flyball") // somebody tidied up
	c.serveMetrics().value.Store(5)
	d := newDial(t)
	c.everyKind(d)
	c.flyball(t.TempDir())
	for _, name := range []string{"resource", "custom", "external", "chat", "deployment", "statefulset", "replicaset"} {
		c.eventually(name+" is decided for", func() bool { return strings.HasPrefix(c.condition("rights", name, "Ready"), "True") })
	}
	c.nativeComesAndGoes()
	c.othersWriteMeanwhile(d, begun)
	c.pausedAgainAndAgain(begun)
	// An API server that can't begin a watch with what there is, or has too much to do, is asked for lists: here by a standby.
	t.Setenv("KUBE_FEATURE_WatchListClient", "false")
	c.eventually("the standby has listed all", c.process(t.TempDir()).ready)

	used := map[right]bool{}
	for _, r := range c.requests(begun, flyballUser) {
		for _, needed := range exercised(r) {
			used[needed] = true
			used[right{needed.group, "*", needed.verb}] = true
		}
	}
	used[finalizers] = c.onlyWithItsHPAHolds(finalizers)
	granted := c.granted()
	require.Contains(t, granted, right{"apps", "deployments/scale", "update"}, "the rules are read right")
	granted = slices.DeleteFunc(granted, func(r right) bool { return used[r] })
	require.Empty(t, granted, "granted, and never used: take them from the chart's rules, or use them")
	c.nothingWasRefused()
}

// finalizers is the one right that no request has: admission asks for it where a native HorizontalPodAutoscaler is made whose
// autoscaler is not to be gone before it.
var finalizers = right{v1alpha1.GroupVersion.Group, "podautoscalers/finalizers", "update"}

// onlyWithItsHPAHolds says whether such a one can be made with the rights that flyball has, and not without that one.
func (c *cluster) onlyWithItsHPAHolds(needed right) bool {
	c.t.Helper()
	var role rbacv1.ClusterRole
	require.NoError(c.t, json.Unmarshal([]byte(c.kubectl("", "get", "clusterrole", "flyball", "-o", "json")), &role))
	role.ObjectMeta = metav1.ObjectMeta{Name: "less"}
	role.Rules = slices.DeleteFunc(role.Rules, func(r rbacv1.PolicyRule) bool { return slices.Contains(r.Resources, needed.resource) })
	less, err := json.Marshal(role)
	require.NoError(c.t, err)
	c.apply(string(less))
	c.kubectl("", "create", "clusterrolebinding", "as-much", "--clusterrole=flyball", "--user=as-much")
	c.kubectl("", "create", "clusterrolebinding", "less", "--clusterrole=less", "--user=less")
	uid := c.kubectl("", "get", "fpa", "-n", "rights", "chat", "-o", "jsonpath={.metadata.uid}")
	try := func(user string) string {
		cmd := c.cp.Kubectl("create", "--dry-run=server", "--as="+user, "-f", "-")
		cmd.Stdin = strings.NewReader(`{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {namespace: rights, name: chat-hpa,
			ownerReferences: [{apiVersion: autoscaling.aibrix.ai/v1alpha1, kind: PodAutoscaler, name: chat, uid: ` + uid + `, blockOwnerDeletion: true}]},
			spec: {maxReplicas: 2, scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: chat}}}`)
		out, _ := cmd.CombinedOutput()
		return string(out)
	}
	c.eventually("all rights are enough", func() bool { return strings.Contains(try("as-much"), "created") })
	c.eventually("the others are not", func() bool {
		return strings.Contains(try("less"), "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on")
	})
	return true
}

// nothingWasRefused says that flyball has asked for nothing that its rights don't cover. Once it is uninstalled, it may have.
func (c *cluster) nothingWasRefused() {
	c.t.Helper()
	if c.away || c.cp.Kubectl("get", "clusterrole", "flyball").Run() != nil {
		return
	}
	for _, r := range c.requests(time.Time{}, flyballUser) {
		require.NotEqual(c.t, http.StatusForbidden, r.Response.Code, "%s: %s", r.what(), r.URI)
	}
}

// everyKind is a target of each kind that the rights are for, with sources of each kind, a quota and a ScaledObject.
func (c *cluster) everyKind(d *dial) {
	c.apply(`{apiVersion: v1, kind: ResourceQuota, metadata: {namespace: rights, name: gpus}, spec: {hard: {requests.nvidia.com/gpu: "12"}}}`)
	c.apply(`{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, metadata: {namespace: rights, name: elsewhere}, spec: {scaleTargetRef: {name: nobody}, triggers: []}}`)
	for name, source := range map[string]string{
		"resource": `{metricSourceType: resource, targetMetric: cpu, targetValue: "10"}`,
		"custom":   `{metricSourceType: custom, targetMetric: requests-per-second, targetValue: "10"}`,
		"chat":     inFlight,
	} {
		c.apply(workloadManifest("Deployment", "rights", name, 1) + autoscalerManifest("rights", name, "Deployment", "0s", source))
	}
	c.apply(idleDeployment("rights", "external") +
		autoscalerManifest("rights", "external", "Deployment", "0s", `{metricSourceType: external, targetMetric: queue-length, targetValue: "10"}`))
	for name, kind := range map[string]string{"deployment": "Deployment", "statefulset": "StatefulSet", "replicaset": "ReplicaSet"} {
		d.set("/"+name, 5)
		c.apply(strings.ReplaceAll(idleDeployment("rights", name), "kind: Deployment", "kind: "+kind) +
			autoscalerManifest("rights", name, kind, "0s", d.source("/"+name)))
	}
}

// nativeComesAndGoes has a native HorizontalPodAutoscaler made, changed and removed. The metrics APIs answer for its sources.
func (c *cluster) nativeComesAndGoes() {
	most := func() string {
		return c.kubectl("", "get", "hpa", "-n", "rights", "-o", "jsonpath={.items[*].spec.maxReplicas}")
	}
	manifest := strings.Replace(nativeManifest("rights", "native"), "metricsSources: [", "metricsSources: ["+
		`{metricSourceType: custom, targetMetric: requests-per-second, targetValue: "10"}, `+
		`{metricSourceType: external, targetMetric: queue-length, targetValue: "10"}, `, 1)
	c.apply(idleDeployment("rights", "native") + manifest)
	c.eventually("the HPA is made", func() bool { return most() == "6" })
	c.apply(strings.Replace(manifest, "maxReplicas: 6", "maxReplicas: 9", 1))
	c.eventually("the HPA is changed", func() bool { return most() == "9" })
	c.kubectl("", "patch", "fpa", "-n", "rights", "native", "--type=merge", "-p", `{"spec":{"scalingStrategy":"APA"}}`)
	c.eventually("the HPA is removed", func() bool { return most() == "" })
}

// othersWriteMeanwhile has autoscalers and targets written to by others all the time, so that flyball's writes conflict and it
// reads what there is; when the others rest, it has its way.
func (c *cluster) othersWriteMeanwhile(d *dial, begun time.Time) {
	objects, err := dynamic.NewForConfig(c.cp.Config())
	require.NoError(c.t, err)
	ctx, rest := context.WithCancel(c.t.Context())
	defer rest()
	names := map[string]schema.GroupVersionResource{}
	for _, kind := range []string{"deployment", "statefulset", "replicaset"} {
		names[kind] = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: kind + "s"}
	}
	done := make(chan struct{})
	writers := 0
	write := func(gvr schema.GroupVersionResource, name string) {
		writers++
		go func() {
			defer func() { done <- struct{}{} }()
			for i := 0; ctx.Err() == nil; i++ {
				touch := fmt.Appendf(nil, `{"metadata":{"annotations":{"example.com/touched":"%d"}}}`, i)
				_, _ = objects.Resource(gvr).Namespace("rights").Patch(ctx, name, types.MergePatchType, touch, metav1.PatchOptions{})
			}
		}()
	}
	for name, gvr := range names {
		write(gvr, name)
		write(v1alpha1.Resource, name)
	}
	for name := range names {
		d.set("/"+name, 35)
	}
	c.eventually("what others wrote to is read again", func() bool {
		asked := tally(c.requests(begun, flyballUser))
		return asked["get deployments"] > 0 && asked["get statefulsets"] > 0 && asked["get replicasets"] > 0 && asked["get podautoscalers"] > 0
	})
	rest()
	for range writers {
		<-done
	}
	for name := range names {
		c.eventually(name+" is scaled", func() bool {
			return c.kubectl("", "get", name, "-n", "rights", name, "-o", "jsonpath={.spec.replicas}") == "4"
		})
	}
}

// pausedAgainAndAgain makes one event often enough to become a series.
func (c *cluster) pausedAgainAndAgain(begun time.Time) {
	for range 3 {
		c.kubectl("", "annotate", "fpa", "-n", "rights", "chat", "flyball.dev/paused=true")
		c.eventually("paused", func() bool { return strings.HasPrefix(c.condition("rights", "chat", "Paused"), "True") })
		c.kubectl("", "annotate", "fpa", "-n", "rights", "chat", "flyball.dev/paused-")
		c.eventually("resumed", func() bool { return strings.HasPrefix(c.condition("rights", "chat", "Paused"), "False") })
	}
	c.eventually("the events become a series", func() bool { return tally(c.requests(begun, flyballUser))["patch events"] > 0 })
}

// right is a verb on a resource.
type right struct{ group, resource, verb string }

// granted are the rights of the shipped ClusterRole and Role, one by one.
func (c *cluster) granted() []right {
	c.t.Helper()
	var out []right
	for _, args := range [][]string{{"get", "clusterrole", "flyball"}, {"get", "role", "-n", "flyball-system", "flyball-lease"}} {
		var role rbacv1.ClusterRole
		require.NoError(c.t, json.Unmarshal([]byte(c.kubectl("", append(args, "-o", "json")...)), &role))
		for _, rule := range role.Rules {
			for _, group := range rule.APIGroups {
				for _, resource := range rule.Resources {
					for _, verb := range rule.Verbs {
						out = append(out, right{group, resource, verb})
					}
				}
			}
		}
	}
	return out
}

// exercised are the rights that a request needed: an apply that made its object was a patch, and needed create too.
func exercised(r request) []right {
	resource := r.Object.Resource
	if r.Object.Subresource != "" {
		resource += "/" + r.Object.Subresource
	}
	out := []right{{r.Object.APIGroup, resource, r.Verb}}
	if r.Verb == "patch" && r.Response.Code == http.StatusCreated {
		out = append(out, right{r.Object.APIGroup, resource, "create"})
	}
	return out
}
