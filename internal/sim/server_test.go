package sim

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// get fetches a page from a loopback address.
func get(t *testing.T, ctx context.Context, url string) (int, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	must(t, err)
	tr := &http.Transport{}
	defer tr.CloseIdleConnections()
	resp, err := (&http.Client{Transport: tr}).Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(t, err)
	return resp.StatusCode, string(b), nil
}

func served(t *testing.T, p *Plant) *Server {
	t.Helper()
	s := NewServer(p)
	t.Cleanup(s.Close)
	must(t, s.Sync(t.Context()))
	return s
}

func TestEveryPodNodeAndGatewayIsServedOnItsOwnAddress(t *testing.T) {
	c := fleet(2, Constant{4})
	c.Workloads[0].ColdStart = 10 * time.Second
	p := newPlant(t, c)
	s := served(t, p)
	snap := p.Snapshot()
	metrics := func(address, path string) (int, string) {
		t.Helper()
		if host, _, err := net.SplitHostPort(address); err != nil || !net.ParseIP(host).IsLoopback() {
			t.Fatalf("address %s is not a loopback address", address)
		}
		code, body, err := get(t, t.Context(), "http://"+address+path)
		must(t, err)
		return code, body
	}
	if code, _ := metrics(snap.Pods[0].Address, "/metrics"); code != http.StatusServiceUnavailable {
		t.Errorf("a starting pod answers %d, want 503", code)
	}
	after(p, time.Minute)
	for _, d := range snap.Pods {
		want, err := p.podPage(d.UID)
		must(t, err)
		if code, body := metrics(d.Address, "/metrics"); code != http.StatusOK || body != string(want) {
			t.Errorf("pod %s answers %d with %d bytes", d.Name, code, len(body))
		}
	}
	for _, n := range snap.Nodes {
		if code, body := metrics(n.Address, "/metrics"); code != http.StatusOK || !strings.Contains(body, `hostname="`+n.Name+`"`) {
			t.Errorf("node %s answers %d", n.Name, code)
		}
	}
	if code, body := metrics(snap.Gateway, "/chat/llama/metrics"); code != http.StatusOK || !strings.Contains(body, "gateway_requests_total") {
		t.Errorf("the gateway answers %d %s", code, body)
	}
	if code, _ := metrics(snap.Gateway, "/chat/nobody/metrics"); code != http.StatusNotFound {
		t.Errorf("the gateway answers %d for an unknown workload", code)
	}
	must(t, p.KillPod(snap.Pods[1].UID))
	must(t, s.Sync(t.Context()))
	// Nobody answers there now, unless another process took the address; ours would say 404.
	if code, _, err := get(t, t.Context(), "http://"+snap.Pods[1].Address+"/metrics"); err == nil && code == http.StatusNotFound {
		t.Error("the killed pod's address still answers")
	}
	if code, _ := metrics(p.Snapshot().Pods[1].Address, "/metrics"); code != http.StatusServiceUnavailable {
		t.Errorf("its replacement answers %d, want 503 while it starts", code)
	}
}

func TestASilencedPodHangsUntilTheCallerGivesUp(t *testing.T) {
	p := newPlant(t, fleet(1, Constant{1}))
	s := served(t, p)
	d := p.Snapshot().Pods[0]
	must(t, p.Silence(d.UID, true))
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, _, err := get(t, ctx, "http://"+d.Address+"/metrics"); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v, want a timeout", err)
	}
	must(t, p.Silence(d.UID, false))
	if code, _, err := get(t, t.Context(), "http://"+d.Address+"/metrics"); err != nil || code != http.StatusOK {
		t.Errorf("when it is let speak again: %d, %v", code, err)
	}
	must(t, p.Silence(d.UID, true))
	failed := make(chan error)
	go func() {
		_, _, err := get(t, context.WithoutCancel(t.Context()), "http://"+d.Address+"/metrics")
		failed <- err
	}()
	for inFlight := false; !inFlight; { // until the request hangs in its handler
		s.mu.Lock()
		inFlight = s.hanging > 0
		s.mu.Unlock()
		runtime.Gosched()
	}
	s.Close()
	if s.hanging != 0 {
		t.Error("Close returned while a request was in its handler")
	}
	if <-failed == nil {
		t.Error("a hanging request got an answer from a server that was closed")
	}
}

func TestATakenAddressIsReplacedByAnother(t *testing.T) {
	c := fleet(1, Constant{1})
	first, second := newPlant(t, c), newPlant(t, c)
	served(t, first)
	served(t, second)
	a, b := first.Snapshot(), second.Snapshot()
	if a.Pods[0].Address == b.Pods[0].Address || a.Nodes[0].Address == b.Nodes[0].Address || a.Gateway == b.Gateway {
		t.Fatalf("two plants have the same addresses: %v and %v", a, b)
	}
	for _, s := range []Snapshot{a, b} {
		if code, _, err := get(t, t.Context(), "http://"+s.Pods[0].Address+"/metrics"); err != nil || code != http.StatusOK {
			t.Errorf("pod at %s answers %d, %v", s.Pods[0].Address, code, err)
		}
	}
}

func TestWithOneLoopbackAddressEveryPageHasItsOwnPort(t *testing.T) {
	p := newPlant(t, fleet(3, Constant{1}))
	s := NewServer(p)
	s.bind = func(ctx context.Context, address string) (net.Listener, error) {
		if !strings.HasPrefix(address, "127.0.0.1:") {
			return nil, errors.New("can't assign requested address")
		}
		return bind(ctx, address)
	}
	t.Cleanup(s.Close)
	must(t, s.Sync(t.Context()))
	seen := map[string]bool{}
	for _, d := range p.Snapshot().Pods {
		if !strings.HasPrefix(d.Address, "127.0.0.1:") || seen[d.Address] {
			t.Errorf("pod %s at %s", d.Name, d.Address)
		}
		seen[d.Address] = true
		if code, _, err := get(t, t.Context(), "http://"+d.Address+"/metrics"); err != nil || code != http.StatusOK {
			t.Errorf("pod at %s answers %d, %v", d.Address, code, err)
		}
	}
}

func TestRunAdvancesThePlantAndStopsCleanly(t *testing.T) {
	p := newPlant(t, fleet(1, Constant{4}))
	s := NewServer(p)
	ctx, cancel := context.WithCancel(t.Context())
	now := start
	err := s.Run(ctx, func() time.Time {
		if now = now.Add(time.Second); now.Equal(start.Add(5 * time.Second)) {
			cancel()
		}
		return now
	}, time.Millisecond)
	if err != nil {
		t.Errorf("Run: %v", err)
	}
	if got := p.Now(); !got.Equal(start.Add(5 * time.Second)) {
		t.Errorf("the plant is at %s, want 5 s after its start", got)
	}
	if err := s.Sync(t.Context()); err == nil {
		t.Error("Sync of a closed server")
	}
	if len(s.serving) != 0 {
		t.Errorf("a closed server has %d listeners", len(s.serving))
	}
}
