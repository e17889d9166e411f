package v1alpha1_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/decider"
)

const head = "apiVersion: autoscaling.aibrix.ai/v1alpha1\nkind: PodAutoscaler\n"

func TestEveryShapeOfManifestIsAccepted(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal("no manifests", err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			for _, pa := range readFile(t, file) {
				policy, warnings, errs := pa.Policy()
				if len(errs) > 0 || len(warnings) > 0 {
					t.Errorf("%s: %v %v", pa.Name, errs, warnings)
				}
				checkPolicy(t, policy)
			}
		})
	}
}

func readFile(t *testing.T, file string) []*v1alpha1.PodAutoscaler {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	all, err := v1alpha1.Read(f)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestAManifestForAIBrixMeansTheSame(t *testing.T) {
	apa, _, errs := readFile(t, "testdata/apa.yaml")[0].Policy()
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	if apa.ToleranceUp != 0.1 || apa.ToleranceDown != 0.2 || apa.ObserveWindow != 30*time.Second || len(apa.Sources) != 2 {
		t.Errorf("%+v", apa)
	}
	external := readFile(t, "testdata/external.yaml")
	if len(external) != 2 {
		t.Fatalf("%d autoscalers in two documents", len(external))
	}
	optimizer, _, errs := external[0].Policy()
	if len(errs) > 0 || optimizer.MinReplicas != 0 || !optimizer.Sources[0].SurvivesZero || optimizer.ScaleDownDelay != 0 {
		t.Errorf("%+v %v", optimizer, errs)
	}
	query, _, errs := readFile(t, "testdata/query.yaml")[0].Policy()
	if len(errs) > 0 || query.Mode != decider.Advise || query.Sources[0].TargetType != decider.Value || query.Sources[2].Target != 10 {
		t.Errorf("%+v %v", query, errs)
	}
}

func TestReadIsStrict(t *testing.T) {
	for _, c := range []struct{ name, manifest, want string }{
		{"nothing", "", ""},
		{"comments and empty documents", "# a\n---\n\n---\n# b\n--- # c\nnull\n...\n", ""},
		{
			"a misspelt field", head + "metadata: {name: a}\nspec:\n  minReplica: 1\n",
			`document 1 (line 1) (PodAutoscaler default/a): unknown field "spec.minReplica"; did you mean minReplicas?`,
		},
		{
			"a misspelt field of a source, in the wrong case", head + "metadata: {name: a}\nspec:\n  metricsSources:\n  - targetvalue: '1'\n",
			`document 1 (line 1) (PodAutoscaler default/a): unknown field "spec.metricsSources[0].targetvalue"; did you mean targetValue?`,
		},
		{
			"a misspelt label block", head + "metadata: {name: a, annotation: {}}\n",
			`document 1 (line 1) (PodAutoscaler default/a): unknown field "metadata.annotation"; did you mean annotations?`,
		},
		{
			"a field that resembles none", head + "metadata: {name: a}\nspec: {colour: red}\n",
			`document 1 (line 1) (PodAutoscaler default/a): unknown field "spec.colour"`,
		},
		{
			"the HPA's behavior", head + "metadata: {name: a}\nspec: {behavior: {}}\n",
			`document 1 (line 1) (PodAutoscaler default/a): unknown field "spec.behavior"; rates and delays are annotations, such as autoscaling.aibrix.ai/scale-down-delay: 5m`,
		},
		{
			"a key given twice", head + "metadata: {name: a}\nspec:\n  maxReplicas: 1\n  maxReplicas: 2\n",
			`document 1 (line 1) (PodAutoscaler default/a): yaml: unmarshal errors: line 6: key "maxReplicas" already set in map`,
		},
		{
			"a key given twice, in the second document", head + "metadata: {name: a}\n---\n" + head + "metadata:\n  name: b\n  name: c\n",
			`document 2 (line 5) (PodAutoscaler default/c): yaml: unmarshal errors: line 9: key "name" already set in map`,
		},
		{
			"broken YAML, in the second document", head + "metadata: {name: a}\n---\n" + head + "metadata: {name: b}\nspec: [\n",
			"document 2 (line 5): yaml: line 8: did not find expected node content",
		},
		{
			"a number where a string must be", head + "metadata: {name: a}\nspec:\n  metricsSources:\n  - targetValue: 0.5\n",
			"document 1 (line 1) (PodAutoscaler default/a): spec.metricsSources[0].targetValue: must be a string, not a number; put it in quotes",
		},
		{
			"an annotation that is a number", head + "metadata: {name: a, annotations: {x: 5}}\n",
			"document 1 (line 1) (PodAutoscaler default/a): metadata.annotations[x]: must be a string, not a number; put it in quotes",
		},
		{
			"a string where a number must be", head + "metadata: {name: a}\nspec: {maxReplicas: '8'}\n",
			"document 1 (line 1) (PodAutoscaler default/a): spec.maxReplicas: must be a whole number of 32 bits, not a string; remove the quotes",
		},
		{
			"many wrong types, a field that does not exist, and one given twice",
			head + "metadata: {name: a, labels: [b], creationTimestamp: noon}\nspec:\n  maxReplicas: 4.5\n  minReplicas: many\n" +
				"  mode: yes\n  metricsSources: [{port: 8000}, b, {tragetType: x}]\n  schedules: {}\n  minReplicas: 1\n",
			`document 1 (line 1) (PodAutoscaler default/a): metadata.creationTimestamp: parsing time "noon" as "2006-01-02T15:04:05Z07:00": cannot parse "noon" as "2006"` + "\n" +
				"document 1 (line 1) (PodAutoscaler default/a): metadata.labels: must be an object, not a list\n" +
				"document 1 (line 1) (PodAutoscaler default/a): spec.maxReplicas: must be a whole number of 32 bits, not 4.5\n" +
				"document 1 (line 1) (PodAutoscaler default/a): spec.metricsSources[0].port: must be a string, not a number; put it in quotes\n" +
				"document 1 (line 1) (PodAutoscaler default/a): spec.metricsSources[1]: must be an object, not a string\n" +
				"document 1 (line 1) (PodAutoscaler default/a): spec.mode: must be a string, not a bool; put it in quotes\n" +
				"document 1 (line 1) (PodAutoscaler default/a): spec.schedules: must be a list, not an object\n" +
				`document 1 (line 1) (PodAutoscaler default/a): yaml: unmarshal errors: line 10: key "minReplicas" already set in map` + "\n" +
				`document 1 (line 1) (PodAutoscaler default/a): unknown field "spec.metricsSources[2].tragetType"; did you mean targetType?`,
		},
		{
			"a list of objects, as kubectl get prints it", "apiVersion: v1\nkind: List\nitems: []\n",
			`document 1 (line 1): is List "" of v1, not a PodAutoscaler of autoscaling.aibrix.ai/v1alpha1; write each of its items as a document of its own`,
		},
		{
			"another kind, in the second document", head + "metadata: {name: a}\n---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: chat}\n",
			`document 2 (line 5): is Deployment "chat" of apps/v1, not a PodAutoscaler of autoscaling.aibrix.ai/v1alpha1; put it into another file`,
		},
		{
			"another version", "apiVersion: autoscaling.aibrix.ai/v1\nkind: PodAutoscaler\nmetadata: {name: a}\n",
			`document 1 (line 1): is PodAutoscaler "a" of autoscaling.aibrix.ai/v1, not a PodAutoscaler of autoscaling.aibrix.ai/v1alpha1; write apiVersion: autoscaling.aibrix.ai/v1alpha1`,
		},
		{
			"no kind", "spec: {}\n",
			"document 1 (line 1): has no kind; write apiVersion: autoscaling.aibrix.ai/v1alpha1 and kind: PodAutoscaler",
		},
		{"a list", "- a\n", "document 1 (line 1): is not an object; write apiVersion, kind, metadata and spec"},
		{
			"one autoscaler twice", head + "metadata: {name: a}\n---\n" + head + "metadata: {name: a, namespace: default}\n",
			"document 2 (line 5) (PodAutoscaler default/a): is in document 1 already; remove one of them",
		},
		{
			"two mistakes in two documents", head + "metadata: {name: a, x: 1}\n---\n---\n" + head + "metadata: {name: b}\nstats: {}\n",
			`document 1 (line 1) (PodAutoscaler default/a): unknown field "metadata.x"` + "\n" +
				`document 2 (line 6) (PodAutoscaler default/b): unknown field "stats"; did you mean status?`,
		},
		{
			"content behind a separator, which would be lost", "--- {kind: Secret}\n",
			"line 1: content after ---; begin the document on the next line",
		},
		{
			"content behind an end, which would be lost", head + "metadata: {name: a}\n...\nspec: {}\n",
			"line 5: content after ...; begin a new document with ---",
		},
		{"windows line ends and a byte order mark", "\ufeff---\r\n" + strings.ReplaceAll(head, "\n", "\r\n") + "metadata: {name: a}\r\n---\r\n", ""},
		{"JSON", `{"apiVersion": "autoscaling.aibrix.ai/v1alpha1", "kind": "PodAutoscaler", "metadata": {"name": "a"}}`, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := v1alpha1.Read(strings.NewReader(c.manifest))
			got := ""
			if err != nil {
				got = err.Error()
			}
			compare(t, "error", []string{got}, []string{c.want})
		})
	}
}

func TestAMistakeInOneDocumentDoesNotStopTheOthers(t *testing.T) {
	all, err := v1alpha1.Read(strings.NewReader(head + "metadata: {name: typo}\nspec: {maxReplica: 1}\n---\n" + head + "metadata: {name: good}\n"))
	if err == nil || !strings.Contains(err.Error(), "spec.maxReplica") {
		t.Errorf("error %v does not name the field", err)
	}
	if len(all) != 1 || all[0].Name != "good" {
		t.Errorf("read %v, want the good one", all)
	}
}

func TestInspectGivesWhatCouldBeRead(t *testing.T) {
	const manifest = head + `metadata: {name: 5, annotations: {flyball.dev/paused: true, b: x}}
spec:
  maxReplicas: "8"
  minReplicas: few
  metricsSources:
  - {port: 8000, targetValue: [1], path: /metrics, prot: x}
`
	if all, err := v1alpha1.Read(strings.NewReader(manifest)); len(all) != 0 || err == nil {
		t.Errorf("Read gives %v, %v: what is wrong must not be run", all, err)
	}
	all, err := v1alpha1.Inspect(strings.NewReader(manifest))
	if len(all) != 1 {
		t.Fatalf("%d autoscalers: %v", len(all), err)
	}
	pa := all[0]
	source := pa.Spec.MetricsSources[0]
	if pa.Name != "5" || pa.Spec.MaxReplicas != 8 || pa.Spec.MinReplicas != nil || len(pa.Annotations) != 1 ||
		source.Port != "8000" || source.TargetValue != "" || source.Path != "/metrics" {
		t.Errorf("read %+v", pa)
	}
	var got []string
	for _, one := range err.(interface{ Unwrap() []error }).Unwrap()[0].(interface{ Unwrap() []error }).Unwrap() {
		var field *v1alpha1.FieldError
		if !errors.As(one, &field) {
			t.Fatalf("no field: %v", one)
		}
		got = append(got, fmt.Sprintf("%s kept=%t meant=%s", field.Field, field.Kept, field.Meant))
	}
	compare(t, "fields", got, []string{
		"metadata.annotations[flyball.dev/paused] kept=false meant=",
		"metadata.name kept=true meant=",
		"spec.maxReplicas kept=true meant=",
		"spec.metricsSources[0].port kept=true meant=",
		"spec.metricsSources[0].targetValue kept=false meant=",
		"spec.minReplicas kept=false meant=",
		"spec.metricsSources[0].prot kept=false meant=spec.metricsSources[0].port",
	})
}

func TestReadSaysThatReadingFailed(t *testing.T) {
	broken := errors.New("disk on fire")
	if _, err := v1alpha1.Read(iotest.ErrReader(broken)); !errors.Is(err, broken) {
		t.Error(err)
	}
}

func FuzzRead(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.yaml")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(data))
	}
	f.Add("--- {a: b}\n...\nx")
	f.Add(head + "metadata: {name: a}\nspec: {metricsSources: [{}], schedules: [{startTime: '1'}]}\n")
	f.Add(head + "metadata: [a]\nspec: &a [*a]\n")
	f.Fuzz(func(t *testing.T, manifest string) {
		all, err := v1alpha1.Read(strings.NewReader(manifest))
		if err != nil {
			return
		}
		for _, pa := range all {
			if policy, _, errs := pa.Policy(); len(errs) == 0 {
				checkPolicy(t, policy)
			}
			text, err := yaml.Marshal(pa)
			if err != nil {
				t.Fatal(err)
			}
			again, err := v1alpha1.Read(strings.NewReader(string(text)))
			if err != nil || len(again) != 1 {
				t.Fatalf("what was read can not be read again: %v\n%s", err, text)
			}
		}
	})
}
