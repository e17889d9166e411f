package collector

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"sigs.k8s.io/yaml"
)

// targetGroup is one group of a target file, as Prometheus's file_sd has them.
type targetGroup struct {
	Targets []string          `json:"targets"`
	Labels  map[string]string `json:"labels,omitempty"`
}

// groupLabels are the labels that a group may have.
var groupLabels = []string{
	"__metrics_path__", "__scheme__", "__scrape_interval__",
	"namespace", "pod", "pod_uid", "workload", "workload_uid", "node", "job", "role", "ready",
}

// furtherDocument is a YAML document after another, which the YAML reader would overlook: a line with content, and
// somewhere after it a line of dashes.
var furtherDocument = regexp.MustCompile(`(?m)^(?:-[^-]|[^-#%\s])(?s:.*)^---`)

// maxTargetFile keeps a wrong path, such as a device or a log, from being read whole. 10,000 targets take 1 MB.
const maxTargetFile = 16 << 20

// NameUID is the UID of what has only a name: the UUIDv5 of "namespace/name" in the URL namespace. The same name has
// the same UID everywhere and after every restart.
func NameUID(namespace, name string) string {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte(namespace+"/"+name)).String()
}

// ReadTargets reads one target file: Prometheus's file_sd groups ({targets, labels}) in JSON or YAML. The labels
// understood are __metrics_path__ (default /metrics), __scheme__ (http or https), __scrape_interval__, role (pod,
// the default, or gpu), namespace (default "default"), pod (default: the target's host:port), pod_uid, workload,
// workload_uid, node, job and ready (default true). A pod needs a workload, a GPU exporter a node. An error names
// file, group and label, and what to write instead; it is never half a list.
func ReadTargets(path string) ([]Endpoint, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("read targets: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxTargetFile {
		return nil, fmt.Errorf("read targets %s: not a regular file of at most %d MiB", path, maxTargetFile>>20)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read targets: %w", err)
	}
	if filepath.Ext(path) == ".json" {
		// JSON is YAML, but YAML overlooks what follows the first document, so that a half-written file could pass.
		if err := json.Unmarshal(b, new(any)); err != nil {
			return nil, fmt.Errorf("read targets %s: not JSON: %w", path, err)
		}
	}
	endpoints, err := parseTargets(b)
	if err != nil {
		return nil, fmt.Errorf("read targets %s: %w", path, err)
	}
	return endpoints, nil
}

func parseTargets(b []byte) ([]Endpoint, error) {
	if furtherDocument.Match(b) {
		return nil, errors.New("more than one YAML document: put all groups into one list")
	}
	var groups []targetGroup
	if err := yaml.UnmarshalStrict(b, &groups); err != nil {
		return nil, fmt.Errorf("not a list of {targets, labels}: %w", err)
	}
	var endpoints []Endpoint
	for i, g := range groups {
		es, err := g.endpoints()
		if err != nil {
			return nil, fmt.Errorf("group %d: %w", i+1, err)
		}
		endpoints = append(endpoints, es...)
	}
	if err := checkDistinct(endpoints); err != nil {
		return nil, err
	}
	return endpoints, nil
}

// checkDistinct refuses what would count twice: one URL under two names, or two URLs under one.
func checkDistinct(endpoints []Endpoint) error {
	urls, series := map[string]bool{}, map[string]string{}
	for _, e := range endpoints {
		if urls[e.URL] {
			return fmt.Errorf("target %s is listed twice: take one out", e.URL)
		}
		urls[e.URL] = true
		named := e
		named.URL = e.Name()
		if other, taken := series[named.Key()]; taken {
			return fmt.Errorf("targets %s and %s have the same identity, so their series would mix: give them different pod labels", other, e.URL)
		}
		series[named.Key()] = e.URL
	}
	return nil
}

func (g targetGroup) endpoints() ([]Endpoint, error) {
	if len(g.Targets) == 0 {
		return nil, errors.New(`no targets: add "targets": ["host:port"]`)
	}
	e, err := g.common()
	if err != nil {
		return nil, err
	}
	endpoints := make([]Endpoint, 0, len(g.Targets))
	for _, target := range g.Targets {
		if err := checkTarget(target); err != nil {
			return nil, err
		}
		one := e
		one.URL = g.url(target)
		if _, err := newRequest(one.URL, nil); err != nil {
			return nil, fmt.Errorf("target %q: %w", target, err)
		}
		if one.Role == PodExporter {
			one.identify(target)
		}
		endpoints = append(endpoints, one)
	}
	return endpoints, nil
}

// common is what a group's endpoints have in common.
func (g targetGroup) common() (Endpoint, error) {
	for name := range g.Labels {
		if !slices.Contains(groupLabels, name) {
			return Endpoint{}, fmt.Errorf("label %q is not known: take it out, or use one of %s", name, strings.Join(groupLabels, ", "))
		}
	}
	e := Endpoint{
		Identity: Identity{
			Namespace: g.Labels["namespace"], Pod: g.Labels["pod"], PodUID: g.Labels["pod_uid"],
			Workload: g.Labels["workload"], WorkloadUID: g.Labels["workload_uid"],
			Node: g.Labels["node"], Job: g.Labels["job"],
		},
		Role: PodExporter,
	}
	if role := g.Labels["role"]; role != "" {
		e.Role = Role(role)
	}
	switch {
	case e.Role != PodExporter && e.Role != GPUExporter:
		return e, fmt.Errorf(`label "role" is %q: write "pod" or "gpu"`, e.Role)
	case e.Role == PodExporter && e.Workload == "":
		return e, errors.New(`label "workload" is missing: give the name of the workload that the autoscaler targets`)
	case e.Role == GPUExporter && e.Node == "":
		return e, errors.New(`label "node" is missing: a GPU exporter's series go to the pods on its node`)
	}
	err := g.readScraping(&e)
	return e, err
}

func (g targetGroup) readScraping(e *Endpoint) error {
	switch scheme := g.Labels["__scheme__"]; scheme {
	case "", "http", "https":
	default:
		return fmt.Errorf(`label "__scheme__" is %q: write "http" or "https"`, scheme)
	}
	if path := g.Labels["__metrics_path__"]; path != "" && !strings.HasPrefix(path, "/") {
		return fmt.Errorf(`label "__metrics_path__" is %q: write a path from the root, such as "/metrics"`, path)
	}
	switch ready := g.Labels["ready"]; {
	case ready == "" || ready == "true":
		e.Ready = e.Role == PodExporter
	case ready != "false":
		return fmt.Errorf(`label "ready" is %q: write "true" or "false"`, ready)
	}
	if interval := g.Labels["__scrape_interval__"]; interval != "" {
		d, err := time.ParseDuration(interval)
		if err != nil || d < minInterval {
			return fmt.Errorf(`label "__scrape_interval__" is %q: write a duration of at least %s, such as "2s"`, interval, minInterval)
		}
		e.Interval = d
	}
	return nil
}

// identify fills in what a pod's target does not say.
func (e *Endpoint) identify(target string) {
	if e.Namespace == "" {
		e.Namespace = "default"
	}
	if e.Pod == "" {
		e.Pod = target
	}
	if e.PodUID == "" {
		e.PodUID = NameUID(e.Namespace, e.Pod)
	}
	if e.WorkloadUID == "" {
		e.WorkloadUID = NameUID(e.Namespace, e.Workload)
	}
}

func checkTarget(target string) error {
	host, port, err := net.SplitHostPort(target)
	if err != nil || host == "" || port == "" || strings.ContainsAny(target, "/?#@ \t\n") {
		return fmt.Errorf(`target %q is not host:port: write "10.0.0.7:8000", the path goes into the label "__metrics_path__"`, target)
	}
	return nil
}

func (g targetGroup) url(target string) string {
	scheme, path := g.Labels["__scheme__"], g.Labels["__metrics_path__"]
	if scheme == "" {
		scheme = "http"
	}
	if path == "" {
		path = "/metrics"
	}
	path, query, _ := strings.Cut(path, "?")
	return (&url.URL{Scheme: scheme, Host: target, Path: path, RawQuery: query}).String()
}
