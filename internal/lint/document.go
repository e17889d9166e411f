package lint

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
)

// document is one YAML document of a file.
type document struct {
	file  string
	first int // line of its first line, from 1
	data  []byte
}

// split cuts a file where v1alpha1.Read cuts it. What may not stand on a line with "---" stays in the document for Read
// to complain of.
func split(f File) []document {
	var out []document
	current := document{file: f.Name, first: 1}
	number := 0
	for line := range bytes.Lines(bytes.TrimPrefix(f.Data, []byte("\ufeff"))) {
		number++
		marker, rest, _ := strings.Cut(strings.TrimRight(string(line), " \t\r\n"), " ")
		rest = strings.TrimSpace(rest)
		if marker == "---" && (rest == "" || strings.HasPrefix(rest, "#")) {
			out = append(out, current)
			current = document{file: f.Name, first: number + 1}
			continue
		}
		current.data = append(current.data, line...)
	}
	return append(out, current)
}

// blank says that the document has nothing but white space and comments.
func (d document) blank() bool {
	for line := range bytes.Lines(d.data) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
			return false
		}
	}
	return true
}

// object is what a document, or an item of a list, holds.
type object struct {
	document
	tree
	apiVersion, kind, namespace, name string

	lost    []string // the fields that were not understood
	refused bool     // an error of it was found before it was read
}

func newObject(d document) *object {
	o := &object{document: d, tree: newTree(d.data, d.first)}
	o.identify()
	return o
}

func (o *object) identify() {
	o.apiVersion, o.kind = o.text("apiVersion"), o.text("kind")
	o.namespace, o.name = cmp.Or(o.text("metadata.namespace"), metav1.NamespaceDefault), o.text("metadata.name")
}

// id is how findings call the object; empty for what has no name.
func (o *object) id() string {
	if o.name == "" {
		return ""
	}
	return o.namespace + "/" + o.name
}

// where is the object as other objects' findings call it.
func (o *object) where() string {
	if o.file == "" { // it is in no file: a cluster's
		return fmt.Sprintf("%s %s", o.kind, o.id())
	}
	return fmt.Sprintf("%s %s (%s:%d)", o.kind, o.id(), o.file, o.tree.line("kind"))
}

// autoscaler says that the object is a PodAutoscaler, or what only the reader of these can say what is wrong with. Others have
// a kind of that name too: Knative has.
func (o *object) autoscaler() bool {
	return o.kind == "" || o.kind == v1alpha1.Kind && (group(o.apiVersion) == "" || o.ofOurs())
}

// misnamed says that the object is of our group, or of none, and of no kind there, and most likely meant as ours.
func (o *object) misnamed() bool {
	if o.kind == v1alpha1.Kind || o.kind == v1alpha1.Kind+anyList {
		return false
	}
	return o.ofOurs() || group(o.apiVersion) == "" && nearest(o.kind, []string{v1alpha1.Kind}) != ""
}

// ofOurs says that the object's group is ours, or was to be.
func (o *object) ofOurs() bool {
	g := group(o.apiVersion)
	return v1alpha1.Distance(g, v1alpha1.GroupVersion.Group) <= near || strings.Contains(g, "aibrix") && strings.HasPrefix(g, "autoscaling")
}

func group(apiVersion string) string {
	g, _, found := strings.Cut(apiVersion, "/")
	if !found {
		return ""
	}
	return g
}

var (
	// readPrefix is how v1alpha1.Read begins an error: with the document and the object, which a finding has for itself.
	readPrefix = regexp.MustCompile(`^document \d+ \(line \d+\)(?: \([^()]*\))?: `)
	lineNumber = regexp.MustCompile(`\bline (\d+)`)
	yamlPrefix = regexp.MustCompile(`^(?:yaml: )?(?:unmarshal errors: )?line \d+: `)
)

// refusal makes a finding of an error that v1alpha1.Inspect has for the object's document alone.
func (o *object) refusal(err error) Finding {
	text := readPrefix.ReplaceAllString(err.Error(), "")
	f := Finding{File: o.file, Object: o.id(), Severity: Error}
	if at := (*v1alpha1.FieldError)(nil); errors.As(err, &at) {
		f.Field, text = at.Field, at.Text
	}
	f.Line = o.tree.line(f.Field)
	// A number in the text counts from the document's first line.
	if m := lineNumber.FindStringSubmatch(text); m != nil && f.Field == "" {
		f.Line = o.inFile(m[1])
		text = lineNumber.ReplaceAllStringFunc(text, func(at string) string {
			return "line " + strconv.Itoa(o.inFile(strings.TrimPrefix(at, "line ")))
		})
		text = yamlPrefix.ReplaceAllString(text, "")
	}
	if strings.Contains(text, "cannot start any token") && bytes.Contains(o.data, []byte("\t")) {
		text += "; indent with spaces, not with a tab"
	}
	f.Text = text
	return f
}

// inFile is the line in the file of a line in the document, within the document.
func (o *object) inFile(number string) int {
	n, err := strconv.Atoi(number)
	if err != nil {
		n = 1
	}
	return o.document.first + min(max(n, 1), bytes.Count(o.data, []byte("\n"))+1) - 1
}

// each calls visit for every error that err joins.
func each(err error, visit func(error)) {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		for _, one := range joined.Unwrap() {
			each(one, visit)
		}
		return
	}
	if err != nil {
		visit(err)
	}
}
