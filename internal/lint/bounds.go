package lint

// absurd is how many replicas of an inference server nobody means: at one GPU each it is more than most clusters have.
const absurd = 1000

// bounds looks at how many replicas there may be.
func (c *checker) bounds(a *autoscaler) {
	most, least := a.pa.Spec.MaxReplicas, int32(1)
	if a.pa.Spec.MinReplicas != nil {
		least = *a.pa.Spec.MinReplicas
	}
	if most > absurd {
		c.say(a.object, Warning, "spec.maxReplicas",
			"%d bounds nothing: a wrong metric could ask for as many replicas, each with its GPUs; write what the cluster has room for", most)
	}
	if most == least && most > 0 && len(a.pa.Spec.Schedules) == 0 {
		c.say(a.object, Note, "spec.minReplicas", "equals maxReplicas (%d), so nothing is ever scaled; lower it or raise maxReplicas", most)
	}
}
