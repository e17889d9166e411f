package decider

import "fmt"

// capacity raises nothing while pods wait for a node: one more would only wait too. It raises nothing beyond what a
// ResourceQuota admits either: such a pod would not even be created. It lowers nothing: pods that wait are the first to
// run when a node is free, and a quota that was tightened evicts nobody. minReplicas still holds, and Knative has no such
// rule.
func (d *draft) capacity() {
	in := &d.in
	if d.policy.Strict || d.proposal <= in.Replicas {
		return
	}
	switch quota := in.Quota; {
	case in.Unschedulable > 0: // the lower of the two, since a quota holds at Replicas at the lowest
		d.add(Reason{Rule: RuleCapacity, Case: CaseUnschedulable, To: in.Replicas, Unschedulable: in.Unschedulable, Ready: in.Ready, Starting: in.Starting})
	case quota.Name != "" && quota.Most < d.proposal:
		d.add(Reason{
			Rule: RuleCapacity, Case: CaseQuota, To: max(in.Replicas, quota.Most), Limit: float64(quota.Most),
			Quota: quota.Name, Resource: quota.Resource, Ready: in.Ready, Starting: in.Starting,
		})
	}
}

func (r Reason) capacity() string {
	if r.Case == CaseQuota {
		return r.instead() + r.quota() + r.held()
	}
	waiting := fmt.Sprintf("%d pods are", r.Unschedulable)
	if r.Unschedulable == 1 {
		waiting = "1 pod is"
	}
	return r.instead() + fmt.Sprintf("%s unschedulable, so more would only wait too; %d starting, %s", waiting, r.Starting, readyPods(r.Ready)) + r.held()
}

func (r Reason) quota() string {
	s := fmt.Sprintf("the ResourceQuota %s admits at most %s of this target's pods", r.Quota, number(r.Limit))
	if r.Resource != "" {
		s += fmt.Sprintf(" (%s runs out first)", r.Resource)
	}
	if float64(r.To) > r.Limit {
		s += fmt.Sprintf(", but does not lower the %d there are", r.To)
	}
	return s + "; for more, raise the quota or free some of it"
}
