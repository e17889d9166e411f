package main

import (
	"context"
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
// nothing. When the older is deleted, the younger goes on, though somebody's finalizer keeps the older there.
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

	c.kubectl("", "patch", "fpa", "-n", "two", "zz-older", "--type=merge", "-p", `{"metadata":{"finalizers":["example.com/held"]}}`)
	c.kubectl("", "delete", "fpa", "-n", "two", "zz-older", "--wait=false")
	c.eventually("the younger takes over", func() bool { return *c.deployment("two", "x").Spec.Replicas == 5 })
	c.eventually("and is in conflict no more", func() bool { return strings.HasPrefix(c.condition("two", "aa-younger", "Conflict"), "False") })
	c.eventually("the older yields", func() bool {
		return strings.HasPrefix(c.condition("two", "zz-older", "Conflict"), "True AnotherPodAutoscaler: PodAutoscaler two/aa-younger")
	})
	d.set("/zz", 55)
	c.eventually("it decides, for show", func() bool {
		return c.kubectl("", "get", "fpa", "-n", "two", "zz-older", "-o", "jsonpath={.status.desiredScale}") == "6"
	})
	c.kubectl("", "patch", "fpa", "-n", "two", "zz-older", "--type=merge", "-p", `{"metadata":{"finalizers":null}}`)
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

// rival is another controller of PodAutoscalers at rest: time and again it writes that the target of each is to have one
// replica, in the status and to the Deployment of the autoscaler's name. What it writes is what is there.
func (c *cluster) rival(namespace string, names ...string) (stop func()) {
	c.t.Helper()
	config := c.cp.Config()
	config.QPS = 100
	objects, deployments := dynamic.NewForConfigOrDie(config).Resource(v1alpha1.Resource).Namespace(namespace), c.client.AppsV1().Deployments(namespace)
	write := func(ctx context.Context) error {
		for _, name := range names {
			_, err := objects.Patch(ctx, name, types.MergePatchType, []byte(`{"status":{"actualScale":1,"desiredScale":1}}`),
				metav1.PatchOptions{FieldManager: "aibrix-controller-manager"}, "status")
			if err == nil {
				_, err = deployments.Patch(ctx, name, types.MergePatchType, []byte(`{"spec":{"replicas":1}}`), metav1.PatchOptions{}, "scale")
			}
			if err != nil {
				return err
			}
		}
		return nil
	}
	ctx, cancel := context.WithCancel(context.Background())
	require.NoError(c.t, write(ctx))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for again := time.NewTicker(200 * time.Millisecond); ; {
			select {
			case <-ctx.Done():
				again.Stop()
				return
			case <-again.C:
				_ = write(ctx) // a CRD that is being replaced, a write of flyball's at the same moment: it comes again
			}
		}
	}()
	return func() { cancel(); <-done }
}

// wroteNoScale says that flyball has not so much as tried to write a replica count since then.
func (c *cluster) wroteNoScale(since time.Time) {
	c.t.Helper()
	for _, r := range c.requests(since, flyballUser) {
		if r.Object.Subresource == "scale" {
			require.Equal(c.t, "get", r.Verb, "%+v", r)
		}
	}
}

// Another controller of PodAutoscalers, such as AIBrix's own, writes their statuses, and is content with them. flyball advises
// only and says so, after a restart too, and when the other is silent and its traces are gone; until it is acknowledged.
func TestAnotherControllerIsNotFought(t *testing.T) {
	c := startCluster(t)
	d := newDial(t)
	c.kubectl("", "create", "namespace", "other")
	d.set("/x", 35)
	c.apply(idleDeployment("other", "x") + autoscalerManifest("other", "x", "Deployment", "0s", d.source("/x")))
	leave := c.rival("other", "x")
	status := func(field string) string {
		return c.kubectl("", "get", "fpa", "-n", "other", "x", "-o", "jsonpath={.status."+field+"}")
	}
	named := func() bool {
		return strings.HasPrefix(c.condition("other", "x", "Conflict"), "True OtherController: aibrix-controller-manager")
	}
	begun, writes := time.Now(), c.watchWrites()

	_, stop := c.flyballUntil(t.TempDir(), zap.NewNop())
	c.eventually("the other is named", named)
	c.eventually("what flyball measures is shown", func() bool { return status("targets") == "35/10" })
	c.eventually("and why it is not ready", func() bool { return strings.HasPrefix(c.condition("other", "x", "Ready"), "False OtherController") })
	require.Contains(t, c.condition("other", "x", "Conflict"), "--acknowledge other-controller")
	stop()

	d.set("/x", 45)
	_, stop = c.flyballUntil(t.TempDir(), zap.NewNop())
	c.eventually("another instance measures", func() bool { return status("targets") == "45/10" })
	require.True(t, named())
	stop()

	leave()
	c.kubectl("", "patch", "fpa", "-n", "other", "x", "--type=json", "-p", `[{"op":"replace","path":"/metadata/managedFields","value":[{}]}]`)
	require.NotContains(t, c.kubectl("", "get", "fpa", "-n", "other", "x", "-o", "yaml", "--show-managed-fields"), "manager: aibrix")
	d.set("/x", 55)
	_, stop = c.flyballUntil(t.TempDir(), zap.NewNop())
	c.eventually("what flyball would do is shown", func() bool { return status("desiredScale") == "6" })
	require.True(t, named(), "that it is silent does not say that it is gone")
	stop()
	require.Empty(t, writes)
	c.wroteNoScale(begun)

	c.flyball(t.TempDir(), ackOtherController)
	c.eventually("once acknowledged, it writes", func() bool { return *c.deployment("other", "x").Spec.Replicas == 6 })
	c.eventually("and there is no conflict", func() bool { return strings.HasPrefix(c.condition("other", "x", "Conflict"), "False") })
}
