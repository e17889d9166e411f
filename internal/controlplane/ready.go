package controlplane

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilnet "k8s.io/apimachinery/pkg/util/net"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/rest"
)

// wait tries check every 50 ms until it succeeds. It fails when one of the processes it needs ends, when ctx does, or after readyWithin;
// the error says why check failed last, and what the processes logged.
func (cp *ControlPlane) wait(ctx context.Context, what string, check func(context.Context, *http.Client) error, need ...*process) error {
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	for _, p := range need {
		go func() { // a check may hang as long as the API server has its port and does not answer yet
			select {
			case <-p.done:
				giveUp(fmt.Errorf("%s ended: %v", p.name, p.err))
			case <-ctx.Done():
			}
		}()
	}
	client, err := rest.HTTPClientFor(cp.Config())
	if err != nil {
		return err
	}
	defer utilnet.CloseIdleConnectionsFor(client.Transport)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		last := check(ctx, client)
		if last == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			err := fmt.Errorf("wait until %s: %w; last: %w", what, context.Cause(ctx), last)
			for _, p := range need {
				err = fmt.Errorf("%w\n%s", err, p.tail())
			}
			return err
		case <-tick.C:
		}
	}
}

// apiReady says whether the API server calls itself ready, and has made the namespaces that every cluster has.
func (cp *ControlPlane) apiReady(ctx context.Context, client *http.Client) error {
	for _, path := range []string{"/readyz", "/api/v1/namespaces/default", "/api/v1/namespaces/kube-system"} {
		if err := cp.get(ctx, client, path); err != nil {
			return err
		}
	}
	return nil
}

func (cp *ControlPlane) get(ctx context.Context, client *http.Client, path string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, cp.Config().Host+path, nil)
	if err != nil {
		return err
	}
	res, err := client.Do(req)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s", path, res.Status)
	}
	return nil
}

var deployments = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}

// deploymentsWork says whether the deployment controller has seen a Deployment made for this question: a paused one, of which no
// ReplicaSet is made. It is deleted once seen.
func (cp *ControlPlane) deploymentsWork(ctx context.Context, client *http.Client) error {
	kube, err := dynamic.NewForConfigAndClient(cp.Config(), client)
	if err != nil {
		return err
	}
	const name = "flyball-controlplane-ready"
	probes := kube.Resource(deployments).Namespace("kube-system")
	probe, err := probes.Apply(ctx, name, &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": name},
		"spec": map[string]any{
			"paused": true, "replicas": int64(0), "selector": map[string]any{"matchLabels": map[string]any{"app": name}},
			"template": map[string]any{
				"metadata": map[string]any{"labels": map[string]any{"app": name}},
				"spec":     map[string]any{"containers": []any{map[string]any{"name": "none", "image": "none"}}},
			},
		},
	}}, metav1.ApplyOptions{FieldManager: fieldManager, Force: true})
	if err != nil {
		return err
	}
	if seen, _, _ := unstructured.NestedInt64(probe.Object, "status", "observedGeneration"); seen < 1 {
		return errors.New("it has not seen its Deployment yet")
	}
	return probes.Delete(ctx, name, metav1.DeleteOptions{})
}

var crds = schema.GroupVersionResource{Group: "apiextensions.k8s.io", Version: "v1", Resource: "customresourcedefinitions"}

// established says whether the API server serves every version of the CRD that it should.
func (cp *ControlPlane) established(ctx context.Context, client *http.Client, kube dynamic.Interface, name string) error {
	crd, err := kube.Resource(crds).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return err
	}
	conditions, _, _ := unstructured.NestedSlice(crd.Object, "status", "conditions")
	state := map[string]bool{}
	for _, c := range conditions {
		if c, ok := c.(map[string]any); ok {
			if c["type"] == "NamesAccepted" && c["status"] == "False" {
				return fmt.Errorf("CRD %s: %v", name, c["message"])
			}
			state[fmt.Sprint(c["type"])] = c["status"] == "True"
		}
	}
	if !state["Established"] {
		return fmt.Errorf("CRD %s is not established yet", name)
	}
	group, _, _ := unstructured.NestedString(crd.Object, "spec", "group")
	plural, _, _ := unstructured.NestedString(crd.Object, "spec", "names", "plural")
	versions, _, _ := unstructured.NestedSlice(crd.Object, "spec", "versions")
	for _, v := range versions {
		if v, ok := v.(map[string]any); ok && v["served"] == true {
			if err := cp.get(ctx, client, fmt.Sprintf("/apis/%s/%v/%s?limit=1", group, v["name"], plural)); err != nil {
				return err
			}
		}
	}
	return nil
}
