package lint

import "github.com/flyball/flyball/decider"

// rivals looks for others that scale the same target: two that write one replica count undo each other's work for ever.
func (c *checker) rivals(a *autoscaler) {
	ref := a.pa.Target()
	if ref.Kind == "" || ref.Name == "" {
		return
	}
	for _, b := range c.autoscalers {
		if b == a {
			break
		}
		if other := b.pa.Target(); other.Kind == ref.Kind && other.Name == ref.Name && other.Namespace == ref.Namespace &&
			group(other.APIVersion) == group(ref.APIVersion) {
			c.refuse(a, "spec.scaleTargetRef", "%s %s/%s is scaled by %s already; keep one of them, with the metricsSources of both",
				ref.Kind, ref.Namespace, ref.Name, b.where())
		}
	}
	for _, o := range c.objects {
		other, wrong := o.scales()
		if !o.rival() || wrong != "" || other.Kind != ref.Kind || other.Name != ref.Name || o.namespace != ref.Namespace {
			continue
		}
		c.rival(a, o)
	}
}

// rival judges one object that scales the autoscaler's target. Who made it may be the autoscaler itself, or KEDA, whose
// ScaledObject is judged instead.
func (c *checker) rival(a *autoscaler, o *object) {
	const at = "spec.scaleTargetRef"
	if owner := o.text("metadata.ownerReferences[0].kind"); owner == a.kind || owner == scaledKind {
		return
	}
	questions := c.questions(o)
	_, delegates := asked(questions, a.id(), ours)
	maybe, may := asked(questions, a.id(), unclear)
	strategy, advises := a.pa.Spec.ScalingStrategy, a.pa.Spec.Mode == decider.Advise
	switch {
	case (delegates || may) && strategy == decider.HPA:
		c.refuse(a, "spec.scalingStrategy", "%s scales the same target, and HPA has a HorizontalPodAutoscaler of its own, which KEDA's would fight: "+
			"flyball gives KEDA no answer; write KPA or APA, or remove the %s", o.where(), scaledKind)
	case delegates && advises:
		c.say(a.object, Note, at, "%s asks flyball: KEDA acts on what this autoscaler advises", o.where())
	case delegates:
		c.say(a.object, Note, at, "%s asks flyball: KEDA acts on what this autoscaler advises; write mode: Advise so that KEDA alone writes", o.where())
	case advises:
		c.say(a.object, Note, at, "%s scales the target; this autoscaler only advises", o.where())
	case may:
		c.say(a.object, Warning, at, "%s asks %s, and no file says whether that is flyball: if it is, KEDA acts on what this autoscaler advises, and if not, both "+
			"would write its replicas; give the address as --scaler-addresses, here and to flyball run", o.where(), maybe.address)
	default:
		c.refuse(a, at, "%s scales the same target, and both would write its replicas; remove it, or write mode: Advise to compare first%s",
			o.where(), a.advised(questions))
	}
}
