package controlplane

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/dynamic"
	"sigs.k8s.io/yaml"
)

// fieldManager is the owner of what this package applies.
const fieldManager = "flyball-controlplane"

// installCRDs applies the CRDs of all files and waits until they are served.
func (cp *ControlPlane) installCRDs(ctx context.Context) error {
	var all []*unstructured.Unstructured
	for _, path := range cp.options.CRDs {
		data, err := os.ReadFile(path)
		if err != nil {
			return fmt.Errorf("install CRDs: %w", err)
		}
		found, err := parseCRDs(data)
		if err != nil {
			return fmt.Errorf("install CRDs of %s: %w", path, err)
		}
		all = append(all, found...)
	}
	if len(all) == 0 {
		return nil
	}
	kube, err := dynamic.NewForConfig(cp.Config())
	if err != nil {
		return err
	}
	for _, crd := range all {
		if _, err := kube.Resource(crds).Apply(ctx, crd.GetName(), crd, metav1.ApplyOptions{FieldManager: fieldManager, Force: true}); err != nil {
			return fmt.Errorf("install CRD %s: %w", crd.GetName(), err)
		}
	}
	for _, crd := range all {
		served := func(ctx context.Context, client *http.Client) error {
			return cp.established(ctx, client, kube, crd.GetName())
		}
		if err := cp.wait(ctx, "CRD "+crd.GetName()+" is served", served, cp.etcd, cp.apiServer); err != nil {
			return err
		}
	}
	return nil
}

// parseCRDs reads the CustomResourceDefinitions of a YAML file. Anything else in it is an error.
func parseCRDs(data []byte) ([]*unstructured.Unstructured, error) {
	var out []*unstructured.Unstructured
	for documents := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(data))); ; {
		document, err := documents.Read()
		if errors.Is(err, io.EOF) {
			return out, nil
		}
		if err != nil {
			return nil, err
		}
		crd := &unstructured.Unstructured{}
		if err := yaml.Unmarshal(document, &crd.Object); err != nil {
			return nil, err
		}
		if len(crd.Object) == 0 { // only comments
			continue
		}
		if crd.GetKind() != "CustomResourceDefinition" || crd.GetName() == "" {
			return nil, fmt.Errorf("%s %q is not a CustomResourceDefinition (list only CRDs in Options.CRDs; create other objects after Start)", crd.GetKind(), crd.GetName())
		}
		out = append(out, crd)
	}
}
