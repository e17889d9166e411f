package v1alpha1

import (
	"reflect"
	"strings"
)

// instead says what to write for fields that manifests carry by habit and that this API never had.
var instead = map[string]string{
	"spec.behavior":        "rates and delays are annotations, such as " + prefix + "scale-down-delay: 5m",
	"spec.metrics":         "write metricsSources",
	"spec.scheduledBounds": "schedules took its place",
	"spec.circuitBreaker":  "missing data never scales down; remove it",
}

// unknownFieldHint ends the error text of an unknown field: what to write instead, where that can be told.
func unknownFieldHint(err error) string {
	unknown, ok := err.(interface{ FieldPath() string })
	if !ok || !strings.HasPrefix(err.Error(), "unknown field") {
		return ""
	}
	path := unknown.FieldPath()
	if hint, ok := instead[path]; ok {
		return "; " + hint
	}
	parts := strings.Split(path, ".")
	typ := reflect.TypeFor[PodAutoscaler]()
	for _, part := range parts[:len(parts)-1] {
		name, _, _ := strings.Cut(part, "[")
		if typ = fieldTypes(typ)[name]; typ == nil {
			return ""
		}
	}
	return didYouMean(closest(parts[len(parts)-1], fieldNames(typ)))
}

// fieldNames are the JSON names of a struct's fields in the order of their declaration.
func fieldNames(typ reflect.Type) []string {
	var names []string
	eachField(typ, func(name string, _ reflect.Type) { names = append(names, name) })
	return names
}

func fieldTypes(typ reflect.Type) map[string]reflect.Type {
	types := map[string]reflect.Type{}
	eachField(typ, func(name string, typ reflect.Type) { types[name] = typ })
	return types
}

// eachField calls f for every JSON field of a struct, with its type less pointers and slices.
func eachField(typ reflect.Type, f func(name string, typ reflect.Type)) {
	if typ.Kind() != reflect.Struct {
		return
	}
	for i := range typ.NumField() {
		field := typ.Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if field.Anonymous && (name == "" || strings.Contains(options, "inline")) {
			eachField(field.Type, f)
			continue
		}
		if name == "" || name == "-" {
			continue
		}
		elem := field.Type
		for elem.Kind() == reflect.Pointer || elem.Kind() == reflect.Slice {
			elem = elem.Elem()
		}
		f(name, elem)
	}
}
