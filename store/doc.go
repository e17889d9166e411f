// Package store is memory: samples and journal records, on disk, across restarts.
//
// Takes: samples, stamped here when they are appended; opaque journal records.
// Gives: series over time as a Prometheus storage.Queryable; records by kind, key and time; a watermark.
// Knows: disk, retention, the write-ahead log, and the one clock that stamps samples.
// Never: asks what a series or a record is for.
package store
