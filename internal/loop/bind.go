package loop

import (
	"strings"
	"time"

	"k8s.io/apimachinery/pkg/util/validation/field"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/query"
)

// Endpoint is where a source of its own is to be scraped.
type Endpoint struct {
	URL      string        // empty for a source that reads the pods' exporters
	Interval time.Duration // 0: the collector's default
}

// Bind makes an Autoscaler of a PodAutoscaler and the target that was found for it: its policy, and each source bound to
// the series of that target or of that source's endpoint alone. All errors come at once, each with its field.
func Bind(pa *v1alpha1.PodAutoscaler, target Target, lookup query.Lookup) (Autoscaler, []v1alpha1.Warning, field.ErrorList) {
	policy, warnings, errs := pa.Policy()
	if len(errs) > 0 {
		return Autoscaler{}, warnings, errs
	}
	spec := field.NewPath("spec")
	if policy.Strategy == decider.HPA {
		errs = append(errs, field.Forbidden(spec.Child("scalingStrategy"),
			"HPA is left to a native HorizontalPodAutoscaler, which needs a Kubernetes API; use KPA or APA"))
	}
	a := Autoscaler{UID: v1alpha1.UID(pa), Namespace: pa.Target().Namespace, Name: pa.Name, Target: target, Policy: policy}
	for i, s := range pa.Spec.MetricsSources {
		at := spec.Child("metricsSources").Index(i)
		owner, endpoint, err := a.owner(s, at)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		full := s.WithDefaults()
		bound, bindErr := query.Bind(query.Source{
			Metric: full.TargetMetric, Query: full.Query, Dialect: query.Dialect(full.Dialect), Aggregation: query.Aggregation(full.Aggregation),
		}, owner, lookup)
		if bindErr != nil {
			errs = append(errs, field.Invalid(named(at, full), policy.Sources[i].Name, bindErr.Error()))
			continue
		}
		a.Sources, a.Endpoints = append(a.Sources, bound), append(a.Endpoints, endpoint)
	}
	if len(errs) > 0 {
		return Autoscaler{}, warnings, errs
	}
	return a, warnings, nil
}

// named is the field that says what the source measures.
func named(at *field.Path, s v1alpha1.MetricSource) *field.Path {
	if s.Query != "" {
		return at.Child("query")
	}
	return at.Child("targetMetric")
}

// owner says whose series the source reads, and where they come from if not from the pods' exporters.
func (a Autoscaler) owner(s v1alpha1.MetricSource, at *field.Path) (query.Owner, Endpoint, *field.Error) {
	full := s.WithDefaults()
	switch s.Kind() {
	case v1alpha1.PodSource:
		o := query.Owner{Namespace: a.Namespace, WorkloadUID: a.Target.UID}
		if s.Port != "" {
			// A port narrows the source to one exporter of each pod. Without one, the metric's name tells: a pod's engine and
			// the exporter of its GPU have no name in common.
			o.Endpoint = full.Port + full.Path
		}
		return o, Endpoint{}, nil
	case v1alpha1.EndpointSource:
		o := query.Owner{Namespace: a.Namespace, AutoscalerUID: a.UID, Source: s.Key()}
		url := strings.Join([]string{string(full.ProtocolType), "://", full.Endpoint, full.Path}, "")
		return o, Endpoint{URL: url, Interval: s.ScrapeInterval()}, nil
	}
	return query.Owner{}, Endpoint{}, field.Forbidden(at.Child("metricSourceType"),
		"a Kubernetes metrics API answers for it, and none is read yet; use pod, or external with an endpoint")
}
