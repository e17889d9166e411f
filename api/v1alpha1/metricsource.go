package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flyball/flyball/decider"
)

// MetricSourceType says where a metric comes from.
type MetricSourceType string

const (
	TypePod      MetricSourceType = "pod"      // every pod's own exporter
	TypeResource MetricSourceType = "resource" // the Kubernetes resource metrics API: cpu, memory
	TypeCustom   MetricSourceType = "custom"   // the Kubernetes custom metrics API
	TypeExternal MetricSourceType = "external" // an HTTP endpoint; without one, the Kubernetes external metrics API
	TypeDomain   MetricSourceType = "domain"   // the old name of external
)

// Protocol is how an exporter is asked.
type Protocol string

const (
	HTTP  Protocol = "http"
	HTTPS Protocol = "https"
)

// Dialect is the language of a query.
type Dialect string

const (
	PromQL    Dialect = "promql"
	MetricsQL Dialect = "metricsql"
)

// Aggregation says how the values of many pods become one.
type Aggregation string

const (
	Sum Aggregation = "sum"
	Avg Aggregation = "avg"
	Max Aggregation = "max"
)

// MetricSource is one metric and the value it is steered to.
//
// +kubebuilder:validation:XValidation:rule=`(self.?targetMetric.orValue("") != "") != (self.?query.orValue("") != "")`,message="give either a targetMetric or a query, not both"
// +kubebuilder:validation:XValidation:rule=`self.?dialect.orValue("") == "" || self.?query.orValue("") != ""`,message="dialect is the language of a query, and there is none: remove it",fieldPath=".dialect"
// +kubebuilder:validation:XValidation:rule=`!has(self.aggregation) || (self.?targetType.orValue("") == 'Value' ? self.aggregation != 'sum' : self.aggregation == 'sum')`,message="targetType AverageValue goes with aggregation sum, targetType Value with avg or max: change one of them",fieldPath=".aggregation"
// +kubebuilder:validation:XValidation:rule=`self.?query.orValue("") == "" || self.metricSourceType == 'pod' || (self.metricSourceType in ['external', 'domain'] && self.?endpoint.orValue("") != "")`,message="the Kubernetes metrics APIs know no query: use metricSourceType pod, or external with an endpoint",fieldPath=".query"
// +kubebuilder:validation:XValidation:rule=`!has(self.interval) || (self.metricSourceType in ['external', 'domain'] && self.?endpoint.orValue("") != "")`,message="only an external source with an endpoint has an interval of its own: remove it",fieldPath=".interval"
// +kubebuilder:validation:XValidation:rule="!has(self.interval) || (duration(self.interval) >= duration('1s') && duration(self.interval) <= duration('5m'))",message="interval is out of range: write 1s to 5m",fieldPath=".interval"
// +kubebuilder:validation:XValidation:rule=`!has(self.metricSelector) || self.metricSourceType == 'custom' || (self.metricSourceType in ['external', 'domain'] && self.?endpoint.orValue("") == "")`,message="only the Kubernetes custom and external metrics APIs select series: remove metricSelector, or write a query",fieldPath=".metricSelector"
// +kubebuilder:validation:XValidation:rule=`self.metricSourceType != 'resource' || self.?targetMetric.orValue("") in ['cpu', 'memory']`,message="targetMetric of a resource source is cpu or memory: write one of them, or use another metricSourceType"
// +kubebuilder:validation:XValidation:rule=`self.metricSourceType != 'resource' || (self.?protocolType.orValue("") == "" && self.?endpoint.orValue("") == "" && self.?path.orValue("") == "" && self.?port.orValue("") == "")`,message="a resource source is answered by the Kubernetes metrics API, nothing is scraped: remove protocolType, endpoint, path and port"
// +kubebuilder:validation:XValidation:rule="self.targetValue.matches('^[+0.]*[1-9][0-9.eE+-]*$')",message="targetValue must be a decimal number above 0: write it without unit, such as 0.5",fieldPath=".targetValue"
type MetricSource struct {
	// Where the metric comes from: pod (every pod's own exporter), external (an HTTP endpoint; without one the
	// Kubernetes external metrics API), resource or custom (the Kubernetes metrics APIs); domain is the old name of
	// external.
	// +kubebuilder:validation:Enum=pod;resource;custom;external;domain
	MetricSourceType MetricSourceType `json:"metricSourceType"`

	// http or https; http when omitted. For pod, and for external with an endpoint.
	// +optional
	// +kubebuilder:validation:Enum=http;https
	ProtocolType Protocol `json:"protocolType,omitempty"`

	// The host, with its port if that is not the protocol's own, of an external source, such as
	// optimizer.llm.svc.cluster.local:8080.
	// +optional
	Endpoint string `json:"endpoint,omitempty"`

	// The path of the exporter's page; /metrics when omitted. A leading / may be left out.
	// +optional
	Path string `json:"path,omitempty"`

	// The port of every pod's exporter, as a string; "8000" when omitted. For pod only.
	// +optional
	Port string `json:"port,omitempty"`

	// The metric's name, as exported or as AIBrix calls it. Either this or query.
	// +optional
	TargetMetric string `json:"targetMetric,omitempty"`

	// Which series of the metric count, by their labels, as in a HorizontalPodAutoscaler's metric.selector. For custom, and
	// for external without an endpoint; all series count when omitted.
	// +optional
	MetricSelector *metav1.LabelSelector `json:"metricSelector,omitempty"`

	// The value to steer to, a decimal number above 0 in quotes, such as "0.5"; per pod, unless targetType is Value.
	// +kubebuilder:validation:MaxLength=32
	TargetValue string `json:"targetValue"`

	// An expression instead of a metric name, for pod and for external with an endpoint. It sees only the
	// autoscaler's own series. $window stands for the window's range.
	// +optional
	Query string `json:"query,omitempty"`

	// The language of query: promql when omitted.
	// +optional
	// +kubebuilder:validation:Enum=promql;metricsql
	Dialect Dialect `json:"dialect,omitempty"`

	// How the values of many pods become one: sum when targetType is AverageValue; avg (when omitted) or max when it
	// is Value.
	// +optional
	// +kubebuilder:validation:Enum=sum;avg;max
	Aggregation Aggregation `json:"aggregation,omitempty"`

	// What targetValue is compared with. AverageValue, when omitted: the sum over pods, divided by the replicas.
	// Value: the average or maximum over pods.
	// +optional
	// +kubebuilder:validation:Enum=AverageValue;Value
	TargetType decider.TargetType `json:"targetType,omitempty"`

	// How often an external source's endpoint is asked, such as 5s; from 1s to 5m; 2s when omitted.
	// +optional
	// +kubebuilder:validation:MaxLength=32
	// +kubebuilder:validation:Pattern=`^([0-9]+(\.[0-9]+)?(ms|s|m))+$`
	Interval string `json:"interval,omitempty"`
}
