package kube

import (
	"context"
	"time"

	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	autoscalingv2client "k8s.io/client-go/kubernetes/typed/autoscaling/v2"
	corev1client "k8s.io/client-go/kubernetes/typed/core/v1"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/openapi"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/scale"
	"k8s.io/client-go/util/flowcontrol"
)

// Requests per second and burst, where the configuration names none. client-go's own 5 and 10 would make the first
// /scale reads of 500 autoscalers take 100 s.
const (
	defaultQPS   = 50
	defaultBurst = 100
)

// requestTimeout bounds each request that is not a watch.
const requestTimeout = 10 * time.Second

// clients share one HTTP client and one rate limit.
type clients struct {
	core     corev1client.CoreV1Interface
	hpas     autoscalingv2client.AutoscalingV2Interface
	dynamic  dynamic.Interface
	metadata metadata.Interface
	scales   scale.ScalesGetter
	raw      rest.Interface // for the metrics APIs
	groups   discovery.ServerGroupsInterfaceWithContext
	openapi  openapi.ClientWithContext
	mapper   *mapper
}

func newClients(config *rest.Config) (clients, error) {
	cfg := rest.CopyConfig(config)
	if cfg.QPS == 0 {
		cfg.QPS, cfg.Burst = defaultQPS, defaultBurst
	}
	if cfg.RateLimiter == nil && cfg.QPS > 0 {
		cfg.RateLimiter = flowcontrol.NewTokenBucketRateLimiter(cfg.QPS, max(cfg.Burst, 1))
	}
	if cfg.UserAgent == "" {
		cfg.UserAgent = "flyball"
	}
	http, err := rest.HTTPClientFor(cfg)
	if err != nil {
		return clients{}, err
	}
	protobuf := rest.CopyConfig(cfg)
	protobuf.ContentType = runtime.ContentTypeProtobuf
	protobuf.AcceptContentTypes = runtime.ContentTypeProtobuf + "," + runtime.ContentTypeJSON
	var c clients
	core, err := corev1client.NewForConfigAndClient(protobuf, http)
	if err != nil {
		return clients{}, err
	}
	c.core, c.raw = core, core.RESTClient()
	if c.hpas, err = autoscalingv2client.NewForConfigAndClient(protobuf, http); err != nil {
		return clients{}, err
	}
	if c.dynamic, err = dynamic.NewForConfigAndClient(cfg, http); err != nil {
		return clients{}, err
	}
	if c.metadata, err = metadata.NewForConfigAndClient(cfg, http); err != nil {
		return clients{}, err
	}
	disco, err := discovery.NewDiscoveryClientForConfigAndClient(cfg, http)
	if err != nil {
		return clients{}, err
	}
	c.groups = disco
	c.openapi = disco.OpenAPIV3WithContext(context.Background())
	c.mapper = newMapper(memory.NewMemCacheClientWithContext(disco))
	// The scale client takes the group and version of each request from discovery, not from its configuration.
	base := dynamic.ConfigFor(cfg)
	base.GroupVersion = nil
	scales, err := rest.UnversionedRESTClientForConfigAndClient(base, http)
	if err != nil {
		return clients{}, err
	}
	c.scales = scale.New(scales, c.mapper, dynamic.LegacyAPIPathResolverFunc, scale.NewDiscoveryScaleKindResolver(disco))
	return c, nil
}
