package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/flyball/flyball/decider"
)

// notes is stderr, to be read while it is written.
type notes struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (n *notes) Write(p []byte) (int, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.b.Write(p)
}

func (n *notes) String() string {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.b.String()
}

// viewer is somebody who runs flyball watch -o json.
type viewer struct {
	t     *testing.T
	lines chan told
	notes notes
	seen  []told
	end   func() error
}

func newViewer(t *testing.T, args ...string) *viewer {
	v := &viewer{t: t, lines: make(chan told, 4096)}
	ctx, cancel := context.WithCancel(context.Background())
	r, w := io.Pipe()
	root := newRoot("flyball")
	root.SetArgs(append([]string{"watch", "-o", "json"}, args...))
	root.SetOut(w)
	root.SetErr(&v.notes)
	ended := make(chan error, 1)
	go func() {
		err := root.ExecuteContext(ctx)
		_ = w.CloseWithError(io.EOF)
		ended <- err
	}()
	go func() {
		defer close(v.lines)
		for sc := bufio.NewScanner(r); sc.Scan(); {
			var e event
			if err := json.Unmarshal(sc.Bytes(), &e); err == nil && e.Decision != nil {
				v.lines <- *e.Decision
			}
		}
	}()
	v.end = sync.OnceValue(func() error { cancel(); return <-ended })
	t.Cleanup(func() { _ = v.end() })
	return v
}

// until reads lines until one is for a count of replicas.
func (v *viewer) until(name string, to int32) {
	v.t.Helper()
	for deadline := time.After(time.Minute); ; {
		select {
		case d, ok := <-v.lines:
			require.True(v.t, ok, "the watch ended: %s", v.notes.String())
			if v.seen = append(v.seen, d); d.Name == name && d.To == to {
				return
			}
		case <-deadline:
			v.t.Fatalf("no line says that %s should have %d; stderr: %s", name, to, v.notes.String())
		}
	}
}

// Somebody watches while the service is restarted and decides more than once before the watch is back: in the end there was a line
// for each decision that the journal has, once and in order.
func TestWatchLeavesNothingOutOverARestart(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	var load atomic.Int64
	load.Store(45)
	r.pod("a", "llm", "llm-0", r.exporter(func(w http.ResponseWriter, req *http.Request) { page("queue %d\n", load.Load())(w, req) }))
	r.autoscaler("a", "llm", queueSource)
	f := newFront(t, r)
	stop := r.start()
	r.await(map[string]func(decider.Decision) error{"a/llm": to(5)})
	v := newViewer(t, "--server", f.URL)
	v.until("llm", 5)

	stop()
	r.open("127.0.0.1:0") // nobody watches yet: the front leads nowhere
	stop = r.start()
	defer func() { stop() }()
	for _, n := range []int64{95, 115, 135} {
		load.Store(n)
		r.await(map[string]func(decider.Decision) error{"a/llm": to(int32(n)/10 + 1)})
	}
	f.behind(r)
	v.until("llm", 14)
	load.Store(155)
	v.until("llm", 16)
	require.NoError(t, v.end(), "Ctrl-C is no error")
	require.Contains(t, v.notes.String(), "flyball: watch: the server stops; ask again in a few seconds; next try in 1s\n")
	require.Contains(t, v.notes.String(), "flyball: watch: connected again\n")
	stop()

	var got []uint64
	for _, d := range v.seen {
		got = append(got, d.Sequence)
	}
	last := v.seen[len(v.seen)-1]
	all := recorded(t, r.data(), last.At)
	first := slices.Index(all, got[0]) // what was replaced before the watch began is history
	require.GreaterOrEqual(t, first, 0)
	require.Equal(t, all[first:], got)
}

// A line says when, for whom, what and why, and one autoscaler can be watched alone.
func TestWatchPrintsALineForEachDecision(t *testing.T) {
	t.Parallel()
	server := fleetOfThree(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	r, w := io.Pipe()
	root := newRoot("flyball")
	root.SetArgs([]string{"watch", "busy", "-n", "a", "--server", server})
	root.SetOut(w)
	ended := make(chan error, 1)
	go func() { ended <- root.ExecuteContext(ctx) }()
	line, err := bufio.NewReader(r).ReadString('\n')
	require.NoError(t, err)
	require.Regexp(t, `^20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ  a/busy {24}    1 → 5    \S+: .`, line)
	require.False(t, strings.Contains(line, "blind"))
	cancel()
	go func() { _, _ = io.Copy(io.Discard, r) }()
	require.NoError(t, <-ended)
	require.NoError(t, w.Close())
}
