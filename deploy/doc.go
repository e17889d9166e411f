// Package deploy is how flyball gets into a cluster: the CRD, the Helm chart, what is rendered from it, and examples. Its Go code
// writes the files that must not drift from the code: go generate ./deploy after a change of the chart or the API.
//
// Takes: the chart, the CRD that api/v1alpha1 generated, and the annotation keys that it knows.
// Gives: the chart's generated files, install.yaml and rbac.yaml.
// Knows: helm, and what kubectl users get without it.
// Never: a cluster; what is installed, an operator installs.
package deploy

//go:generate go run ./render
