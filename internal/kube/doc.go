// Package kube is the Kubernetes API server as a source of facts: which autoscalers there are, how their targets stand,
// which pods belong to a target, what a quota leaves it, who else scales it, where the GPUs and their exporters are, and
// what the Kubernetes metrics APIs say.
//
// Takes: a client configuration, the namespaces to look at, and the addresses at which KEDA finds flyball.
// Gives: all of that from caches that follow the API server, and a signal when one of them changed.
// Knows: watches, owner chains, selectors, scale subresources, quotas' scopes, KEDA's ScaledObjects, which API answers for which metric.
// Never: writes anything; asks the API server while a decision waits, but for the metrics APIs; decides what a number means.
package kube
