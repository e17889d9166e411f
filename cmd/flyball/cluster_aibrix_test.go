package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flyball/flyball/internal/sim"
)

// A cluster has AIBrix's CRD, and manifests written for it. flyball comes before its own CRD does: it says so in each status,
// and writes nothing else. Then the chart's README is followed: while AIBrix's controller is at work, with our CRD too, flyball
// says so and writes nothing else. When that one is stopped and acknowledged, every autoscaler scales, or says why not. When
// everything is deleted again, nothing of flyball is left.
func TestAClusterThatWasAIBrixs(t *testing.T) {
	c := startCluster(t, sim.WorkloadSpec{Namespace: "aibrix", Name: "kpa"}, sim.WorkloadSpec{Namespace: "aibrix", Name: "apa"})
	c.kubectl("", "delete", "crd", "podautoscalers.autoscaling.aibrix.ai")
	c.kubectl("", "apply", "-f", "../../deploy/testdata/aibrix/crd.yaml")
	c.kubectl("", "wait", "--for=condition=Established", "crd/podautoscalers.autoscaling.aibrix.ai")
	c.apply(workloadManifest("Deployment", "aibrix", "kpa", 1) + workloadManifest("Deployment", "aibrix", "apa", 1) + idleDeployment("aibrix", "hpa"))
	c.kubectl("", "apply", "-f", "../../deploy/testdata/aibrix/samples.yaml")
	samples := []string{"kpa", "apa", "hpa", "optimizer", "role"}
	require.NoError(t, c.plant.SetLoad("aibrix", "kpa", sim.LoadSpec{ // long prompts fill the KV cache
		Shape: sim.Constant{Rate: 40}, Arrivals: sim.Even, Prompt: sim.Tokens{Mean: 2000, Max: 2000}, Output: sim.Tokens{Mean: 400, Max: 400},
	}))
	begun := time.Now()
	log, logged := observer.New(zap.InfoLevel)
	_, stop := c.flyballUntil(t.TempDir(), zap.New(log))
	stopped := false
	defer func() {
		if !stopped {
			stop()
		}
	}()

	for _, name := range samples[:3] {
		c.eventually(name+" says what is in the way", func() bool { return strings.HasPrefix(c.sampleCondition(name, "Conflict"), "True OlderCRD") })
		c.eventually(name+" does not scale", func() bool { return strings.HasPrefix(c.sampleCondition(name, "Ready"), "False OlderCRD") })
	}
	for _, name := range samples[3:] {
		c.eventually(name+" has no target", func() bool { return strings.HasPrefix(c.sampleCondition(name, "Ready"), "False ") })
	}
	<-time.After(15 * time.Second) // a failed write of a status comes again after 10 s
	require.Zero(t, logged.FilterMessageSnippet("status not written").Len(), "%v", logged.All())
	asked := tally(c.requests(begun, flyballUser))
	require.NotContains(t, asked, "update deployments/scale", describe(asked))
	require.NotContains(t, asked, "patch horizontalpodautoscalers", describe(asked))
	require.LessOrEqual(t, asked["patch podautoscalers/status"], 4*len(samples), "what the CRD drops of a status is not written for ever")

	leave := c.rival("aibrix", samples[:3]...)
	defer leave()
	for _, name := range samples[:3] {
		c.eventually(name+" has another master", func() bool {
			return strings.HasPrefix(c.sampleCondition(name, "Conflict"), "True OtherController: aibrix-controller-manager")
		})
	}
	c.kubectl("", "apply", "--server-side", "--force-conflicts", "-f", "../../deploy/install.yaml")
	installed := time.Now()
	c.eventually("our CRD is seen", func() bool { return logged.FilterMessageSnippet("the CRD of PodAutoscaler is flyball's now").Len() > 0 })
	t.Logf("our CRD is seen after %s", time.Since(installed).Round(time.Second))
	require.Less(t, time.Since(installed), 40*time.Second, "what is served is looked at every 30 s")
	c.eventually("kpa is shown what flyball would do", func() bool {
		return strings.HasPrefix(c.sampleCondition("kpa", "ScalingLimited"), "True ") || strings.HasPrefix(c.sampleCondition("kpa", "ScalingLimited"), "False ")
	})
	require.Contains(t, c.sampleCondition("kpa", "Conflict"), "True OtherController")
	c.wroteNoScale(begun)
	leave()
	stop()
	stopped = true
	c.flyball(t.TempDir(), ackOtherController)
	c.eventually("kpa goes on", func() bool { return strings.HasPrefix(c.sampleCondition("kpa", "Conflict"), "False") })
	c.eventually("kpa scales", func() bool { return *c.deployment("aibrix", "kpa").Spec.Replicas > 1 })
	c.eventually("apa is decided for", func() bool { return strings.HasPrefix(c.sampleCondition("apa", "Ready"), "True ") })
	for _, name := range samples {
		c.eventually(name+" is not silent", func() bool {
			said := c.sampleCondition(name, "Ready")
			return strings.HasPrefix(said, "True ") || strings.HasPrefix(said, "False ") && !strings.HasPrefix(said, "False OlderCRD")
		})
		t.Logf("%s: Ready %s; ScalingActive %s", name, c.sampleCondition(name, "Ready"), c.sampleCondition(name, "ScalingActive"))
	}
	c.nothingWasRefused()
	c.uninstalled()
}

// sampleCondition gives a condition of a sample. AIBrix's CRD has no short name.
func (c *cluster) sampleCondition(name, kind string) string {
	c.t.Helper()
	return c.kubectl("", "get", "podautoscaler", "-n", "aibrix", name, "-o",
		fmt.Sprintf(`jsonpath={range .status.conditions[?(@.type==%q)]}{.status} {.reason}: {.message}{end}`, kind))
}

// uninstalled deletes what install.yaml has, while flyball runs, and waits until nothing with its name is left, of any kind.
func (c *cluster) uninstalled() {
	c.kubectl("", "delete", "-f", "../../deploy/install.yaml", "--wait=false")
	var left []string
	c.eventually("nothing of flyball is left", func() bool {
		var ok bool
		left, ok = c.ours()
		return ok && len(left) == 0
	})
	names := c.kubectl("", "get", "crd,ns,hpa,lease,clusterrole,clusterrolebinding,validatingadmissionpolicy,validatingadmissionpolicybinding", "-A", "-o", "name")
	require.NotContains(c.t, names, "flyball")
	require.NotContains(c.t, names, "aibrix.ai")
	require.NotContains(c.t, names, "hpa-hpa", "the garbage collector takes it along with its autoscaler")
}

// ours are all objects that carry flyball's name, of all kinds that can be listed; false while a kind is on its way out.
func (c *cluster) ours() ([]string, bool) {
	c.t.Helper()
	kinds := strings.Fields(c.kubectl("", "api-resources", "--verbs=list", "-o", "name"))
	out, err := c.cp.Kubectl("get", strings.Join(kinds, ","), "-A", "-l", "app.kubernetes.io/name=flyball", "-o", "json").Output()
	if err != nil {
		return nil, false
	}
	var list struct {
		Items []struct {
			Kind     string
			Metadata metav1.ObjectMeta
		}
	}
	require.NoError(c.t, json.Unmarshal(out, &list))
	left := []string{}
	for _, o := range list.Items {
		left = append(left, o.Kind+" "+o.Metadata.Namespace+"/"+o.Metadata.Name)
		if o.Kind == "PersistentVolumeClaim" && o.Metadata.DeletionTimestamp != nil {
			// The controller that lets go of volumes is not in this control plane.
			c.kubectl("", "patch", "pvc", "-n", o.Metadata.Namespace, o.Metadata.Name, "--type=merge", "-p", `{"metadata":{"finalizers":null}}`)
		}
	}
	return left, true
}
