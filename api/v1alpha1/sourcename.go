package v1alpha1

import (
	"fmt"
	"strings"
)

// sourceNames are what the sources of one autoscaler are called in reasons, labels and requests: their own name where no
// other source bears it, else that and where they measure. All are different, or one would be taken for another.
func sourceNames(sources []MetricSource) []string {
	names := make([]string, len(sources))
	for i, s := range sources {
		names[i] = s.Name()
	}
	distinguish(names, func(i int) string { return "@" + sources[i].where() })
	// What measures differently in one place is told apart by its index. A query may happen to be spelled like a name
	// that was made here; so it goes on until there are no two.
	for distinguish(names, func(i int) string { return fmt.Sprintf("[%d]", i) }) {
	}
	return names
}

// distinguish adds a suffix to the names that are there more than once, and says whether there were any.
func distinguish(names []string, suffix func(i int) string) bool {
	count := map[string]int{}
	for _, name := range names {
		count[name]++
	}
	for i, name := range names {
		if count[name] > 1 {
			names[i] += suffix(i)
		}
	}
	return len(count) < len(names)
}

// where is the place that the source measures at: host, port and path of an endpoint, port and path of pods, or which of the
// Kubernetes metrics APIs and which of its series.
func (s MetricSource) where() string {
	full := s.WithDefaults()
	switch s.Kind() {
	case PodSource:
		return full.Port + full.Path
	case EndpointSource:
		return full.Endpoint + full.Path
	}
	api := strings.ToLower(string(full.MetricSourceType))
	if selector := s.selector(); selector != "" {
		api += "{" + selector + "}"
	}
	return api
}
