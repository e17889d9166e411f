// Package quota says what pods count in ResourceQuotas, and how many more of them one admits.
//
// Takes: a ResourceQuota, a pod like those that are asked for, and how many exist.
// Gives: the most pods that the quota admits, and the resource that runs out first.
// Knows: requests, limits, overhead, init containers and sidecars, and scopes, as the API server counts them.
// Never: asks a cluster, or looks anything up.
package quota
