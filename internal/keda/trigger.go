package keda

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"google.golang.org/grpc/codes"

	"github.com/flyball/flyball/api/externalscaler"
	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/decider"
)

// mode says what KEDA is told.
type mode string

const (
	desiredReplicas mode = "desiredReplicas" // the count that was decided, against a target of 1
	load            mode = "load"            // each source's load, against its target per pod
)

// The keys that a trigger's metadata may have besides KEDA's own.
const (
	keyTarget       = "target"       // the autoscaler, as NAME or NAMESPACE/NAME; the ScaledObject's name if not given
	keyMode         = "mode"         // desiredReplicas if not given
	keyMaxStaleness = "maxStaleness" // how old a result may be, such as 10s or 1m30s; three ticks if not given

	keyMinConfidence = "minConfidence" // the least coverage of the windows, from 0 to 1; any if not given
)

// kedaKeys are KEDA's own: it hands the whole of the metadata on.
var kedaKeys = []string{"scalerAddress", "enableTLS", "unsafeSsl", "caCert", "tlsClientCert", "tlsClientKey"}

var keys = append([]string{keyTarget, keyMode, keyMaxStaleness, keyMinConfidence}, kedaKeys...)

// staleTicks is how many decisions may fail to come before an answer is refused. KEDA asks every 15 to 30 s, so it does not
// see one late decision, and after three, something is wrong.
const staleTicks = 3

// trigger is what a ScaledObject's trigger asks for.
type trigger struct {
	namespace     string // of the ScaledObject, the autoscaler and their target
	scaledObject  string
	autoscaler    string
	mode          mode
	maxStaleness  time.Duration
	minConfidence float64
}

// about is the autoscaler's full name.
func (t trigger) about() string { return t.namespace + "/" + t.autoscaler }

func readTrigger(ref *externalscaler.ScaledObjectRef, tick time.Duration) (trigger, error) {
	t := trigger{
		namespace: ref.GetNamespace(), scaledObject: ref.GetName(), autoscaler: ref.GetName(),
		mode: desiredReplicas, maxStaleness: staleTicks * tick,
	}
	if t.namespace == "" || t.scaledObject == "" {
		const missing = "the ScaledObject's name or namespace is missing; KEDA gives both"
		return t, invalid("scaledObjectRef", missing, missing)
	}
	metadata := ref.GetScalerMetadata()
	for _, key := range slices.Sorted(maps.Keys(metadata)) {
		if !slices.Contains(keys, key) {
			return t, t.wrong(key, "is no key of this trigger; did you mean %s?", nearest(key, keys)[0])
		}
	}
	if err := t.readTarget(metadata[keyTarget]); err != nil {
		return t, err
	}
	switch m := mode(metadata[keyMode]); m {
	case "":
	case desiredReplicas, load:
		t.mode = m
	default:
		return t, t.wrong(keyMode, "%q is no mode; did you mean %s?", m, nearest(string(m), []string{string(desiredReplicas), string(load)})[0])
	}
	if text := metadata[keyMaxStaleness]; text != "" {
		age, err := readDuration(text)
		if err != nil {
			return t, t.wrong(keyMaxStaleness, "%q is no duration; give one such as 10s or 1m30s", text)
		}
		if age < tick {
			return t, t.wrong(keyMaxStaleness, "%s is less than the %s between two decisions; give %s or more", text, tick, tick)
		}
		t.maxStaleness = age
	}
	return t, t.readConfidence(metadata[keyMinConfidence])
}

// readTarget reads NAME or NAMESPACE/NAME. Another namespace is refused: who may edit a ScaledObject there has not been
// allowed to read what goes on here.
func (t *trigger) readTarget(text string) error {
	if text == "" {
		return nil
	}
	namespace, name, full := strings.Cut(text, "/")
	if !full {
		namespace, name = t.namespace, text
	}
	switch {
	case namespace == "" || name == "" || strings.Contains(name, "/"):
		return t.wrong(keyTarget, "%q is not the name of an autoscaler; give NAME or NAMESPACE/NAME", text)
	case namespace != t.namespace:
		return fail(codes.PermissionDenied, reasonOtherNamespace, text,
			"ScaledObject %s/%s may only ask for autoscalers of its own namespace; put both into one", t.namespace, t.scaledObject)
	}
	t.autoscaler = name
	return nil
}

// readDuration reads what Prometheus writes, such as 1d, and what Go writes, such as 1.5s.
func readDuration(text string) (time.Duration, error) {
	if d, err := model.ParseDuration(text); err == nil {
		return time.Duration(d), nil
	}
	return time.ParseDuration(text)
}

// suits says why KEDA can not act on what is decided for an autoscaler.
func (t trigger) suits(p decider.Policy) error {
	if p.Strategy == decider.HPA {
		return fail(codes.FailedPrecondition, reasonDelegated, t.about(),
			"strategy HPA has a HorizontalPodAutoscaler of its own, and KEDA's would fight it; use strategy KPA or APA, or delete the ScaledObject")
	}
	if t.mode != load {
		return nil
	}
	for i, s := range p.Sources {
		field := fmt.Sprintf("spec.metricsSources[%d] (%s)", i, s.Name)
		switch {
		case s.TargetType != decider.AverageValue:
			return fail(codes.FailedPrecondition, reasonTargetType, t.about(),
				"%s has target type %s, and mode load can only pass on AverageValue; use mode desiredReplicas", field, s.TargetType)
		case s.Target < leastTarget:
			return fail(codes.FailedPrecondition, reasonTargetTooSmall, t.about(),
				"%s has target %v, and KEDA knows no number between 0 and %v; use mode desiredReplicas", field, s.Target, leastTarget)
		}
	}
	return nil
}

// nearest puts the words that are most like another first.
func nearest(word string, words []string) []string {
	word = strings.ToLower(word)
	distance := make(map[string]int, len(words))
	for _, w := range words {
		distance[w] = v1alpha1.Distance(word, strings.ToLower(w))
	}
	words = slices.Clone(words)
	slices.SortStableFunc(words, func(a, b string) int { return distance[a] - distance[b] })
	return words
}
