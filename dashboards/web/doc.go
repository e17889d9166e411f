// Package web is the page that people read: which workloads there are, how many replicas each has, and why.
//
// Takes: HTTP requests for the page's files, and for the addresses that events, alerts and logs link to.
// Gives: the files, and redirects from those addresses into the page.
// Knows: which files there are, and how browsers keep, check and confine them.
// Never: asks or decides anything; the page asks the public APIs itself, as any client may.
//
// The files are what is in static/, embedded as they are: there is no build step, and nothing is fetched from elsewhere.
// All addresses are relative, so that the page works below any prefix. Browsers from 2024 on can show it.
package web
