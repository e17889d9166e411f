package collector

import (
	"net/url"
	"strings"
	"time"
)

// Role says what kind of exporter an Endpoint is, and so whose the series on its page are.
type Role string

const (
	// PodExporter serves one pod's own metrics, such as a vLLM engine: every series on the page is that pod's.
	PodExporter Role = "pod"
	// GPUExporter serves the metrics of a node's GPUs: each series is given to the pod that holds the GPU.
	GPUExporter Role = "gpu"
	// SourceEndpoint is an autoscaler's own metric source (external or domain): every series is that source's.
	SourceEndpoint Role = "source"
)

// Identity is whose an endpoint is. UIDs decide; names are for people.
type Identity struct {
	Namespace   string
	Pod         string
	PodUID      string
	Workload    string // name of the workload that owns the pod
	WorkloadUID string
	Node        string
	Job         string

	AutoscalerUID string // SourceEndpoint only
	Source        string // SourceEndpoint only: the source key
}

// Endpoint is something to scrape. Two endpoints are the same one when Key is the same.
type Endpoint struct {
	Identity
	Role     Role
	URL      string        // http://127.1.0.3:8000/metrics
	Interval time.Duration // between scrapes; 0 means the collector's default
	Ready    bool          // the pod is Ready and not being deleted (pods only)
	Started  time.Time     // when the pod started; zero means when the collector first heard of it
	Lag      time.Duration // GPUExporter: the exporter's own collection interval; 0 means its pack's
}

// Key tells endpoints apart: role, URL and every part of the identity. So a new pod on a reused address is a new
// endpoint with its own connection and series, and one whose labels would change is another one too. Interval,
// Ready, Started and Lag are not in it: they change in place.
func (e Endpoint) Key() string {
	return strings.Join([]string{
		string(e.Role), e.URL, e.Namespace, e.Pod, e.PodUID, e.Workload, e.WorkloadUID, e.Node, e.Job, e.AutoscalerUID, e.Source,
	}, "\x00")
}

// Name is port and path of the endpoint's URL, such as "8000/metrics": the value of the label "endpoint". Of a URL
// that is neither http nor https it is host and path. A URL that can't be parsed has no name.
func (e Endpoint) Name() string {
	u, err := url.Parse(e.URL)
	if err != nil {
		return ""
	}
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "https":
		port = "443"
	case u.Scheme != "http":
		port = u.Host
	default:
		port = "80"
	}
	path := u.EscapedPath()
	if path == "" {
		path = "/"
	}
	return port + path
}
