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
	switch owner := o.text("metadata.ownerReferences[0].kind"); {
	case owner == a.kind || owner == scaledKind:
	case o.delegates() && a.pa.Spec.Mode == decider.Advise:
		c.say(a.object, Note, at, "%s asks flyball: KEDA acts on what this autoscaler advises", o.where())
	case o.delegates():
		c.say(a.object, Note, at, "%s asks flyball: KEDA acts on what this autoscaler advises; write mode: Advise so that KEDA alone writes", o.where())
	case a.pa.Spec.Mode == decider.Advise:
		c.say(a.object, Note, at, "%s scales the target; this autoscaler only advises", o.where())
	default:
		c.refuse(a, at, "%s scales the same target, and both would write its replicas; remove it, or write mode: Advise to compare first", o.where())
	}
}
