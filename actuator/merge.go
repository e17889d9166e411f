package actuator

import (
	"cmp"
	"slices"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
)

// merge is ours, with the changes of the count that only the other status has: an instance that has just become the leader
// may begin with a status that its cache has not all of.
func merge(theirs, ours v1alpha1.PodAutoscalerStatus) v1alpha1.PodAutoscalerStatus {
	out := *ours.DeepCopy()
	if t := theirs.LastScaleTime; t != nil && (out.LastScaleTime == nil || out.LastScaleTime.Before(t)) {
		out.LastScaleTime = t.DeepCopy()
	}
	for _, d := range theirs.ScalingHistory {
		if !slices.ContainsFunc(out.ScalingHistory, func(o v1alpha1.ScalingDecision) bool { return sameChange(o, d) }) {
			out.ScalingHistory = append(out.ScalingHistory, d)
		}
	}
	slices.SortStableFunc(out.ScalingHistory, func(a, b v1alpha1.ScalingDecision) int {
		return cmp.Compare(a.Timestamp.Unix(), b.Timestamp.Unix())
	})
	out.ScalingHistory = newest(out.ScalingHistory)
	return out
}

func sameChange(a, b v1alpha1.ScalingDecision) bool {
	return a.Timestamp.Equal(&b.Timestamp) && a.PreviousScale == b.PreviousScale && a.NewScale == b.NewScale
}
