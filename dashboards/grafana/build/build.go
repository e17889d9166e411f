package build

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	"github.com/grafana/grafana-foundation-sdk/go/prometheus"
)

// Render writes the generated files into the repository at root: the dashboards and the list of the metrics that they read, and the
// chart's copies of dashboards and rules, since helm reads nothing outside of a chart.
func Render(root string) error {
	here, chart := filepath.Join(root, "dashboards", "grafana"), filepath.Join(root, "deploy", "chart", "flyball", "files")
	rules, err := os.ReadFile(filepath.Join(here, "rules", "flyball.rules.yaml"))
	if err != nil {
		return fmt.Errorf("render dashboards: %w", err)
	}
	files := map[string][]byte{
		filepath.Join(here, "metrics.txt"): []byte(strings.Join(Metrics(), "\n") + "\n"),
		filepath.Join(chart, "rules.yaml"): rules,
	}
	for _, d := range dashboards() {
		text, err := marshal(d)
		if err != nil {
			return fmt.Errorf("render dashboard %s: %w", *d.Uid, err)
		}
		for _, dir := range []string{here, chart} {
			files[filepath.Join(dir, "dashboards", *d.Uid+".json")] = text
		}
	}
	for name, data := range files {
		if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
			return fmt.Errorf("render dashboards: %w", err)
		}
		if err := os.WriteFile(name, data, 0o644); err != nil {
			return fmt.Errorf("render dashboards: %w", err)
		}
	}
	return nil
}

func dashboards() []classic {
	return []classic{fleet(), autoscaler(), pipeline(), engines()}
}

func marshal(d classic) ([]byte, error) {
	if err := d.Validate(); err != nil {
		return nil, err
	}
	var text bytes.Buffer
	enc := json.NewEncoder(&text)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", " ")
	if err := enc.Encode(d); err != nil {
		return nil, err
	}
	return text.Bytes(), nil
}

// Metrics are the names of the exporters' metrics that the dashboards read, in order; flyball's own are stored anyhow.
func Metrics() []string {
	var exprs []string
	for _, d := range dashboards() {
		for _, p := range d.Panels {
			if p.Panel == nil {
				continue
			}
			for _, t := range p.Panel.Targets {
				exprs = append(exprs, t.(prometheus.Dataquery).Expr)
			}
		}
		for _, a := range d.Annotations.List {
			exprs = append(exprs, *a.Expr)
		}
		for _, v := range d.Templating.List {
			if v.Type == dashboard.VariableTypeQuery {
				selector := strings.TrimPrefix(*v.Query.String, "label_values(")
				exprs = append(exprs, selector[:strings.LastIndex(selector, ", ")])
			}
		}
	}
	return slices.DeleteFunc(metricsOf(exprs...), func(name string) bool { return name == "up" || strings.HasPrefix(name, "flyball_") })
}
