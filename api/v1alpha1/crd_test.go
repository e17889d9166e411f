package v1alpha1_test

import (
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/yaml"

	"github.com/flyball/flyball/api/v1alpha1"
)

// schema is what the tests read of an OpenAPI schema.
type schema struct {
	Type       string             `json:"type"`
	Properties map[string]*schema `json:"properties"`
	Items      *schema            `json:"items"`
	Enum       []string           `json:"enum"`
	Required   []string           `json:"required"`
	Default    any                `json:"default"`
	Rules      []struct {
		Rule string `json:"rule"`
	} `json:"x-kubernetes-validations"`
}

type crd struct {
	Metadata metav1.ObjectMeta `json:"metadata"`
	Spec     struct {
		Group    string                        `json:"group"`
		Scope    string                        `json:"scope"`
		Names    struct{ ShortNames []string } `json:"names"`
		Versions []struct {
			Name                     string `json:"name"`
			Storage                  bool   `json:"storage"`
			AdditionalPrinterColumns []struct{ Name, JSONPath string }
			Subresources             map[string]any
			Schema                   struct {
				OpenAPIV3Schema *schema `json:"openAPIV3Schema"`
			} `json:"schema"`
		} `json:"versions"`
	} `json:"spec"`
}

func readCRD(t *testing.T) crd {
	t.Helper()
	data, err := os.ReadFile("../../deploy/crd/autoscaling.aibrix.ai_podautoscalers.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var out crd
	if err := yaml.Unmarshal(data, &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestCRDHasEveryFieldOfTheTypes(t *testing.T) {
	c := readCRD(t)
	if len(c.Spec.Versions) != 1 || c.Metadata.Name != "podautoscalers.autoscaling.aibrix.ai" {
		t.Fatalf("%+v", c)
	}
	sameFields(t, "", reflect.TypeFor[v1alpha1.PodAutoscaler](), c.Spec.Versions[0].Schema.OpenAPIV3Schema)
}

// sameFields compares the JSON fields of a type with the properties of a schema, both ways.
func sameFields(t *testing.T, path string, typ reflect.Type, s *schema) {
	t.Helper()
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	if typ.Kind() == reflect.Slice {
		sameFields(t, path+"[]", typ.Elem(), s.Items)
		return
	}
	opaque := typ == reflect.TypeFor[metav1.ObjectMeta]() || typ == reflect.TypeFor[metav1.Time]()
	if typ.Kind() != reflect.Struct || opaque {
		return
	}
	names := map[string]bool{}
	for _, field := range reflect.VisibleFields(typ) {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" || name == "-" || len(field.Index) > 1 && field.Type != reflect.TypeFor[string]() {
			continue
		}
		if len(field.Index) > 1 && typ.FieldByIndex(field.Index[:1]).Type == reflect.TypeFor[metav1.ObjectMeta]() {
			continue // stands under metadata
		}
		names[name] = true
		if p := s.Properties[name]; p == nil {
			t.Errorf("the CRD lacks %s.%s; run go generate", path, name)
		} else {
			sameFields(t, path+"."+name, field.Type, p)
		}
	}
	for name := range s.Properties {
		if !names[name] {
			t.Errorf("the CRD has %s.%s, which no type has; run go generate", path, name)
		}
	}
}

func TestCRDAddsNoDefaultThatAIBrixManifestsWouldFeel(t *testing.T) {
	var walk func(path string, s *schema)
	walk = func(path string, s *schema) {
		if s.Default != nil && path != ".spec.mode" && !strings.Contains(path, "scaleTargetRef") {
			t.Errorf("%s has the default %v", path, s.Default)
		}
		for name, p := range s.Properties {
			walk(path+"."+name, p)
		}
		if s.Items != nil {
			walk(path+"[]", s.Items)
		}
	}
	walk("", readCRD(t).Spec.Versions[0].Schema.OpenAPIV3Schema)
}

func TestCRDSpeaksTheTypesLanguage(t *testing.T) {
	c := readCRD(t)
	version := c.Spec.Versions[0]
	spec := version.Schema.OpenAPIV3Schema.Properties["spec"]
	source := spec.Properties["metricsSources"].Items
	for what, pair := range map[string][2][]string{
		"scalingStrategy":  {spec.Properties["scalingStrategy"].Enum, {"HPA", "KPA", "APA"}},
		"mode":             {spec.Properties["mode"].Enum, {"Enforce", "Advise"}},
		"metricSourceType": {source.Properties["metricSourceType"].Enum, {"pod", "resource", "custom", "external", "domain"}},
		"required":         {spec.Required, {"maxReplicas", "metricsSources", "scaleTargetRef", "scalingStrategy"}},
		"required source":  {source.Required, {"metricSourceType", "targetValue"}},
		"short names":      {c.Spec.Names.ShortNames, {"pa", "fpa"}},
	} {
		if !equal(pair[0], pair[1]) {
			t.Errorf("%s: %v, want %v", what, pair[0], pair[1])
		}
	}
	schedule := spec.Properties["schedules"].Items
	if len(spec.Rules) != 9 || len(source.Rules) != 10 || len(schedule.Rules) != 2 {
		t.Errorf("%d, %d and %d rules", len(spec.Rules), len(source.Rules), len(schedule.Rules))
	}
	for _, r := range slices.Concat(spec.Rules, source.Rules, schedule.Rules) {
		// gofmt turns two single quotes in a doc comment into a typographic one, which no rule survives.
		if strings.ContainsFunc(r.Rule, func(c rune) bool { return c > unicode.MaxASCII }) {
			t.Errorf("rule %s has a character that CEL does not know", r.Rule)
		}
	}
	if _, ok := version.Subresources["status"]; !ok {
		t.Error("status is not a subresource")
	}
	var columns []string
	for _, column := range version.AdditionalPrinterColumns {
		columns = append(columns, column.Name)
	}
	compare(t, "columns", columns, []string{"MIN", "MAX", "REPLICAS", "DESIRED", "TARGETS", "STRATEGY", "MODE", "AGE"})
}

func TestTypesAreInTheScheme(t *testing.T) {
	s := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(s); err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{"PodAutoscaler", "PodAutoscalerList"} {
		if _, err := s.New(v1alpha1.GroupVersion.WithKind(kind)); err != nil {
			t.Error(err)
		}
	}
}

func TestACopySharesNothing(t *testing.T) {
	pa := &v1alpha1.PodAutoscaler{}
	fill(reflect.ValueOf(&pa.Spec).Elem())
	fill(reflect.ValueOf(&pa.Status).Elem())
	pa.Annotations = map[string]string{"a": "b"}
	list := &v1alpha1.PodAutoscalerList{Items: []v1alpha1.PodAutoscaler{*pa}}
	twin := list.DeepCopyObject().(*v1alpha1.PodAutoscalerList)
	if !equal(list, twin) {
		t.Fatalf("%+v\n%+v", list, twin)
	}
	before, err := yaml.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range []any{&twin.Items[0].Spec, &twin.Items[0].Status} {
		wipe(reflect.ValueOf(v).Elem())
	}
	twin.Items[0].Annotations["a"] = "c"
	after, err := yaml.Marshal(list)
	if err != nil {
		t.Fatal(err)
	}
	if string(before) != string(after) {
		t.Errorf("a change of the copy changed the original:\n%s\n%s", before, after)
	}
}

// fill sets every field, pointers and one element of every slice included.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				fill(v.Field(i))
			}
		}
	case reflect.String:
		v.SetString("x")
	case reflect.Int32, reflect.Int64:
		v.SetInt(7)
	case reflect.Bool:
		v.SetBool(true)
	}
}

// wipe sets every leaf that can be reached, in place, to zero.
func wipe(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		wipe(v.Elem())
	case reflect.Slice:
		wipe(v.Index(0))
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				wipe(v.Field(i))
			}
		}
	default:
		v.SetZero()
	}
}

func TestUIDs(t *testing.T) {
	pa := chat()
	fromFile := v1alpha1.UID(pa)
	if fromFile != "497ae3b4-6bd3-5ea3-a293-f263a3d05e2b" {
		t.Errorf("UID %s: history of standalone autoscalers is kept under it", fromFile)
	}
	other := chat()
	other.Namespace = "prod"
	if v1alpha1.UID(other) == fromFile {
		t.Error("two namespaces, one UID")
	}
	pa.Namespace, other.Namespace = "", "default"
	if v1alpha1.UID(pa) != v1alpha1.UID(other) {
		t.Error("no namespace is not default")
	}
	pa.UID = "6f1c"
	if v1alpha1.UID(pa) != "6f1c" {
		t.Error("metadata.uid does not win")
	}
}

func TestTarget(t *testing.T) {
	pa := chat()
	pa.Spec.ScaleTargetRef.APIVersion = ""
	want := corev1.ObjectReference{APIVersion: "apps/v1", Kind: "Deployment", Name: "chat", Namespace: "llm"}
	if got := pa.Target(); got != want {
		t.Errorf("%+v", got)
	}
}
