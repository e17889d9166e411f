package lint

import (
	"regexp"
	"slices"
	"strings"
)

// entailed are the fields of a source that can not be judged where another one of it was not understood: an external source
// whose endpoint is misspelt is none without an endpoint.
var entailed = map[string][]string{
	"metricSourceType": {"protocolType", "endpoint", "path", "port", "targetMetric", "query", "dialect", "interval", "metricSelector", "targetType"},
	"endpoint":         {"protocolType", "path", "port", "targetMetric", "query", "dialect", "interval", "metricSelector", "targetType"},
	"targetMetric":     {"query"},
	"query":            {"targetMetric", "dialect"},
	"targetType":       {"aggregation"},
}

var (
	ofSource = regexp.MustCompile(`^(spec\.metricsSources\[\d+\]\.)(\w+)$`)
	listItem = regexp.MustCompile(`^(spec\.(?:metricsSources|schedules))\[\d+\]$`)
)

// lose notes a field that was not understood: what else is said of it, or of its absence, would mislead.
func (o *object) lose(at string) {
	o.lost = append(o.lost, at)
	if m := ofSource.FindStringSubmatch(at); m != nil {
		for _, name := range entailed[m[2]] {
			o.lost = append(o.lost, m[1]+name)
		}
	}
}

// doubtful says that a finding on a field may only come of one that was not understood. What is said of an item of a list as
// a whole compares it with the others.
func (o *object) doubtful(at string) bool {
	if m := listItem.FindStringSubmatch(at); m != nil && slices.ContainsFunc(o.lost, func(lost string) bool { return within(lost, m[1]) }) {
		return true
	}
	return slices.ContainsFunc(o.lost, func(lost string) bool { return within(at, lost) })
}

// within says that a field is the one at a path or a part of it.
func within(name, path string) bool {
	rest, ok := strings.CutPrefix(name, path)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}
