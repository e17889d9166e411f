package kube_test

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/flyball/flyball/internal/kube"
)

// failing answers in the API server's place while a path is in its list, with that status.
type failing struct {
	http.RoundTripper
	mu    sync.Mutex
	paths map[string]int
	asked map[string]int // answers given
}

func (f *failing) set(path string, status int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.paths[path] = status
}

func (f *failing) times(path string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked[path]
}

func (f *failing) RoundTrip(r *http.Request) (*http.Response, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for path, status := range f.paths {
		if status != 0 && strings.HasSuffix(r.URL.Path, path) {
			f.asked[path]++
			return &http.Response{
				StatusCode: status, Request: r, Header: http.Header{"Content-Type": {"application/json"}},
				Body: io.NopCloser(bytes.NewReader(fmt.Appendf(nil, `{"kind":"Status","apiVersion":"v1","status":"Failure","code":%d,"message":"for a moment","reason":%q}`,
					status, map[int]string{403: "Forbidden", 500: "InternalError"}[status]))),
			}, nil
		}
	}
	return f.RoundTripper.RoundTrip(r)
}

// At the start the API server fails to list HPAs in one namespace, refuses them in the other, and does not say what it serves.
// A refusal is an answer; a failure is waited for, and said. Once all is in, the rival that was there is known at once.
func (w *world) passing(t *testing.T) {
	_, denied := w.follow(t)
	_, namespace := w.follow(t)
	w.deployment(t, namespace, "chat", 1)
	hpa := native(t, "theirs", "apps/v1", "chat")
	hpa.ObjectMeta = metav1.ObjectMeta{Name: "theirs"}
	_, err := w.AutoscalingV2().HorizontalPodAutoscalers(namespace).Create(t.Context(), hpa, metav1.CreateOptions{})
	require.NoError(t, err)

	const openapi = "/openapi/v3"
	here, there := "/namespaces/"+namespace+"/horizontalpodautoscalers", "/namespaces/"+denied+"/horizontalpodautoscalers"
	config := w.Config()
	f := &failing{paths: map[string]int{here: 500, there: 403, openapi: 500}, asked: map[string]int{}}
	config.Wrap(func(rt http.RoundTripper) http.RoundTripper { f.RoundTripper = rt; return f })
	k, err := kube.New(kube.Options{Config: config, Namespaces: []string{denied, namespace}})
	require.NoError(t, err)
	run(t, k)
	waitsFor := func(what, why string) {
		t.Helper()
		eventually(t, func() error {
			if err := k.Unsynced(); err == nil || !strings.Contains(err.Error(), what) || !strings.Contains(err.Error(), why) {
				return fmt.Errorf("waits for %v, not for %s: %s", err, what, why)
			}
			return nil
		})
	}
	eventually(t, func() error {
		if f.times(there) < 4 || f.times(here) < 4 || f.times(openapi) < 3 { // each attempt is a watch and a list
			return fmt.Errorf("asked %d, %d and %d times", f.times(there), f.times(here), f.times(openapi))
		}
		return nil
	})
	waitsFor("list and watch horizontalpodautoscalers", "for a moment (flyball tries again")
	f.set(here, 0)
	waitsFor("discover what the API server serves", "an error on the server")
	f.set(openapi, 0)
	eventually(t, k.Unsynced)
	pa := scaling("chat", "1", 0)
	pa.Namespace = namespace
	require.Equal(t, "HorizontalPodAutoscaler", k.Rivals(pa)[0].Kind, "no decision is made before it is known")
}
