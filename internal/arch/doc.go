// Package arch holds the code against docs/architecture.md. It has tests only.
//
// Takes: the import table of docs/architecture.md and what the go command says of this module.
// Gives: a failing test for each import, clock or length that the page does not allow.
// Knows: go list and Go's syntax trees.
// Never: is imported.
package arch
