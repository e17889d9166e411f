package kube_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/internal/kube"
)

func podWith(deleting bool, conditions ...corev1.PodCondition) *corev1.Pod {
	p := &corev1.Pod{Status: corev1.PodStatus{Conditions: conditions}}
	if deleting {
		p.DeletionTimestamp = &metav1.Time{Time: time.Unix(1, 0)}
	}
	return p
}

func TestReady(t *testing.T) {
	is := func(status corev1.ConditionStatus) corev1.PodCondition {
		return corev1.PodCondition{Type: corev1.PodReady, Status: status}
	}
	scheduled := corev1.PodCondition{Type: corev1.PodScheduled, Status: corev1.ConditionTrue}
	for name, c := range map[string]struct {
		pod  *corev1.Pod
		want bool
	}{
		"ready":           {podWith(false, scheduled, is(corev1.ConditionTrue)), true},
		"not ready":       {podWith(false, is(corev1.ConditionFalse)), false},
		"unknown":         {podWith(false, is(corev1.ConditionUnknown)), false},
		"no condition":    {podWith(false, scheduled), false},
		"ready, deleting": {podWith(true, is(corev1.ConditionTrue)), false},
	} {
		require.Equal(t, c.want, kube.Ready(c.pod), name)
	}
}

func TestUnschedulable(t *testing.T) {
	is := func(status corev1.ConditionStatus, reason string) corev1.PodCondition {
		return corev1.PodCondition{Type: corev1.PodScheduled, Status: status, Reason: reason}
	}
	for name, c := range map[string]struct {
		pod  *corev1.Pod
		want bool
	}{
		"no node":           {podWith(false, is(corev1.ConditionFalse, "Unschedulable")), true},
		"gated":             {podWith(false, is(corev1.ConditionFalse, "SchedulingGated")), false},
		"scheduled":         {podWith(false, is(corev1.ConditionTrue, "")), false},
		"not seen yet":      {podWith(false), false},
		"no node, deleting": {podWith(true, is(corev1.ConditionFalse, "Unschedulable")), false},
	} {
		require.Equal(t, c.want, kube.Unschedulable(c.pod), name)
	}
}

func TestStarted(t *testing.T) {
	p := &corev1.Pod{}
	require.True(t, kube.Started(p).IsZero())
	p.Status.StartTime = &metav1.Time{Time: time.Unix(7, 0)}
	require.Equal(t, time.Unix(7, 0), kube.Started(p))
}

func TestPort(t *testing.T) {
	port := func(name string, number int32, protocol corev1.Protocol) corev1.Container {
		return corev1.Container{Ports: []corev1.ContainerPort{{Name: name, ContainerPort: number, Protocol: protocol}}}
	}
	always := corev1.ContainerRestartPolicyAlways
	sidecar := port("metrics", 9000, "")
	sidecar.RestartPolicy = &always
	for name, c := range map[string]struct {
		init, containers []corev1.Container
		wanted           string
		want             int
		fails            string
	}{
		"nothing wanted, nothing declared": {want: 8000},
		"nothing wanted, metrics before http": {
			containers: []corev1.Container{port("http", 80, corev1.ProtocolTCP), port("metrics", 9400, corev1.ProtocolTCP)}, want: 9400,
		},
		"nothing wanted, http-metrics":          {containers: []corev1.Container{port("http-metrics", 9401, "")}, want: 9401},
		"nothing wanted, http":                  {containers: []corev1.Container{port("http", 8080, "")}, want: 8080},
		"nothing wanted, UDP does not count":    {containers: []corev1.Container{port("metrics", 53, corev1.ProtocolUDP)}, want: 8000},
		"nothing wanted, a sidecar":             {init: []corev1.Container{sidecar}, want: 9000},
		"nothing wanted, an init container":     {init: []corev1.Container{port("metrics", 9000, "")}, want: 8000},
		"a number that is declared":             {containers: []corev1.Container{port("api", 8001, ""), port("metrics", 9400, "")}, wanted: "8001", want: 8001},
		"a number that nobody declares":         {containers: []corev1.Container{port("metrics", 9400, "")}, wanted: "8000", want: 8000},
		"a name":                                {containers: []corev1.Container{port("api", 8001, "")}, wanted: "api", want: 8001},
		"a name that nobody declares":           {wanted: "api", fails: "declare it"},
		"a number that is no port":              {wanted: "65536", fails: "from 1 to 65535"},
		"zero, which the kubelet never chooses": {wanted: "0", fails: "from 1 to 65535"},
	} {
		p := &corev1.Pod{Spec: corev1.PodSpec{InitContainers: c.init, Containers: c.containers}}
		got, err := kube.Port(p, c.wanted)
		if c.fails != "" {
			require.ErrorContains(t, err, c.fails, name)
			continue
		}
		require.NoError(t, err, name)
		require.Equal(t, c.want, got, name)
	}
}

func TestVersionMovesWithWhatPolicyIsMadeOf(t *testing.T) {
	base := func() *v1alpha1.PodAutoscaler {
		return &v1alpha1.PodAutoscaler{ObjectMeta: metav1.ObjectMeta{
			UID: "a", Generation: 1, Annotations: map[string]string{"k": "v", "l": "w"}, Labels: map[string]string{"m": "x"},
		}}
	}
	for name, c := range map[string]struct {
		change func(*v1alpha1.PodAutoscaler)
		moves  bool
	}{
		"nothing":                      {func(*v1alpha1.PodAutoscaler) {}, false},
		"status":                       {func(pa *v1alpha1.PodAutoscaler) { pa.Status.DesiredScale, pa.ResourceVersion = 3, "9" }, false},
		"generation":                   {func(pa *v1alpha1.PodAutoscaler) { pa.Generation = 2 }, true},
		"re-created":                   {func(pa *v1alpha1.PodAutoscaler) { pa.UID = "b" }, true},
		"annotation changed":           {func(pa *v1alpha1.PodAutoscaler) { pa.Annotations["k"] = "" }, true},
		"annotation added":             {func(pa *v1alpha1.PodAutoscaler) { pa.Annotations["j"] = "" }, true},
		"annotation turned to a label": {func(pa *v1alpha1.PodAutoscaler) { pa.Annotations, pa.Labels = pa.Labels, pa.Annotations }, true},
		"label removed":                {func(pa *v1alpha1.PodAutoscaler) { pa.Labels = nil }, true},
		"value that looks like two":    {func(pa *v1alpha1.PodAutoscaler) { pa.Annotations = map[string]string{"k": "v\"\n\"l\"=\"w"} }, true},
	} {
		pa := base()
		c.change(pa)
		require.Equal(t, c.moves, kube.Version(pa) != kube.Version(base()), name)
	}
}
