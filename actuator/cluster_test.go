package actuator

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/discovery/cached/memory"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/restmapper"
	"k8s.io/client-go/scale"

	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/internal/controlplane"
)

var (
	workers     = schema.GroupVersionResource{Group: "example.com", Version: "v1", Resource: "workers"}
	deployments = schema.GroupVersionResource{Group: "apps", Version: "v1", Resource: "deployments"}
)

const (
	patience = 30 * time.Second
	glance   = 50 * time.Millisecond // between two looks
)

// TestOnARealAPIServer shares one control plane among the tests that need it.
func TestOnARealAPIServer(t *testing.T) {
	cp := controlplane.ForTest(t, controlplane.Options{CRDs: []string{
		"testdata/workers.yaml", "../deploy/crd/autoscaling.aibrix.ai_podautoscalers.yaml",
	}})
	var slow takenUp
	for _, test := range []struct {
		name string
		run  func(*testing.T, *world)
	}{
		{"a native HPA is left to Kubernetes", slow.begin}, // which looks at it within 15 s
		{"a write is seen by everybody, and as ours", aWriteIsSeen},
		{"a Deployment is scaled while its controller writes its status", aDeploymentIsScaled},
		{"what does not change the spec does not stop a write", harmlessChanges},
		{"what somebody else wrote is not undone", foreignWrites},
		{"a re-created target is never written to", recreated},
		{"who is not the leader sends nothing", notLeader},
		{"a target that others write to all the time is given up", contended},
		{"of two that write at once one wins", twoWriters},
		{"the API server says no", refusals},
		{"an answer that is lost leaves the write unknown, and done once", lostAnswer},
		{"each rescale is an event of its own, a repeated failure is not", eventsAreNews},
		{"a status is written, and nothing else", statusIsWritten},
		{"a status makes room for an edit of the spec", statusYields},
		{"a status is not written to a namesake", statusOfANamesake},
		{"a native HPA is written once, and again when it is not as wanted", nativeAtRest},
		{"a native HPA of AIBrix's goes on, a stranger's is left alone", nativeTakesOver},
		{"a native HPA goes when it is not wanted any more", nativeGoes},
		{"a native HPA goes with its autoscaler, or stays, as Kubernetes says", nativeIsCollected},
		{"two contend for a Lease", contenders},
		{"a Lease that was taken away", stolenLease},
		{"a leader stops before another begins", leaderNoMore},
		{"a native HPA scales, and its conditions are ours", slow.end},
		{"the API server goes away and comes back", outage}, // last: it disturbs the others' connections
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, newWorld(t, cp)) })
	}
}

// world is one test's view of the cluster: a namespace of its own, and clients that it can listen in on.
type world struct {
	cp        *controlplane.ControlPlane
	namespace string
	dynamic   dynamic.Interface // somebody else's
	typed     kubernetes.Interface
	ours      *wire
	config    *rest.Config // through the wire
}

func newWorld(t *testing.T, cp *controlplane.ControlPlane) *world {
	t.Helper()
	w := &world{cp: cp, ours: &wire{}}
	var err error
	w.dynamic, err = dynamic.NewForConfig(cp.Config())
	require.NoError(t, err)
	w.typed, err = kubernetes.NewForConfig(cp.Config())
	require.NoError(t, err)
	w.config = cp.Config()
	w.config.Wrap(w.ours.wrap)
	ns, err := w.typed.CoreV1().Namespaces().Create(t.Context(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "llm-"}}, metav1.CreateOptions{})
	require.NoError(t, err)
	w.namespace = ns.Name
	return w
}

// wire is what our clients send, with hooks before a request and after its answer.
type wire struct {
	mu     sync.Mutex
	sent   []string                               // "PUT /apis/…"
	before func(*http.Request)                    // nil: nothing
	after  func(*http.Request) (lostAnswer error) // nil: nothing
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func (w *wire) wrap(next http.RoundTripper) http.RoundTripper {
	return roundTripper(func(r *http.Request) (*http.Response, error) {
		w.mu.Lock()
		w.sent = append(w.sent, r.Method+" "+r.URL.Path)
		before, after := w.before, w.after
		w.mu.Unlock()
		if before != nil {
			before(r)
		}
		answer, err := next.RoundTrip(r)
		if err == nil && after != nil {
			if lost := after(r); lost != nil {
				answer.Body.Close()
				return nil, lost
			}
		}
		return answer, err
	})
}

// count is how many of the requests contain the text; forget begins anew.
func (w *wire) count(text string) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	n := 0
	for _, s := range w.sent {
		if strings.Contains(s, text) {
			n++
		}
	}
	return n
}

func (w *wire) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.sent = nil
}

func (w *wire) hook(before func(*http.Request), after func(*http.Request) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.before, w.after = before, after
}

// actuator is ours, over the wire, as a leader; o overrides.
func (w *world) actuator(t *testing.T, o Options) *Actuator { return actuatorFor(t, w.config, o) }

func actuatorFor(t *testing.T, config *rest.Config, o Options) *Actuator {
	t.Helper()
	typed, err := kubernetes.NewForConfig(config)
	require.NoError(t, err)
	mapper := restmapper.NewDeferredDiscoveryRESTMapper(memory.NewMemCacheClient(typed.Discovery()))
	for _, r := range []schema.GroupVersionResource{workers, deployments} {
		_, err := mapper.ResourceFor(r) // discovery is over before a test counts requests
		require.NoError(t, err)
	}
	kinds := scale.NewDiscoveryScaleKindResolver(typed.Discovery())
	for _, r := range []schema.GroupVersionResource{workers, deployments} {
		_, err := kinds.ScaleForResource(r)
		require.NoError(t, err)
	}
	o.Scales, err = scale.NewForConfig(rest.CopyConfig(config), mapper, dynamic.LegacyAPIPathResolverFunc, kinds)
	require.NoError(t, err)
	o.Metadata, err = metadata.NewForConfig(config)
	require.NoError(t, err)
	if o.Leader == nil {
		o.Leader = func() bool { return true }
	}
	return New(o)
}

// worker makes a Worker with that many replicas.
func (w *world) worker(t *testing.T, name string, replicas int64) {
	t.Helper()
	_, err := w.dynamic.Resource(workers).Namespace(w.namespace).Create(t.Context(), &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "example.com/v1", "kind": "Worker", "metadata": map[string]any{"name": name},
		"spec": map[string]any{"replicas": replicas, "image": "v1"},
	}}, metav1.CreateOptions{})
	require.NoError(t, err)
}

// target is how the workload stands now.
func (w *world) target(t *testing.T, r schema.GroupVersionResource, name string) Target {
	t.Helper()
	o := w.get(t, r, name)
	replicas, _, err := unstructured.NestedInt64(o.Object, "spec", "replicas")
	require.NoError(t, err)
	return Target{
		Resource: r, Kind: o.GetKind(), Namespace: o.GetNamespace(), Name: name, UID: o.GetUID(),
		Generation: o.GetGeneration(), Replicas: int32(replicas), ResourceVersion: o.GetResourceVersion(),
	}
}

func (w *world) get(t *testing.T, r schema.GroupVersionResource, name string) *unstructured.Unstructured {
	t.Helper()
	o, err := w.dynamic.Resource(r).Namespace(w.namespace).Get(t.Context(), name, metav1.GetOptions{})
	require.NoError(t, err)
	return o
}

// patch is somebody else's write to a Worker.
func (w *world) patch(ctx context.Context, t *testing.T, name, patch string, subresources ...string) {
	t.Helper()
	_, err := w.dynamic.Resource(workers).Namespace(w.namespace).
		Patch(ctx, name, types.MergePatchType, []byte(patch), metav1.PatchOptions{FieldManager: "somebody"}, subresources...)
	require.NoError(t, err)
}

// decide is the decision to go from the target's count to that one.
func decide(from Target, to int32) decider.Decision {
	in := load(from.Replicas, float64(to)*10)
	in.At = time.Now()
	p := waiting()
	p.MaxScaleDownRate = 1000
	d := decider.Decide(p, in)
	d.Entry.Outcome = decider.Outcome{Was: d.From, Now: d.From}
	return d
}
