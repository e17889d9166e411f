package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/flyball/flyball/actuator"
	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/internal/loop"
)

// What keeps flyball from writing anything in the cluster until --acknowledge names it.
const (
	ackOtherController = "other-controller" // something else writes statuses of PodAutoscalers
	ackOlderCRD        = "older-crd"        // the installed CRD lacks fields, so what manifests say there is dropped
)

// acknowledgeable are the values of --acknowledge.
var acknowledgeable = []string{ackOtherController, ackOlderCRD}

func checkAcknowledged(given []string) error {
	for _, what := range given {
		if !slices.Contains(acknowledgeable, what) {
			return fmt.Errorf("--acknowledge %s: is not known; give %s", what, strings.Join(acknowledgeable, " or "))
		}
	}
	return nil
}

// others says who else scales the autoscaler's target: somebody in whose way flyball does not get, or KEDA on its advice.
func (f *kubeFleet) others(pa *v1alpha1.PodAutoscaler) (contested *actuator.Contested, delegated string) {
	if who, ok := f.kube.OtherController(); ok && !f.acknowledged[ackOtherController] {
		return actuator.ContestedByController(who), ""
	}
	if missing := f.kube.MissingFields(); len(missing) > 0 && !f.acknowledged[ackOlderCRD] {
		return actuator.ContestedByOlderCRD(missing), ""
	}
	for _, r := range f.kube.Rivals(pa) {
		switch {
		case pa.Spec.ScalingStrategy == decider.HPA && r.Kind == "HorizontalPodAutoscaler" && r.Name == actuator.NativeHPAName(pa):
			// It bears the name of the one that is wanted: actuator.HPAs takes it over, or says why not.
		case r.Delegates:
			delegated = r.Namespace + "/" + r.Name
		case pa.Spec.Mode == decider.Advise: // it writes nothing, so it is in nobody's way
		case contested == nil:
			contested = actuator.ContestedBy(r.Kind, r.Namespace, r.Name)
		}
	}
	return contested, delegated
}

// inTheWay is who keeps decisions from being written; nil for nobody.
func (s kubeTurn) inTheWay() *actuator.Contested {
	if s.contested == nil && s.native != nil {
		return s.native.Contested // one of ours that could not be removed, or whose name is taken
	}
	return s.contested
}

// withheld is why decisions are not written; the zero value when they are.
func (s kubeTurn) withheld() loop.Withheld {
	switch who := s.inTheWay(); {
	case who != nil:
		return loop.Withheld{Why: decider.Contested, Detail: who.Message}
	case s.delegated != "":
		return loop.Withheld{Why: decider.Delegated, Detail: "ScaledObject " + s.delegated + " asks flyball, and KEDA writes"}
	}
	return loop.Withheld{}
}
