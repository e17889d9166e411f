package v1alpha1

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flyball/flyball/decider"
)

// SourceKind says which machinery answers for a source.
type SourceKind string

const (
	PodSource            SourceKind = "Pod"            // every pod of the target is scraped
	EndpointSource       SourceKind = "Endpoint"       // one HTTP endpoint is scraped
	ExternalMetricSource SourceKind = "ExternalMetric" // external.metrics.k8s.io; needs a cluster
	ResourceMetricSource SourceKind = "ResourceMetric" // metrics.k8s.io; needs a cluster
	CustomMetricSource   SourceKind = "CustomMetric"   // custom.metrics.k8s.io; needs a cluster
)

// Kind says which machinery answers for the source; empty for a metricSourceType that does not exist.
func (s MetricSource) Kind() SourceKind {
	switch s.MetricSourceType {
	case TypePod:
		return PodSource
	case TypeResource:
		return ResourceMetricSource
	case TypeCustom:
		return CustomMetricSource
	case TypeExternal, TypeDomain:
		if s.Endpoint != "" {
			return EndpointSource
		}
		return ExternalMetricSource
	}
	return ""
}

// SurvivesZero says that the source still has values when the target has no pods.
func (s MetricSource) SurvivesZero() bool {
	return s.Kind() == EndpointSource || s.Kind() == ExternalMetricSource
}

// Name is what people call the source: its metric, or its query. A policy tells sources of one name apart.
func (s MetricSource) Name() string {
	if s.Query != "" {
		return normalizeQuery(s.Query)
	}
	return s.TargetMetric
}

// ScrapeInterval is how often the endpoint of a valid source is asked; 0 means the collector's default.
func (s MetricSource) ScrapeInterval() time.Duration {
	d, err := time.ParseDuration(s.Interval)
	if err != nil {
		return 0
	}
	return d
}

// WithDefaults fills in what the manifest left out, spells what it may spell in several ways in one, and drops what
// has no effect on the source's kind. TargetValue and Interval stay as they are.
func (s MetricSource) WithDefaults() MetricSource {
	kind := s.Kind()
	if s.MetricSourceType == TypeDomain {
		s.MetricSourceType = TypeExternal
	}
	if kind == PodSource || kind == EndpointSource {
		s.ProtocolType = orElse(s.ProtocolType, HTTP)
		s.Path = "/" + strings.TrimPrefix(orElse(s.Path, "metrics"), "/")
		s.Endpoint = strings.ToLower(s.Endpoint)
	} else {
		s.ProtocolType, s.Path = "", ""
	}
	switch kind {
	case PodSource:
		s.Port, s.Endpoint = orElse(s.Port, "8000"), ""
	default:
		s.Port = ""
	}
	if s.Query != "" {
		s.Query = normalizeQuery(s.Query)
		s.Dialect = orElse(s.Dialect, PromQL)
	}
	s.TargetType = orElse(s.TargetType, decider.AverageValue)
	if s.TargetType == decider.Value {
		s.Aggregation = orElse(s.Aggregation, Avg)
	} else {
		s.Aggregation = orElse(s.Aggregation, Sum)
	}
	return s
}

func orElse[T ~string](v, otherwise T) T {
	if v == "" {
		return otherwise
	}
	return v
}

// Key names what the source measures: 16 hexadecimal digits, the same for every spelling of the same source. It
// does not depend on the target value, which says what is wanted, nor on the interval, so that both can be changed
// without losing the windows. It is part of stored series and of the journal: it must never change for a source
// that has not changed. Hashed is one line per non-empty field, sorted; a field added later must therefore be empty,
// after WithDefaults, where a manifest does not use it.
func (s MetricSource) Key() string {
	s = s.WithDefaults()
	var lines []string
	for name, value := range map[string]string{
		"type":        string(s.MetricSourceType),
		"protocol":    string(s.ProtocolType),
		"endpoint":    s.Endpoint,
		"path":        s.Path,
		"port":        s.Port,
		"metric":      s.TargetMetric,
		"query":       s.Query,
		"dialect":     string(s.Dialect),
		"aggregation": string(s.Aggregation),
		"selector":    s.selector(),
	} {
		if value != "" {
			lines = append(lines, fmt.Sprintf("%s=%q\n", name, value))
		}
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "")))
	return hex.EncodeToString(sum[:8])
}

// selector is the metric selector in its one spelling; empty when there is none, or an empty one.
func (s MetricSource) selector() string {
	if s.MetricSelector == nil {
		return ""
	}
	selector, err := metav1.LabelSelectorAsSelector(s.MetricSelector)
	if err != nil {
		return "invalid" // and refused as such
	}
	return selector.String()
}

// normalizeQuery removes comments and the white space that means nothing: all of it outside quotes, but for one
// blank between two words.
func normalizeQuery(query string) string {
	var out strings.Builder
	var last byte    // the last byte written
	var quote byte   // the quote that is open, or 0
	pending := false // white space was skipped
	for i := 0; i < len(query); i++ {
		b := query[i]
		if quote != 0 {
			out.WriteByte(b)
			last = b
			if b == '\\' && quote != '`' && i+1 < len(query) {
				i++
				out.WriteByte(query[i])
			} else if b == quote {
				quote = 0
			}
			continue
		}
		switch b {
		case ' ', '\t', '\n', '\r':
			pending = true
			continue
		case '#':
			for i+1 < len(query) && query[i+1] != '\n' {
				i++
			}
			pending = true
			continue
		case '"', '\'', '`':
			quote = b
		}
		if pending && isWord(last) && isWord(b) {
			out.WriteByte(' ')
		}
		pending = false
		out.WriteByte(b)
		last = b
	}
	return out.String()
}

func isWord(b byte) bool {
	return b == '_' || b == ':' || b == '.' || b == '$' || b >= 0x80 ||
		'0' <= b && b <= '9' || 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z'
}
