package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/dynamic"
)

// idleDeployment is a Deployment whose pods nobody runs: its autoscaler reads an endpoint, so they don't matter.
func idleDeployment(namespace, name string) string {
	return strings.ReplaceAll(strings.ReplaceAll(`
apiVersion: apps/v1
kind: Deployment
metadata: {namespace: NS, name: NAME}
spec:
  replicas: 1
  selector: {matchLabels: {app: NAME}}
  template:
    metadata: {labels: {app: NAME}}
    spec: {containers: [{name: x, image: x}]}
---
`, "NS", namespace), "NAME", name)
}

// What operators do with kubectl, and what flyball makes of it.
func TestWhatOperatorsDo(t *testing.T) {
	c := startCluster(t)
	d := newDial(t)
	c.kubectl("", "create", "namespace", "ops")
	replicas := func(name string) int32 { return *c.deployment("ops", name).Spec.Replicas }
	scaler := func(name, delay string) {
		c.apply(idleDeployment("ops", name) + autoscalerManifest("ops", name, "Deployment", delay, d.source("/"+name)))
	}
	d.set("/annotated", 25)
	d.set("/scaled", 35)
	scaler("annotated", "1h")
	scaler("scaled", "0s")
	writes := c.watchWrites()
	c.flyball(t.TempDir())
	c.eventually("each gets its own result", func() bool { return replicas("annotated") == 3 && replicas("scaled") == 4 })

	t.Run("a delay that is annotated takes effect at the next tick", func(t *testing.T) {
		d.set("/annotated", 5)
		c.eventually("the fall is delayed, and the status says so", func() bool {
			return strings.HasPrefix(c.condition("ops", "annotated", "ScalingLimited"), "True ScaleDownDelayed")
		})
		require.EqualValues(t, 3, replicas("annotated"))
		c.kubectl("", "annotate", "--overwrite", "fpa", "-n", "ops", "annotated", "autoscaling.aibrix.ai/scale-down-delay=0s")
		annotated := time.Now()
		c.eventually("it falls", func() bool { return replicas("annotated") < 3 })
		require.Less(t, time.Since(annotated), 15*time.Second, "the next tick comes within 2 s; the rest is for a slow machine")
	})

	t.Run("kubectl scale is seen, reported, and answered once", func(t *testing.T) {
		for len(writes) > 0 {
			<-writes
		}
		c.kubectl("", "scale", "-n", "ops", "deployment/scaled", "--replicas=6")
		c.eventually("back to what the load needs", func() bool { return replicas("scaled") == 4 })
		c.eventually("the status has it", func() bool {
			return strings.Contains(c.kubectl("", "get", "fpa", "-n", "ops", "scaled", "-o", "jsonpath={.status.scalingHistory}"), `"previousScale":6`)
		})
		hold := time.After(5 * time.Second)
		var seen []int32
		for done := false; !done; {
			select {
			case w := <-writes:
				if w.name == "ops/scaled" {
					seen = append(seen, w.to)
				}
			case <-hold:
				done = true
			}
		}
		require.Equal(t, []int32{6, 4}, seen, "one write by hand, one answer")
	})

	t.Run("an invalid annotation stops this autoscaler, says so, and moves nothing", func(t *testing.T) {
		c.kubectl("", "annotate", "fpa", "-n", "ops", "scaled", "autoscaling.aibrix.ai/scale-dwn-delay=5m")
		c.eventually("the condition names it", func() bool {
			return strings.Contains(c.condition("ops", "scaled", "ValidSpec"), "did you mean autoscaling.aibrix.ai/scale-down-delay")
		})
		require.EqualValues(t, 4, replicas("scaled"))
		c.eventually("an event names it", func() bool {
			described := c.kubectl("", "describe", "fpa", "-n", "ops", "scaled")
			return strings.Contains(described, "Warning  InvalidSpec") && strings.Contains(described, "SuccessfulRescale")
		})
	})
}

// Anything with a scale subresource scales; anything else says why it does not.
func TestKindsOfTargets(t *testing.T) {
	c := startCluster(t)
	d := newDial(t)
	d.set("/x", 25)
	c.kubectl("", "create", "namespace", "kinds")
	c.apply(strings.ReplaceAll(idleDeployment("kinds", "sts"), "kind: Deployment", "kind: StatefulSet"))
	c.apply(strings.ReplaceAll(idleDeployment("kinds", "rs"), "kind: Deployment", "kind: ReplicaSet"))
	for kind, name := range map[string]string{"Fleet": "fleet", "Blind": "blind", "Rock": "rock"} {
		c.apply("apiVersion: example.com/v1\nkind: " + kind + "\nmetadata: {namespace: kinds, name: " + name + "}\nspec: {engines: 1, replicas: 1}\n")
	}
	c.kubectl("", "patch", "fleet", "-n", "kinds", "fleet", "--subresource=status", "--type=merge", "-p", `{"status":{"engines":1,"selector":"app=fleet"}}`)
	// The operator of a kind of their own gives flyball the rights to it.
	c.apply(`
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: flyball-example}
rules:
- {apiGroups: [example.com], resources: [fleets, blinds, rocks], verbs: [get, list, watch]}
- {apiGroups: [example.com], resources: [fleets/scale, blinds/scale], verbs: [get, update]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: flyball-example}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: flyball-example}
subjects: [{kind: ServiceAccount, name: flyball, namespace: flyball-system}]
`)
	for name, kind := range map[string]string{"sts": "StatefulSet", "rs": "ReplicaSet", "fleet": "Fleet", "blind": "Blind", "rock": "Rock", "absent": "Deployment"} {
		m := autoscalerManifest("kinds", name, kind, "0s", d.source("/x"))
		if kind == "Fleet" || kind == "Blind" || kind == "Rock" {
			m = strings.Replace(m, "apiVersion: apps/v1", "apiVersion: example.com/v1", 1)
		}
		c.apply(m)
	}
	c.flyball(t.TempDir())

	dyn := dynamic.NewForConfigOrDie(c.cp.Config())
	for name, at := range map[string]struct {
		gvr   schema.GroupVersionResource
		field string
	}{
		"sts":   {schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "statefulsets"}, "replicas"},
		"rs":    {schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "replicasets"}, "replicas"},
		"fleet": {schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "fleets"}, "engines"},
	} {
		c.eventually(name+" is scaled to 3", func() bool {
			obj, err := dyn.Resource(at.gvr).Namespace("kinds").Get(context.Background(), name, metav1.GetOptions{})
			require.NoError(t, err)
			spec := obj.Object["spec"].(map[string]any)
			return spec[at.field] == int64(3)
		})
	}
	for name, want := range map[string]string{
		"blind": "False NoSelector", "rock": "False NoScaleSubresource", "absent": "False TargetNotFound",
	} {
		c.eventually(name+" says "+want, func() bool { return strings.HasPrefix(c.condition("kinds", name, "AbleToScale"), want) })
	}
}
