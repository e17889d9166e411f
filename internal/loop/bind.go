package loop

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
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

// API is the Kubernetes metrics API that answers for a kind of source; empty when none does.
func API(kind v1alpha1.SourceKind) string {
	switch kind {
	case v1alpha1.ResourceMetricSource:
		return "metrics.k8s.io"
	case v1alpha1.CustomMetricSource:
		return "custom.metrics.k8s.io"
	case v1alpha1.ExternalMetricSource:
		return "external.metrics.k8s.io"
	}
	return ""
}

// APIEndpoint is the value of the label endpoint of what a Kubernetes metrics API says for a source.
func APIEndpoint(s v1alpha1.MetricSource) string { return API(s.Kind()) + "/" + s.Key() }

// APIMetric is the name under which what a Kubernetes metrics API says is stored: such metrics may be named by any path
// segment, as nginx-requests.
func APIMetric(s v1alpha1.MetricSource) string {
	return model.EscapeName(s.TargetMetric, model.UnderscoreEscaping)
}

// Binder is what binding depends on besides the autoscaler and its target.
type Binder struct {
	Lookup query.Lookup // what is known of a metric's name
	// MetricsAPIs says that the Kubernetes metrics APIs are polled into the store.
	MetricsAPIs bool
	// NativeHPAs says that strategy HPA gets a native HorizontalPodAutoscaler, which has metrics of its own: nothing is bound.
	NativeHPAs bool
}

// Bind makes an Autoscaler of a PodAutoscaler and the target that was found for it: its policy, and each source bound to
// the series of that target or of that source's endpoint alone. All errors come at once, each with its field: a source whose
// own fields are right is bound whatever is wrong elsewhere.
func (b Binder) Bind(pa *v1alpha1.PodAutoscaler, target Target) (Autoscaler, []v1alpha1.Warning, field.ErrorList) {
	policy, warnings, errs := pa.Policy()
	a := Autoscaler{UID: v1alpha1.UID(pa), Namespace: namespace(pa), Name: pa.Name, Target: target, Policy: policy}
	if pa.Spec.ScalingStrategy == decider.HPA {
		if b.NativeHPAs {
			return only(a, warnings, errs)
		}
		errs = append(errs, field.Forbidden(field.NewPath("spec", "scalingStrategy"),
			"HPA is left to a native HorizontalPodAutoscaler, which needs a Kubernetes API; use KPA or APA"))
	}
	wrong := errs
	for i := range pa.Spec.MetricsSources {
		if slices.ContainsFunc(wrong, func(err *field.Error) bool { return within(err.Field, sourcePath(i).String()) }) {
			continue
		}
		bound, endpoint, err := b.Source(pa, target, i)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		a.Sources, a.Endpoints = append(a.Sources, bound), append(a.Endpoints, endpoint)
	}
	return only(a, warnings, errs)
}

// only gives an autoscaler that has no errors.
func only(a Autoscaler, warnings []v1alpha1.Warning, errs field.ErrorList) (Autoscaler, []v1alpha1.Warning, field.ErrorList) {
	if len(errs) > 0 {
		return Autoscaler{}, warnings, errs
	}
	return a, warnings, nil
}

// Source binds one source of an autoscaler, whatever is wrong elsewhere. Its policy has the last word: one that it refuses may
// be bound and is not to be read.
func (b Binder) Source(pa *v1alpha1.PodAutoscaler, target Target, i int) (*query.Bound, Endpoint, *field.Error) {
	s, at := pa.Spec.MetricsSources[i], sourcePath(i)
	owner, endpoint, err := b.owner(pa, target, s, at)
	if err != nil {
		return nil, Endpoint{}, err
	}
	full, lookup := s.WithDefaults(), b.Lookup
	if API(s.Kind()) != "" {
		full.TargetMetric, lookup = APIMetric(s), asGauge
	}
	bound, bindErr := query.Bind(query.Source{
		Metric: full.TargetMetric, Query: full.Query, Dialect: query.Dialect(full.Dialect), Aggregation: query.Aggregation(full.Aggregation),
	}, owner, lookup)
	if bindErr != nil {
		return nil, Endpoint{}, field.Invalid(named(at, full), s.Name(), bindErr.Error())
	}
	return bound, endpoint, nil
}

func sourcePath(i int) *field.Path { return field.NewPath("spec", "metricsSources").Index(i) }

// within says that a field is the one at a path or a part of it.
func within(name, path string) bool {
	rest, ok := strings.CutPrefix(name, path)
	return ok && (rest == "" || rest[0] == '.' || rest[0] == '[')
}

// namespace is the autoscaler's, which is its target's too.
func namespace(pa *v1alpha1.PodAutoscaler) string {
	return cmp.Or(pa.Namespace, metav1.NamespaceDefault)
}

// named is the field that says what the source measures.
func named(at *field.Path, s v1alpha1.MetricSource) *field.Path {
	if s.Query != "" {
		return at.Child("query")
	}
	return at.Child("targetMetric")
}

// asGauge knows what comes from a Kubernetes metrics API: whatever its name ends in, it is a value as of now.
func asGauge(name string) (query.Metric, bool) {
	return query.Metric{Names: []string{name}, Kind: query.Gauge}, true
}

// owner says whose series the source reads, and where they come from if not from the pods' exporters.
func (b Binder) owner(pa *v1alpha1.PodAutoscaler, t Target, s v1alpha1.MetricSource, at *field.Path) (query.Owner, Endpoint, *field.Error) {
	full, kind, own := s.WithDefaults(), s.Kind(), query.Owner{Namespace: namespace(pa)}
	if API(kind) != "" && !b.MetricsAPIs {
		return query.Owner{}, Endpoint{}, field.Forbidden(at.Child("metricSourceType"),
			"a Kubernetes metrics API answers for it, and there is none here; use pod, or external with an endpoint")
	}
	switch kind {
	case v1alpha1.ResourceMetricSource, v1alpha1.CustomMetricSource:
		own.WorkloadUID, own.Endpoint = t.UID, APIEndpoint(s)
		return own, Endpoint{}, nil
	case v1alpha1.ExternalMetricSource:
		own.AutoscalerUID, own.Source = v1alpha1.UID(pa), s.Key()
		return own, Endpoint{}, nil
	case v1alpha1.PodSource:
		own.WorkloadUID = t.UID
		if s.Port != "" {
			// A port narrows the source to one exporter of each pod. Without one, the metric's name tells: a pod's engine and
			// the exporter of its GPU have no name in common.
			own.Endpoint = full.Port + full.Path
		}
		return own, Endpoint{}, nil
	case v1alpha1.EndpointSource:
		own.AutoscalerUID, own.Source = v1alpha1.UID(pa), s.Key()
		url := strings.Join([]string{string(full.ProtocolType), "://", full.Endpoint, full.Path}, "")
		return own, Endpoint{URL: url, Interval: s.ScrapeInterval()}, nil
	}
	return query.Owner{}, Endpoint{}, field.Invalid(at.Child("metricSourceType"), s.MetricSourceType, "is not known")
}
