package collector

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Health is how the scrapes of an endpoint go.
type Health struct {
	Endpoint Endpoint
	Scraped  time.Time     // start of the last scrape; zero before the first
	Duration time.Duration // of the last scrape, storing included
	Err      error         // why the last scrape failed, with the endpoint and what to do; nil if it did not
	Samples  int           // kept from the last page
	Failures int           // scrapes failed in a row, up to the last
	Since    time.Time     // start of the first scrape since which all have failed, or none has
}

// Up says whether the last scrape succeeded.
func (h Health) Up() bool { return !h.Scraped.IsZero() && h.Err == nil }

// Health is the health of every endpoint, by role, namespace, pod and URL.
func (c *Collector) Health() []Health {
	c.mu.Lock()
	defer c.mu.Unlock()
	out := make([]Health, 0, len(c.scrapers))
	for _, s := range c.scrapers {
		s.mu.Lock()
		out = append(out, s.health)
		s.mu.Unlock()
	}
	slices.SortFunc(out, func(a, b Health) int {
		return cmp.Or(
			strings.Compare(string(a.Endpoint.Role), string(b.Endpoint.Role)),
			strings.Compare(a.Endpoint.Namespace, b.Endpoint.Namespace),
			strings.Compare(a.Endpoint.Pod, b.Endpoint.Pod),
			strings.Compare(a.Endpoint.URL, b.Endpoint.URL),
			strings.Compare(a.Endpoint.Key(), b.Endpoint.Key()),
		)
	})
	return out
}

// scrapeError names the endpoint of a failed scrape.
func scrapeError(e Endpoint, err error) error {
	switch {
	case e.Role == SourceEndpoint:
		return fmt.Errorf("scrape %s of source %s of autoscaler %s in %s: %w", e.URL, e.Source, e.AutoscalerUID, e.Namespace, err)
	case e.Role == GPUExporter:
		return fmt.Errorf("scrape %s of node %s: %w", e.URL, e.Node, err)
	default:
		return fmt.Errorf("scrape %s of pod %s/%s: %w", e.URL, e.Namespace, e.Pod, err)
	}
}
