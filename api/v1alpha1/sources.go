package v1alpha1

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/validation/field"

	"github.com/flyball/flyball/decider"
)

// Bounds of an endpoint's scrape interval: below a second there is no grid to put samples on; above five minutes
// every window would be stale.
const (
	minInterval = time.Second
	maxInterval = 5 * time.Minute
)

// readSources checks every source by itself, then that no two measure the same.
func (c *conversion) readSources() {
	at := field.NewPath("spec", "metricsSources")
	if len(c.pa.Spec.MetricsSources) == 0 {
		c.required(at, "name at least one metric to scale on")
		return
	}
	first, survives := map[string]int{}, false
	names := sourceNames(c.pa.Spec.MetricsSources)
	for i, s := range c.pa.Spec.MetricsSources {
		target := c.readSource(s, at.Index(i))
		key := s.Key()
		if j, taken := first[key]; taken {
			c.errs = append(c.errs, &field.Error{
				Type: field.ErrorTypeDuplicate, Field: at.Index(i).String(), BadValue: s.Name(),
				Detail: "measures the same as " + at.Index(j).String() + "; keep the one with the lower target",
			})
		} else {
			first[key] = i
		}
		survives = survives || s.SurvivesZero()
		c.policy.Sources = append(c.policy.Sources, decider.Source{
			Key: key, Name: names[i], Target: target, TargetType: s.WithDefaults().TargetType, SurvivesZero: s.SurvivesZero(),
		})
	}
	if c.policy.MinReplicas == 0 && !survives {
		c.warn(field.NewPath("spec", "minReplicas"),
			"0 acts as 1: without pods no source has a value; add one with an endpoint to scale from zero")
	}
	for i, s := range c.pa.Spec.Schedules {
		if s.MinReplicas != nil && *s.MinReplicas == 0 && !survives {
			c.warn(field.NewPath("spec", "schedules").Index(i).Child("minReplicas"),
				"0 acts as 1: without pods no source has a value; add one with an endpoint to scale from zero")
		}
	}
}

// readSource checks one source and returns its target value.
func (c *conversion) readSource(s MetricSource, at *field.Path) float64 {
	switch s.Kind() {
	case PodSource:
		c.readScraped(s, at)
		c.readPort(s, at.Child("port"))
		if s.Endpoint != "" {
			c.forbid(at.Child("endpoint"), "pods are asked one by one; remove it, or use metricSourceType external")
		}
	case EndpointSource:
		c.readScraped(s, at)
		c.readEndpoint(s, at.Child("endpoint"))
		if s.Port != "" {
			c.warn(at.Child("port"), "has no effect: the port belongs into endpoint, as %s:%s", s.Endpoint, s.Port)
		}
	case ResourceMetricSource:
		c.readMetricsAPI(s, at, true)
		if s.TargetMetric != "cpu" && s.TargetMetric != "memory" {
			c.errs = append(c.errs, field.NotSupported(at.Child("targetMetric"), s.TargetMetric, []string{"cpu", "memory"}))
		}
	case CustomMetricSource:
		c.readMetricsAPI(s, at, false)
	case ExternalMetricSource:
		c.readMetricsAPI(s, at, true)
	default:
		c.errs = append(c.errs, field.NotSupported(at.Child("metricSourceType"), s.MetricSourceType,
			[]MetricSourceType{TypePod, TypeExternal, TypeDomain, TypeResource, TypeCustom}))
	}
	c.readInterval(s, at.Child("interval"))
	c.readMetricSelector(s, at.Child("metricSelector"))
	c.readTargetType(s, at)
	return c.readTargetValue(s.TargetValue, at.Child("targetValue"))
}

// readScraped checks what sources that are scraped have in common.
func (c *conversion) readScraped(s MetricSource, at *field.Path) {
	switch s.ProtocolType {
	case "", HTTP, HTTPS:
	default:
		c.errs = append(c.errs, field.NotSupported(at.Child("protocolType"), s.ProtocolType, []Protocol{HTTP, HTTPS}))
	}
	if path := s.WithDefaults().Path; strings.HasPrefix(path, "//") || strings.ContainsAny(path, "# \t\r\n") || !isURL("http://h"+path) {
		c.invalid(at.Child("path"), s.Path, "is not a path; write something like /metrics")
	}
	switch {
	case s.Query == "" && s.TargetMetric == "":
		c.required(at.Child("targetMetric"), "name a metric, or give an expression as query")
	case s.Query != "" && s.TargetMetric != "":
		c.forbid(at.Child("query"), "targetMetric is given as well; keep one of them")
	case s.Query != "" && s.WithDefaults().Query == "":
		c.invalid(at.Child("query"), s.Query, "is blank; write an expression, or name a metric as targetMetric")
	case strings.ContainsAny(s.TargetMetric, "{}()[]\"'` \t\r\n"):
		c.invalid(at.Child("targetMetric"), s.TargetMetric, "is not a metric name; write an expression as query")
	}
	switch s.Dialect {
	case "":
	case PromQL, MetricsQL:
		if s.Query == "" {
			c.forbid(at.Child("dialect"), "there is no query that it could be the language of; remove it")
		}
	default:
		c.errs = append(c.errs, field.NotSupported(at.Child("dialect"), s.Dialect, []Dialect{PromQL, MetricsQL}))
	}
	if c.pa.Spec.ScalingStrategy == decider.HPA {
		if s.Query != "" {
			c.forbid(at.Child("query"), "a native HorizontalPodAutoscaler can not evaluate it; use strategy KPA or APA")
		}
		if s.Kind() == EndpointSource {
			c.forbid(at.Child("endpoint"), "a native HorizontalPodAutoscaler can not read an endpoint; use strategy KPA or APA")
		}
	}
}

func (c *conversion) readPort(s MetricSource, at *field.Path) {
	port, err := strconv.Atoi(s.Port)
	if s.Port != "" && (err != nil || port < 1 || port > 65535 || strconv.Itoa(port) != s.Port) {
		c.invalid(at, s.Port, "must be a number from 1 to 65535, such as \"8000\"; names of ports are not read")
	}
}

func (c *conversion) readEndpoint(s MetricSource, at *field.Path) {
	if scheme, rest, ok := strings.Cut(s.Endpoint, "://"); ok {
		c.invalid(at, s.Endpoint, "has a protocol; write protocolType: %s and endpoint: %s", scheme, rest)
		return
	}
	if host, path, ok := strings.Cut(s.Endpoint, "/"); ok {
		c.invalid(at, s.Endpoint, "has a path; write endpoint: %s and path: /%s", host, path)
		return
	}
	u, err := url.Parse("http://" + s.Endpoint)
	if err != nil || u.Host != s.Endpoint || u.Hostname() == "" || strings.ContainsAny(s.Endpoint, " \t\r\n@?#") {
		c.invalid(at, s.Endpoint, "is not a host; write something like optimizer.llm.svc.cluster.local:8080")
		return
	}
	if _, text, found := strings.Cut(strings.TrimPrefix(u.Host, "["+u.Hostname()+"]"), ":"); found {
		if port, err := strconv.Atoi(text); err != nil || port < 1 || port > 65535 {
			c.invalid(at, s.Endpoint, "has no valid port; write a number from 1 to 65535 after the colon")
		}
	}
}

// readMetricsAPI checks sources that a Kubernetes metrics API answers: AIBrix refuses or ignores what they can not
// have. Where it ignores, so does flyball, with a warning.
func (c *conversion) readMetricsAPI(s MetricSource, at *field.Path, strict bool) {
	for _, f := range []struct{ name, value string }{
		{"protocolType", string(s.ProtocolType)}, {"endpoint", s.Endpoint}, {"path", s.Path}, {"port", s.Port},
	} {
		switch {
		case f.value == "":
		case s.Kind() == ExternalMetricSource:
			c.forbid(at.Child(f.name), "there is no endpoint; add one, or remove this to use the Kubernetes external metrics API")
		case strict:
			c.forbid(at.Child(f.name), "the Kubernetes metrics API answers, nothing is scraped; remove it")
		default:
			c.warn(at.Child(f.name), "has no effect: the Kubernetes metrics API answers, nothing is scraped")
		}
	}
	if s.TargetMetric == "" {
		c.required(at.Child("targetMetric"), "name the metric")
	}
	if s.Query != "" {
		c.forbid(at.Child("query"), "the Kubernetes metrics API knows no expressions; use metricSourceType pod, or external with an endpoint")
	}
	if s.Dialect != "" {
		c.forbid(at.Child("dialect"), "there is no query that it could be the language of; remove it")
	}
}

func (c *conversion) readInterval(s MetricSource, at *field.Path) {
	if s.Interval == "" {
		return
	}
	if s.Kind() != EndpointSource {
		c.forbid(at, "only a source with an endpoint has an interval of its own; remove it")
		return
	}
	d, err := parseDuration(s.Interval)
	if err != nil {
		c.invalid(at, s.Interval, "%v", err)
	} else if d < minInterval || d > maxInterval {
		c.invalid(at, s.Interval, "is out of range; write %s to %s", formatDuration(minInterval), formatDuration(maxInterval))
	}
}

func (c *conversion) readMetricSelector(s MetricSource, at *field.Path) {
	if s.MetricSelector == nil {
		return
	}
	if kind := s.Kind(); kind != CustomMetricSource && kind != ExternalMetricSource {
		c.forbid(at, "only the Kubernetes custom and external metrics APIs select series; remove it, or write a query")
		return
	}
	if _, err := metav1.LabelSelectorAsSelector(s.MetricSelector); err != nil {
		c.invalid(at, metav1.FormatLabelSelector(s.MetricSelector), "%v", err)
	}
}

func (c *conversion) readTargetType(s MetricSource, at *field.Path) {
	known := []Aggregation{Sum, Avg, Max}
	filled := s.WithDefaults()
	switch {
	case filled.TargetType != decider.AverageValue && filled.TargetType != decider.Value:
		c.errs = append(c.errs, field.NotSupported(at.Child("targetType"), s.TargetType,
			[]decider.TargetType{decider.AverageValue, decider.Value}))
	case !slices.Contains(known, filled.Aggregation):
		c.errs = append(c.errs, field.NotSupported(at.Child("aggregation"), s.Aggregation, known))
	case filled.TargetType == decider.AverageValue && filled.Aggregation != Sum:
		c.invalid(at.Child("aggregation"), s.Aggregation,
			"targetType AverageValue divides a sum by the replicas; write sum, or targetType: Value")
	case filled.TargetType == decider.Value && filled.Aggregation == Sum:
		c.invalid(at.Child("aggregation"), s.Aggregation,
			"targetType Value compares one pod's value; write avg or max, or targetType: AverageValue")
	case c.pa.Spec.ScalingStrategy != decider.HPA || filled.TargetType == decider.AverageValue:
	case s.Kind() != ExternalMetricSource:
		c.forbid(at.Child("targetType"), "a native HorizontalPodAutoscaler has Value for external metrics only; use strategy KPA or APA")
	case s.Aggregation != "":
		c.forbid(at.Child("aggregation"), "a native HorizontalPodAutoscaler does not aggregate an external metric; remove it")
	}
}

func (c *conversion) readTargetValue(text string, at *field.Path) float64 {
	if text == "" {
		c.required(at, "write the value to steer to, such as \"0.5\"")
		return 0
	}
	v, err := parseNumber(text)
	switch {
	case err != nil:
		c.invalid(at, text, "%v", err)
	case v <= 0:
		c.invalid(at, text, "must be above 0")
	}
	return v
}

// isURL says whether text can be asked for as it is.
func isURL(text string) bool {
	_, err := url.ParseRequestURI(text)
	return err == nil
}
