package collector

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func write(t *testing.T, path, content string) string {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func TestTargetFilesInJSONAndYAML(t *testing.T) {
	want := []Endpoint{
		{
			Identity: Identity{
				Namespace: "prod", Pod: "llama-0", PodUID: "u-0", Workload: "llama", WorkloadUID: NameUID("prod", "llama"), Node: "n1", Job: "vllm",
			},
			Role: PodExporter, URL: "https://127.0.0.1:8000/m?name[]=up", Interval: 5 * time.Second,
		},
		{
			Identity: Identity{
				Namespace: "default", Pod: "127.0.0.1:8001", PodUID: NameUID("default", "127.0.0.1:8001"), Workload: "qwen", WorkloadUID: NameUID("default", "qwen"),
			},
			Role: PodExporter, URL: "http://127.0.0.1:8001/metrics", Ready: true,
		},
		{
			Identity: Identity{
				Namespace: "default", Pod: "[::1]:8002", PodUID: NameUID("default", "[::1]:8002"), Workload: "qwen", WorkloadUID: NameUID("default", "qwen"),
			},
			Role: PodExporter, URL: "http://[::1]:8002/metrics", Ready: true,
		},
		{Identity: Identity{Node: "n1"}, Role: GPUExporter, URL: "http://127.0.0.1:9400/metrics"},
	}
	f := func(name, content string) {
		t.Helper()
		got, err := ReadTargets(write(t, filepath.Join(t.TempDir(), name), content))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	f("t.json", `[
	  {"targets": ["127.0.0.1:8000"], "labels": {"namespace": "prod", "pod": "llama-0", "pod_uid": "u-0", "workload": "llama", "node": "n1",
	   "job": "vllm", "ready": "false", "__scheme__": "https", "__metrics_path__": "/m?name[]=up", "__scrape_interval__": "5s"}},
	  {"targets": ["127.0.0.1:8001", "[::1]:8002"], "labels": {"workload": "qwen"}},
	  {"targets": ["127.0.0.1:9400"], "labels": {"role": "gpu", "node": "n1"}}]`)
	f("t.yaml", `# all of them
---
- targets: [127.0.0.1:8000]
  labels: {namespace: prod, pod: llama-0, pod_uid: u-0, workload: llama, node: n1, job: vllm, ready: false,
    __scheme__: https, __metrics_path__: "/m?name[]=up", __scrape_interval__: 5s}
- targets: ["127.0.0.1:8001", "[::1]:8002"]
  labels: {workload: qwen}
- targets: ["127.0.0.1:9400"]
  labels: {role: gpu, node: n1}
`)
	require.Equal(t, NameUID("prod", "llama"), NameUID("prod", "llama"))
	require.NotEqual(t, NameUID("prod", "llama"), NameUID("test", "llama"))
	require.Equal(t, "Version 5", func() string { return "Version " + NameUID("a", "b")[14:15] }())
}

func TestAWrongTargetFileSaysWhereAndWhatToDo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "targets.yaml")
	f := func(content, want string) {
		t.Helper()
		es, err := ReadTargets(write(t, path, content))
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, path)
		require.Nil(t, es)
	}
	group := func(labels string) string {
		return "- {targets: ['a:1'], labels: {workload: w}}\n- {targets: ['b:1'], labels: {workload: w, " + labels + "}}\n"
	}
	f(group("worklaod: x"), `group 2: label "worklaod" is not known: take it out, or use one of __metrics_path__`)
	f(group("ready: maybe"), `group 2: label "ready" is "maybe": write "true" or "false"`)
	f(group("role: node"), `label "role" is "node": write "pod" or "gpu"`)
	f(group("role: gpu"), `label "node" is missing`)
	f(group("__scheme__: ftp"), `label "__scheme__" is "ftp"`)
	f(group("__metrics_path__: metrics"), `write a path from the root`)
	f(group("__scrape_interval__: 1"), `label "__scrape_interval__" is "1": write a duration of at least 100ms, such as "2s"`)
	f(group("__scrape_interval__: 1ms"), "at least 100ms")
	f("- {targets: ['a:1']}", `label "workload" is missing: give the name of the workload`)
	f("- {labels: {workload: w}}", `no targets: add "targets": ["host:port"]`)
	f("- {targets: [a], labels: {workload: w}}", `target "a" is not host:port`)
	f("- {targets: ['a:1/metrics'], labels: {workload: w}}", `the path goes into the label "__metrics_path__"`)
	f("- {targets: ['user@a:1'], labels: {workload: w}}", "is not host:port")
	f("- {targets: ['a:1'], labels: {workload: w}, source: x}", `unknown field "source"`)
	f("- {targets: ['a:1', 'a:1'], labels: {workload: w}}", "target http://a:1/metrics is listed twice: take one out")
	f("- {targets: ['a:1', 'b:1'], labels: {workload: w, pod: p}}", "targets http://a:1/metrics and http://b:1/metrics have the same identity")
	f("targets: ['a:1']", "not a list of {targets, labels}")
	f("{[", "not a list")
	f("---\n- {targets: ['a:1'], labels: {workload: w}}\n---\n[]\n", "more than one YAML document")
	_, err := ReadTargets(filepath.Join(t.TempDir(), "absent.json"))
	require.ErrorContains(t, err, "absent.json")
	_, err = ReadTargets(t.TempDir())
	require.ErrorContains(t, err, "not a regular file")
}

// watch is a running FileSD with a hand-driven ticker.
type watch struct {
	t    *testing.T
	sd   *FileSD
	tick chan time.Time
	got  chan []Endpoint
	ms   int64
}

func watching(t *testing.T, sd *FileSD) *watch {
	w := &watch{t: t, sd: sd, tick: make(chan time.Time), got: make(chan []Endpoint, 1)}
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- sd.Run(ctx, w.tick, func(es []Endpoint) { w.got <- es }) }()
	t.Cleanup(func() {
		stop()
		require.NoError(t, <-done)
	})
	return w
}

func (w *watch) write(path, content string) {
	w.t.Helper()
	write(w.t, path, content)
	w.ms++ // file systems may keep times coarsely: make every version a second older than the next
	at := epoch.Add(time.Duration(w.ms) * time.Second)
	require.NoError(w.t, os.Chtimes(path, at, at))
}

// poll lets the files be looked at once.
func (w *watch) poll() {
	w.tick <- time.Time{}
	synctest.Wait()
}

func (w *watch) expect(urls ...string) {
	w.t.Helper()
	select {
	case es := <-w.got:
		got := []string{}
		for _, e := range es {
			got = append(got, e.URL)
		}
		require.Equal(w.t, urls, got)
	default:
		require.FailNow(w.t, "nothing was applied")
	}
}

func (w *watch) expectNothing() {
	w.t.Helper()
	select {
	case es := <-w.got:
		require.FailNow(w.t, "applied", "%v", es)
	default:
	}
}

func one(target string) string {
	return fmt.Sprintf(`[{"targets": [%q], "labels": {"workload": "w"}}]`, target)
}

func TestTargetFilesAreFollowed(t *testing.T) { synctest.Test(t, followTargetFiles) }

func followTargetFiles(t *testing.T) {
	dir := t.TempDir()
	fixed, a, b := filepath.Join(dir, "fixed.json"), filepath.Join(dir, "sd-a.json"), filepath.Join(dir, "sd-b.yaml")
	core, logs := observer.New(zap.InfoLevel)
	w := &watch{t: t}
	w.write(fixed, one("f:1"))
	w.write(a, one("a:1"))
	ms := w.ms
	w = watching(t, &FileSD{Paths: []string{fixed, filepath.Join(dir, "sd-*")}, Logger: zap.New(core)})
	w.ms = ms
	synctest.Wait()
	w.expect("http://f:1/metrics", "http://a:1/metrics")
	w.poll()
	w.expectNothing()

	w.write(b, one("b:1")) // a new file under the pattern
	w.poll()
	w.expect("http://f:1/metrics", "http://a:1/metrics", "http://b:1/metrics")

	w.write(a, one("a:2")+"}") // broken: the last good version holds
	w.poll()
	w.expectNothing()
	require.ErrorContains(t, w.sd.Err(), a)
	w.write(b, one("b:2")) // and stands in no other file's way
	w.poll()
	w.expect("http://f:1/metrics", "http://a:1/metrics", "http://b:2/metrics")
	w.write(a, one("a:3"))
	w.poll()
	w.expect("http://f:1/metrics", "http://a:3/metrics", "http://b:2/metrics")
	require.NoError(t, w.sd.Err())

	w.write(b, one("a:3")) // two files contradict each other
	w.poll()
	w.expectNothing()
	require.ErrorContains(t, w.sd.Err(), "http://a:3/metrics is listed twice")
	require.NoError(t, os.Remove(b)) // gone from the pattern: gone
	w.poll()
	w.expect("http://f:1/metrics", "http://a:3/metrics")

	require.NoError(t, os.Remove(fixed)) // named outright: an editor may be replacing it
	w.poll()
	w.expectNothing()
	require.ErrorContains(t, w.sd.Err(), "fixed.json")
	w.write(fixed, one("f:2"))
	w.poll()
	w.expect("http://f:2/metrics", "http://a:3/metrics")
	require.Equal(t, []string{
		"target files are wrong, their last good content holds", "target files are right again",
		"target files are wrong, their last good content holds", "target files are right again",
		"target files are wrong, their last good content holds", "target files are right again",
	}, messages(logs))
}

func TestReadOnceSaysEverythingThatIsWrong(t *testing.T) {
	dir := t.TempDir()
	good := write(t, filepath.Join(dir, "good.json"), one("a:1"))
	bad := write(t, filepath.Join(dir, "bad.json"), "{")
	sd := &FileSD{Paths: []string{good, bad, filepath.Join(dir, "absent.json"), "[", filepath.Join(dir, "none-*")}}
	es, err := sd.Read()
	require.Len(t, es, 1)
	for _, want := range []string{bad, "absent.json", `target files "["`} {
		require.ErrorContains(t, err, want)
	}
}
