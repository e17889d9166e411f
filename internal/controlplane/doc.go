// Package controlplane runs a real Kubernetes control plane on loopback, for tests and the demo: etcd, kube-apiserver and
// kube-controller-manager, and kubectl to look at it. deploy/controlplane says which versions; they are built from source once and cached.
//
// Takes: CRDs to install before the controllers start.
// Gives: an admin's client configuration and kubeconfig, the same for any other user, outages of the API server on request, and its audit log.
// Knows: how to build the programs, their flags, certificates, readiness, and how to stop them so that no process is left.
// Never: nodes, a kubelet or a scheduler: pods stay Pending until somebody binds them. No traffic leaves the machine once the programs are built.
//
// # What differs from a production cluster
//
// The ServiceAccount admission plugin is off: no kubelet mounts the tokens it would add, and with it no pod can be created in a
// namespace until the namespace's default service account exists, which every test would have to wait for.
//
// The OwnerReferencesPermissionEnforcement admission plugin is on, as in OpenShift: who sets blockOwnerDeletion needs a right
// on the owner. What works with it works without.
//
// Only the controllers listed in flags.go run. node-lifecycle and taint-eviction are not among them: simulated nodes send no
// heartbeats, and their pods would be evicted after 5 minutes. The endpoint controllers are not either: EndpointSlices refuse
// loopback addresses.
//
// There is no leader election, etcd does not sync to disk, and an audit log is written only when asked for.
//
// An APIService (metrics.k8s.io and the like) works when its Service is of type ExternalName, names localhost and gives the port.
package controlplane
