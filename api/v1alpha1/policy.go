package v1alpha1

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/api/validate/content"
	"k8s.io/apimachinery/pkg/api/validation"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/flyball/flyball/decider"
)

// Warning is something in a manifest that is accepted and yet deserves a look.
type Warning struct {
	Field string // such as metadata.annotations[autoscaling.aibrix.ai/scale-to-zero]
	Text  string
	// Misplaced says that a setting stands where nothing reads it. The autoscaler is run without it.
	Misplaced bool
}

func (w Warning) String() string { return w.Field + ": " + w.Text }

// Policy converts the spec and the annotations into a policy. It is the only such conversion: the service, lint and
// the simulator all use it. Either the error list is empty and the policy is complete and within the ranges that
// decider.Policy documents, or the policy is the zero value and the list holds every error, each with its field and
// what to write instead. Warnings come with both.
func (pa *PodAutoscaler) Policy() (decider.Policy, []Warning, field.ErrorList) {
	c := conversion{pa: pa, given: map[*setting][]given{}}
	c.readIdentity()
	c.readTarget()
	c.readBounds()
	c.readModes()
	c.readUnsupported()
	c.readSchedules()
	c.readSources()
	c.readWindow(observeWindow, pa.Spec.ObserveWindowSeconds)
	c.readWindow(panicWindow, pa.Spec.PanicWindowSeconds)
	c.readAnnotations()
	c.settle()
	if len(c.errs) > 0 {
		return decider.Policy{}, c.warnings, c.errs
	}
	return c.policy, c.warnings, nil
}

// conversion is one run of Policy.
type conversion struct {
	pa       *PodAutoscaler
	policy   decider.Policy
	given    map[*setting][]given
	warnings []Warning
	errs     field.ErrorList
}

func (c *conversion) invalid(at *field.Path, value any, format string, args ...any) {
	c.errs = append(c.errs, field.Invalid(at, value, fmt.Sprintf(format, args...)))
}

func (c *conversion) required(at *field.Path, format string, args ...any) {
	c.errs = append(c.errs, field.Required(at, fmt.Sprintf(format, args...)))
}

func (c *conversion) forbid(at *field.Path, format string, args ...any) {
	c.errs = append(c.errs, field.Forbidden(at, fmt.Sprintf(format, args...)))
}

func (c *conversion) warn(at *field.Path, format string, args ...any) {
	c.warnings = append(c.warnings, Warning{Field: at.String(), Text: fmt.Sprintf(format, args...)})
}

func (c *conversion) give(s *setting, v float64, at *field.Path) {
	c.given[s] = append(c.given[s], given{value: v, at: at})
}

func (c *conversion) knownStrategy() bool {
	switch c.pa.Spec.ScalingStrategy {
	case decider.KPA, decider.APA, decider.HPA:
		return true
	}
	return false
}

// readIdentity checks what the API server checks for objects, since a manifest file has not been there.
func (c *conversion) readIdentity() {
	at := field.NewPath("metadata", "name")
	if c.pa.Name == "" {
		c.required(at, "name the autoscaler")
	} else if msgs := validation.NameIsDNSSubdomain(c.pa.Name, false); len(msgs) > 0 {
		c.invalid(at, c.pa.Name, "%s", msgs[0])
	}
	if msgs := validation.ValidateNamespaceName(c.pa.Namespace, false); c.pa.Namespace != "" && len(msgs) > 0 {
		c.invalid(field.NewPath("metadata", "namespace"), c.pa.Namespace, "%s", msgs[0])
	}
	c.readKeys("labels", c.pa.Labels, content.IsLabelKey)
	for _, key := range slices.Sorted(maps.Keys(c.pa.Labels)) {
		for _, msg := range content.IsLabelValue(c.pa.Labels[key]) {
			c.invalid(field.NewPath("metadata", "labels").Key(key), c.pa.Labels[key], "%s", msg)
		}
	}
	c.readKeys("annotations", c.pa.Annotations, func(key string) []string {
		return content.IsLabelKey(strings.ToLower(key)) // as the API server does
	})
	if err := validation.ValidateAnnotationsSize(c.pa.Annotations); err != nil {
		c.errs = append(c.errs, field.TooLong(field.NewPath("metadata", "annotations"), "", validation.TotalAnnotationSizeLimitB))
	}
}

// readKeys checks the keys of labels or annotations.
func (c *conversion) readKeys(of string, all map[string]string, check func(key string) []string) {
	for _, key := range slices.Sorted(maps.Keys(all)) {
		for _, msg := range check(key) {
			c.invalid(field.NewPath("metadata", of).Key(key), key, "%s", msg)
		}
	}
}

func (c *conversion) readTarget() {
	ref, at := c.pa.Spec.ScaleTargetRef, field.NewPath("spec", "scaleTargetRef")
	if ref.Kind == "" {
		c.required(at.Child("kind"), "name the kind of the workload, such as Deployment")
	}
	if ref.Name == "" {
		c.required(at.Child("name"), "name the workload to scale")
	} else if msgs := content.IsPathSegmentName(ref.Name); len(msgs) > 0 {
		c.invalid(at.Child("name"), ref.Name, "%s", msgs[0])
	}
	if ref.Namespace != "" && ref.Namespace != c.pa.namespace() {
		c.invalid(at.Child("namespace"), ref.Namespace,
			"must be the autoscaler's own namespace, %s; remove it or move the autoscaler", c.pa.namespace())
	}
	if version := c.pa.Target().APIVersion; version == "" && ref.Kind != "" {
		c.required(at.Child("apiVersion"), "only the kinds of apps/v1 need none; write the group and version of %s", ref.Kind)
	} else if _, err := schema.ParseGroupVersion(version); err != nil {
		c.invalid(at.Child("apiVersion"), version, "write a group and a version, such as apps/v1")
	}
	for _, f := range []struct{ name, value string }{
		{"uid", string(ref.UID)}, {"resourceVersion", ref.ResourceVersion}, {"fieldPath", ref.FieldPath},
	} {
		if f.value != "" {
			c.warn(at.Child(f.name), "has no effect: a target is found by kind and name")
		}
	}
}

func (c *conversion) readBounds() {
	least, most, at := int32(1), c.pa.Spec.MaxReplicas, field.NewPath("spec")
	if c.pa.Spec.MinReplicas != nil {
		least = *c.pa.Spec.MinReplicas
	}
	switch {
	case least < 0:
		c.invalid(at.Child("minReplicas"), least, "must be 0 or more")
	case most <= 0:
		c.invalid(at.Child("maxReplicas"), most, "must be 1 or more")
	case least > most:
		c.invalid(at.Child("minReplicas"), least, "must not be greater than maxReplicas (%d); lower it or raise maxReplicas", most)
	}
	c.policy.MinReplicas, c.policy.MaxReplicas = least, most
}

func (c *conversion) readModes() {
	at := field.NewPath("spec")
	c.policy.Strategy, c.policy.Mode = c.pa.Spec.ScalingStrategy, c.pa.Spec.Mode
	if c.policy.Strategy == "" {
		c.required(at.Child("scalingStrategy"), "write KPA, APA or HPA")
	} else if !c.knownStrategy() {
		c.errs = append(c.errs, field.NotSupported(at.Child("scalingStrategy"), c.policy.Strategy, strategies))
	}
	switch c.policy.Mode {
	case "":
		c.policy.Mode = decider.Enforce
	case decider.Enforce, decider.Advise:
	default:
		c.errs = append(c.errs, field.NotSupported(at.Child("mode"), c.policy.Mode,
			[]decider.Mode{decider.Enforce, decider.Advise}))
	}
}

// readUnsupported refuses what AIBrix can do and flyball can not.
func (c *conversion) readUnsupported() {
	at := field.NewPath("spec")
	if sub := c.pa.Spec.SubTargetSelector; sub != nil && sub.RoleName != "" {
		at := at.Child("subTargetSelector", "roleName")
		if c.pa.Spec.ScalingStrategy == decider.HPA {
			c.forbid(at, "a native HorizontalPodAutoscaler can not scale a role; remove it")
		} else {
			c.forbid(at, "scaling one role is not supported yet; remove it to scale the whole target")
		}
	}
	if c.pa.Spec.Predictive != nil {
		c.forbid(at.Child("predictive"), "predictive scaling is not supported yet; remove it")
	}
}

func (c *conversion) readWindow(s *setting, value *int64) {
	if value == nil {
		return
	}
	at, v := field.NewPath("spec", s.field), float64(*value)
	if v < s.min || v > s.max {
		c.invalid(at, *value, "is out of range; write whole seconds from %s to %s", formatNumber(s.min), formatNumber(s.max))
		return
	}
	if c.knownStrategy() && !s.appliesTo(c.pa.Spec.ScalingStrategy) {
		c.warn(at, "has no effect with strategy %s", c.pa.Spec.ScalingStrategy)
		return
	}
	c.give(s, v, at)
}

// settle gives every setting its value, then checks those that depend on each other.
func (c *conversion) settle() {
	if !c.knownStrategy() {
		return
	}
	for _, s := range settings {
		v, ok := s.defaults[c.policy.Strategy]
		if !ok {
			continue
		}
		if s == scaleDownDelay && c.policy.Strict {
			v = 0 // Knative's default
		}
		if all := c.given[s]; len(all) > 0 {
			v = all[0].value
			for _, other := range all[1:] {
				if other.value != v {
					c.invalid(other.at, s.render(other.value), "differs from %s, which sets the same %s to %s; keep one of them",
						all[0].at, s.name, s.render(v))
				}
			}
		}
		s.assign(&c.policy, v)
	}
	c.settlePanicWindow()
	c.settleStrict()
	if scale := c.policy.ActivationScale; scale > max(1, c.policy.MaxReplicas) {
		c.invalid(c.given[activationScale][0].at, scale, "must not be greater than maxReplicas (%d)", c.policy.MaxReplicas)
	}
}

// settleStrict names what is set and Knative does not have.
func (c *conversion) settleStrict() {
	if !c.policy.Strict {
		return
	}
	for _, s := range []*setting{toleranceUp, toleranceDown, scaleUpDelay} {
		for _, g := range c.given[s] {
			if g.value > 0 {
				c.warn(g.at, "applies in strict KPA too, and Knative has no %s; remove it to decide as Knative does", s.name)
			}
		}
	}
}

func (c *conversion) settlePanicWindow() {
	at := field.NewPath("spec", panicWindow.field)
	wide, narrow := c.policy.ObserveWindow, c.policy.PanicWindow
	if narrow <= wide {
		return
	}
	if all := c.given[panicWindow]; len(all) > 0 && len(c.given[observeWindow]) == 0 {
		c.warn(field.NewPath("spec", observeWindow.field), "not set: the observe window is %s, since its default of %s is shorter than the panic window",
			formatDuration(narrow), formatDuration(wide))
		c.policy.ObserveWindow = narrow
		return
	} else if len(all) > 0 {
		c.invalid(all[0].at, formatDuration(narrow),
			"must not be greater than the observe window (%s); lower it or raise spec.observeWindowSeconds", formatDuration(wide))
		return
	}
	c.warn(at, "not set: the panic window is %s, since its default of %s is longer than the observe window",
		formatDuration(wide), formatDuration(narrow))
	c.policy.PanicWindow = wide
}

// DefaultsUnlikeAIBrix says which defaults apply that AIBrix has otherwise, for a manifest that was written for
// AIBrix and leaves them open. A policy must be obtainable; of an invalid one it says nothing.
func (pa *PodAutoscaler) DefaultsUnlikeAIBrix() []Warning {
	c := conversion{pa: pa, given: map[*setting][]given{}}
	c.readWindow(observeWindow, pa.Spec.ObserveWindowSeconds)
	c.readWindow(panicWindow, pa.Spec.PanicWindowSeconds)
	c.readAnnotations()
	var out []Warning
	for _, s := range settings {
		ours, applies := s.defaults[pa.Spec.ScalingStrategy]
		theirs, differs := s.aibrix[pa.Spec.ScalingStrategy]
		if !applies || !differs || len(c.given[s]) > 0 {
			continue
		}
		out = append(out, Warning{Field: s.preferredField(pa.Spec.ScalingStrategy), Text: fmt.Sprintf(
			"not set: the %s is %s here, %s in AIBrix", s.name, s.render(ours), s.render(theirs))})
	}
	return out
}

// preferredField is where a manifest should set a setting.
func (s *setting) preferredField(strategy decider.Strategy) string {
	if s.field != "" {
		return field.NewPath("spec", s.field).String()
	}
	for _, a := range annotations {
		if a.setting == s && a.appliesTo(strategy) {
			return field.NewPath("metadata", "annotations").Key(a.key).String()
		}
	}
	panic("BUG: setting " + s.name + " can not be set")
}
