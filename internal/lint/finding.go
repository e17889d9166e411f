package lint

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// File is a manifest file: YAML or JSON, several documents separated by "---".
type File struct {
	Name string // as findings shall call it
	Data []byte
}

// Severity is how bad a finding is.
type Severity string

const (
	Error   Severity = "error"   // it is refused, or it breaks what is there
	Warning Severity = "warning" // it is accepted and most likely not what was meant
	Note    Severity = "note"    // it is right and worth knowing
)

// Finding is one remark on one field.
type Finding struct {
	File     string   `json:"file"`
	Line     int      `json:"line"`   // from 1; the field's own, or that of the nearest field around it that is written
	Object   string   `json:"object"` // namespace/name; empty for what is no object
	Severity Severity `json:"severity"`
	Field    string   `json:"field"` // such as spec.metricsSources[0].targetValue; empty for the object as a whole
	Text     string   `json:"text"`  // what is wrong and what to write instead
}

// String is the finding as one line: file:line: object: severity: field: text, without what is empty.
func (f Finding) String() string {
	out := fmt.Sprintf("%s:%d: ", f.File, f.Line)
	if f.Object != "" {
		out += f.Object + ": "
	}
	out += string(f.Severity) + ": "
	if f.Field != "" {
		out += f.Field + ": "
	}
	return strings.Map(printable, out+f.Text)
}

// printable keeps a finding on its line, whatever a manifest has in its names.
func printable(r rune) rune {
	if unicode.IsControl(r) {
		return ' '
	}
	return r
}

// Checked names an autoscaler that was read.
type Checked struct{ File, Object string }

// Report is what there is to say about a set of files.
type Report struct {
	Findings []Finding // in the order of the files and their lines
	Right    []Checked // the autoscalers without an error, in the order of the files
}

// Errors counts the findings that are errors.
func (r Report) Errors() int {
	n := 0
	for _, f := range r.Findings {
		if f.Severity == Error {
			n++
		}
	}
	return n
}

// sortFindings puts findings into the order of the files, and within a file into that of its lines. What was found first
// stays first within a line.
func sortFindings(files []File, findings []Finding) {
	rank := map[string]int{}
	for i, f := range files {
		rank[f.Name] = i
	}
	slices.SortStableFunc(findings, func(a, b Finding) int {
		return cmp.Or(cmp.Compare(rank[a.File], rank[b.File]), cmp.Compare(a.Line, b.Line))
	})
}
