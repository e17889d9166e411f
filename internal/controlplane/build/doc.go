// Command build fills the cache of control plane programs, so that the first test or demo that needs them does not wait.
//
// Takes: nothing.
// Gives: the folder of the programs on standard output; progress on standard error.
// Knows: controlplane.Build.
// Never: starts what it built.
package main
