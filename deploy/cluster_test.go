package deploy

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/internal/controlplane"
)

// TestAClusterThatHadAIBrix is one story on a real API server: AIBrix's CRD and manifests are there, flyball is installed over them, is
// used, and leaves.
func TestAClusterThatHadAIBrix(t *testing.T) {
	c := &cluster{ControlPlane: controlplane.ForTest(t, controlplane.Options{})}
	for _, namespace := range []string{"aibrix", "llm"} {
		c.kubectl(t, "", "create", "namespace", namespace)
	}
	c.aibrix(t)
	before := c.objects(t, "podautoscalers", "-n", "aibrix")
	require.Len(t, before, 5)

	if !t.Run("every object of install.yaml is accepted", func(t *testing.T) {
		c.kubectl(t, namespace, "apply", "--server-side", "-f", "-")
		c.kubectl(t, "", "apply", "--server-side", "--force-conflicts", "--dry-run=server", "-f", "install.yaml")
		require.NotContains(t, c.kubectl(t, "", "apply", "--server-side", "--force-conflicts", "-f", "install.yaml"), "Warning")
	}) {
		return // the rest speaks of what is installed
	}
	t.Run("again is no change", func(t *testing.T) {
		out := c.kubectl(t, "", "diff", "--server-side", "--force-conflicts", "-f", "install.yaml")
		require.Empty(t, out)
	})
	t.Run("the pods are admitted where the restricted standard is enforced", c.podsAreAdmitted)
	t.Run("it may do what it needs, and nothing else", c.rightsAreFew)
	t.Run("AIBrix's manifests and statuses are as they were", func(t *testing.T) { c.samplesAreKept(t, before) })
	t.Run("AIBrix's manifests apply unchanged", func(t *testing.T) {
		for _, line := range strings.Split(strings.TrimSpace(c.kubectl(t, "", "apply", "-f", "testdata/aibrix/samples.yaml")), "\n") {
			require.Regexp(t, `unchanged$|^Warning: `, line)
		}
	})
	t.Run("what flyball reads elsewhere is accepted", func(t *testing.T) {
		c.kubectl(t, "", "apply", "--dry-run=server", "-f", "../api/v1alpha1/testdata")
	})
	t.Run("the examples are accepted", func(t *testing.T) {
		out, err := c.Kubectl("apply", "-f", "examples").CombinedOutput()
		require.ErrorContains(t, err, "exit status 1", "there is no KEDA here")
		require.Equal(t, 6, strings.Count(string(out), "created"), "%s", out)
		require.NotContains(t, string(out), "Warning")
		require.Equal(t, 1, strings.Count(string(out), "error"), "%s", out)
	})
	t.Run("what is wrong by itself is refused with its field and the fix", c.mistakesAreRefused)
	t.Run("keys that nobody reads are warned of", c.keysAreWarnedOf)
	t.Run("uninstalled, nothing of flyball is left", c.nothingIsLeft)
	t.Run("helm takes the CRD over, and leaves it", c.helmComesAndGoes)
}

type cluster struct{ *controlplane.ControlPlane }

// aibrix installs AIBrix's CRD and manifests.
func (c *cluster) aibrix(t *testing.T) {
	t.Helper()
	c.kubectl(t, "", "apply", "-f", "testdata/aibrix/crd.yaml")
	c.kubectl(t, "", "wait", "--for=condition=Established", "crd/podautoscalers.autoscaling.aibrix.ai")
	c.kubectl(t, "", "apply", "-f", "testdata/aibrix/samples.yaml")
}

// kubectl gives what kubectl prints on both outputs. It must succeed.
func (c *cluster) kubectl(t *testing.T, stdin string, args ...string) string {
	t.Helper()
	cmd := c.Kubectl(args...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "kubectl %s: %s", strings.Join(args, " "), out)
	return string(out)
}

// object is what the tests read of any object.
type object struct {
	Kind     string `json:"kind"`
	Metadata struct {
		Namespace         string `json:"namespace"`
		Name              string `json:"name"`
		DeletionTimestamp string `json:"deletionTimestamp"`
	} `json:"metadata"`
	Spec   map[string]any `json:"spec"`
	Status map[string]any `json:"status"`
}

func (c *cluster) objects(t *testing.T, kinds string, args ...string) []object {
	t.Helper()
	var list struct {
		Items []object `json:"items"`
	}
	require.NoError(t, json.Unmarshal([]byte(c.kubectl(t, "", append([]string{"get", kinds, "-o", "json"}, args...)...)), &list))
	return list.Items
}

// eventually waits for controllers, and for what the API server learns by its own watches: until nothing is missing.
func eventually(t *testing.T, missing func() string) {
	t.Helper()
	var last string
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); <-time.After(100 * time.Millisecond) {
		if last = missing(); last == "" {
			return
		}
	}
	require.Fail(t, "not within 30 s: "+last)
}

func (c *cluster) podsAreAdmitted(t *testing.T) {
	require.Contains(t, c.kubectl(t, "", "get", "namespace", "flyball-system", "-o", "yaml"), "pod-security.kubernetes.io/enforce: restricted")
	out, err := c.Kubectl("run", "root", "-n", "flyball-system", "--image=x", "--dry-run=server").CombinedOutput()
	require.Error(t, err)
	require.Contains(t, string(out), `violates PodSecurity "restricted`, "it is enforced")
	eventually(t, func() string {
		if n := len(c.objects(t, "pods", "-n", "flyball-system")); n != 2 {
			return fmt.Sprintf("2 pods, there are %d", n)
		}
		return ""
	})
	require.Len(t, c.objects(t, "persistentvolumeclaims", "-n", "flyball-system"), 2, "each instance has a store")
}

func (c *cluster) rightsAreFew(t *testing.T) {
	const flyball = "system:serviceaccount:flyball-system:flyball"
	for question, want := range map[string]string{
		"update lease/flyball -n flyball-system":          "yes",
		"update lease/other -n flyball-system":            "no",
		"update deployments --subresource=scale -n llm":   "yes",
		"update deployments -n llm":                       "no",
		"patch podautoscalers --subresource=status":       "yes",
		"update podautoscalers":                           "no",
		"delete horizontalpodautoscalers -n llm":          "yes",
		"list nodes":                                      "yes",
		"list secrets -n llm":                             "no",
		"create events.events.k8s.io -n llm":              "yes",
		"create events -n llm":                            "no",
		"get persistentvolumeclaims -n flyball-system":    "no",
		"list scaledobjects.keda.sh -n llm":               "no", // nobody may ask for what is not served
		"get pods --subresource=log -n flyball-system":    "no",
		"watch resourcequotas -n llm":                     "yes",
		"list pods.metrics.k8s.io -n llm":                 "no",
		"delete statefulsets -n llm":                      "no",
		"update statefulsets --subresource=scale -n llm":  "yes",
		"create statefulsets --subresource=scale -n llm":  "no",
		"create leases.coordination.k8s.io -n llm":        "no",
		"impersonate users":                               "no",
		"update replicasets --subresource=scale -n other": "yes",
	} {
		out, _ := c.Kubectl(append([]string{"auth", "can-i", "--as=" + flyball}, strings.Fields(question)...)...).Output()
		require.Equal(t, want, strings.TrimSpace(string(out)), question)
	}
}

func (c *cluster) samplesAreKept(t *testing.T, before []object) {
	// AIBrix's controller goes on while flyball advises, and a later one reports what this CRD has not heard of.
	c.kubectl(t, "", "patch", "podautoscaler", "kpa", "-n", "aibrix", "--subresource=status", "--type=merge",
		"-p", `{"status":{"desiredScale":2,"predictive":{"predictedReplicas":3}}}`)
	after := c.objects(t, "podautoscalers", "-n", "aibrix")
	require.Len(t, after, len(before))
	for i := range after {
		require.Equal(t, "Enforce", after[i].Spec["mode"], "the one default")
		delete(after[i].Spec, "mode")
		require.Equal(t, before[i].Spec, after[i].Spec, after[i].Metadata.Name)
		if after[i].Metadata.Name == "kpa" {
			require.Equal(t, map[string]any{"predictedReplicas": 3.0}, after[i].Status["predictive"])
		}
	}
}

// ours are all objects in the cluster that carry flyball's name. Kinds that are gone since they were listed are an error.
func (c *cluster) ours(t *testing.T) ([]object, error) {
	t.Helper()
	everything := c.kubectl(t, "", "api-resources", "--verbs=list", "-o", "name")
	out, err := c.Kubectl("get", strings.Join(strings.Fields(everything), ","), "-A", "-l", "app.kubernetes.io/name=flyball", "-o", "json").Output()
	if err != nil {
		return nil, err
	}
	var list struct {
		Items []object `json:"items"`
	}
	require.NoError(t, json.Unmarshal(out, &list))
	return list.Items, nil
}

// onlyLeaves waits until of all that is flyball's there are only objects of a kind; none if it is empty.
func (c *cluster) onlyLeaves(t *testing.T, kind string) {
	t.Helper()
	eventually(t, func() string {
		objects, err := c.ours(t)
		if err != nil {
			return err.Error()
		}
		var left []string
		for _, o := range objects {
			c.release(t, o)
			if o.Kind != kind {
				left = append(left, fmt.Sprintf("%s %s/%s", o.Kind, o.Metadata.Namespace, o.Metadata.Name))
			}
		}
		return strings.Join(left, ", ")
	})
}

func (c *cluster) nothingIsLeft(t *testing.T) {
	objects, err := c.ours(t)
	require.NoError(t, err)
	require.Greater(t, len(objects), 17, "14 of install.yaml, pods and their volumes")
	but := c.kubectl(t, "", "delete", "-f", "install.yaml", "-l", "app.kubernetes.io/component!=crd", "--dry-run=server")
	require.Contains(t, but, `statefulset.apps "flyball" deleted`)
	require.NotContains(t, but, "customresourcedefinition", "as the chart's README has it")
	c.kubectl(t, "", "delete", "-f", "install.yaml", "--wait=false")
	c.onlyLeaves(t, "")
	out, err := c.Kubectl("get", "crd,namespaces", "-o", "name").Output()
	require.NoError(t, err)
	require.NotContains(t, string(out), "flyball")
	require.NotContains(t, string(out), "aibrix.ai", "the CRD was taken over, and goes with the rest: the chart's README says how to keep it")
}

// helmComesAndGoes is the same with helm, which leaves the CRD and with it everybody's autoscalers.
func (c *cluster) helmComesAndGoes(t *testing.T) {
	c.aibrix(t)
	t.Setenv("KUBECONFIG", c.Kubeconfig())
	for _, home := range []string{"HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"} {
		t.Setenv(home, t.TempDir())
	}
	release := []string{"--namespace", "flyball-system", "flyball"}
	_, err := helm(t.Context(), append([]string{"install", "--create-namespace"}, append(release, chart)...)...)
	require.ErrorContains(t, err, "cannot be imported into the current release", "the CRD is AIBrix's")
	out, err := helm(t.Context(), append([]string{"install", "--create-namespace", "--take-ownership", "--force-conflicts"}, append(release, chart)...)...)
	require.NoError(t, err)
	require.Contains(t, string(out), "kubectl -n flyball-system port-forward svc/flyball 8090")
	_, err = helm(t.Context(), append([]string{"upgrade", "--set", "replicas=1", "--force-conflicts"}, append(release, chart)...)...)
	require.NoError(t, err)
	require.Contains(t, c.kubectl(t, "", "get", "podautoscaler", "-n", "aibrix"), "DESIRED", "the columns are ours")

	_, err = helm(t.Context(), append([]string{"uninstall"}, release...)...)
	require.NoError(t, err)
	c.onlyLeaves(t, "CustomResourceDefinition")
	require.Len(t, c.objects(t, "podautoscalers", "-n", "aibrix"), 5)
}

// release stands in for what this control plane has not: the kubelet that ends pods, and the controller that lets go of volumes.
func (c *cluster) release(t *testing.T, o object) {
	t.Helper()
	switch {
	case o.Metadata.DeletionTimestamp == "":
	case o.Kind == "Pod":
		_, _ = c.Kubectl("delete", "pod", "-n", o.Metadata.Namespace, o.Metadata.Name, "--grace-period=0", "--force").CombinedOutput()
	case o.Kind == "PersistentVolumeClaim":
		_, _ = c.Kubectl("patch", "pvc", "-n", o.Metadata.Namespace, o.Metadata.Name, "--type=merge", "-p", `{"metadata":{"finalizers":null}}`).CombinedOutput()
	}
}

// policies says which autoscalers of a manifest flyball itself would refuse, by name.
func policies(t *testing.T, manifest string) map[string]bool {
	t.Helper()
	refused := map[string]bool{}
	pas, err := v1alpha1.Read(strings.NewReader(manifest))
	require.NoError(t, err)
	for _, pa := range pas {
		_, _, errs := pa.Policy()
		refused[pa.Name] = len(errs) > 0
	}
	return refused
}

func TestEveryExampleIsAPolicy(t *testing.T) {
	names, err := filepath.Glob("examples/*.yaml")
	require.NoError(t, err)
	for _, name := range names {
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		manifest, _, _ := strings.Cut(string(data), "\n---\n") // a ScaledObject
		for pa, refused := range policies(t, manifest) {
			require.False(t, refused, "%s: %s", name, pa)
		}
	}
}
