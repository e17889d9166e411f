package lint

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/internal/loop"
)

// autoscaler is a PodAutoscaler of the files.
type autoscaler struct {
	*object
	pa    *v1alpha1.PodAutoscaler
	reads [][]string // by source: the metrics it reads, each by its newest name; none where that can't be told
	bad   bool       // it has an error of its own
}

// checker is one run of Check.
type checker struct {
	binder      loop.Binder
	objects     []*object // every document with a kind but the autoscalers
	autoscalers []*autoscaler
	findings    []Finding
}

// Check reads the files as one set and gives every finding at once. The binder says which metrics are known and whether
// there are Kubernetes metrics APIs.
func Check(files []File, binder loop.Binder) Report {
	c := checker{binder: binder}
	for _, f := range files {
		for _, d := range split(f) {
			if !d.blank() {
				c.read(newObject(d))
			}
		}
	}
	for _, a := range c.autoscalers {
		c.convert(a)
	}
	for _, a := range c.autoscalers {
		c.bounds(a)
		c.keys(a)
		c.metrics(a)
		c.target(a)
		c.rivals(a)
		c.defaults(a)
	}
	sortFindings(files, c.findings)
	r := Report{Findings: c.findings}
	for _, a := range c.autoscalers {
		if !a.bad {
			r.Right = append(r.Right, Checked{File: a.file, Object: a.id()})
		}
	}
	return r
}

// say adds a finding on a field of an object.
func (c *checker) say(o *object, severity Severity, at, format string, args ...any) {
	c.findings = append(c.findings, Finding{
		File: o.file, Line: o.tree.line(at), Object: o.id(), Severity: severity, Field: at, Text: fmt.Sprintf(format, args...),
	})
}

// refuse adds an error of an autoscaler.
func (c *checker) refuse(a *autoscaler, at, format string, args ...any) {
	a.bad = true
	c.say(a.object, Error, at, format, args...)
}

// read files an object, or says why it is none.
func (c *checker) read(o *object) {
	if !o.autoscaler() {
		c.objects = append(c.objects, o)
		if strings.HasSuffix(o.kind, "List") && o.has("items") {
			c.say(o, Warning, "items", "are not checked; write each of them as a document of its own, with --- between them")
		} else if !o.understood() {
			c.say(o, Note, "kind", "%s of %s is passed over: only autoscalers and what they scale are checked",
				o.kind, cmp.Or(o.apiVersion, "no apiVersion"))
		} else if at := o.malformed(); at != "" {
			c.say(o, Warning, at, "has not the shape that it has in a %s, so nothing is checked against it; write it as the Kubernetes API has it", o.kind)
		}
		return
	}
	pas, err := v1alpha1.Read(bytes.NewReader(o.data))
	for _, pa := range pas { // one at most, and never one with a field that is wrong
		o.namespace, o.name = cmp.Or(pa.Namespace, metav1.NamespaceDefault), pa.Name
	}
	if err != nil {
		each(err, func(err error) { c.findings = append(c.findings, o.refusal(err)) })
	}
	for _, pa := range pas {
		a := &autoscaler{object: o, pa: pa, bad: err != nil}
		if first := c.named(a); first != nil {
			c.say(o, Error, "metadata.name", "is at %s:%d already; remove one of them", first.file, first.tree.line("kind"))
			continue
		}
		c.autoscalers = append(c.autoscalers, a)
	}
}

// named finds the autoscaler of the same name that came before.
func (c *checker) named(a *autoscaler) *autoscaler {
	if i := slices.IndexFunc(c.autoscalers, func(b *autoscaler) bool { return a.id() != "" && a.id() == b.id() }); i >= 0 {
		return c.autoscalers[i]
	}
	return nil
}

// convert says what the conversion and the binding say, which have the last word on what is right.
func (c *checker) convert(a *autoscaler) {
	ref := a.pa.Spec.ScaleTargetRef
	// The UID of the target is not known here and does not matter: any will do.
	bound, warnings, errs := c.binder.Bind(a.pa, loop.Target{Kind: ref.Kind, Name: ref.Name, UID: "lint"})
	for _, err := range errs {
		c.refuse(a, err.Field, "%s", a.mend(err))
	}
	for _, w := range warnings {
		severity := Warning
		if w.Misplaced {
			severity = Error
		}
		c.say(a.object, severity, w.Field, "%s", w.Text)
	}
	for i, s := range a.pa.Spec.MetricsSources {
		var names []string
		if i < len(bound.Sources) {
			names = bound.Sources[i].Metrics()
		} else if s.TargetMetric != "" {
			names = []string{s.TargetMetric}
		}
		a.reads = append(a.reads, c.newest(names))
	}
}

// newest spells metrics by their newest names.
func (c *checker) newest(names []string) []string {
	var out []string
	for _, name := range names {
		if c.binder.Lookup != nil {
			if m, ok := c.binder.Lookup(name); ok && len(m.Names) > 0 {
				name = m.Names[0]
			}
		}
		if !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	return out
}

// mend completes the conversion's error with what only the file shows.
func (a *autoscaler) mend(err *field.Error) string {
	if err.Field == "spec.maxReplicas" && !a.has(err.Field) {
		return "Required value: write the most replicas that may ever run, such as maxReplicas: 8; each holds its GPUs"
	}
	return err.ErrorBody()
}

// defaults says which of our defaults apply that AIBrix has otherwise.
func (c *checker) defaults(a *autoscaler) {
	for _, note := range a.pa.DefaultsUnlikeAIBrix() {
		c.say(a.object, Note, note.Field, "%s", note.Text)
	}
}
