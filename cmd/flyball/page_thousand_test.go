package main

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/chromedp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/dashboards/web"
	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/internal/board"
	"github.com/flyball/flyball/internal/lint"
	"github.com/flyball/flyball/internal/loop"
	"github.com/flyball/flyball/internal/rpc"
	"github.com/flyball/flyball/internal/server"
	"github.com/flyball/flyball/query"
	"github.com/flyball/flyball/store"
)

const (
	thousand = 1000
	moving   = 100 // of them change their count each second
)

// crowd is a fleet of a thousand in memory. All else is real: store, query engine, loop, board, both APIs and the page.
type crowd struct {
	all   []loop.Autoscaler
	known []store.Sample // for the writer of samples alone

	mu     sync.Mutex
	scales map[string]int32 // by target UID
}

func newCrowd(t *testing.T) *crowd {
	t.Helper()
	c := &crowd{scales: map[string]int32{}}
	for i := range thousand {
		name := fmt.Sprintf("llm-%04d", i)
		pas, err := v1alpha1.Read(strings.NewReader(fmt.Sprintf(`
apiVersion: autoscaling.aibrix.ai/v1alpha1
kind: PodAutoscaler
metadata: {namespace: team-%02d, name: %s, uid: u-%s, annotations: {autoscaling.aibrix.ai/scale-down-delay: 0s}}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: %s}
  minReplicas: 1
  maxReplicas: 9
  scalingStrategy: APA
  observeWindowSeconds: 1
  metricsSources:
  - {metricSourceType: pod, targetMetric: queue, targetValue: "10"}
`, i%20, name, name, name)))
		require.NoError(t, err)
		a, _, errs := loop.Binder{}.Bind(pas[0], loop.Target{Kind: "Deployment", Name: name, UID: "t-" + name})
		require.Empty(t, errs)
		c.all = append(c.all, a)
		c.scales[a.Target.UID] = 1
	}
	return c
}

func (c *crowd) Autoscalers(time.Time) []loop.Autoscaler { return c.all }

func (c *crowd) Scale(_ context.Context, a loop.Autoscaler, _ time.Time) (loop.Scale, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := c.scales[a.Target.UID]
	return loop.Scale{Replicas: n, StatusReplicas: n, Ready: n}, nil
}

func (c *crowd) Apply(_ context.Context, a loop.Autoscaler, d decider.Decision) decider.Outcome {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.scales[a.Target.UID] = d.To
	return decider.Outcome{Applied: true, Was: d.From, Now: d.To, At: d.At}
}

// samples are the queue of each workload's pod in this second. Those that move are long and short in turn; the last has none.
func (c *crowd) samples(second int) []store.Sample {
	if c.known == nil {
		for i, a := range c.all[:thousand-1] {
			for _, metric := range []string{"flyball_pod_ready", "up", "queue"} {
				id := labels.FromStrings("__name__", metric, "namespace", a.Namespace, "workload_uid", a.Target.UID, "pod", a.Name+"-0",
					"pod_uid", "p-"+a.Name, "endpoint", "8000/metrics")
				if metric == "flyball_pod_ready" {
					id = labels.NewBuilder(id).Del("endpoint").Labels()
				}
				value := 1.0
				if metric == "queue" {
					value = float64(5 + i%40)
				}
				c.known = append(c.known, store.Sample{Series: &store.Series{Labels: id}, Value: value})
			}
		}
	}
	for i := range moving {
		c.known[3*i+2].Value = float64(15 + 40*(second%2))
	}
	return c.known
}

// newCrowdServer decides for the crowd each second until the test ends. It gives the address, and how many turns there were.
func newCrowdServer(t *testing.T) (address string, turns *atomic.Int64) {
	t.Helper()
	c := newCrowd(t)
	s, err := store.Open(store.Options{Dir: t.TempDir(), Clock: time.Now})
	require.NoError(t, err)
	engine := query.New(query.Options{Lookback: 6 * time.Second})
	windows := facts{s, engine}
	shown := board.New(s.ID(), nil)
	crank := loop.New(loop.Options{Fleet: c, Windows: windows, Journal: s.Journal(), Tick: time.Second, Publish: shown.Publish})
	turns = &atomic.Int64{}
	ready := func() error {
		if turns.Load() == 0 {
			return fmt.Errorf("no decision yet")
		}
		return nil
	}
	decisions, err := rpc.New(rpc.Options{
		Board: shown, Records: loop.Records{Journal: s.Journal()}, Windows: windows, Tick: time.Second, Ready: ready, Now: time.Now, Log: zap.NewNop(),
		Findings: func() []lint.Finding { return nil },
	})
	require.NoError(t, err)
	face := server.New(server.Options{
		Engine: engine.PromQL(), Store: s, Targets: func() []server.Target { return nil }, Metrics: prometheus.NewRegistry(), Ready: ready, Now: time.Now,
		API: decisions.Gateway(), Page: web.Handler(), Paths: web.Patterns(),
	})
	httpAt, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	grpcAt, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ctx, stop := context.WithCancel(context.Background())
	var under sync.WaitGroup
	under.Go(func() { _ = face.Serve(ctx, httpAt) })
	under.Go(func() { _ = decisions.Serve(ctx, grpcAt) })
	under.Go(func() {
		tick := time.NewTicker(time.Second)
		defer tick.Stop()
		for second := 0; ; second++ {
			if _, err := s.Append(c.samples(second)); err != nil {
				return
			}
			if err := crank.Step(ctx, time.Now().Truncate(time.Second)); err == nil {
				turns.Add(1)
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	})
	t.Cleanup(func() {
		stop()
		under.Wait()
		require.NoError(t, s.Close())
	})
	require.Eventually(t, func() bool { return turns.Load() > 1 }, patience, 20*time.Millisecond)
	return "http://" + httpAt.Addr().String(), turns
}

// cost is what the page has cost so far, in seconds of its one thread.
type cost struct{ script, layout, task float64 }

func (b *browser) cost() (c cost) {
	b.t.Helper()
	got, err := chromedp.Call(b.ctx, performance.GetMetrics, cdp.Empty{})
	require.NoError(b.t, err)
	for _, m := range got.Metrics {
		switch m.Name {
		case "ScriptDuration":
			c.script = m.Value
		case "LayoutDuration", "RecalcStyleDuration":
			c.layout += m.Value
		case "TaskDuration":
			c.task = m.Value
		}
	}
	return c
}

// A thousand autoscalers, a hundred of which change each second: the page stays small, finds all of them, and says what it costs.
func TestThePageIsQuickWithAThousandAutoscalers(t *testing.T) {
	b := newBrowser(t)
	at, turns := newCrowdServer(t)
	_, err := chromedp.Call(b.ctx, performance.Enable, performance.EnableParams{})
	require.NoError(t, err)
	began := b.cost()
	b.open(at + "/")
	b.await(`document.querySelector(".summary")?.textContent.startsWith("1000 autoscalers")`)
	b.await(`document.getElementById("stream").textContent === "live"`)
	loaded := b.cost()
	t.Logf("loading: %.0f ms of scripting, %.0f ms of style and layout, %.0f ms in all",
		1000*(loaded.script-began.script), 1000*(loaded.layout-began.layout), 1000*(loaded.task-began.task))
	require.LessOrEqual(t, evaluate[int](b, `document.querySelectorAll(".fleet tbody tr").length`), 120, "rows are made as they are scrolled to")
	require.True(t, evaluate[bool](b, `[...document.querySelectorAll(".fleet tbody tr")].map((r) => r.dataset.level === "")
		.every((well, i, all) => i === 0 || well || !all[i - 1])`), "problems come first")
	b.shoot("page-thousand")

	// Some seconds of changes: rows on the page follow them.
	evaluate[bool](b, `(window.seen = new Set(), new MutationObserver((all) => {
		for (const m of all) { const row = m.target.parentElement?.closest?.("tr"); if (row) window.seen.add(row.dataset.key); }
	}).observe(document.querySelector(".fleet tbody"), { subtree: true, childList: true, characterData: true }), true)`)
	b.follow(turns, "60 rows")
	require.Greater(t, evaluate[int](b, `window.seen.size`), 5, "rows on the page change with their decisions")

	// Every one can be found, and all can be shown.
	for _, one := range []string{"llm-0000", "llm-0517", "llm-0999"} {
		b.fill("#search", one)
		b.await(fmt.Sprintf(`document.querySelectorAll(".fleet tbody tr").length === 1 && document.querySelector(".fleet .nm").textContent === %q`, one))
	}
	require.Equal(t, "no data", b.text(".fleet .kind"), "of the last nothing is measured")
	b.fill("#search", "team-07/")
	b.await(`document.querySelector(".summary").textContent.startsWith("50 of 1000 autoscalers")`)
	b.fill("#search", "")
	b.await(`(() => {
		const more = document.querySelector("button.more");
		if (!more.hidden) more.click();
		return more.hidden && document.querySelectorAll(".fleet tbody tr").length === 1000;
	})()`)
	b.follow(turns, "all rows shown")
	t.Logf("a key typed into the search: %.1f ms until the rows are there", evaluate[float64](b, `(() => {
		const field = document.getElementById("search"), start = performance.now();
		field.value = "7";
		field.dispatchEvent(new Event("input"));
		document.body.offsetHeight; // the layout counts too
		return performance.now() - start;
	})()`))
}

// follow lets some turns pass, and says what they cost the page.
func (b *browser) follow(turns *atomic.Int64, what string) {
	b.t.Helper()
	before, from, start := b.cost(), turns.Load(), time.Now()
	require.Eventually(b.t, func() bool { return turns.Load() >= from+6 }, patience, 20*time.Millisecond)
	took, after := time.Since(start).Seconds(), b.cost()
	b.t.Logf("%s, %d changes a second: per second %.1f ms of scripting, %.1f ms of style and layout, %.1f ms in all", what, moving,
		1000*(after.script-before.script)/took, 1000*(after.layout-before.layout)/took, 1000*(after.task-before.task)/took)
}
