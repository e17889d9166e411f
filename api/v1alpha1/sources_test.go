package v1alpha1_test

import (
	"testing"
	"time"

	"github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/decider"
)

// source changes the one source of the chat autoscaler.
func source(change func(*v1alpha1.MetricSource)) func(*v1alpha1.PodAutoscaler) {
	return func(pa *v1alpha1.PodAutoscaler) { change(&pa.Spec.MetricsSources[0]) }
}

// endpoint makes it one with an endpoint, then changes it.
func endpoint(change func(*v1alpha1.MetricSource)) func(*v1alpha1.PodAutoscaler) {
	return source(func(s *v1alpha1.MetricSource) {
		s.MetricSourceType, s.Endpoint, s.Path = v1alpha1.TypeExternal, "optimizer.llm.svc:8080", "/metrics"
		change(s)
	})
}

func target(text string) func(*v1alpha1.PodAutoscaler) {
	return source(func(s *v1alpha1.MetricSource) { s.TargetValue = text })
}

func TestTargetValues(t *testing.T) {
	const at = "spec.metricsSources[0].targetValue: "
	tell(t, []story{
		{"none", target(""), []string{at + `Required value: write the value to steer to, such as "0.5"`}, nil},
		{"not a number", target("NaN"), []string{at + `Invalid value: "NaN": is not a number; write a decimal number such as 0.5`}, nil},
		{"infinite", target("+Inf"), []string{at + `Invalid value: "+Inf": is not a number; write a decimal number such as 0.5`}, nil},
		{"hexadecimal", target("0x1p-2"), []string{at + `Invalid value: "0x1p-2": is not a number; write a decimal number such as 0.5`}, nil},
		{"a quantity", target("100m"), []string{at + `Invalid value: "100m": is a Kubernetes quantity; write it out: 0.1`}, nil},
		{"a bigger quantity", target("2Ki"), []string{at + `Invalid value: "2Ki": is a Kubernetes quantity; write it out: 2048`}, nil},
		{"a percentage", target("80%"), []string{at + `Invalid value: "80%": has a percent sign; write 0.8 where 1 is full, 80 where 100 is`}, nil},
		{"with a blank", target(" 5"), []string{at + `Invalid value: " 5": has spaces around it; write 5`}, nil},
		{"too great", target("1e400"), []string{at + `Invalid value: "1e400": is out of range; write a number below 1.8e308`}, nil},
		{"too small to tell from zero", target("1e-400"), []string{at + `Invalid value: "1e-400": must be above 0`}, nil},
		{"zero", target("0"), []string{at + `Invalid value: "0": must be above 0`}, nil},
		{"negative", target("-1"), []string{at + `Invalid value: "-1": must be above 0`}, nil},
		{"an exponent", target("2.5e-1"), nil, nil},
	})
}

func TestScrapedSources(t *testing.T) {
	const at = "spec.metricsSources[0]."
	tell(t, []story{
		{"a port by name", source(func(s *v1alpha1.MetricSource) { s.Port = "http" }), []string{
			at + `port: Invalid value: "http": must be a number from 1 to 65535, such as "8000"; names of ports are not read`,
		}, nil},
		{"a port too high", source(func(s *v1alpha1.MetricSource) { s.Port = "65536" }), []string{
			at + `port: Invalid value: "65536": must be a number from 1 to 65535, such as "8000"; names of ports are not read`,
		}, nil},
		{"a path as AIBrix's samples write it", source(func(s *v1alpha1.MetricSource) { s.Path = "metrics" }), nil, nil},
		{"a URL as path", source(func(s *v1alpha1.MetricSource) { s.Path = "//h/metrics" }), []string{
			at + `path: Invalid value: "//h/metrics": is not a path; write something like /metrics`,
		}, nil},
		{"a protocol in capitals", source(func(s *v1alpha1.MetricSource) { s.ProtocolType = "HTTP" }), []string{
			at + `protocolType: Unsupported value: "HTTP": supported values: "http", "https"`,
		}, nil},
		{"an endpoint for pods", source(func(s *v1alpha1.MetricSource) { s.Endpoint = "h:1" }), []string{
			at + "endpoint: Forbidden: pods are asked one by one; remove it, or use metricSourceType external",
		}, nil},
		{"an unknown type", source(func(s *v1alpha1.MetricSource) { s.MetricSourceType = "prometheus" }), []string{
			at + `metricSourceType: Unsupported value: "prometheus": supported values: "pod", "external", "domain", "resource", "custom"`,
		}, nil},
		{"neither metric nor query", source(func(s *v1alpha1.MetricSource) { s.TargetMetric = "" }), []string{
			at + "targetMetric: Required value: name a metric, or give an expression as query",
		}, nil},
		{"metric and query", source(func(s *v1alpha1.MetricSource) { s.Query = "sum(x)" }), []string{
			at + "query: Forbidden: targetMetric is given as well; keep one of them",
		}, nil},
		{"a query of nothing but a comment", source(func(s *v1alpha1.MetricSource) { s.TargetMetric, s.Query = "", "# later" }), []string{
			at + `query: Invalid value: "# later": is blank; write an expression, or name a metric as targetMetric`,
		}, nil},
		{"an expression as metric", source(func(s *v1alpha1.MetricSource) { s.TargetMetric = "sum(x)" }), []string{
			at + `targetMetric: Invalid value: "sum(x)": is not a metric name; write an expression as query`,
		}, nil},
		{"a dialect without a query", source(func(s *v1alpha1.MetricSource) { s.Dialect = v1alpha1.MetricsQL }), []string{
			at + "dialect: Forbidden: there is no query that it could be the language of; remove it",
		}, nil},
		{"an unknown dialect", source(func(s *v1alpha1.MetricSource) { s.TargetMetric, s.Query, s.Dialect = "", "x", "sql" }), []string{
			at + `dialect: Unsupported value: "sql": supported values: "promql", "metricsql"`,
		}, nil},
		{"an interval for pods", source(func(s *v1alpha1.MetricSource) { s.Interval = "5s" }), []string{
			at + "interval: Forbidden: only a source with an endpoint has an interval of its own; remove it",
		}, nil},
		{"a query for HPA", func(pa *v1alpha1.PodAutoscaler) {
			pa.Spec.ScalingStrategy = decider.HPA
			pa.Spec.MetricsSources[0].TargetMetric, pa.Spec.MetricsSources[0].Query = "", "x"
		}, []string{at + "query: Forbidden: a native HorizontalPodAutoscaler can not evaluate it; use strategy KPA or APA"}, nil},
	})
}

func TestEndpoints(t *testing.T) {
	const at = "spec.metricsSources[0]."
	host := func(text string) func(*v1alpha1.PodAutoscaler) {
		return endpoint(func(s *v1alpha1.MetricSource) { s.Endpoint = text })
	}
	interval := func(text string) func(*v1alpha1.PodAutoscaler) {
		return endpoint(func(s *v1alpha1.MetricSource) { s.Interval = text })
	}
	tell(t, []story{
		{"a host alone", host("optimizer"), nil, nil},
		{"an IPv6 address", host("[fd00::1]:8080"), nil, nil},
		{"a URL", host("http://optimizer:8080"), []string{
			at + `endpoint: Invalid value: "http://optimizer:8080": has a protocol; write protocolType: http and endpoint: optimizer:8080`,
		}, nil},
		{"a path", host("optimizer:8080/metrics"), []string{
			at + `endpoint: Invalid value: "optimizer:8080/metrics": has a path; write endpoint: optimizer:8080 and path: /metrics`,
		}, nil},
		{"a password", host("user:secret@optimizer"), []string{
			at + `endpoint: Invalid value: "user:secret@optimizer": is not a host; write something like optimizer.llm.svc.cluster.local:8080`,
		}, nil},
		{"a port too high", host("optimizer:99999"), []string{
			at + `endpoint: Invalid value: "optimizer:99999": has no valid port; write a number from 1 to 65535 after the colon`,
		}, nil},
		{"a port of its own", endpoint(func(s *v1alpha1.MetricSource) { s.Endpoint, s.Port = "optimizer", "8080" }), nil, []string{
			at + "port: has no effect: the port belongs into endpoint, as optimizer:8080",
		}},
		{"an interval without a unit", interval("5"), []string{
			at + `interval: Invalid value: "5": has no unit; write 5s for seconds or 5m for minutes`,
		}, nil},
		{"an interval too short", interval("100ms"), []string{at + `interval: Invalid value: "100ms": is out of range; write 1s to 5m`}, nil},
		{"a good interval", interval("15s"), nil, nil},
		{"for HPA", func(pa *v1alpha1.PodAutoscaler) {
			endpoint(func(*v1alpha1.MetricSource) {})(pa)
			pa.Spec.ScalingStrategy = decider.HPA
		}, []string{at + "endpoint: Forbidden: a native HorizontalPodAutoscaler can not read an endpoint; use strategy KPA or APA"}, nil},
	})
}

func TestMetricsAPIs(t *testing.T) {
	const at = "spec.metricsSources[0]."
	of := func(typ v1alpha1.MetricSourceType, change func(*v1alpha1.MetricSource)) func(*v1alpha1.PodAutoscaler) {
		return source(func(s *v1alpha1.MetricSource) { s.MetricSourceType = typ; change(s) })
	}
	tell(t, []story{
		{"a resource that is not one", of(v1alpha1.TypeResource, func(s *v1alpha1.MetricSource) { s.TargetMetric = "gpu" }), []string{
			at + `targetMetric: Unsupported value: "gpu": supported values: "cpu", "memory"`,
		}, nil},
		{"a resource with a port", of(v1alpha1.TypeResource, func(s *v1alpha1.MetricSource) { s.TargetMetric, s.Port = "cpu", "1" }), []string{
			at + "port: Forbidden: the Kubernetes metrics API answers, nothing is scraped; remove it",
		}, nil},
		{"a custom metric with a path, which AIBrix ignores", of(v1alpha1.TypeCustom, func(s *v1alpha1.MetricSource) { s.Path = "/x" }), nil, []string{
			at + "path: has no effect: the Kubernetes metrics API answers, nothing is scraped",
		}},
		{"an external source that lost its endpoint", of(v1alpha1.TypeExternal, func(s *v1alpha1.MetricSource) { s.Path = "/x" }), []string{
			at + "path: Forbidden: there is no endpoint; add one, or remove this to use the Kubernetes external metrics API",
		}, nil},
		{"a query to the external metrics API", of(v1alpha1.TypeExternal, func(s *v1alpha1.MetricSource) { s.TargetMetric, s.Query = "", "x" }), []string{
			at + "targetMetric: Required value: name the metric",
			at + "query: Forbidden: the Kubernetes metrics API knows no expressions; use metricSourceType pod, or external with an endpoint",
		}, nil},
	})
}

func TestTargetTypes(t *testing.T) {
	const at = "spec.metricsSources[0]."
	of := func(typ decider.TargetType, aggregation v1alpha1.Aggregation) func(*v1alpha1.PodAutoscaler) {
		return source(func(s *v1alpha1.MetricSource) { s.TargetType, s.Aggregation = typ, aggregation })
	}
	tell(t, []story{
		{"sum is AverageValue's", of("", v1alpha1.Sum), nil, nil},
		{"an average of one pod's value", of(decider.Value, v1alpha1.Avg), nil, nil},
		{"a maximum", of(decider.Value, v1alpha1.Max), nil, nil},
		{"a maximum divided by replicas", of("", v1alpha1.Max), []string{
			at + `aggregation: Invalid value: "max": targetType AverageValue divides a sum by the replicas; write sum, or targetType: Value`,
		}, nil},
		{"a sum compared with one pod's target", of(decider.Value, v1alpha1.Sum), []string{
			at + `aggregation: Invalid value: "sum": targetType Value compares one pod's value; write avg or max, or targetType: AverageValue`,
		}, nil},
		{"an unknown type", of("Utilization", ""), []string{
			at + `targetType: Unsupported value: "Utilization": supported values: "AverageValue", "Value"`,
		}, nil},
		{"an unknown aggregation", of(decider.Value, "p99"), []string{
			at + `aggregation: Unsupported value: "p99": supported values: "sum", "avg", "max"`,
		}, nil},
		{"Value of pods for HPA", func(pa *v1alpha1.PodAutoscaler) {
			of(decider.Value, "")(pa)
			pa.Spec.ScalingStrategy = decider.HPA
		}, []string{at + "targetType: Forbidden: a native HorizontalPodAutoscaler has Value for external metrics only; use strategy KPA or APA"}, nil},
		{"Value of an external metric for HPA", func(pa *v1alpha1.PodAutoscaler) {
			of(decider.Value, "")(pa)
			pa.Spec.ScalingStrategy, pa.Spec.MetricsSources[0].MetricSourceType = decider.HPA, v1alpha1.TypeExternal
		}, nil, nil},
		{"a maximum of an external metric for HPA", func(pa *v1alpha1.PodAutoscaler) {
			of(decider.Value, v1alpha1.Max)(pa)
			pa.Spec.ScalingStrategy, pa.Spec.MetricsSources[0].MetricSourceType = decider.HPA, v1alpha1.TypeExternal
		}, []string{at + "aggregation: Forbidden: a native HorizontalPodAutoscaler does not aggregate an external metric; remove it"}, nil},
		{"the same source twice, spelt differently", func(pa *v1alpha1.PodAutoscaler) {
			twin := pa.Spec.MetricsSources[0]
			twin.Port, twin.Path, twin.ProtocolType, twin.TargetValue = "8000", "metrics", v1alpha1.HTTP, "20"
			pa.Spec.MetricsSources = append(pa.Spec.MetricsSources, twin)
		}, []string{
			`spec.metricsSources[1]: Duplicate value: "vllm:num_requests_waiting": measures the same as spec.metricsSources[0]; keep the one with the lower target`,
		}, nil},
	})
}

func TestSourceKeysNeverChange(t *testing.T) {
	// Windows and history are kept under these keys: a change here would make every autoscaler forget.
	for _, c := range []struct {
		name string
		s    v1alpha1.MetricSource
		want string
	}{
		{"pod", v1alpha1.MetricSource{MetricSourceType: "pod", TargetMetric: "m", TargetValue: "1"}, "4f7b58a410a92965"},
		{"query", v1alpha1.MetricSource{MetricSourceType: "pod", Query: "sum(m)", TargetValue: "1"}, "1347a7b3a1c8514d"},
		{"endpoint", v1alpha1.MetricSource{MetricSourceType: "external", Endpoint: "h:1", TargetMetric: "m", TargetValue: "1"}, "27a58d01bfde6e29"},
		{"resource", v1alpha1.MetricSource{MetricSourceType: "resource", TargetMetric: "cpu", TargetValue: "1"}, "d6ef811388ca184e"},
	} {
		if got := c.s.Key(); got != c.want {
			t.Errorf("%s: key %s, want %s", c.name, got, c.want)
		}
	}
}

func TestSourceKeysKnowTheSameSource(t *testing.T) {
	pod := v1alpha1.MetricSource{MetricSourceType: "pod", TargetMetric: "m", TargetValue: "1"}
	query := v1alpha1.MetricSource{MetricSourceType: "pod", Query: `sum by (le) (rate(m{a="x  y"}[5m])) and n # c`}
	outside := v1alpha1.MetricSource{MetricSourceType: "external", Endpoint: "h:1", TargetMetric: "m"}
	change := func(s v1alpha1.MetricSource, f func(*v1alpha1.MetricSource)) v1alpha1.MetricSource { f(&s); return s }
	for name, pair := range map[string][2]v1alpha1.MetricSource{
		"another target": {pod, change(pod, func(s *v1alpha1.MetricSource) { s.TargetValue = "2" })},
		"defaults": {pod, change(pod, func(s *v1alpha1.MetricSource) {
			s.Port, s.Path, s.ProtocolType, s.Aggregation, s.TargetType = "8000", "/metrics", "http", "sum", "AverageValue"
		})},
		"white space": {query, change(query, func(s *v1alpha1.MetricSource) {
			s.Query = "\n sum  by(le)( rate( m { a = \"x  y\" } [5m] ) )\tand\n n"
		})},
		"the old name of external": {outside, change(outside, func(s *v1alpha1.MetricSource) { s.MetricSourceType = "domain" })},
		"another interval":         {outside, change(outside, func(s *v1alpha1.MetricSource) { s.Interval = "10s" })},
		"a host in capitals":       {outside, change(outside, func(s *v1alpha1.MetricSource) { s.Endpoint = "H:1" })},
		"port of an endpoint":      {outside, change(outside, func(s *v1alpha1.MetricSource) { s.Port = "7" })},
	} {
		if pair[0].Key() != pair[1].Key() {
			t.Errorf("%s: keys differ: %+v, %+v", name, pair[0].WithDefaults(), pair[1].WithDefaults())
		}
	}
	for name, pair := range map[string][2]v1alpha1.MetricSource{
		"another path":        {pod, change(pod, func(s *v1alpha1.MetricSource) { s.Path = "/x" })},
		"another port":        {pod, change(pod, func(s *v1alpha1.MetricSource) { s.Port = "1" })},
		"another protocol":    {pod, change(pod, func(s *v1alpha1.MetricSource) { s.ProtocolType = "https" })},
		"another aggregation": {pod, change(pod, func(s *v1alpha1.MetricSource) { s.TargetType = "Value" })},
		"space in a string":   {query, change(query, func(s *v1alpha1.MetricSource) { s.Query = `sum by (le) (rate(m{a="x y"}[5m])) and n` })},
		"words run together":  {query, change(query, func(s *v1alpha1.MetricSource) { s.Query = `sum by (le) (rate(m{a="x  y"}[5m])) andn` })},
		"another dialect":     {query, change(query, func(s *v1alpha1.MetricSource) { s.Dialect = "metricsql" })},
		"another endpoint":    {outside, change(outside, func(s *v1alpha1.MetricSource) { s.Endpoint = "h:2" })},
		"no endpoint":         {outside, change(outside, func(s *v1alpha1.MetricSource) { s.Endpoint = "" })},
	} {
		if pair[0].Key() == pair[1].Key() {
			t.Errorf("%s: one key for two sources: %+v, %+v", name, pair[0].WithDefaults(), pair[1].WithDefaults())
		}
	}
}

func TestKindsOfSources(t *testing.T) {
	for _, c := range []struct {
		typ      v1alpha1.MetricSourceType
		endpoint string
		want     v1alpha1.SourceKind
		survives bool
	}{
		{"pod", "", v1alpha1.PodSource, false},
		{"external", "h", v1alpha1.EndpointSource, true},
		{"domain", "h", v1alpha1.EndpointSource, true},
		{"external", "", v1alpha1.ExternalMetricSource, true},
		{"resource", "", v1alpha1.ResourceMetricSource, false},
		{"custom", "", v1alpha1.CustomMetricSource, false},
		{"", "", "", false},
	} {
		s := v1alpha1.MetricSource{MetricSourceType: c.typ, Endpoint: c.endpoint}
		if s.Kind() != c.want || s.SurvivesZero() != c.survives {
			t.Errorf("%s %q: %s, survives zero: %t", c.typ, c.endpoint, s.Kind(), s.SurvivesZero())
		}
	}
	s := v1alpha1.MetricSource{Interval: "5s"}
	if s.ScrapeInterval() != 5*time.Second || (v1alpha1.MetricSource{}).ScrapeInterval() != 0 {
		t.Error("scrape interval")
	}
}
