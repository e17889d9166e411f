package simkube

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/client-go/rest"

	"github.com/flyball/flyball/internal/sim"
)

func TestNewRefusesWhatCannotRun(t *testing.T) {
	plant, err := sim.New(sim.Config{Start: noon})
	require.NoError(t, err)
	good := Options{Config: &rest.Config{Host: "https://127.0.0.1:1"}, Plant: plant, Server: sim.NewServer(plant), Now: time.Now}
	_, err = New(good)
	require.NoError(t, err)
	for want, spoil := range map[string]func(*Options){
		"Config, Plant, Server and Now must be set": func(o *Options) { o.Now = nil },
		"step -1s: must be above 0":                 func(o *Options) { o.Step = -time.Second },
		"new simulated kubelet: ":                   func(o *Options) { o.Config = &rest.Config{Host: "https://127.0.0.1:1:1"} },
	} {
		o := good
		spoil(&o)
		_, err := New(o)
		require.ErrorContains(t, err, want)
	}
}

// A fleet without an API still serves its pages, and Run ends when it is told to.
func TestThePlantRunsWithoutAnAPI(t *testing.T) {
	plant, err := sim.New(sim.Config{Start: time.Now(), Nodes: []sim.NodeSpec{{Name: "gpu-0", GPU: sim.A100, GPUs: 1}}})
	require.NoError(t, err)
	k, err := New(Options{Config: &rest.Config{Host: "http://127.0.0.1:1"}, Plant: plant, Server: sim.NewServer(plant), Now: time.Now, Step: time.Millisecond})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- k.Run(ctx) }()
	page := func() bool {
		code, _, err := fetch(ctx, "http://"+plant.Snapshot().Nodes[0].Address+"/metrics")
		return err == nil && code == 200
	}
	require.Eventually(t, page, deadline, tick)
	cancel()
	require.NoError(t, <-ended)
}

func TestAnErrorIsStaleAnOutageOrTheObjectsOwn(t *testing.T) {
	pods := schema.GroupResource{Resource: "pods"}
	terminating := apierrors.NewForbidden(pods, "a", errors.New("the namespace is being terminated"))
	terminating.ErrStatus.Details.Causes = append(terminating.ErrStatus.Details.Causes, metav1.StatusCause{Type: corev1.NamespaceTerminatingCause})
	for _, tt := range []struct {
		err           error
		stale, outage bool
	}{
		{nil, false, false},
		{apierrors.NewNotFound(pods, "a"), true, false},
		{apierrors.NewConflict(pods, "a", errors.New("another uid")), true, false},
		{terminating, true, false},
		{apierrors.NewForbidden(pods, "a", errors.New("quota")), false, false},
		{apierrors.NewTooManyRequests("busy", 1), false, true},
		{apierrors.NewInternalError(errors.New("no etcd")), false, true},
		{context.DeadlineExceeded, false, true},
	} {
		require.Equal(t, tt.stale, stale(tt.err), "%v", tt.err)
		require.Equal(t, tt.outage, outage(tt.err), "%v", tt.err)
	}
}

func TestAnExporterDeclaresThePortItHas(t *testing.T) {
	pod := exporterPod(sim.NodeState{Name: "gpu-0", Address: "127.0.0.1:40123"})
	require.Equal(t, "dcgm-exporter-gpu-0", pod.Name)
	require.Equal(t, "gpu-0", pod.Spec.NodeName)
	require.Equal(t, []corev1.ContainerPort{{Name: "metrics", ContainerPort: 40123}}, pod.Spec.Containers[0].Ports)
}
