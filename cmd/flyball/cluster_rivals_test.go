package main

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
)

// renamed is an autoscaler of another name for the same target.
func renamed(manifest, from, to string) string {
	return strings.Replace(manifest, "\n  name: "+from+"\n", "\n  name: "+to+"\n", 1)
}

// Two autoscalers name one target. The older keeps it, whoever comes first after a restart; the younger says so and writes
// nothing. When the older is deleted, the younger goes on.
func TestOfTwoAutoscalersTheOlderKeepsTheTarget(t *testing.T) {
	c := startCluster(t)
	d := newDial(t)
	c.kubectl("", "create", "namespace", "two")
	d.set("/zz", 15)
	d.set("/aa", 45)
	c.apply(idleDeployment("two", "x") + renamed(autoscalerManifest("two", "x", "Deployment", "0s", d.source("/zz")), "x", "zz-older"))
	<-time.After(1100 * time.Millisecond) // creationTimestamp counts in seconds
	c.apply(renamed(autoscalerManifest("two", "x", "Deployment", "0s", d.source("/aa")), "x", "aa-younger"))
	writes := c.watchWrites()

	first := c.process(t.TempDir())
	c.eventually("the older writes", func() bool { return *c.deployment("two", "x").Spec.Replicas == 2 })
	c.eventually("the younger says why it does not", func() bool {
		return strings.HasPrefix(c.condition("two", "aa-younger", "Conflict"), "True AnotherPodAutoscaler: PodAutoscaler two/zz-older")
	})
	require.Contains(t, c.condition("two", "zz-older", "Conflict"), "False")
	first.kill(t)
	c.process(t.TempDir())
	c.eventually("another instance leads", func() bool { return strings.Contains(c.condition("two", "zz-older", "Ready"), "True") })
	d.set("/zz", 25)
	c.eventually("and knows the older", func() bool { return *c.deployment("two", "x").Spec.Replicas == 3 })
	c.eventually("an event tells of it", func() bool {
		return strings.Contains(c.kubectl("", "describe", "fpa", "-n", "two", "aa-younger"), "AnotherPodAutoscaler")
	})

	c.kubectl("", "delete", "fpa", "-n", "two", "zz-older")
	c.eventually("the younger takes over", func() bool { return *c.deployment("two", "x").Spec.Replicas == 5 })
	c.eventually("and is in conflict no more", func() bool { return strings.HasPrefix(c.condition("two", "aa-younger", "Conflict"), "False") })
	var seen []int32
	for len(writes) > 0 {
		seen = append(seen, (<-writes).to)
	}
	require.Equal(t, []int32{2, 3, 5}, seen, "no write but these")
}

// A HorizontalPodAutoscaler that somebody made, or a ScaledObject that does not ask flyball, has the target: flyball keeps
// its hands off and names it. A ScaledObject that asks flyball is no conflict: KEDA acts on its advice.
func TestWhatOthersScaleIsLeftAlone(t *testing.T) {
	c := startCluster(t)
	d := newDial(t)
	c.kubectl("", "apply", "-f", "testdata/cluster/scaledobjects.yaml")
	c.kubectl("", "create", "namespace", "mine")
	d.set("/x", 35)
	c.apply(idleDeployment("mine", "x") + autoscalerManifest("mine", "x", "Deployment", "0s", d.source("/x")))
	replicas := func() int32 { return *c.deployment("mine", "x").Spec.Replicas }
	condition := func(kind, prefix string) {
		t.Helper()
		c.eventually(kind+" is "+prefix, func() bool { return strings.HasPrefix(c.condition("mine", "x", kind), prefix) })
	}
	c.kubectl("", "autoscale", "-n", "mine", "deployment/x", "--name=by-hand", "--min=1", "--max=1", "--cpu=50%")
	writes := c.watchWrites()
	c.flyball(t.TempDir())

	condition("Conflict", "True ForeignHPA: HorizontalPodAutoscaler mine/by-hand")
	require.EqualValues(t, 1, replicas())
	require.Empty(t, writes)
	c.kubectl("", "delete", "hpa", "-n", "mine", "by-hand")
	c.eventually("flyball goes on", func() bool { return replicas() == 4 })
	condition("Conflict", "False")

	scaledObject := func(address string) string {
		return `{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, metadata: {namespace: mine, name: x}, spec: {
			scaleTargetRef: {name: x}, triggers: [{type: external-push, metadata: {scalerAddress: "` + address + `"}}]}}`
	}
	c.apply(scaledObject("somebody.else:9090"))
	condition("Conflict", "True ForeignScaledObject: ScaledObject mine/x")
	c.apply(scaledObject("flyball.flyball-system.svc.cluster.local:8091"))
	condition("Conflict", "False")
	condition("Delegated", "True ScaledObject")
	d.set("/x", 55)
	c.eventually("it is shown what it would do", func() bool {
		return strings.Contains(c.kubectl("", "get", "fpa", "-n", "mine", "x", "-o", "jsonpath={.status.desiredScale}"), "6")
	})
	require.EqualValues(t, 4, replicas(), "KEDA writes")
	c.kubectl("", "delete", "scaledobject", "-n", "mine", "x")
	c.eventually("flyball writes again", func() bool { return replicas() == 6 })
	condition("Delegated", "False")
}

// Another controller of PodAutoscalers, such as AIBrix's own, writes their statuses: flyball advises only, says so in a
// condition, and goes on when the other has been silent for two minutes, or at once if it was acknowledged.
func TestAnotherControllerIsNotFought(t *testing.T) {
	c := startCluster(t)
	d := newDial(t)
	c.kubectl("", "create", "namespace", "other")
	d.set("/x", 35)
	c.apply(idleDeployment("other", "x") + autoscalerManifest("other", "x", "Deployment", "0s", d.source("/x")))
	objects, err := dynamic.NewForConfig(c.cp.Config())
	require.NoError(t, err)
	status, err := json.Marshal(map[string]any{"status": map[string]any{"actualScale": 1, "desiredScale": 1}})
	require.NoError(t, err)
	_, err = objects.Resource(v1alpha1.Resource).Namespace("other").Patch(context.Background(), "x", types.MergePatchType, status,
		metav1.PatchOptions{FieldManager: "aibrix-controller-manager"}, "status")
	require.NoError(t, err)

	writes := c.watchWrites()
	_, stop := c.flyballUntil(t.TempDir(), zap.NewNop())
	c.eventually("the other is named", func() bool {
		return strings.HasPrefix(c.condition("other", "x", "Conflict"), "True OtherController: aibrix-controller-manager")
	})
	c.eventually("what flyball would do is shown", func() bool {
		return strings.Contains(c.kubectl("", "get", "fpa", "-n", "other", "x", "-o", "jsonpath={.status.desiredScale}"), "4")
	})
	require.Empty(t, writes)
	stop()

	c.flyball(t.TempDir(), ackOtherController)
	c.eventually("once acknowledged, it writes", func() bool { return *c.deployment("other", "x").Spec.Replicas == 4 })
}
