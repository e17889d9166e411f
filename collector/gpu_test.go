package collector

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	gpu0   = `DCGM_FI_DEV_GPU_UTIL{gpu="0",UUID="GPU-0",modelName="H100",namespace="prod",pod="llama-0",container="vllm"} 90` + "\n"
	gpu1   = `DCGM_FI_DEV_GPU_UTIL{gpu="1",UUID="GPU-1",modelName="H100",namespace="",pod="",container=""} 0` + "\n"
	nobody = `{UUID="GPU-0", __name__="DCGM_FI_DEV_GPU_UTIL", container="vllm", endpoint="dcgm/metrics", exported_namespace="prod", ` +
		`exported_pod="llama-0", gpu="0", job="dcgm", modelName="H100", node="n1"}`
)

// given is the GPU's series under the identity of the pod of this UID.
func given(uid string) string {
	return `{UUID="GPU-0", __name__="DCGM_FI_DEV_GPU_UTIL", container="vllm", endpoint="dcgm/metrics", exported_namespace="prod", ` +
		`exported_pod="llama-0", gpu="0", job="dcgm", modelName="H100", namespace="prod", node="n1", pod="llama-0", pod_uid="` + uid +
		`", workload="llama", workload_uid="w1"}`
}

func TestGPUSeriesGoToThePodThatHoldsTheGPU(t *testing.T) {
	r := newRig(t)
	a, dcgm := r.exporter("a"), r.exporter("dcgm")
	dcgm.serve(gpu0 + gpu1)
	r.set("DCGM_FI_DEV_GPU_UTIL", a.pod("prod/llama-0"), dcgm.dcgm())
	r.tick()
	r.expect("DCGM.*", given("prod-llama-0")+" 90",
		`{UUID="GPU-1", __name__="DCGM_FI_DEV_GPU_UTIL", endpoint="dcgm/metrics", gpu="1", job="dcgm", modelName="H100", node="n1"} 0`)
	r.expect("flyball_pod_ready", // of the pod, none of the exporter
		`{__name__="flyball_pod_ready", namespace="prod", node="n1", pod="llama-0", pod_uid="prod-llama-0", workload="llama", workload_uid="w1"} 1`)
}

func TestGPUSeriesThatCanNotBeResolvedAreNobodys(t *testing.T) {
	f := func(why string, change func(pod, exporter *Endpoint)) {
		t.Helper()
		r := newRig(t)
		a, dcgm := r.exporter("a"), r.exporter("dcgm")
		dcgm.serve(gpu0)
		pod, exp := a.pod("prod/llama-0"), dcgm.dcgm()
		change(&pod, &exp)
		r.set("DCGM_FI_DEV_GPU_UTIL", pod, exp)
		r.tick()
		require.NotContains(t, r.stored("DCGM.*"), "pod_uid", why)
		require.Contains(t, r.stored("DCGM.*"), `exported_pod="llama-0"`, why)
	}
	f("another node", func(pod, _ *Endpoint) { pod.Node = "n2" })
	f("another namespace", func(pod, _ *Endpoint) { pod.Namespace = "test" })
	f("another name", func(pod, _ *Endpoint) { pod.Pod = "llama-1" })
	f("no node", func(pod, exp *Endpoint) { pod.Node, exp.Node = "", "" })
	f("too young", func(pod, _ *Endpoint) { pod.Started = epoch.Add(-27 * time.Second) }) // 29 s at the scrape
	f("of unknown age", func(pod, _ *Endpoint) { pod.Started = time.Time{} })
	f("too young for this exporter", func(pod, exp *Endpoint) { exp.Lag = 2 * time.Hour })
}

func TestLabelsThatAPrometheusInBetweenHasMoved(t *testing.T) {
	r := newRig(t)
	a, dcgm := r.exporter("a"), r.exporter("dcgm")
	dcgm.serve(`DCGM_FI_DEV_GPU_UTIL{gpu="0",namespace="gpu-operator",pod="dcgm-x",exported_namespace="prod",exported_pod="llama-0"} 90` + "\n")
	r.set("DCGM_FI_DEV_GPU_UTIL", a.pod("prod/llama-0"), dcgm.dcgm())
	r.tick()
	r.expect("DCGM.*", `{__name__="DCGM_FI_DEV_GPU_UTIL", endpoint="dcgm/metrics", exported_exported_namespace="gpu-operator", `+
		`exported_exported_pod="dcgm-x", exported_namespace="prod", exported_pod="llama-0", gpu="0", job="dcgm", namespace="prod", `+
		`node="n1", pod="llama-0", pod_uid="prod-llama-0", workload="llama", workload_uid="w1"} 90`)
}

func TestAYoungPodGetsItsGPUAfterOneExporterInterval(t *testing.T) {
	r := newRig(t)
	a, dcgm := r.exporter("a"), r.exporter("dcgm")
	dcgm.serve(gpu0)
	pod, exp := a.pod("prod/llama-0"), dcgm.dcgm()
	pod.Started, exp.Lag = epoch, 5*time.Second
	r.set("DCGM_FI_DEV_GPU_UTIL", pod, exp)
	for range 4 { // at ages 2, 4, 6 and 8 s
		r.tick()
	}
	r.expect("DCGM.*", nobody+" 90 90 stale", given("prod-llama-0")+" 90 90")
}

func TestAPodThatDoesNotSayWhenItStartedIsAsOldAsWeKnow(t *testing.T) {
	r := newRig(t)
	a, dcgm := r.exporter("a"), r.exporter("dcgm")
	dcgm.serve(gpu0)
	pod, exp := a.pod("prod/llama-0"), dcgm.dcgm()
	pod.Started, exp.Lag = time.Time{}, 3*time.Second
	r.set("DCGM_FI_DEV_GPU_UTIL", pod, exp)
	r.tick()
	pod.Ready = false
	r.set("DCGM_FI_DEV_GPU_UTIL", pod, exp) // an update makes nobody young again
	r.tick()
	r.expect("DCGM.*", nobody+" 90 stale", given("prod-llama-0")+" 90")
}

func TestAPodReplacedUnderItsNameNeverInheritsAGPU(t *testing.T) {
	r := newRig(t)
	a, dcgm := r.exporter("a"), r.exporter("dcgm")
	dcgm.serve(gpu0)
	exp := dcgm.dcgm()
	exp.Lag = 5 * time.Second
	r.set("DCGM_FI_DEV_GPU_UTIL", a.pod("prod/llama-0", "old"), exp)
	r.tick()
	// The exporter repeats what it collected from the old pod for up to one interval of its own.
	replaced := a.pod("prod/llama-0", "new")
	replaced.Started = r.now()
	r.set("DCGM_FI_DEV_GPU_UTIL", replaced, exp)
	r.expect("DCGM.*", given("old")+" 90 stale") // at once, without a scrape
	r.tick()
	r.tick()
	r.expect("DCGM.*", given("old")+" 90 stale", nobody+" 90 90")
	r.tick()
	r.expect("DCGM.*", given("old")+" 90 stale", nobody+" 90 90 stale", given("new")+" 90")
}

func TestTwoPodsUnderOneNameOwnNothing(t *testing.T) {
	r := newRig(t)
	a, b, c, dcgm := r.exporter("a"), r.exporter("b"), r.exporter("c"), r.exporter("dcgm")
	dcgm.serve(gpu0)
	old, young := a.pod("prod/llama-0", "old"), b.pod("prod/llama-0", "new")
	r.set("DCGM_FI_DEV_GPU_UTIL", old, young, c.pod("prod/llama-0", "new"), dcgm.dcgm())
	r.tick()
	r.expect("DCGM.*", nobody+" 90")
	r.set("DCGM_FI_DEV_GPU_UTIL", young, dcgm.dcgm())
	r.tick()
	r.expect("DCGM.*", nobody+" 90 stale", given("new")+" 90")
}
