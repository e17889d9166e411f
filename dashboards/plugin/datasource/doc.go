// Package datasource is the backend of the data source flyball-datasource.
//
// Takes: a data source's settings, and Grafana's calls: health, queries, streams, resources.
// Gives: frames, lists for variables and the editor, and errors that name the field or say what to do.
// Knows: the query model that panels store, and the plugin SDK.
// Never: fills in what a query leaves out, or changes anything in flyball.
package datasource
