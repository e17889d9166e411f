package lint

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
)

// The prefixes of keys that lint knows of.
const (
	aibrix  = "autoscaling.aibrix.ai/"
	flyball = "flyball.dev/"
	keda    = "autoscaling.keda.sh/"
	knative = "autoscaling.knative.dev/"
)

// deadInAIBrix are the annotations that AIBrix does not read, or reads without an effect, and what sets the same in
// both; empty where nothing does. Those of the kpa. and apa. hosts were read up to v0.4.
var deadInAIBrix = map[string]string{
	"kpa." + aibrix + "stable-window":              "spec.observeWindowSeconds",
	"kpa." + aibrix + "panic-window":               "spec.panicWindowSeconds",
	"kpa." + aibrix + "panic-threshold":            aibrix + "panic-threshold",
	"kpa." + aibrix + "scale-down-delay":           aibrix + "scale-down-cooldown-window",
	"kpa." + aibrix + "activation-scale":           "",
	"kpa." + aibrix + "target-burst-capacity":      "",
	"apa." + aibrix + "window":                     "spec.observeWindowSeconds",
	"apa." + aibrix + "up-fluctuation-tolerance":   aibrix + "scale-up-tolerance",
	"apa." + aibrix + "down-fluctuation-tolerance": aibrix + "scale-down-tolerance",
	aibrix + "up-fluctuation-tolerance":            aibrix + "scale-up-tolerance",
	aibrix + "down-fluctuation-tolerance":          aibrix + "scale-down-tolerance",
	aibrix + "scale-to-zero":                       "spec.minReplicas",
}

// foreign are the prefixes of other autoscalers' annotations, and whose they are. Someone who writes one believes
// that it holds.
var foreign = []struct{ prefix, system string }{
	{keda, "KEDA"},
	{"scaledobject.keda.sh/", "KEDA"},
	{"validations.keda.sh/", "KEDA"},
	{"autoscaling.alpha.kubernetes.io/", "the HorizontalPodAutoscaler"},
	{"autoscaling.kubernetes.io/", "the HorizontalPodAutoscaler"},
	{"hpa.autoscaling.kubernetes.io/", "the HorizontalPodAutoscaler"},
	{knative, "Knative"},
}

// here is what says here what another autoscaler's annotation says there.
var here = map[string]string{
	keda + "paused":                        flyball + "paused",
	keda + "paused-replicas":               flyball + "paused-replicas",
	keda + "paused-scale-in":               flyball + "paused-scale-in",
	keda + "paused-scale-out":              flyball + "paused-scale-out",
	knative + "min-scale":                  "spec.minReplicas",
	knative + "minScale":                   "spec.minReplicas",
	knative + "max-scale":                  "spec.maxReplicas",
	knative + "maxScale":                   "spec.maxReplicas",
	knative + "target":                     "spec.metricsSources[0].targetValue",
	knative + "metric":                     "spec.metricsSources[0].targetMetric",
	knative + "class":                      "spec.scalingStrategy",
	knative + "window":                     "spec.observeWindowSeconds",
	knative + "panic-window-percentage":    "spec.panicWindowSeconds",
	knative + "panic-threshold-percentage": aibrix + "panic-threshold, as a ratio",
	knative + "scale-down-delay":           aibrix + "scale-down-delay",
	knative + "activation-scale":           "kpa." + aibrix + "activation-scale",
}

// keys looks at annotations that hold in one system and not in another.
func (c *checker) keys(a *autoscaler) {
	known := map[string]v1alpha1.Annotation{}
	for _, k := range v1alpha1.Annotations() {
		known[k.Key] = k
	}
	for _, key := range slices.Sorted(maps.Keys(a.pa.Annotations)) {
		at := "metadata.annotations[" + key + "]"
		if instead, dead := deadInAIBrix[key]; dead {
			c.say(a.object, Note, at, "%s", elsewhere(known[key], instead))
		}
		for _, f := range foreign {
			if strings.HasPrefix(key, f.prefix) {
				c.say(a.object, Warning, at, "is %s's and means nothing here%s", f.system, replacement(known, here[key]))
			}
		}
	}
}

// elsewhere says what becomes of a key that AIBrix does not read.
func elsewhere(k v1alpha1.Annotation, instead string) string {
	text := "AIBrix does not act on it, nor does flyball"
	if len(k.Strategies) > 0 {
		text = fmt.Sprintf("AIBrix does not act on it; flyball does: it sets the %s", k.Setting)
	}
	switch instead {
	case "":
	case "spec.minReplicas":
		text += "; " + instead + " alone decides, in both"
	default:
		text += "; " + instead + " sets the same in both"
	}
	return text
}

// replacement says what to write instead of another system's annotation.
func replacement(known map[string]v1alpha1.Annotation, instead string) string {
	if instead == "" {
		return "; remove it"
	}
	if k, ours := known[instead]; ours && !k.Supported {
		return "; " + k.Note
	}
	return "; write " + instead + " instead"
}
