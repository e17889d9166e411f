// Package collector is the senses: it reads exporters and stores what they say, under the name of whose it is.
//
// Takes: endpoints (who to scrape, with identity) and the metric names to keep.
// Gives: samples, stamped by the store: the kept metrics, up, and the readiness of pods; a Health per endpoint.
// Knows: HTTP, exposition formats, alias packs for engines and GPU exporters, target files.
// Never: decides what a number means for scaling.
package collector
