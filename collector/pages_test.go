package collector

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
)

// pageFunc answers for a scheme of its own.
type pageFunc func(*http.Request) (*http.Response, error)

func (f pageFunc) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// What another API says becomes a page like any other: with up, readiness, identity and staleness.
func TestPagesOfAnotherScheme(t *testing.T) {
	var away atomic.Bool
	r := newRig(t)
	r.c.pages = map[string]http.RoundTripper{"kube": pageFunc(func(req *http.Request) (*http.Response, error) {
		if away.Load() {
			return nil, errors.New("the API is away")
		}
		return &http.Response{
			StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/plain; version=0.0.4"}}, ContentLength: -1,
			Body: io.NopCloser(strings.NewReader("cpu " + req.URL.Query().Get("v") + "\n")), Request: req,
		}, nil
	})}
	r.set("cpu", Endpoint{
		Role: PodExporter, URL: "kube://metrics.k8s.io/key?v=7", Ready: true,
		Identity: Identity{Namespace: "a", Pod: "p", PodUID: "u", Workload: "w", WorkloadUID: "wu"},
	})
	r.tick()
	away.Store(true)
	r.tick()
	r.tick()
	const identity = `endpoint="metrics.k8s.io/key", namespace="a", pod="p", pod_uid="u", workload="w", workload_uid="wu"}`
	r.expect("cpu", `{__name__="cpu", `+identity+` 7 stale`)
	r.expect("up", `{__name__="up", `+identity+` 1 0 0`)
	require.ErrorContains(t, r.c.Health()[0].Err, "the API is away")
}
