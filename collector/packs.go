package collector

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/metadata"
	"sigs.k8s.io/yaml"
)

// Kind is what sort of metric a Metric is.
type Kind string

// Gauge, Counter and Histogram are the kinds; a histogram is a classic one, with _bucket, _sum and _count series.
const (
	Gauge     Kind = "gauge"
	Counter   Kind = "counter"
	Histogram Kind = "histogram"
)

// Scale says how a metric adds up.
type Scale string

const (
	// Count adds up: the fleet's value is the sum over pods, and a pod's the sum over its engines or GPUs.
	Count Scale = "count"
	// Ratio does not: a pod's value is the average over its engines or GPUs. Percentages and temperatures count here.
	Ratio Scale = "ratio"
)

// Metric is what a pack knows of one metric.
type Metric struct {
	Engine string   // the pack's: "vllm", "dcgm"
	Names  []string // every name it is or was exported under, newest first; of a histogram's series where one was asked for
	Kind   Kind
	Scale  Scale
	Help   string
}

// Packs is what flyball knows of engines and GPU exporters: a table from every name of a metric, full or short, to
// the metric. It is not changed after loading.
type Packs struct {
	metrics map[string]Metric
	packs   []pack
}

// pack is one file of packs/: adding an engine is adding a file.
type pack struct {
	Engine  string       `json:"engine"`
	Prefix  string       `json:"prefix"`          // that every metric name of the engine starts with
	Blank   []float64    `json:"blank,omitempty"` // values that mean "no value"
	GPU     *gpuPack     `json:"gpu,omitempty"`   // exporters of a node's GPUs only
	Metrics []packMetric `json:"metrics"`
}

type gpuPack struct {
	Interval    string        `json:"interval"`    // between two collections by the exporter, unless it was told otherwise
	Attribution []podLabelSet `json:"attribution"` // labels that name the pod that holds the GPU; the first pair present counts

	interval time.Duration
}

type podLabelSet struct {
	Namespace string `json:"namespace"`
	Pod       string `json:"pod"`
}

type packMetric struct {
	Name    string   `json:"name"`              // as exported now, counters with _total where they have it
	Aliases []string `json:"aliases,omitempty"` // as exported by older versions, newest first
	Short   []string `json:"short,omitempty"`   // what people may write instead, in any pack just once
	Kind    Kind     `json:"kind"`
	Scale   Scale    `json:"scale,omitempty"` // gauges must say it; for the others it is count
	Help    string   `json:"help"`
}

//go:embed packs/*.yaml
var packFiles embed.FS

// LoadPacks reads the packs that flyball ships. An error means that a pack file is wrong.
func LoadPacks() (Packs, error) { return loadPacks(packFiles) }

func loadPacks(files fs.FS) (Packs, error) {
	names, err := fs.Glob(files, "packs/*.yaml")
	if err != nil {
		return Packs{}, fmt.Errorf("list packs: %w", err)
	}
	ps := Packs{metrics: map[string]Metric{}}
	for _, name := range names {
		b, err := fs.ReadFile(files, name)
		if err != nil {
			return Packs{}, fmt.Errorf("read pack: %w", err)
		}
		var p pack
		if err := yaml.UnmarshalStrict(b, &p); err != nil {
			return Packs{}, fmt.Errorf("pack %s: %w", name, err)
		}
		if err := p.validate(); err != nil {
			return Packs{}, fmt.Errorf("pack %s: %w", name, err)
		}
		ps.packs = append(ps.packs, p)
	}
	for _, p := range ps.packs {
		if err := ps.addNames(p); err != nil {
			return Packs{}, fmt.Errorf("pack %s: %w", p.Engine, err)
		}
	}
	for _, p := range ps.packs {
		ps.addCounterForms(p)
	}
	return ps, nil
}

func (p *pack) validate() error {
	if p.Engine == "" || p.Prefix == "" {
		return errors.New("engine and prefix must be set")
	}
	if p.GPU != nil {
		d, err := time.ParseDuration(p.GPU.Interval)
		if err != nil || d <= 0 {
			return fmt.Errorf("gpu.interval %q is not a positive duration such as 30s", p.GPU.Interval)
		}
		p.GPU.interval = d
		for _, pair := range p.GPU.Attribution {
			if pair.Namespace == "" || pair.Pod == "" {
				return errors.New("gpu.attribution: every pair needs namespace and pod")
			}
		}
	}
	for i := range p.Metrics {
		if err := p.Metrics[i].validate(p.Prefix); err != nil {
			return fmt.Errorf("metric %d, %q: %w", i+1, p.Metrics[i].Name, err)
		}
	}
	return nil
}

func (m *packMetric) validate(prefix string) error {
	for _, name := range append([]string{m.Name}, m.Aliases...) {
		if !strings.HasPrefix(name, prefix) {
			return fmt.Errorf("name %q does not start with the pack's prefix %q", name, prefix)
		}
	}
	if !slices.Contains([]Kind{Gauge, Counter, Histogram}, m.Kind) {
		return fmt.Errorf("kind %q is not gauge, counter or histogram", m.Kind)
	}
	if m.Scale == "" && m.Kind != Gauge {
		m.Scale = Count
	}
	if m.Scale != Count && m.Scale != Ratio {
		return fmt.Errorf("scale %q is not count or ratio", m.Scale)
	}
	if m.Help == "" {
		return errors.New("help is missing")
	}
	return nil
}

func (m packMetric) metric(engine string) Metric {
	return Metric{Engine: engine, Names: append([]string{m.Name}, m.Aliases...), Kind: m.Kind, Scale: m.Scale, Help: m.Help}
}

func (m packMetric) lookupNames() []string {
	return slices.Concat([]string{m.Name}, m.Aliases, m.Short)
}

func (ps Packs) addNames(p pack) error {
	for _, m := range p.Metrics {
		for _, name := range m.lookupNames() {
			if other, taken := ps.metrics[name]; taken {
				return fmt.Errorf("name %q of %s is already %s of pack %s: a name must mean one metric", name, m.Name, other.Names[0], other.Engine)
			}
			ps.metrics[name] = m.metric(p.Engine)
		}
	}
	return nil
}

// addCounterForms lets a counter be named with and without _total. A name that a file spells out comes first.
func (ps Packs) addCounterForms(p pack) {
	for _, m := range p.Metrics {
		if m.Kind != Counter {
			continue
		}
		for _, name := range m.lookupNames() {
			form, had := strings.CutSuffix(name, "_total")
			if !had {
				form = name + "_total"
			}
			if _, taken := ps.metrics[form]; !taken {
				ps.metrics[form] = m.metric(p.Engine)
			}
		}
	}
}

// Lookup finds a metric by a full name, new or old (vllm:num_requests_waiting), a short one (num_requests_waiting),
// a counter's with or without _total, or a histogram's with or without the suffix of one of its series. Where
// such a suffix was asked for, Names carry it.
func (ps Packs) Lookup(name string) (Metric, bool) {
	if m, ok := ps.metrics[name]; ok {
		m.Names = slices.Clone(m.Names)
		return m, true
	}
	for _, suffix := range []string{"_bucket", "_sum", "_count"} {
		base, ok := strings.CutSuffix(name, suffix)
		if !ok {
			continue
		}
		m, ok := ps.metrics[base]
		if !ok || m.Kind != Histogram {
			return Metric{}, false
		}
		m.Names = slices.Clone(m.Names)
		for i := range m.Names {
			m.Names[i] += suffix
		}
		return m, true
	}
	return Metric{}, false
}

// Metadata is type and help of each metric, by every full name that it is or was exported under.
func (ps Packs) Metadata() map[string][]metadata.Metadata {
	out := map[string][]metadata.Metadata{}
	for _, m := range ps.metrics {
		for _, name := range m.Names {
			out[name] = []metadata.Metadata{{Type: model.MetricType(m.Kind), Help: m.Help}}
		}
	}
	return out
}

// of is the pack whose prefix the metric name starts with, or nil.
func (ps Packs) of(metric string) *pack {
	for i := range ps.packs {
		if strings.HasPrefix(metric, ps.packs[i].Prefix) {
			return &ps.packs[i]
		}
	}
	return nil
}
