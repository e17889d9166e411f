package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/api/validate/content"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	custommetrics "k8s.io/metrics/pkg/apis/custom_metrics/v1beta2"
	externalmetrics "k8s.io/metrics/pkg/apis/external_metrics/v1beta1"
	resourcemetrics "k8s.io/metrics/pkg/apis/metrics/v1beta1"

	"github.com/flyball/flyball/api/v1alpha1"
)

// MetricValue is one value that a Kubernetes metrics API gave.
type MetricValue struct {
	PodName string    // empty for an external metric
	PodUID  types.UID // likewise
	Value   float64   // resource cpu in millicores and memory in bytes, as in AIBrix; others in the metric's own unit
	At      time.Time // when the API says that it was measured, which may be a minute ago; to the second
}

// ErrNoMetric says that the API answered and has no value.
var ErrNoMetric = errors.New("no value")

// ReadMetric asks the Kubernetes metrics API that answers for the source: one request for all pods. Pods that are not
// ready have no value, nor has a value that was measured before its pod was made: that was another pod of the name.
// What is absent is an error or is left out; it is never zero. Of an external metric with several series, the value is
// their sum and its time that of the oldest.
func (k *Kube) ReadMetric(ctx context.Context, pa *v1alpha1.PodAutoscaler, source v1alpha1.MetricSource, target Target, pods []*corev1.Pod) ([]MetricValue, error) {
	// The name becomes part of a path; "../.." would make it another question.
	if wrong := content.IsPathSegmentName(source.TargetMetric); source.TargetMetric == "" || len(wrong) > 0 {
		return nil, fmt.Errorf("read metric %q: not a name: %s (correct targetMetric)", source.TargetMetric, strings.Join(wrong, ", "))
	}
	if source.Kind() == v1alpha1.ExternalMetricSource {
		return k.readExternal(ctx, pa.Namespace, source)
	}
	ready := map[string]*corev1.Pod{}
	for _, pod := range pods {
		if Ready(pod) {
			ready[pod.Name] = pod
		}
	}
	if len(ready) == 0 || target.Selector == nil {
		return nil, nil
	}
	var values []MetricValue
	var err error
	switch source.Kind() {
	case v1alpha1.ResourceMetricSource:
		values, err = k.readResource(ctx, target, source.TargetMetric, ready)
	case v1alpha1.CustomMetricSource:
		values, err = k.readCustom(ctx, target, source, ready)
	default:
		panic(fmt.Sprintf("BUG: no metrics API answers for a source of kind %s", source.Kind()))
	}
	if err == nil && len(values) == 0 {
		err = fmt.Errorf("read metric %s of %s/%s: %w for any of %d ready pods (new pods have one after a minute or two)",
			source.TargetMetric, target.Namespace, target.Name, ErrNoMetric, len(ready))
	}
	return values, err
}

func (k *Kube) readResource(ctx context.Context, target Target, name string, ready map[string]*corev1.Pod) ([]MetricValue, error) {
	var list resourcemetrics.PodMetricsList
	group := resourcemetrics.SchemeGroupVersion
	if err := k.ask(ctx, group.Group, group.Version, target.Namespace, "pods", selectors{"labelSelector": target.Selector.String()}, &list); err != nil {
		return nil, fmt.Errorf("read %s of the pods of %s/%s: %w", name, target.Namespace, target.Name, err)
	}
	var out []MetricValue
	for _, m := range list.Items {
		pod := ready[m.Name]
		if pod == nil || m.UID != "" && m.UID != pod.UID || m.Timestamp.Time.Before(pod.CreationTimestamp.Time) {
			continue
		}
		if used, ok := podUsage(m.Containers, corev1.ResourceName(name)); ok {
			out = append(out, MetricValue{PodName: pod.Name, PodUID: pod.UID, Value: used, At: m.Timestamp.Time})
		}
	}
	return out, nil
}

// podUsage is the sum over the pod's containers, none of which may be missing.
func podUsage(containers []resourcemetrics.ContainerMetrics, name corev1.ResourceName) (float64, bool) {
	var sum resource.Quantity
	for _, c := range containers {
		used, ok := c.Usage[name]
		if !ok {
			return 0, false
		}
		sum.Add(used)
	}
	if name == corev1.ResourceCPU {
		return number(sum, 3), len(containers) > 0
	}
	return number(sum, 0), len(containers) > 0
}

// number is the float64 nearest to the quantity times ten to the power.
func number(q resource.Quantity, power int) float64 {
	q = q.DeepCopy() // AsDec changes it
	v, err := strconv.ParseFloat(q.AsDec().String()+"e"+strconv.Itoa(power), 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		panic(fmt.Sprintf("BUG: quantity %s is no number: %v", q.String(), err))
	}
	return v
}

func (k *Kube) readCustom(ctx context.Context, target Target, source v1alpha1.MetricSource, ready map[string]*corev1.Pod) ([]MetricValue, error) {
	var list custommetrics.MetricValueList // of v1beta1, the same fields are read
	name := source.TargetMetric
	version, err := k.customVersion(ctx)
	if err == nil {
		which := selectors{"labelSelector": target.Selector.String(), "metricLabelSelector": metricSelector(source)}
		err = k.ask(ctx, custommetrics.SchemeGroupVersion.Group, version, target.Namespace, "pods/*/"+name, which, &list)
	}
	if err != nil {
		k.version.forget()
		return nil, fmt.Errorf("read custom metric %s of the pods of %s/%s: %w", name, target.Namespace, target.Name, err)
	}
	var out []MetricValue
	for _, m := range list.Items {
		pod := ready[m.DescribedObject.Name]
		if pod == nil || m.DescribedObject.UID != "" && m.DescribedObject.UID != pod.UID ||
			m.Timestamp.Time.Before(pod.CreationTimestamp.Time) {
			continue
		}
		out = append(out, MetricValue{PodName: pod.Name, PodUID: pod.UID, Value: number(m.Value, 0), At: m.Timestamp.Time})
	}
	return out, nil
}

// metricSelector is the source's selector of series; empty for all.
func metricSelector(source v1alpha1.MetricSource) string {
	if source.MetricSelector == nil {
		return ""
	}
	return metav1.FormatLabelSelector(source.MetricSelector)
}

func (k *Kube) readExternal(ctx context.Context, namespace string, source v1alpha1.MetricSource) ([]MetricValue, error) {
	var list externalmetrics.ExternalMetricValueList
	group, name := externalmetrics.SchemeGroupVersion, source.TargetMetric
	if err := k.ask(ctx, group.Group, group.Version, namespace, name, selectors{"labelSelector": metricSelector(source)}, &list); err != nil {
		return nil, fmt.Errorf("read external metric %s in %s: %w", name, namespace, err)
	}
	if len(list.Items) == 0 {
		return nil, fmt.Errorf("read external metric %s in %s: %w (check the name with the adapter that serves it)", name, namespace, ErrNoMetric)
	}
	var sum resource.Quantity
	oldest := list.Items[0].Timestamp.Time
	for _, m := range list.Items {
		sum.Add(m.Value)
		if m.Timestamp.Time.Before(oldest) {
			oldest = m.Timestamp.Time
		}
	}
	return []MetricValue{{Value: number(sum, 0), At: oldest}}, nil
}

// metricsVersion is the version of the custom metrics API that is served: v1beta2, or v1beta1 by older adapters.
type metricsVersion struct {
	mu     sync.Mutex
	custom string
}

func (v *metricsVersion) forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.custom = ""
}

func (k *Kube) customVersion(ctx context.Context) (string, error) {
	k.version.mu.Lock()
	defer k.version.mu.Unlock()
	if k.version.custom != "" {
		return k.version.custom, nil
	}
	newest := custommetrics.SchemeGroupVersion
	var group metav1.APIGroup
	if err := k.get(ctx, "/apis/"+newest.Group, nil, &group); err != nil {
		return "", k.absent(ctx, newest.Group, newest.Version, err)
	}
	version := "v1beta1"
	for _, v := range group.Versions {
		if v.Version == newest.Version {
			version = newest.Version
		}
	}
	k.version.custom = version
	return version, nil
}

// ask reads from a metrics API. Its error says what is missing when the API as a whole does not answer.
func (k *Kube) ask(ctx context.Context, group, version, namespace, what string, which selectors, into any) error {
	at := fmt.Sprintf("/apis/%s/%s/namespaces/%s/%s", group, version, namespace, what)
	if err := k.get(ctx, at, which, into); err != nil {
		return k.absent(ctx, group, version, err)
	}
	return nil
}

// selectors are the query parameters that choose what a metrics API speaks of; empty ones are left out.
type selectors map[string]string

func (k *Kube) get(ctx context.Context, at string, which selectors, into any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	req := k.clients.raw.Get().AbsPath(at).SetHeader("Accept", "application/json").MaxRetries(0)
	for name, selector := range which {
		if selector != "" {
			req = req.Param(name, selector)
		}
	}
	body, err := req.Do(ctx).Raw()
	if err != nil {
		return err
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("read the answer to %s: %w (the adapter that serves it does not follow the API)", at, err)
	}
	return nil
}

// absent says why a metrics API gave no answer: it is not there, it is there and down, or it refuses.
func (k *Kube) absent(ctx context.Context, group, version string, err error) error {
	service := version + "." + group
	switch {
	case apierrors.IsNotFound(err):
		var found metav1.APIGroup
		if apierrors.IsNotFound(k.get(ctx, "/apis/"+group, nil, &found)) {
			return fmt.Errorf("%w (there is no APIService %s: install what serves it, such as %s)", err, service, servedBy[group])
		}
		return fmt.Errorf("%w: %w (APIService %s is there and does not know it; check the metric's name)", ErrNoMetric, err, service)
	case apierrors.IsForbidden(err):
		return fmt.Errorf("%w (grant get and list in group %s to flyball's service account)", err, group)
	case apierrors.IsServiceUnavailable(err):
		return fmt.Errorf("%w (what serves APIService %s does not answer: kubectl get apiservice %s says why)", err, service, service)
	}
	return fmt.Errorf("%w (asked of APIService %s)", err, service)
}

// servedBy names what usually serves a metrics API.
var servedBy = map[string]string{
	resourcemetrics.SchemeGroupVersion.Group: "metrics-server",
	custommetrics.SchemeGroupVersion.Group:   "prometheus-adapter",
	externalmetrics.SchemeGroupVersion.Group: "KEDA or prometheus-adapter",
}
