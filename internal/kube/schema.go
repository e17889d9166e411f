package kube

import (
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/flyball/flyball/api/v1alpha1"
)

// crdFields is the part of an OpenAPI schema that says which fields there are. Those of a CRD refer to no others.
type crdFields struct {
	Properties map[string]*crdFields `json:"properties"`
	Items      *crdFields            `json:"items"`
	Preserve   bool                  `json:"x-kubernetes-preserve-unknown-fields"`
	Kinds      []struct {
		Kind string `json:"kind"`
	} `json:"x-kubernetes-group-version-kind"`
}

// missingFields are the fields of our spec that an OpenAPI document of our group lacks, sorted. Of a field that is
// missing as a whole, those inside are not listed. Without a schema of PodAutoscaler in it, nothing is known.
func missingFields(document []byte) ([]string, error) {
	var doc struct {
		Components struct {
			Schemas map[string]*crdFields `json:"schemas"`
		} `json:"components"`
	}
	if err := json.Unmarshal(document, &doc); err != nil {
		return nil, fmt.Errorf("read the OpenAPI schema of %s: %w", v1alpha1.GroupVersion, err)
	}
	var missing []string
	for _, s := range doc.Components.Schemas {
		if s == nil || s.Preserve || len(s.Kinds) != 1 || s.Kinds[0].Kind != v1alpha1.Kind {
			continue
		}
		if spec := s.Properties["spec"]; spec != nil {
			missing = spec.lacks(missing, "spec", reflect.TypeFor[v1alpha1.PodAutoscalerSpec]())
		}
	}
	slices.Sort(missing)
	return missing, nil
}

// lacks adds the fields of a Go type that the schema of its values, found at path, does not have.
func (s *crdFields) lacks(missing []string, path string, of reflect.Type) []string {
	for s != nil && (of.Kind() == reflect.Pointer || of.Kind() == reflect.Slice) {
		if of.Kind() == reflect.Slice {
			path, s = path+"[]", s.Items
		}
		of = of.Elem()
	}
	if s == nil || s.Preserve || of.Kind() != reflect.Struct || of.Implements(reflect.TypeFor[json.Marshaler]()) {
		return missing // what is not an object, or writes itself
	}
	for f := range of.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch inside := s.Properties[name]; {
		case f.Anonymous && (name == "" || options == "inline"):
			missing = s.lacks(missing, path, f.Type)
		case name == "-" || name == "":
		case inside == nil:
			missing = append(missing, path+"."+name)
		default:
			missing = inside.lacks(missing, path+"."+name, f.Type)
		}
	}
	return missing
}
