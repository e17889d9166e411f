package decider

import "fmt"

// capacity raises nothing while pods wait for a node: one more would only wait too. It lowers nothing either, since those
// that wait are the first to run when a node is free. minReplicas still holds, and Knative has no such rule.
func capacity(d *draft) {
	if d.policy.Strict || d.in.Unschedulable <= 0 || d.proposal <= d.in.Replicas {
		return
	}
	d.add(Reason{Rule: RuleCapacity, To: d.in.Replicas, Unschedulable: d.in.Unschedulable, Ready: d.in.Ready, Starting: d.in.Starting})
}

func (r Reason) capacity() string {
	waiting := fmt.Sprintf("%d pods are", r.Unschedulable)
	if r.Unschedulable == 1 {
		waiting = "1 pod is"
	}
	return r.instead() + fmt.Sprintf("%s unschedulable, so more would only wait too; %d starting, %s", waiting, r.Starting, readyPods(r.Ready)) + r.held()
}
