package decider

import (
	"fmt"
	"math"
)

// capacity raises nothing while pods wait for a node: one more would only wait too. It raises nothing beyond what a
// ResourceQuota admits either: such a pod would not even be created. It lowers nothing: pods that wait are the first to
// run when a node is free, and what makes a cluster autoscaler add one; a quota that was tightened evicts nobody. The least
// count still holds. Where not all that is asked for can run there is a reason even if the count stays: one step may have
// asked for more than there was room for, when nothing was known of it yet. Knative has no such rule.
func (d *draft) capacity() {
	in := &d.in
	if d.policy.Strict {
		return
	}
	least, _ := d.least()
	r := Reason{Rule: RuleCapacity, Ready: in.Ready, Starting: in.Starting}
	rises, runs, keeps := d.proposal > in.Replicas, r.runs(), in.Replicas
	asked := int64(min(d.proposal, max(d.proposed, least))) // what only a delay keeps, nobody asks for
	switch quota := in.Quota; {
	case in.Unschedulable > 0 && (rises || asked > runs): // the lower of the two, since a quota holds at Replicas at the lowest
		r.Case, r.Unschedulable = CaseUnschedulable, in.Unschedulable
	case quota.Name != "" && (rises && quota.Most < d.proposal || asked > max(runs, int64(quota.Most))):
		r.Case, r.Limit, r.Quota, r.Resource = CaseQuota, float64(quota.Most), quota.Name, quota.Resource
		keeps = max(keeps, quota.Most)
	default:
		return
	}
	if r.To = min(d.proposal, max(keeps, least)); r.To > keeps {
		r.MinReplicas = least
	}
	d.add(r)
}

// runs is how many pods run or will.
func (r Reason) runs() int64 { return int64(r.Ready) + int64(r.Starting) }

// Short is how many of the replicas that are wanted the cluster does not take; 0 unless rule capacity says so.
func (r Reason) Short() int32 {
	if r.Rule != RuleCapacity {
		return 0
	}
	takes := r.runs()
	if r.Case == CaseQuota {
		takes = max(takes, int64(r.Limit))
	}
	return int32(min(max(0, int64(r.From)-min(takes, int64(r.To))), math.MaxInt32))
}

func (r Reason) capacity() string {
	s := r.instead()
	if r.From == r.To {
		s = fmt.Sprintf("not all of %d can run: ", r.To)
	}
	if r.Case == CaseQuota {
		return s + r.quota() + r.held()
	}
	waiting := fmt.Sprintf("%d pods are", r.Unschedulable)
	if r.Unschedulable == 1 {
		waiting = "1 pod is"
	}
	return s + waiting + " unschedulable, so more would only wait too" + r.keeps() +
		fmt.Sprintf("; %d starting, %s", r.Starting, readyPods(r.Ready)) + r.held()
}

func (r Reason) quota() string {
	s := fmt.Sprintf("the ResourceQuota %s admits at most %s of this target's pods", r.Quota, number(r.Limit))
	if r.Resource != "" {
		s += fmt.Sprintf(" (%s runs out first)", r.Resource)
	}
	return s + r.keeps() + "; for more, raise the quota or free some of it"
}

// keeps says what keeps the count above the capacity.
func (r Reason) keeps() string {
	switch {
	case r.MinReplicas > 0:
		return fmt.Sprintf(", but there are never fewer than %d", r.MinReplicas)
	case r.Case == CaseQuota && r.From != r.To && float64(r.To) > r.Limit:
		return fmt.Sprintf(", but does not lower the %d there are", r.To)
	}
	return ""
}
