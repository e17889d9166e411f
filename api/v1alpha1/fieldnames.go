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

// unknown says what to write instead of a field that does not exist, where that can be told.
func unknown(path string) *FieldError {
	out := &FieldError{Field: path, Text: unknownField}
	typ, parts := reflect.TypeFor[PodAutoscaler](), strings.Split(path, ".")
	last := parts[len(parts)-1]
	for _, part := range parts[:len(parts)-1] {
		name, _, _ := strings.Cut(part, "[")
		if typ = elem(jsonTypes(typ)[name]); typ == nil {
			return out
		}
	}
	meant := closest(last, fieldNames(typ))
	if hint, ok := instead[path]; ok {
		out.Text += "; " + hint
	} else {
		out.Text += didYouMean(meant)
	}
	if meant != "" {
		out.Meant = strings.TrimSuffix(path, last) + meant
	}
	return out
}

// fieldNames are the JSON names of a struct's fields in the order of their declaration.
func fieldNames(typ reflect.Type) []string {
	var names []string
	eachField(typ, func(name string, _ reflect.Type) { names = append(names, name) })
	return names
}

// jsonTypes are the types of a struct's fields by their JSON names.
func jsonTypes(typ reflect.Type) map[string]reflect.Type {
	types := map[string]reflect.Type{}
	eachField(typ, func(name string, typ reflect.Type) { types[name] = typ })
	return types
}

// elem is a type less pointers and slices.
func elem(typ reflect.Type) reflect.Type {
	for typ != nil && (typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice) {
		typ = typ.Elem()
	}
	return typ
}

// eachField calls f for every JSON field of a struct.
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
		f(name, field.Type)
	}
}
