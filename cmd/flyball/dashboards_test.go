package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"sigs.k8s.io/yaml"

	"github.com/flyball/flyball/internal/demo"
	"github.com/flyball/flyball/internal/sim"
)

// unanswered are the queries that the demo can't answer, and why.
var unanswered = map[string]string{
	"flyball-pipeline, Leader, A":           "the demo runs without Kubernetes, so there is no Lease",
	"flyball-fleet, GPUs of the cluster, A": "nor are there nodes to list",
	"flyball-fleet, GPUs of the cluster, B": "likewise",
}

// shownQuery is a query of a dashboard, as Grafana would send it.
type shownQuery struct {
	source, base string // who is asked, and where
	where, expr  string
	instant      bool
}

// Every query of every panel, annotation and variable has an answer while the demo runs: no panel is empty, whether Grafana asks flyball
// or a Prometheus that scrapes flyball, vLLM and DCGM.
func TestNoPanelIsEmptyInTheDemo(t *testing.T) {
	t.Parallel()
	base := startDemo(t)
	sources := map[string]string{"flyball": base}
	if program, err := exec.LookPath("prometheus"); err == nil {
		sources["prometheus"] = startScraping(t, program, base)
	} else {
		t.Log("prometheus is not on PATH (make prometheus): only flyball is asked")
	}
	var open []shownQuery
	for name, base := range sources {
		open = append(open, shownQueries(t, name, base)...)
	}
	began := time.Now()
	for len(open) > 0 {
		open = slices.DeleteFunc(open, func(q shownQuery) bool {
			answered := hasAnswer(t, q)
			if unanswered[q.where] != "" {
				require.False(t, answered, "%s has an answer after all", q.where)
				return true
			}
			return answered
		})
		if len(open) > 0 && time.Since(began) > 2*time.Minute {
			for _, q := range open {
				t.Errorf("%s, %s: no value in two minutes: %s", q.source, q.where, q.expr)
			}
			return
		}
		waitASecond(t)
	}
	t.Logf("%d sources answered all after %s", len(sources), time.Since(began).Round(time.Second))
}

// shownQueries are the queries of all dashboards, as that source of data is asked.
func shownQueries(t *testing.T, source, base string) []shownQuery {
	t.Helper()
	files, err := filepath.Glob("../../dashboards/grafana/dashboards/*.json")
	require.NoError(t, err)
	require.Len(t, files, 4)
	var out []shownQuery
	for _, file := range files {
		out = append(out, queriesOf(t, source, base, file)...)
	}
	require.Greater(t, len(out), 100)
	return out
}

// startScraping starts a Prometheus that scrapes the demo and the pages that the demo scrapes now, as one in a cluster would: of pods it
// knows namespace and name, and the exporters of GPUs are pods as well. It gives the base URL.
func startScraping(t *testing.T, program, demo string) string {
	t.Helper()
	var found struct {
		ActiveTargets []struct {
			Labels    map[string]string
			ScrapeURL string `json:"scrapeUrl"`
		}
	}
	getData(t, demo+"/api/v1/targets?state=active", &found)
	static := map[string][]any{}
	for i, target := range found.ActiveTargets {
		page, err := url.Parse(target.ScrapeURL)
		require.NoError(t, err)
		labels := map[string]string{"namespace": target.Labels["namespace"], "pod": target.Labels["pod"]}
		if target.Labels["job"] == "dcgm" {
			labels = map[string]string{"namespace": "gpu-operator", "pod": fmt.Sprintf("nvidia-dcgm-exporter-%d", i)}
		}
		static[target.Labels["job"]] = append(static[target.Labels["job"]], map[string]any{"targets": []string{page.Host}, "labels": labels})
	}
	config, err := yaml.Marshal(map[string]any{
		"global": map[string]any{"scrape_interval": "1s"},
		"scrape_configs": []any{
			map[string]any{"job_name": "flyball", "honor_labels": true, "static_configs": []any{map[string]any{"targets": []string{strings.TrimPrefix(demo, "http://")}}}},
			map[string]any{"job_name": "vllm", "static_configs": static["vllm"]},
			map[string]any{"job_name": "dcgm-exporter", "static_configs": static["dcgm"]},
		},
	})
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "prometheus.yml"), config, 0o600))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	require.NoError(t, l.Close())
	var log bytes.Buffer
	cmd := exec.Command(program, "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"), "--web.listen-address="+l.Addr().String())
	cmd.Stdout, cmd.Stderr = &log, &log
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("prometheus: %s", log.String())
		}
	})
	base := "http://" + l.Addr().String()
	require.Eventually(t, func() bool {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, base+"/-/ready", nil)
		require.NoError(t, err)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	}, 30*time.Second, 50*time.Millisecond)
	awaitPods(t, base)
	return base
}

// awaitPods waits until every fleet is seen: three names of pods, since two fleets call theirs alike.
func awaitPods(t *testing.T, base string) {
	t.Helper()
	require.Eventually(t, func() bool {
		return len(labelValues(t, base, "flyball_autoscaler_wanted_replicas", "name")) == 3 && len(labelValues(t, base, "vllm:num_requests_running", "pod")) >= 3
	}, time.Minute, 200*time.Millisecond)
}

// What the dashboards are made with is no part of what runs.
func TestTheBinaryHasNoGrafanaSDK(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Contains(t, string(out), "flyball/dashboards/grafana\n")
	require.NotContains(t, string(out), "grafana-foundation-sdk")
}

// docs/metrics.md has each of flyball's own metrics and no other; and what the demo can't answer is exported where there is a cluster.
func TestEveryMetricIsDocumented(t *testing.T) {
	page, err := os.ReadFile("../../docs/metrics.md")
	require.NoError(t, err)
	var documented []string
	for _, m := range regexp.MustCompile("(?m)^\\| `(flyball_[a-z_]+)` \\|").FindAllStringSubmatch(string(page), -1) {
		documented = append(documented, m[1])
	}
	s, err := newService(serviceOptions{Dir: t.TempDir(), Listen: "127.0.0.1:0", GRPC: grpcOptions{Listen: "127.0.0.1:0"}, Scrape: demoScrape, Log: zap.NewNop()})
	require.NoError(t, err)
	defer func() { require.NoError(t, s.close()) }()
	cluster := described(&kubeFleet{})
	for _, name := range []string{"flyball_leader", "flyball_gpus_allocatable", "flyball_gpus_requested"} {
		require.Contains(t, cluster, name)
	}
	// The first is counted by the gRPC server, the second stored by the collector for each pod.
	exported := slices.Concat([]string{"flyball_keda_scaledobjects", "flyball_pod_ready"}, described(s.registry), cluster)
	slices.Sort(exported)
	slices.Sort(documented)
	require.Equal(t, exported, documented)
}

// described are the names of flyball's own metrics that the collector describes.
func described(c prometheus.Collector) []string {
	descriptions := make(chan *prometheus.Desc, 4096)
	c.Describe(descriptions)
	close(descriptions)
	var names []string
	for d := range descriptions {
		if m := regexp.MustCompile(`fqName: "(flyball_[a-z_]+)"`).FindStringSubmatch(d.String()); m != nil {
			names = append(names, m[1])
		}
	}
	return names
}

// waitASecond lets the demo go on; what is waited for is asked again after it.
func waitASecond(t *testing.T) {
	t.Helper()
	select {
	case <-time.After(time.Second):
	case <-t.Context().Done():
	}
}

// startDemo runs the demo until the test ends and gives its base URL.
func startDemo(t *testing.T) string {
	t.Helper()
	plant, err := sim.New(sim.Config{Seed: 1, Start: time.Now(), Nodes: demo.Nodes(), Workloads: demo.Workloads(nil)})
	require.NoError(t, err)
	pages := sim.NewServer(plant)
	require.NoError(t, pages.Sync(t.Context()))
	watch := newWatch(io.Discard)
	s, err := newService(serviceOptions{
		Dir: t.TempDir(), Listen: "127.0.0.1:0", GRPC: grpcOptions{Listen: "127.0.0.1:0"}, Scrape: demoScrape, Tick: demoTick, Log: zap.NewNop(), Publish: watch.result,
	})
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- serveDemo(ctx, s, plant, pages, watch) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-done)
		require.NoError(t, s.close())
		pages.Close()
	})
	base := "http://" + s.listener.Addr().String()
	awaitPods(t, base)
	return base
}

// shownDashboard is what is asked of a dashboard's JSON.
type shownDashboard struct {
	UID    string `json:"uid"`
	Panels []struct {
		Title   string `json:"title"`
		Targets []struct {
			RefID   string `json:"refId"`
			Expr    string `json:"expr"`
			Instant bool   `json:"instant"`
		} `json:"targets"`
	} `json:"panels"`
	Templating struct {
		List []struct {
			Name, Type, Query, Regex string
			Multi                    bool
		} `json:"list"`
	} `json:"templating"`
	Annotations struct {
		List []struct{ Name, Expr string } `json:"list"`
	} `json:"annotations"`
}

// queriesOf are a dashboard's queries with its variables put in: of one that takes several values all, else the first that there is.
func queriesOf(t *testing.T, source, base, file string) []shownQuery {
	t.Helper()
	data, err := os.ReadFile(file)
	require.NoError(t, err)
	var d shownDashboard
	require.NoError(t, json.Unmarshal(data, &d))
	pairs := []string{"$__rate_interval", "10s", "$__range", "1h", "$__interval", "2s"}
	for _, v := range d.Templating.List {
		value := ".*"
		switch v.Type {
		case "query":
			metric, label, ok := labelQuery(v.Query)
			require.True(t, ok, v.Query)
			found := labelValues(t, base, strings.NewReplacer(pairs...).Replace(metric), label)
			require.NotEmpty(t, found, "%s: variable %s", d.UID, v.Name)
			if v.Regex != "" {
				found = named(t, v.Regex, found)
				require.Equal(t, []string{"chat", "classify", "summarize"}, found, "the workloads, from the names of their pods")
			}
			if !v.Multi {
				value = found[0]
			}
		case "custom":
			value, _, _ = strings.Cut(v.Query, ",")
		}
		pairs = append(pairs, "${"+v.Name+"}", value, "$"+v.Name, value)
	}
	fill := strings.NewReplacer(pairs...).Replace
	var out []shownQuery
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			out = append(out, shownQuery{source, base, d.UID + ", " + p.Title + ", " + target.RefID, fill(target.Expr), target.Instant})
		}
	}
	for _, a := range d.Annotations.List {
		out = append(out, shownQuery{source, base, d.UID + ", annotation " + a.Name, fill(a.Expr), false})
	}
	return out
}

// labelQuery takes label_values(metric, label) apart.
func labelQuery(query string) (metric, label string, ok bool) {
	inner, ok := strings.CutPrefix(strings.TrimSuffix(query, ")"), "label_values(")
	i := strings.LastIndex(inner, ", ")
	return inner[:max(i, 0)], inner[i+1+len(" "):], ok && i > 0
}

// named does what a variable's regex does: it takes its group of each value, each once.
func named(t *testing.T, regex string, values []string) []string {
	t.Helper()
	re, err := regexp.Compile(strings.Trim(regex, "/"))
	require.NoError(t, err)
	var out []string
	for _, v := range values {
		if m := re.FindStringSubmatch(v); m != nil {
			out = append(out, m[1])
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func labelValues(t *testing.T, base, match, label string) []string {
	t.Helper()
	var values []string
	getData(t, base+"/api/v1/label/"+label+"/values?"+url.Values{"match[]": {match}}.Encode(), &values)
	return values
}

// hasAnswer says whether the query's answer has a number.
func hasAnswer(t *testing.T, q shownQuery) bool {
	t.Helper()
	now := time.Now()
	unix := func(at time.Time) string { return strconv.FormatInt(at.Unix(), 10) }
	address := q.base + "/api/v1/query_range?" + url.Values{"query": {q.expr}, "start": {unix(now.Add(-2 * time.Minute))}, "end": {unix(now)}, "step": {"2"}}.Encode()
	if q.instant {
		address = q.base + "/api/v1/query?" + url.Values{"query": {q.expr}}.Encode()
	}
	var answer struct {
		Result []struct {
			Value  [2]any
			Values [][2]any
		}
	}
	getData(t, address, &answer)
	for _, series := range answer.Result {
		if q.instant {
			series.Values = append(series.Values, series.Value)
		}
		for _, sample := range series.Values {
			if v, err := strconv.ParseFloat(fmt.Sprint(sample[1]), 64); err == nil && !math.IsNaN(v) {
				return true
			}
		}
	}
	return false
}

// getData reads the data of an answer of Prometheus's API.
func getData(t *testing.T, address string, data any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	require.NoError(t, err)
	resp, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, resp.StatusCode, "%s: %s", address, body)
	require.NoError(t, json.Unmarshal(body, &struct{ Data any }{data}))
}
