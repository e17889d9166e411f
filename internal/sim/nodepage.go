package sim

import (
	"bytes"
	"fmt"
	"io"
	"math"

	dto "github.com/prometheus/client_model/go"
)

// blank is DCGM's "no value" for 64-bit integers, and how it must be written. As a float64 it is 2^63, which the renderer would print as
// 9.223372036854776e+18; the exporter prints the integer.
const (
	blank        = 9223372036854775794
	blankLiteral = " 9223372036854775794\n"
	blankFloat   = " 9.223372036854776e+18\n"
)

// driverVersion is the label DCGM_FI_DRIVER_VERSION.
const driverVersion = "570.172.08"

// gpuFields are the exporter's metrics in the order of its default list.
var gpuFields = []struct {
	name, help string
	typ        dto.MetricType
	value      func(*gpuReading, *gpuProfile) float64
}{
	{"DCGM_FI_DEV_SM_CLOCK", "SM clock frequency (in MHz).", dto.MetricType_GAUGE, func(s *gpuReading, _ *gpuProfile) float64 { return s.megahertz }},
	// No simulated card has a memory temperature, as few cards without HBM sensors do: it is always blank.
	{"DCGM_FI_DEV_MEMORY_TEMP", "Memory temperature (in C).", dto.MetricType_GAUGE, func(*gpuReading, *gpuProfile) float64 { return blank }},
	{"DCGM_FI_DEV_GPU_TEMP", "GPU temperature (in C).", dto.MetricType_GAUGE, func(s *gpuReading, _ *gpuProfile) float64 { return math.Round(s.celsius) }},
	{"DCGM_FI_DEV_POWER_USAGE", "Power draw (in W).", dto.MetricType_GAUGE, func(s *gpuReading, _ *gpuProfile) float64 { return round3(s.watts) }},
	{"DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "Total energy consumption since boot (in mJ).", dto.MetricType_COUNTER, func(s *gpuReading, _ *gpuProfile) float64 { return math.Round(s.millijoules) }},
	{"DCGM_FI_DEV_GPU_UTIL", "GPU utilization (in %).", dto.MetricType_GAUGE, func(s *gpuReading, _ *gpuProfile) float64 { return s.util }},
	{"DCGM_FI_DEV_MEM_COPY_UTIL", "Memory utilization (in %).", dto.MetricType_GAUGE, func(s *gpuReading, _ *gpuProfile) float64 { return s.memCopy }},
	{"DCGM_FI_DEV_XID_ERRORS", "Value of the last XID error encountered.", dto.MetricType_GAUGE, func(*gpuReading, *gpuProfile) float64 { return 0 }},
	{"DCGM_FI_DEV_FB_FREE", "Framebuffer memory free (in MiB).", dto.MetricType_GAUGE, func(s *gpuReading, g *gpuProfile) float64 { return g.memoryMiB - math.Round(s.framebufferUsed) }},
	{"DCGM_FI_DEV_FB_USED", "Framebuffer memory used (in MiB).", dto.MetricType_GAUGE, func(s *gpuReading, _ *gpuProfile) float64 { return math.Round(s.framebufferUsed) }},
	{"DCGM_FI_PROF_GR_ENGINE_ACTIVE", "Ratio of time the graphics engine is active.", dto.MetricType_GAUGE, func(s *gpuReading, _ *gpuProfile) float64 { return round3(s.active) }},
	{"DCGM_FI_PROF_PIPE_TENSOR_ACTIVE", "Ratio of cycles the tensor (HMMA) pipe is active.", dto.MetricType_GAUGE, func(s *gpuReading, _ *gpuProfile) float64 { return round3(s.tensor) }},
	{"DCGM_FI_PROF_DRAM_ACTIVE", "Ratio of cycles the device memory interface is active sending or receiving data.", dto.MetricType_GAUGE, func(s *gpuReading, _ *gpuProfile) float64 { return round3(s.dram) }},
}

func round3(x float64) float64 { return math.Round(x*1000) / 1000 }

// WriteNodePage writes the page of a node's GPU exporter, in the shape of dcgm-exporter, as of its last look at the GPUs: for up to one
// collection interval its labels still name a pod that is gone. It fails with ErrNotFound if there is no such node.
func (p *Plant) WriteNodePage(w io.Writer, name string) error {
	b, err := p.nodePage(name)
	return writePage(w, b, err)
}

func (p *Plant) nodePage(name string) ([]byte, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, n := range p.nodes {
		if n.spec.Name == name {
			return n.page()
		}
	}
	return nil, fmt.Errorf("write node page: node %s: %w", name, ErrNotFound)
}

func (n *node) page() ([]byte, error) {
	var labels [][]*dto.LabelPair
	for i, g := range n.gpus {
		container := ""
		if g.seen.pod != "" {
			container = "vllm"
		}
		labels = append(labels, pairs("gpu", itoa(i), "UUID", g.uuid, "pci_bus_id", g.busID, "device", "nvidia"+itoa(i),
			"modelName", n.profile.name, "hostname", n.spec.Name, "DCGM_FI_DRIVER_VERSION", driverVersion,
			"container", container, "namespace", g.seen.namespace, "pod", g.seen.pod))
	}
	var out page
	for _, f := range gpuFields {
		var metrics []*dto.Metric
		for i, g := range n.gpus {
			v := f.value(&g.seen, &n.profile)
			if f.typ == dto.MetricType_COUNTER {
				metrics = append(metrics, counterMetric(labels[i], v))
			} else {
				metrics = append(metrics, gaugeMetric(labels[i], v))
			}
		}
		out.family(f.name, f.help, f.typ, metrics...)
	}
	b, err := out.render()
	return bytes.ReplaceAll(b, []byte(blankFloat), []byte(blankLiteral)), err
}
