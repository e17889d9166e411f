package deploy

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/collector"
	"github.com/flyball/flyball/internal/lint"
	"github.com/flyball/flyball/internal/loop"
	"github.com/flyball/flyball/query"
)

const chart = "chart/flyball"

// generated are the files that Render writes.
var generated = []string{chart + "/files/crd.yaml", chart + "/files/annotations.json", "install.yaml", "rbac.yaml"}

func TestRenderedFilesAreFresh(t *testing.T) {
	dir := t.TempDir()
	for _, part := range []string{"chart", "crd"} {
		require.NoError(t, os.CopyFS(filepath.Join(dir, part), os.DirFS(part)))
	}
	for _, name := range generated[:2] {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte("stale"), 0o600))
	}
	require.NoError(t, Render(t.Context(), dir))
	for _, name := range generated {
		want, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		got, err := os.ReadFile(name)
		require.NoError(t, err)
		require.Equal(t, string(want), string(got), "%s is stale: run go generate ./deploy", name)
	}
}

func TestRenderSaysWhatIsMissing(t *testing.T) {
	require.ErrorContains(t, Render(t.Context(), t.TempDir()), "go generate ./api/... makes the CRD")
}

// The policy's table of keys is the API's.
func TestTheAdmissionPolicyKnowsEveryAnnotation(t *testing.T) {
	data, err := os.ReadFile(chart + "/files/annotations.json")
	require.NoError(t, err)
	var known []knownAnnotation
	require.NoError(t, yaml.UnmarshalStrict(data, &known))
	var got, want []string
	for _, k := range known {
		got = append(got, k.Key)
		require.Regexp(t, `^[a-z0-9]{1,30}$`, k.Word, "the policy compares names of lower-case letters and digits, up to 31 of them")
	}
	for _, a := range v1alpha1.Annotations() {
		want = append(want, a.Key)
	}
	require.Equal(t, want, got)
}

func TestTheChartPassesLint(t *testing.T) {
	out, err := helm(t.Context(), "lint", "--strict", chart)
	require.NoError(t, err)
	require.Contains(t, string(out), "0 chart(s) failed")
}

// template renders the chart with some values, as flags of helm.
func template(t *testing.T, flags ...string) string {
	t.Helper()
	out, err := helm(t.Context(), append([]string{"template", "flyball", chart, "--namespace", "gpu"}, flags...)...)
	require.NoError(t, err)
	return string(out)
}

func TestValuesThatAreWrongAreRefusedByName(t *testing.T) {
	for set, want := range map[string]string{
		"replicas=two":                  `'/replicas': got string, want integer`,
		"replicas=0":                    `'/replicas': minimum: got 0, want 1`,
		"replica=2":                     `additional properties 'replica' not allowed`,
		"image.tga=x":                   `'/image': additional properties 'tga' not allowed`,
		"image.pullPolicy=Sometimes":    `'/image/pullPolicy': value must be one of 'Always', 'IfNotPresent', 'Never'`,
		"namespaces=llm":                `'/namespaces': got string, want array`,
		"retention=7d":                  `'/retention': '7d' does not match pattern`,
		"persistence.size=lots":         `'/persistence/size': 'lots' does not match pattern`,
		"acknowledge={everything}":      `'/acknowledge/0': value must be one of 'other-controller', 'older-crd'`,
		"crds.keep=maybe":               `'/crds/keep': got string, want boolean`,
		"targets[0].group=x":            `'/targets/0': missing property 'resource'`,
		"networkPolicy.apiServerPorts=": `'/networkPolicy/apiServerPorts': got string, want array`,
		"grpc.tls.clientCA=true":        `'/grpc/tls/secretName': minLength`,
	} {
		_, err := helm(t.Context(), "template", "flyball", chart, "--set", set)
		require.ErrorContains(t, err, want, set)
	}
}

func TestEveryValueIsInTheReadme(t *testing.T) {
	data, err := os.ReadFile(chart + "/values.yaml")
	require.NoError(t, err)
	values := map[string]any{}
	require.NoError(t, yaml.Unmarshal(data, &values))
	readme, err := os.ReadFile(chart + "/README.md")
	require.NoError(t, err)
	for key := range values {
		require.Contains(t, string(readme), "`"+key+"`")
	}
}

func TestANamespacedInstallAsksForNothingClusterWide(t *testing.T) {
	out := template(t, "--set", "namespaces={llm,gpu}", "--set", "crds.install=false,admissionPolicy.enabled=false")
	for _, kind := range regexp.MustCompile(`(?m)^kind: (\S+)`).FindAllStringSubmatch(out, -1) {
		require.Contains(t, []string{
			"ServiceAccount", "Role", "RoleBinding", "Lease", "StatefulSet", "Service", "PodDisruptionBudget", "NetworkPolicy",
		}, kind[1])
	}
	require.Contains(t, out, "--namespaces=llm,gpu")
	require.NotContains(t, out, "nodes")
	require.Equal(t, 2, strings.Count(out, "resources: [podautoscalers]"), "one Role per namespace")
}

func TestValuesReachTheirPlace(t *testing.T) {
	out := template(t, "--set", "replicas=3,persistence.enabled=false,serviceMonitor.enabled=true,image.registry=r.example,image.tag=v9",
		"--set", "grpc.tls.secretName=cert,grpc.tls.clientCA=true,grpc.scalerAddresses={scaler.example:443}",
		"--set", "targets[0].group=leaderworkerset.x-k8s.io,targets[0].resource=leaderworkersets", "--set", "acknowledge={other-controller,older-crd}",
		"--set", "networkPolicy.egress[0].ports[0].port=9443", "--api-versions", "monitoring.coreos.com/v1")
	for _, want := range []string{
		"replicas: 3", "emptyDir:", "kind: ServiceMonitor", "image: r.example/flyball:v9", "secret: {secretName: cert}", "--grpc-tls-cert=/tls/tls.crt",
		"--grpc-tls-key=/tls/tls.key", "--grpc-client-ca=/tls/ca.crt", "--scaler-addresses=flyball.gpu:8091,scaler.example:443",
		"resources: [leaderworkersets/scale]", "--acknowledge=other-controller,older-crd", "port: 9443", "--retention-bytes=4294967296", "--lease-namespace=gpu",
	} {
		require.Contains(t, out, want)
	}
	require.NotContains(t, out, "volumeClaimTemplates")

	out = template(t, "--set", "serviceMonitor.enabled=true")
	require.NotContains(t, out, "ServiceMonitor", "this cluster has none")
	require.Contains(t, out, "helm.sh/resource-policy: keep")
	out = template(t, "--set", "crds.keep=false")
	require.NotContains(t, out, "helm.sh/resource-policy")
}

func TestTheExamplesPassLint(t *testing.T) {
	packs, err := collector.LoadPacks()
	require.NoError(t, err)
	binder := loop.Binder{MetricsAPIs: true, NativeHPAs: true, Lookup: func(name string) (query.Metric, bool) {
		m, ok := packs.Lookup(name)
		return query.Metric{Names: m.Names, Kind: query.Kind(m.Kind), Scale: query.Scale(m.Scale)}, ok
	}}
	names, err := filepath.Glob("examples/*.yaml")
	require.NoError(t, err)
	require.Len(t, names, 6)
	var files []lint.File
	for _, name := range names {
		data, err := os.ReadFile(name)
		require.NoError(t, err)
		files = append(files, lint.File{Name: name, Data: data})
	}
	report := lint.Check(files, binder)
	for _, f := range report.Findings {
		require.Equal(t, lint.Note, f.Severity, "%s", f)
	}
	require.Len(t, report.Right, len(files))
}

func TestTheImageIsBuiltWithTheModulesGo(t *testing.T) {
	mod, err := os.ReadFile("../go.mod")
	require.NoError(t, err)
	file, err := os.ReadFile("../Dockerfile")
	require.NoError(t, err)
	version := regexp.MustCompile(`(?m)^go (\d+\.\d+)`).FindSubmatch(mod)
	require.Contains(t, string(file), "ARG BUILD=golang:"+string(version[1])+"\n")
}
