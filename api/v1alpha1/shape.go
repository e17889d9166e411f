package v1alpha1

import (
	"bytes"
	"encoding"
	stdjson "encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// unknownField is how the text begins that a FieldError has for a field that does not exist.
const unknownField = "unknown field"

// FieldError is what keeps a document from being read: a field that does not exist, or one of the wrong type.
//
// +kubebuilder:object:generate=false
type FieldError struct {
	Field string // such as spec.metricsSources[0].port
	Text  string // what is wrong and what to write instead
	Meant string // the field that an unknown one most likely stands for, such as spec.maxReplicas; else empty
	Kept  bool   // Inspect took the value for what it says: 8000 for "8000"; the other values are left out
}

func (e *FieldError) Error() string {
	if rest, unknown := strings.CutPrefix(e.Text, unknownField); unknown {
		return fmt.Sprintf("%s %q%s", unknownField, e.Field, rest)
	}
	return e.Field + ": " + e.Text
}

// shape holds a document's values against the types of a PodAutoscaler, where the decoder would name the first wrong one
// and stop.
type shape struct{ errs []error }

// mend gives the document as JSON in which every value has its type, and what had another one.
func mend(data []byte) ([]byte, []error, error) {
	text, err := yaml.YAMLToJSON(data)
	if err != nil {
		return nil, nil, err
	}
	var content any
	decoder := stdjson.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber() // so that a number is quoted as it is
	if err := decoder.Decode(&content); err != nil {
		return nil, nil, err
	}
	var s shape
	mended, err := stdjson.Marshal(s.fit(content, reflect.TypeFor[PodAutoscaler](), ""))
	return mended, s.errs, err
}

// fit gives the value, or what can be kept of it: nil where that is nothing.
func (s *shape) fit(value any, typ reflect.Type, at string) any {
	for typ.Kind() == reflect.Pointer {
		typ = typ.Elem()
	}
	switch {
	case value == nil:
		return nil
	case decodesItself(typ):
	case typ.Kind() == reflect.Struct || typ.Kind() == reflect.Map:
		object, ok := value.(map[string]any)
		if !ok {
			return s.refuse(at, "must be an object, not %s", called(value))
		}
		s.fitEntries(object, typ, at)
		return object
	case typ.Kind() == reflect.Slice && typ.Elem().Kind() != reflect.Uint8:
		list, ok := value.([]any)
		if !ok {
			return s.refuse(at, "must be a list, not %s", called(value))
		}
		for i := range list {
			list[i] = s.fit(list[i], typ.Elem(), fmt.Sprintf("%s[%d]", at, i))
		}
		return list
	}
	return s.fitScalar(value, typ, at)
}

// fitEntries fits the values of an object. What it has and the type has not is the decoder's to complain of.
func (s *shape) fitEntries(object map[string]any, typ reflect.Type, at string) {
	types := jsonTypes(typ)
	for _, name := range slices.Sorted(maps.Keys(object)) {
		elem, path := types[name], strings.TrimPrefix(at+"."+name, ".")
		if typ.Kind() == reflect.Map {
			elem, path = typ.Elem(), at+"["+name+"]"
		}
		if elem == nil || object[name] == nil {
			continue
		}
		if object[name] = s.fit(object[name], elem, path); object[name] == nil {
			delete(object, name)
		}
	}
}

// fitScalar lets the decoder say whether a value has its type.
func (s *shape) fitScalar(value any, typ reflect.Type, at string) any {
	err := decodes(value, typ)
	if err == nil {
		return value
	}
	if meant, ok := reread(value, typ); ok {
		text := "must be a %s, not a string; remove the quotes"
		if typ.Kind() == reflect.String {
			text = "must be a %s, not a number; put it in quotes"
		}
		s.errs = append(s.errs, &FieldError{Field: at, Text: fmt.Sprintf(text, wanted(typ)), Kept: true})
		return meant
	}
	is := called(value)
	switch number, ok := value.(stdjson.Number); {
	case decodesItself(typ):
		return s.refuse(at, "%v", err)
	case ok:
		is = number.String()
	case typ.Kind() == reflect.String && is == "a bool":
		is += "; put it in quotes"
	}
	return s.refuse(at, "must be a %s, not %s", wanted(typ), is)
}

func (s *shape) refuse(at, format string, args ...any) any {
	s.errs = append(s.errs, &FieldError{Field: at, Text: fmt.Sprintf(format, args...)})
	return nil
}

// reread takes a number for a string of its digits, and a string for the number or bool that it spells.
func reread(value any, typ reflect.Type) (any, bool) {
	switch value := value.(type) {
	case stdjson.Number:
		return value.String(), typ.Kind() == reflect.String && !decodesItself(typ)
	case string:
		var meant any
		decoder := stdjson.NewDecoder(strings.NewReader(value))
		decoder.UseNumber()
		if decoder.Decode(&meant) == nil && !decoder.More() && meant != nil && decodes(meant, typ) == nil {
			return meant, true
		}
	}
	return nil, false
}

func decodes(value any, typ reflect.Type) error {
	text, err := stdjson.Marshal(value)
	if err != nil {
		return err
	}
	return stdjson.Unmarshal(text, reflect.New(typ).Interface())
}

func decodesItself(typ reflect.Type) bool {
	p := reflect.PointerTo(typ)
	return p.Implements(reflect.TypeFor[stdjson.Unmarshaler]()) || p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

// called is what a value is, in words.
func called(value any) string {
	switch value.(type) {
	case map[string]any:
		return "an object"
	case []any:
		return "a list"
	case bool:
		return "a bool"
	case string:
		return "a string"
	}
	return "a number"
}

// wanted is what a value must be, in words.
func wanted(typ reflect.Type) string {
	switch typ.Kind() {
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "bool"
	case reflect.Int32:
		return "whole number of 32 bits"
	}
	return "whole number"
}
