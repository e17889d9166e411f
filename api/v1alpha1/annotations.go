package v1alpha1

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/flyball/flyball/decider"
)

// The prefixes of the annotations that are read. A key under one of them that is not in the table is an error.
const (
	prefix        = "autoscaling.aibrix.ai/"
	kpaPrefix     = "kpa.autoscaling.aibrix.ai/" // AIBrix up to v0.4
	apaPrefix     = "apa.autoscaling.aibrix.ai/" // AIBrix up to v0.4
	flyballPrefix = "flyball.dev/"
)

// effect is what becomes of an annotation.
type effect string

const (
	effective   effect = "sets"        // it sets its setting
	switching   effect = "switches"    // it sets its switch
	ineffective effect = "no effect"   // accepted, with a warning
	unsupported effect = "unsupported" // known, refused
)

// annotation is one row of the table of keys.
type annotation struct {
	key     string
	effect  effect
	setting *setting         // what an effective key sets
	flip    *flip            // what a switching key sets
	only    decider.Strategy // the one strategy of an older key; empty when the setting's strategies are meant
	unit    valueType        // of an ineffective key
	note    string           // why an ineffective key has no effect; what to do about an unsupported one
}

// annotations is the one table of keys; of two that set the same, the preferred one comes first.
var annotations = []annotation{
	{key: prefix + "max-scale-up-rate", effect: effective, setting: maxScaleUpRate},
	{key: prefix + "max-scale-down-rate", effect: effective, setting: maxScaleDownRate},
	{key: prefix + "scale-up-tolerance", effect: effective, setting: toleranceUp},
	{key: prefix + "scale-down-tolerance", effect: effective, setting: toleranceDown},
	{key: prefix + "panic-threshold", effect: effective, setting: panicThreshold},
	{key: prefix + "scale-up-delay", effect: effective, setting: scaleUpDelay},
	{key: prefix + "scale-up-cooldown-window", effect: effective, setting: scaleUpDelay},
	{key: prefix + "scale-down-delay", effect: effective, setting: scaleDownDelay},
	{key: prefix + "scale-down-cooldown-window", effect: effective, setting: scaleDownDelay},
	{
		key: prefix + "scale-to-zero", effect: ineffective, unit: typeBool,
		note: "minReplicas alone decides: 0 allows zero replicas",
	},
	{key: prefix + "storm-service-mode", effect: unsupported, note: "roles of a StormService can not be scaled"},

	// The samples of AIBrix carry these two under this prefix; AIBrix itself read them under apa. only.
	{key: prefix + "up-fluctuation-tolerance", effect: effective, setting: toleranceUp},
	{key: prefix + "down-fluctuation-tolerance", effect: effective, setting: toleranceDown},

	{
		key: kpaPrefix + "target-burst-capacity", effect: ineffective, unit: typeFloat,
		note: "there is no activator that would hold a burst of requests",
	},
	{key: kpaPrefix + "activation-scale", effect: effective, setting: activationScale, only: decider.KPA},
	{key: kpaPrefix + "panic-threshold", effect: effective, setting: panicThreshold, only: decider.KPA},
	{key: kpaPrefix + "stable-window", effect: effective, setting: observeWindow, only: decider.KPA},
	{key: kpaPrefix + "panic-window", effect: effective, setting: panicWindow, only: decider.KPA},
	{key: kpaPrefix + "scale-down-delay", effect: effective, setting: scaleDownDelay, only: decider.KPA},
	{key: apaPrefix + "up-fluctuation-tolerance", effect: effective, setting: toleranceUp, only: decider.APA},
	{key: apaPrefix + "down-fluctuation-tolerance", effect: effective, setting: toleranceDown, only: decider.APA},
	{key: apaPrefix + "window", effect: effective, setting: observeWindow, only: decider.APA},

	{key: flyballPrefix + "paused", effect: switching, flip: pauseAll},
	{key: flyballPrefix + "paused-replicas", effect: switching, flip: pauseReplicas},
	{key: flyballPrefix + "paused-scale-in", effect: switching, flip: pauseScaleIn},
	{key: flyballPrefix + "paused-scale-out", effect: switching, flip: pauseScaleOut},
	{key: flyballPrefix + "kpa", effect: switching, flip: strictKPA, only: decider.KPA},
}

func (a *annotation) appliesTo(strategy decider.Strategy) bool {
	if a.flip != nil && strategy == decider.HPA || a.only != "" && a.only != strategy {
		return false
	}
	return a.flip != nil || a.setting != nil && a.setting.appliesTo(strategy)
}

// Annotation documents one annotation key.
type Annotation struct {
	Key        string
	Setting    string             // what it sets; empty when it sets nothing
	Type       string             // float, integer, duration, bool or word; empty when it is not supported
	Range      string             // in words; empty when there is none
	Strategies []decider.Strategy // those it has an effect on; empty when it has none
	Note       string             // what it does where no Default says so, why it has no effect, or what to do instead
	Supported  bool               // false: a manifest that carries it is refused
}

// Annotations lists every annotation key that is known, in the order of the documentation.
func Annotations() []Annotation {
	out := make([]Annotation, 0, len(annotations))
	for _, a := range annotations {
		doc := Annotation{Key: a.key, Type: string(a.unit), Note: a.note, Supported: a.effect != unsupported}
		if a.setting != nil {
			doc.Setting, doc.Type, doc.Range = a.setting.name, string(a.setting.unit), a.setting.valueRange()
		}
		if a.flip != nil {
			doc.Setting, doc.Type, doc.Range, doc.Note = a.flip.name, string(a.flip.unit), a.flip.values, a.flip.note
		}
		for _, strategy := range strategies {
			if a.appliesTo(strategy) {
				doc.Strategies = append(doc.Strategies, strategy)
			}
		}
		out = append(out, doc)
	}
	return out
}

// ours says whether a key is under a prefix that is read here. Any host under autoscaling.aibrix.ai counts, so that
// hpa.autoscaling.aibrix.ai/… is a mistake that is seen.
func ours(key string) bool {
	host, _, ok := strings.Cut(key, "/")
	return ok && (host+"/" == flyballPrefix || host+"/" == prefix || strings.HasSuffix(host+"/", "."+prefix))
}

func findAnnotation(key string) *annotation {
	if i := slices.IndexFunc(annotations, func(a annotation) bool { return a.key == key }); i >= 0 {
		return &annotations[i]
	}
	return nil
}

// suggestKey finds the key that a misspelt one most likely stands for: first by what follows the prefix, then by
// the whole.
func suggestKey(key string) string {
	_, name, _ := strings.Cut(key, "/")
	names := make([]string, 0, len(annotations))
	for _, a := range annotations {
		_, n, _ := strings.Cut(a.key, "/")
		names = append(names, n)
	}
	near := closest(name, names)
	if near == "" {
		return ""
	}
	best := ""
	for i, a := range annotations {
		if names[i] == near && (best == "" || Distance(key, a.key) < Distance(key, best)) {
			best = a.key
		}
	}
	return best
}

// given is a setting's value as a manifest gives it, and where.
type given struct {
	value float64
	at    *field.Path
}

// readAnnotations checks every annotation and label, and adds what the annotations set to values.
func (c *conversion) readAnnotations() {
	for _, key := range slices.Sorted(maps.Keys(c.pa.Annotations)) {
		if ours(key) {
			c.readAnnotation(key, c.pa.Annotations[key])
		}
	}
	for _, key := range slices.Sorted(maps.Keys(c.pa.Labels)) {
		c.readLabel(key, c.pa.Labels[key])
	}
}

func (c *conversion) readAnnotation(key, text string) {
	at := field.NewPath("metadata", "annotations").Key(key)
	a := findAnnotation(key)
	if a == nil {
		c.invalid(at, text, "is not a known annotation%s", didYouMean(suggestKey(key)))
		return
	}
	switch a.effect {
	case unsupported:
		c.forbid(at, "is not supported yet; remove it: %s", a.note)
	case ineffective:
		if err := checkType(a.unit, text); err != nil {
			c.invalid(at, text, "%v", err)
			return
		}
		c.warn(at, "has no effect: %s", a.note)
	case effective:
		v, err := a.setting.parse(text)
		if err != nil {
			c.invalid(at, text, "%v", err)
			return
		}
		if c.knownStrategy() && !a.appliesTo(c.pa.Spec.ScalingStrategy) {
			c.warn(at, "has no effect with strategy %s", c.pa.Spec.ScalingStrategy)
			return
		}
		c.give(a.setting, v, at)
	case switching:
		if err := a.flip.set(&c.policy, text); err != nil {
			c.invalid(at, text, "%v", err)
		} else if c.knownStrategy() && !a.appliesTo(c.pa.Spec.ScalingStrategy) {
			c.warn(at, "has no effect with strategy %s", c.pa.Spec.ScalingStrategy)
			a.flip.reset(&c.policy)
		}
	}
}

// readLabel finds settings that were written as labels, where nothing reads them: a scale-down delay that silently did
// not hold.
func (c *conversion) readLabel(key, text string) {
	if !ours(key) {
		return
	}
	right := key
	if findAnnotation(key) == nil {
		right = suggestKey(key)
	}
	at := field.NewPath("metadata", "labels").Key(key)
	if right == "" {
		c.warn(at, "is a label, which nothing reads, and no annotation has a name like it; docs/policy.md has those that there are")
	} else {
		c.warnings = append(c.warnings, Warning{
			Field:     at.String(),
			Text:      fmt.Sprintf("is a label; move it to metadata.annotations, as the line %s: %q", right, text),
			Misplaced: true,
		})
	}
}

func checkType(unit valueType, text string) error {
	var err error
	if unit == typeBool {
		_, err = parseBool(text)
	} else {
		_, err = parseNumber(text)
	}
	return err
}
