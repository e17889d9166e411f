// Package cli is the commands that ask a running flyball: get, watch, top, explain; and the same as a plugin of kubectl.
//
// Takes: a command line, and the address of a flyball or the kubeconfig of a cluster that it runs in.
// Gives: what it decides and why, as tables and sentences for people and as the API's own JSON for programs.
// Knows: the decision API over HTTP, a kubeconfig, the API server's service proxy, terminals; for explain, a stopped flyball's journal.
// Never: decides, and never changes anything, neither in flyball nor in the cluster.
package cli
