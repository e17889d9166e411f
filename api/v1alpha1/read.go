package v1alpha1

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
	"sigs.k8s.io/yaml"
)

// Read reads the autoscalers of a manifest: YAML or JSON, several documents separated by "---". It is strict, where
// an API server would drop what it does not know: unknown fields, duplicate keys, other kinds and two documents for
// one autoscaler are errors. Empty documents are skipped. Every error names the document (from 1, with its first
// line), the object and the field; all of them come at once, joined. The autoscalers of the documents that are right
// come with them, so that a mistake in one does not stop the others.
func Read(r io.Reader) ([]*PodAutoscaler, error) {
	return read(r, false)
}

// Inspect reads as Read does, and gives the autoscalers with mistakes too, as far as they can be read. It is for those who
// look for what else is wrong; where there is an error of an autoscaler, it is not to be run.
func Inspect(r io.Reader) ([]*PodAutoscaler, error) {
	return read(r, true)
}

func read(r io.Reader, mistaken bool) ([]*PodAutoscaler, error) {
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("read manifest: %w", err)
	}
	documents, errs := splitDocuments(data)
	decoder, err := newDecoder()
	if err != nil {
		return nil, err
	}
	var out []*PodAutoscaler
	seen := map[string]document{}
	for _, d := range documents {
		pa, err := d.read(decoder)
		if err != nil {
			errs = append(errs, err)
		}
		if pa == nil || err != nil && !mistaken {
			continue
		}
		name := pa.namespace() + "/" + pa.Name
		if first, taken := seen[name]; taken {
			errs = append(errs, fmt.Errorf("%s (%s %s): is in document %d already; remove one of them", d, Kind, name, first.index))
			continue
		}
		seen[name] = d
		out = append(out, pa)
	}
	return out, errors.Join(errs...)
}

func newDecoder() (runtime.Decoder, error) {
	scheme := runtime.NewScheme()
	if err := AddToScheme(scheme); err != nil {
		return nil, fmt.Errorf("register %s: %w", GroupVersion, err)
	}
	return json.NewSerializerWithOptions(json.DefaultMetaFactory, scheme, scheme,
		json.SerializerOptions{Yaml: true, Strict: true}), nil
}

// document is one YAML document of a manifest.
type document struct {
	index int // from 1, not counting blank ones
	line  int // of its first line, from 1
	data  []byte
}

func (d document) String() string {
	return fmt.Sprintf("document %d (line %d)", d.index, d.line)
}

// splitDocuments cuts a manifest at its "---" lines. Content on such a line, and content after a "..." line, would be
// lost in the YAML library, which reads one document only: both are errors.
func splitDocuments(data []byte) ([]document, []error) {
	data = bytes.TrimPrefix(data, []byte("\ufeff"))
	var (
		out   []document
		errs  []error
		ended bool
	)
	add := func(d document) {
		if !d.blank() {
			d.index = len(out) + 1
			out = append(out, d)
		}
	}
	current := document{line: 1}
	for number, line := range bytes.SplitAfter(data, []byte("\n")) {
		text := strings.TrimRight(string(line), " \t\r\n")
		marker, rest, _ := strings.Cut(text, " ")
		rest = strings.TrimSpace(rest)
		blank := rest == "" || strings.HasPrefix(rest, "#")
		switch {
		case marker == "---" && blank:
			add(current)
			current, ended = document{line: number + 2}, false
		case strings.HasPrefix(text, "---") && (marker == "---" || strings.HasPrefix(text, "---\t")):
			errs = append(errs, fmt.Errorf("line %d: content after ---; begin the document on the next line", number+1))
		case marker == "..." && blank:
			ended = true
		case ended && text != "" && !strings.HasPrefix(text, "#"):
			errs = append(errs, fmt.Errorf("line %d: content after ...; begin a new document with ---", number+1))
			ended = false
		default:
			current.data = append(current.data, line...)
		}
	}
	add(current)
	return out, errs
}

// blank says that a document has nothing but white space and comments.
func (d document) blank() bool {
	for line := range bytes.Lines(d.data) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
			return false
		}
	}
	return true
}

// read decodes one document; it returns nil and no error for an empty one. An autoscaler that comes with an error lacks
// what could not be read.
func (d document) read(decoder runtime.Decoder) (*PodAutoscaler, error) {
	var content any
	if err := yaml.Unmarshal(d.data, &content); err != nil {
		return nil, fmt.Errorf("%s: %s", d, d.yamlError(err))
	}
	if content == nil {
		return nil, nil
	}
	if _, ok := content.(map[string]any); !ok {
		return nil, fmt.Errorf("%s: is not an object; write apiVersion, kind, metadata and spec", d)
	}
	var head metav1.PartialObjectMetadata
	// What does not fit here does not fit below either, where it gets a better error.
	_ = yaml.Unmarshal(d.data, &head)
	if err := d.checkKind(head); err != nil {
		return nil, err
	}
	pa := &PodAutoscaler{}
	_, _, err := decoder.Decode(d.data, nil, pa)
	var errs []error
	if strict, ok := runtime.AsStrictDecodingError(err); ok {
		errs = d.strictErrors(strict)
	} else if err != nil {
		pa, errs = d.decodeMended(decoder, err)
	}
	whose := head.ObjectMeta
	if pa != nil {
		whose = pa.ObjectMeta // of which a wrong type keeps nothing back
	}
	for i := range errs {
		errs[i] = fmt.Errorf("%s (%s %s/%s): %w", d, Kind, orElse(whose.Namespace, metav1.NamespaceDefault), whose.Name, errs[i])
	}
	return pa, errors.Join(errs...)
}

// decodeMended decodes what of a document has the right types, after the decoder refused the whole of it with err.
func (d document) decodeMended(decoder runtime.Decoder, err error) (*PodAutoscaler, []error) {
	mended, errs, failed := mend(d.data)
	if failed != nil || len(errs) == 0 {
		return nil, []error{err}
	}
	// Two of one key are gone from what is mended.
	if _, twice := yaml.YAMLToJSONStrict(d.data); twice != nil {
		errs = append(errs, errors.New(d.yamlError(twice)))
	}
	pa := &PodAutoscaler{}
	_, _, err = decoder.Decode(mended, nil, pa)
	if strict, ok := runtime.AsStrictDecodingError(err); ok {
		errs = append(errs, d.strictErrors(strict)...)
	} else if err != nil {
		return nil, append(errs, err)
	}
	return pa, errs
}

// strictErrors are those that a lenient decoder would not have.
func (d document) strictErrors(err interface{ Errors() []error }) []error {
	var errs []error
	for _, e := range err.Errors() {
		if at, ok := e.(interface{ FieldPath() string }); ok && strings.HasPrefix(e.Error(), unknownField) {
			errs = append(errs, unknown(at.FieldPath()))
		} else {
			errs = append(errs, errors.New(d.yamlError(e)))
		}
	}
	return errs
}

// checkKind refuses documents of other kinds by name.
func (d document) checkKind(head metav1.PartialObjectMetadata) error {
	if head.APIVersion == GroupVersion.String() && head.Kind == Kind {
		return nil
	}
	if head.Kind == "" {
		return fmt.Errorf("%s: has no kind; write apiVersion: %s and kind: %s", d, GroupVersion, Kind)
	}
	hint := "put it into another file"
	switch {
	case head.Kind == Kind:
		hint = "write apiVersion: " + GroupVersion.String()
	case strings.HasSuffix(head.Kind, "List"):
		hint = "write each of its items as a document of its own"
	}
	return fmt.Errorf("%s: is %s %q of %s, not a %s of %s; %s", d,
		head.Kind, head.Name, orElse(head.APIVersion, "no apiVersion"), Kind, GroupVersion, hint)
}

// yamlLine is where the YAML library names a line in its error texts.
var yamlLine = regexp.MustCompile(`(?m)^((?:yaml:)?\s+line )(\d+)`)

// yamlError makes one line of an error text of the YAML library, with lines counted from the manifest's first.
func (d document) yamlError(err error) string {
	text := strings.TrimPrefix(err.Error(), "error converting YAML to JSON: ")
	text = yamlLine.ReplaceAllStringFunc(text, func(match string) string {
		parts := yamlLine.FindStringSubmatch(match)
		line, err := strconv.Atoi(parts[2])
		if err != nil {
			return match
		}
		return parts[1] + strconv.Itoa(line+d.line-1)
	})
	return strings.Join(strings.Fields(text), " ")
}
