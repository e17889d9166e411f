package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strings"
	"time"

	"go.uber.org/zap"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/client-go/tools/events"

	"github.com/flyball/flyball/actuator"
	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/collector"
	"github.com/flyball/flyball/internal/kube"
	"github.com/flyball/flyball/internal/loop"
)

// clusterOptions say which cluster and what of it.
type clusterOptions struct {
	kubeconfig     string
	namespaces     []string
	gpuExporters   string
	leaseNamespace string
	scalers        []string // addresses by which ScaledObjects name this service
	acknowledged   []string // see acknowledgeable
	externalURL    string   // where people reach the page; empty: events have no links
}

// checkURL says what is wrong with --external-url. Without a slash at its end, paths can be put behind it.
func (o *clusterOptions) checkURL() error {
	if o.externalURL == "" {
		return nil
	}
	u, err := url.Parse(o.externalURL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || u.RawQuery != "" || u.Fragment != "" {
		return fmt.Errorf("--external-url: %q is no address of a page; give something like https://flyball.example.com", o.externalURL)
	}
	o.externalURL = strings.TrimRight(o.externalURL, "/")
	return nil
}

func (o clusterOptions) config() (*rest.Config, error) {
	if o.kubeconfig == "" {
		config, err := rest.InClusterConfig()
		if err != nil {
			return nil, fmt.Errorf("reach the Kubernetes API from inside a pod: %w (outside a cluster give --kubeconfig, or --standalone)", err)
		}
		return config, nil
	}
	config, err := clientcmd.BuildConfigFromFlags("", o.kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read --kubeconfig: %w", err)
	}
	return config, nil
}

// leaseName is the Lease that the instances of one installation contend for.
const leaseName = "flyball"

// newKubeFleet wires a cluster's edges. It sends nothing; Run does.
func newKubeFleet(config *rest.Config, o clusterOptions, log *zap.Logger) (*kubeFleet, error) {
	packs, err := collector.LoadPacks()
	if err != nil {
		return nil, err
	}
	k, err := kube.New(kube.Options{
		Config: config, Namespaces: o.namespaces, GPUSelector: o.gpuExporters, ScalerAddresses: o.scalers,
		ControllerOf: actuator.ControllerOf, Logger: log,
	})
	if err != nil {
		return nil, err
	}
	config = rest.CopyConfig(config)
	config.UserAgent = "flyball"
	if config.QPS == 0 {
		config.QPS, config.Burst = 50, 100 // client-go's own 5 and 10 would make the first statuses of 500 autoscalers take 100 s
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	objects, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, err
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	election, err := actuator.NewElection(actuator.ElectionOptions{
		Leases: client.CoordinationV1(), Namespace: o.leaseNamespace, Name: leaseName, Identity: host, Log: log,
	})
	if err != nil {
		return nil, err
	}
	leader := func() bool { return election.IsLeader(time.Now()) }
	broadcaster := events.NewBroadcaster(&events.EventSinkImpl{Interface: client.EventsV1()})
	recorder := broadcaster.NewRecorder(runtime.NewScheme(), actuator.FieldManager)
	f := &kubeFleet{
		kube: k, election: election, log: log, broadcaster: broadcaster,
		actuator: actuator.New(actuator.Options{
			Scales: k.Scales(), Metadata: k.Metadata(), Leader: leader,
			Events: recorder,
		}),
		status: actuator.NewStatusWriter(actuator.StatusOptions{Client: objects, Leader: leader, Events: recorder, Log: log}),
		hpas:   actuator.NewHPAs(actuator.HPAOptions{Client: client.AutoscalingV2(), Leader: leader, Events: recorder, Log: log}),
		binder: loop.Binder{Lookup: lookup(packs), MetricsAPIs: true, NativeHPAs: true},
		bound:  map[types.UID]kubeBinding{}, turns: map[string]kubeTurn{}, native: map[types.UID]*actuator.HPAResult{},
		acknowledged: map[string]bool{}, externalURL: o.externalURL,
	}
	for _, what := range o.acknowledged {
		f.acknowledged[what] = true
	}
	f.pages = newKubePages(func(ctx context.Context, s scaled, source v1alpha1.MetricSource) ([]kube.MetricValue, error) {
		return k.ReadMetric(ctx, s.pa, source, s.target, k.Pods(s.target))
	})
	return f, nil
}
