package lint

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/internal/loop"
)

const manifest = `# one
apiVersion: autoscaling.aibrix.ai/v1alpha1
kind: PodAutoscaler
metadata:
  name: x
  labels: {app: x, "autoscaling.aibrix.ai/scale-down-delay": 5m}
  annotations:
    odd]key: "1"
    autoscaling.aibrix.ai/scale-up-delay: 30s
spec:
  maxReplicas: 4
  metricsSources:
  - &first
    metricSourceType: pod
    targetMetric: queue
    targetValue: "10"
  - {metricSourceType: pod,
     targetMetric: other, targetValue: 5}
  - <<: *first
    targetMetric: third
  - *first
`

func TestFieldsHaveTheirLines(t *testing.T) {
	tree := newTree([]byte(manifest), 1)
	for path, line := range map[string]int{
		"":                      2,
		"kind":                  3,
		"metadata.labels":       6,
		"metadata.labels[app]":  6,
		"metadata.labels[none]": 6,
		"metadata.labels[autoscaling.aibrix.ai/scale-down-delay]": 6,
		"metadata.annotations":                                        7,
		"metadata.annotations[odd]key]":                               8,
		"metadata.annotations[autoscaling.aibrix.ai/scale-up-delay]":  9,
		"metadata.annotations[autoscaling.aibrix.ai/scale-up-delayy]": 7, // not there: its parent's
		"metadata.namespace":                                          4,
		"spec.minReplicas":                                            10,
		"spec.maxReplicas":                                            11,
		"spec.maxReplicas.deeper":                                     11,
		"spec.metricsSources":                                         12,
		"spec.metricsSources[0]":                                      13,
		"spec.metricsSources[0].targetValue":                          16,
		"spec.metricsSources[0].query":                                13,
		"spec.metricsSources[1].metricSourceType":                     17,
		"spec.metricsSources[1].targetMetric":                         18,
		"spec.metricsSources[2].targetMetric":                         20, // its own before the merged one
		"spec.metricsSources[2].targetValue":                          16, // merged from where it is written
		"spec.metricsSources[3].targetMetric":                         15,
		"spec.metricsSources[4].targetMetric":                         12,
		"spec.metricsSources.targetValue":                             18, // of no item: the one that is no string
		"spec.metricsSources.targetMetric":                            15,
		"nothing.at.all":                                              2,
	} {
		require.Equal(t, line, tree.line(path), path)
	}
	require.Equal(t, 102, newTree([]byte(manifest), 101).line(""), "lines count from the file's first")
	require.Equal(t, 7, newTree([]byte("{"), 7).line("spec"), "what is no YAML has the line it begins at")
}

func TestAMapMergedIntoItselfHasAnEnd(t *testing.T) {
	require.Equal(t, 1, newTree([]byte("a: &a\n  <<: *a\n  x: 1\n"), 1).line("a.none"))
}

func TestNearestNames(t *testing.T) {
	require.Equal(t, "num_requests_waiting", nearest("num_request_waiting", knownMetrics))
	require.Equal(t, "DCGM_FI_DEV_GPU_UTIL", nearest("DCGM_FI_DEV_GPU_UTILS", knownMetrics))
	require.Equal(t, "vllm:num_requests_waiting", nearest("VLLM:num_requests_waitin", knownMetrics))
	require.Equal(t, "DCGM_FI_DEV_GPU_UTIL", nearest("dcgm_fi_dev_gpu_util", knownMetrics))
	require.Empty(t, nearest("num_requests_waiting", knownMetrics), "it is one of them")
	require.Empty(t, nearest("queue", knownMetrics))
	require.Empty(t, nearest("", knownMetrics))
	require.Empty(t, nearest("ab", []string{"abcd"}), "a short word is near to everything")
}

// Whatever the document and the path, the line is one of the document's.
func FuzzLine(f *testing.F) {
	for _, path := range []string{"", "spec.metricsSources[0].targetValue", "metadata.annotations[odd]key]", "[", "a..b", "[0][1]", "a[b"} {
		f.Add([]byte(manifest), path)
	}
	f.Add([]byte("a: &a\n  <<: [*a, *a]\n"), "a.b.c")
	f.Add([]byte("- - - x\n"), "[0][0][0]")
	f.Add([]byte("{\"a\": [1, {\"b\": null}]}"), "a[1].b")
	f.Fuzz(func(t *testing.T, data []byte, path string) {
		const first = 5
		line := newTree(data, first).line(path)
		last := first + bytes.Count(data, []byte("\n")) + strings.Count(string(data), "\r") + 2*bytes.Count(data, []byte("\u0085")) +
			bytes.Count(data, []byte("\u2028")) + bytes.Count(data, []byte("\u2029"))
		if line < first || line > last {
			t.Fatalf("line %d of a document of lines %d to %d", line, first, last)
		}
	})
}

// Whatever the file: lint reads the autoscalers that Read reads, has an error where Read has one for them, and every
// finding has a line and a text.
func FuzzCheck(f *testing.F) {
	f.Add([]byte(manifest))
	f.Add([]byte("\ufeff---\n" + manifest + "---\n" + manifest + "...\nx\n"))
	f.Add([]byte("kind: Deployment\napiVersion: apps/v1\nspec: {template: {spec: {containers: 1}}}\n"))
	f.Add([]byte("kind: ScaledObject\napiVersion: keda.sh/v1alpha1\nspec: {triggers: [{metadata: []}]}\n"))
	f.Add([]byte("--- x\nkind: [\n\t"))
	f.Add([]byte("kind: \"two\\nlines\""))
	f.Add([]byte("kind: List\nitems:\n- " + strings.ReplaceAll(strings.TrimPrefix(manifest, "# one\n"), "\n", "\n  ")))
	f.Add([]byte("kind: List\nitems: &a [{kind: List, items: *a}, null, [], {kind: PodAutoscaler, kind: PodAutoscaler}]\n"))
	f.Add([]byte("apiVersion: autoscaling.aibrix.ai/v1alpha1\nkind: PodAutoscalerList\nitems: [{spec: {maxReplicas: x}, metadata: []}]\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		report := Check([]File{{Name: "f", Data: data}}, loop.Binder{MetricsAPIs: true})
		read, err := v1alpha1.Read(bytes.NewReader(data))
		if err == nil && report.Errors() == 0 && len(report.Right) != len(read) {
			t.Fatalf("%d autoscalers are right, %d were read", len(report.Right), len(read))
		}
		if len(report.Right) > len(read) && !bytes.Contains(data, []byte(anyList)) { // whose items Read leaves alone
			t.Fatalf("%d autoscalers are right, %d were read", len(report.Right), len(read))
		}
		for _, one := range report.Findings {
			if one.Line < 1 || one.Text == "" || strings.ContainsAny(one.String(), "\r\n") {
				t.Fatalf("%q", one)
			}
		}
	})
}
