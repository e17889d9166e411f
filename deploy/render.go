package deploy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
)

// namespace is where install.yaml puts flyball. It is not the chart's: helm wants a release's namespace to exist before.
const namespace = `apiVersion: v1
kind: Namespace
metadata:
  name: flyball-system
  labels:
    app.kubernetes.io/name: flyball
    app.kubernetes.io/instance: flyball
    pod-security.kubernetes.io/enforce: restricted
`

const header = "# Rendered from chart/flyball by go generate ./deploy; change the chart, not this file.\n"

// Render writes the generated files of a copy of this folder: the chart's files/, install.yaml (everything, for kubectl
// apply -f) and rbac.yaml (what flyball may do, for running it outside the cluster). It runs in this folder's module,
// since go builds helm.
func Render(ctx context.Context, dir string) error {
	chart := filepath.Join(dir, "chart", "flyball")
	crd, err := os.ReadFile(filepath.Join(dir, "crd", "autoscaling.aibrix.ai_podautoscalers.yaml"))
	if err != nil {
		return fmt.Errorf("render deploy: %w (go generate ./api/... makes the CRD)", err)
	}
	known, err := knownAnnotations()
	if err != nil {
		return fmt.Errorf("render deploy: %w", err)
	}
	if err := write(filepath.Join(chart, "files"), map[string][]byte{"crd.yaml": crd, "annotations.json": known}); err != nil {
		return err
	}
	all, err := helm(ctx, "template", "flyball", chart, "--namespace", "flyball-system")
	if err != nil {
		return err
	}
	rbac, err := helm(ctx, "template", "flyball", chart, "--namespace", "flyball-system", "--show-only", "templates/rbac.yaml")
	if err != nil {
		return err
	}
	return write(dir, map[string][]byte{
		"install.yaml": append([]byte(header+namespace), all...),
		"rbac.yaml":    append([]byte(header+namespace), rbac...),
	})
}

func write(dir string, files map[string][]byte) error {
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o644); err != nil {
			return fmt.Errorf("render deploy: %w", err)
		}
	}
	return nil
}

// helm runs the helm that tools/helm/go.mod names. Its standard error is part of the error.
func helm(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, "go", append([]string{"tool", "-modfile=" + filepath.FromSlash("../tools/helm/go.mod"), "helm"}, args...)...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("helm %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(stderr.String()+stdout.String()))
	}
	return stdout.Bytes(), nil
}

// knownAnnotation is what the admission policy knows of a key. JSON objects are CEL maps, and CEL wants values of one type.
type knownAnnotation struct {
	Key  string `json:"key"`
	Word string `json:"word"` // the name as misspelt ones are compared with it: lower case, letters and digits only
	Type string `json:"type"` // of its value
	Note string `json:"note"` // why it has no effect; empty when it has one
}

// knownAnnotations is the table of the annotation keys, for the chart's admission policy.
func knownAnnotations() ([]byte, error) {
	var out []knownAnnotation
	for _, a := range v1alpha1.Annotations() {
		_, name, _ := strings.Cut(a.Key, "/")
		k := knownAnnotation{Key: a.Key, Word: strings.ReplaceAll(name, "-", ""), Type: a.Type}
		switch {
		case !a.Supported:
			k.Note = "is not supported yet: " + a.Note
		case len(a.Strategies) == 0:
			k.Note = "has no effect: " + a.Note
		}
		out = append(out, k)
	}
	return jsonLines(out)
}

// jsonLines is a JSON list with one element per line.
func jsonLines[T any](list []T) ([]byte, error) {
	text := []byte("[")
	for i, element := range list {
		if i > 0 {
			text = append(text, ',')
		}
		line, err := json.Marshal(element)
		if err != nil {
			return nil, fmt.Errorf("write the known annotations: %w", err)
		}
		text = append(append(text, "\n  "...), line...)
	}
	return append(text, "\n]\n"...), nil
}
