package lint

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"

	"k8s.io/apimachinery/pkg/util/validation/field"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/internal/loop"
)

// autoscaler is a PodAutoscaler of the files.
type autoscaler struct {
	*object
	pa    *v1alpha1.PodAutoscaler
	names [][]string // by source: the metrics it reads; none where that can't be told
	reads [][]string // the same, each by its newest name
	bad   bool       // it has an error of its own
}

// checker is one run of Check.
type checker struct {
	binder      loop.Binder
	scalers     []string
	objects     []*object // every document with a kind but the autoscalers
	autoscalers []*autoscaler
	findings    []Finding
}

// Check reads the files as one set and gives every finding at once. The binder says which metrics are known and whether
// there are Kubernetes metrics APIs. The scalers are the addresses at which KEDA finds flyball; without any, lint knows only
// that of an installation as it comes.
func Check(files []File, binder loop.Binder, scalers ...string) Report {
	c := checker{binder: binder, scalers: scalers}
	for _, f := range files {
		before := c.seen()
		for _, d := range split(f) {
			if !d.blank() {
				c.read(newObject(d))
			}
		}
		if c.seen() == before {
			c.findings = append(c.findings, Finding{File: f.Name, Line: 1, Severity: Warning, Text: "has no objects, so nothing is checked"})
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

// seen counts what has come of the files so far.
func (c *checker) seen() int { return len(c.objects) + len(c.autoscalers) + len(c.findings) }

// say adds a finding on a field of an object.
func (c *checker) say(o *object, severity Severity, at, format string, args ...any) {
	if o.doubtful(at) {
		return
	}
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
	switch {
	case o.listed():
		c.unwrap(o)
		return
	case o.autoscaler():
		c.readAutoscaler(o)
		return
	}
	c.objects = append(c.objects, o)
	switch {
	case o.misnamed():
		c.say(o, Error, "kind", "%s is no kind of %s; did you mean %s of %s?", o.kind, cmp.Or(o.apiVersion, "no apiVersion"),
			v1alpha1.Kind, v1alpha1.GroupVersion)
	case !o.understood():
		c.say(o, Note, "kind", "%s of %s is passed over: only autoscalers and what they scale are checked",
			o.kind, cmp.Or(o.apiVersion, "no apiVersion"))
	default:
		if at := o.malformed(); at != "" {
			c.say(o, Warning, at, "has not the shape that it has in a %s, so nothing is checked against it; write it as the Kubernetes API has it", o.kind)
		}
	}
}

// readAutoscaler files an autoscaler as far as it can be read.
func (c *checker) readAutoscaler(o *object) {
	pas, err := v1alpha1.Inspect(bytes.NewReader(o.data))
	for _, pa := range pas { // one at most; it has its name even where the document has no lines
		o.namespace, o.name = cmp.Or(pa.Namespace, o.namespace), cmp.Or(pa.Name, o.name)
	}
	bad := o.refused
	each(err, func(err error) {
		var at *v1alpha1.FieldError
		switch {
		case !errors.As(err, &at):
		case within(at.Field, "status"):
			return // the API server keeps what is there, and takes none of it from a manifest
		case !at.Kept:
			o.lose(at.Field)
			if at.Meant != "" && !o.has(at.Meant) {
				o.lose(at.Meant)
			}
		}
		bad = true
		c.findings = append(c.findings, o.refusal(err))
	})
	for _, pa := range pas {
		if o.doubtful("spec.maxReplicas") {
			pa.Spec.MaxReplicas = math.MaxInt32 // so that nothing is above it
		}
		a := &autoscaler{object: o, pa: pa, bad: bad}
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
	to := loop.Target{Kind: ref.Kind, Name: ref.Name, UID: "lint"}
	_, warnings, errs := c.binder.Bind(a.pa, to)
	for _, err := range errs {
		c.refuse(a, err.Field, "%s", a.mend(err))
	}
	for _, w := range warnings {
		severity := Warning
		if w.Misplaced {
			severity, a.bad = Error, true
		}
		c.say(a.object, severity, w.Field, "%s", w.Text)
	}
	for i, s := range a.pa.Spec.MetricsSources {
		var names []string
		if bound, _, err := c.binder.Source(a.pa, to, i); err == nil {
			names = bound.Metrics()
		} else if s.TargetMetric != "" {
			names = []string{s.TargetMetric}
		}
		a.names = append(a.names, names)
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
