package collector

import (
	"testing"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
)

func TestEverySeriesCarriesItsPodsIdentity(t *testing.T) {
	r := newRig(t)
	x := r.exporter("a")
	x.serve("# TYPE vllm:num_requests_waiting gauge\n" +
		`vllm:num_requests_waiting{engine="0",model_name="m"} 72.0` + "\n" +
		"vllm:num_requests_running 3 1700000000000\n" + // a time on the page is ignored
		"python_info 1\n") // not kept
	r.set("vllm:num_requests_waiting vllm:num_requests_running", x.pod("prod/llama-0"))
	r.tick()
	const id = `endpoint="a/metrics", job="vllm", namespace="prod", node="n1", pod="llama-0", pod_uid="prod-llama-0", workload="llama", workload_uid="w1"`
	r.expect("vllm.* python_info",
		`{__name__="vllm:num_requests_running", `+id+`} 3`,
		`{__name__="vllm:num_requests_waiting", endpoint="a/metrics", engine="0", job="vllm", model_name="m", namespace="prod", `+
			`node="n1", pod="llama-0", pod_uid="prod-llama-0", workload="llama", workload_uid="w1"} 72`)
	r.expect("up", `{__name__="up", `+id+`} 1`)
	r.expect("flyball_pod_ready",
		`{__name__="flyball_pod_ready", namespace="prod", node="n1", pod="llama-0", pod_uid="prod-llama-0", workload="llama", workload_uid="w1"} 1`)
}

func TestOnePodNameInTwoNamespacesIsTwoPods(t *testing.T) {
	r := newRig(t)
	a, b := r.exporter("a"), r.exporter("b")
	a.serve("m 1\n")
	b.serve("m 2\n")
	r.set("m", a.pod("blue/llama-0"), b.pod("green/llama-0"))
	r.tick()
	r.expect("m",
		`{__name__="m", endpoint="a/metrics", job="vllm", namespace="blue", node="n1", pod="llama-0", pod_uid="blue-llama-0", workload="llama", workload_uid="w1"} 1`,
		`{__name__="m", endpoint="b/metrics", job="vllm", namespace="green", node="n1", pod="llama-0", pod_uid="green-llama-0", workload="llama", workload_uid="w1"} 2`)
}

func TestASourceEndpointIsItsAutoscalers(t *testing.T) {
	r := newRig(t)
	x := r.exporter("gateway")
	x.serve(`queue{pod="router-1",workload_uid="stolen",namespace="other"} 5` + "\n")
	e := Endpoint{
		Role: SourceEndpoint, URL: x.Server.URL + "/queue",
		Identity: Identity{Namespace: "prod", AutoscalerUID: "pa-1", Source: "s1", Job: "gateway"},
	}
	r.set("queue", e)
	r.tick()
	// A name is for people and stays; UIDs are what autoscalers select by, so no page may bring its own.
	r.expect("queue", `{__name__="queue", autoscaler_uid="pa-1", endpoint="gateway/queue", exported_namespace="other", `+
		`exported_workload_uid="stolen", job="gateway", namespace="prod", pod="router-1", source="s1"} 5`)
	r.expect("flyball_pod_ready")
}

func TestWhatAPageSaysOfIdentityMovesAside(t *testing.T) {
	own := identityLabels(Endpoint{
		Role: PodExporter, URL: "http://10.0.0.1:8000/metrics", Identity: Identity{Namespace: "prod", Pod: "p", PodUID: "u"},
	})
	f := func(page, want string) {
		t.Helper()
		lset, err := parseLabels(page)
		require.NoError(t, err)
		require.Equal(t, want, withIdentity(labels.NewBuilder(labels.EmptyLabels()), lset, own).String())
	}
	f(`m`, `{__name__="m", endpoint="8000/metrics", namespace="prod", pod="p", pod_uid="u"}`)
	f(`m{pod="x"}`, `{__name__="m", endpoint="8000/metrics", exported_pod="x", namespace="prod", pod="p", pod_uid="u"}`)
	f(`m{pod="x",exported_pod="y"}`,
		`{__name__="m", endpoint="8000/metrics", exported_exported_pod="x", exported_pod="y", namespace="prod", pod="p", pod_uid="u"}`)
	f(`m{pod="x",exported_pod="y",exported_exported_pod="z"}`,
		`{__name__="m", endpoint="8000/metrics", exported_exported_exported_pod="x", exported_exported_pod="z", exported_pod="y", namespace="prod", pod="p", pod_uid="u"}`)
	// The workload is not known, and the page can't make one up.
	f(`m{workload="w",workload_uid="wu",autoscaler_uid="a"}`,
		`{__name__="m", endpoint="8000/metrics", exported_autoscaler_uid="a", exported_workload="w", exported_workload_uid="wu", namespace="prod", pod="p", pod_uid="u"}`)
	f(`m{pod=""}`, `{__name__="m", endpoint="8000/metrics", namespace="prod", pod="p", pod_uid="u"}`)
}

func TestEndpointNames(t *testing.T) {
	f := func(url, want string) {
		t.Helper()
		require.Equal(t, want, Endpoint{URL: url}.Name())
	}
	f("http://10.0.0.1:8000/metrics", "8000/metrics")
	f("http://host/metrics?name[]=up", "80/metrics")
	f("https://host/a%20b", "443/a%20b")
	f("http://[::1]:9400", "9400/")
	f("http://bad host/", "")
}
