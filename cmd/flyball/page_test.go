package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	decisionv1 "github.com/flyball/flyball/api/decision/v1"
	"github.com/flyball/flyball/collector"
	"github.com/flyball/flyball/decider"
	"github.com/flyball/flyball/internal/demo"
	"github.com/flyball/flyball/internal/loop"
	"github.com/flyball/flyball/internal/sim"
)

// demoPage is the demo, with a browser that reads its page.
type demoPage struct {
	*browser
	service *service
	server  string
	api     decisionv1.DecisionServiceClient
}

// newDemoPage runs the demo until the test ends, and waits until its first burst has made team-a/chat grow.
func newDemoPage(t *testing.T) *demoPage {
	t.Helper()
	b := newBrowser(t)
	plant, err := sim.New(sim.Config{Seed: 1, Start: time.Now(), Nodes: demo.Nodes(), Workloads: demo.Workloads(nil)})
	require.NoError(t, err)
	pages := sim.NewServer(plant)
	require.NoError(t, pages.Sync(context.Background()))
	grown := make(chan struct{})
	watch := newWatch(io.Discard)
	s, err := newService(serviceOptions{
		Dir: t.TempDir(), Listen: "127.0.0.1:0", GRPC: grpcOptions{Listen: "127.0.0.1:0"}, Scrape: demoScrape, Tick: demoTick, Log: zap.NewNop(),
		Publish: func(r loop.Result) {
			watch.result(r)
			if r.Autoscaler.Namespace == "team-a" && r.Autoscaler.Name == "chat" && r.Decision.From > 4 {
				select {
				case <-grown:
				default:
					close(grown)
				}
			}
		},
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
	conn, err := grpc.NewClient(s.grpc.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	require.NoError(t, err)
	t.Cleanup(func() { _ = conn.Close() })
	select {
	case <-grown:
	case <-time.After(patience):
		require.Fail(t, "team-a/chat does not grow")
	}
	return &demoPage{b, s, "http://" + s.listener.Addr().String(), decisionv1.NewDecisionServiceClient(conn)}
}

// step is a rule of the chain, as the page and the API have it.
type step struct {
	Rule, Because string
	From, To      int32
}

// chain reads the decision that the page explains, and its rules. Times are read as the API wrote them.
func (p *demoPage) chain() (id string, count int32, chain []step, without []string) {
	p.t.Helper()
	got := evaluate[struct {
		ID      string
		Count   int32
		Chain   []step
		Without []string
	}](p.browser, `(() => {
		const said = (e) => {
			const copy = e.cloneNode(true);
			for (const t of copy.querySelectorAll("time")) t.replaceWith(t.dateTime);
			return copy.textContent;
		};
		return {
			ID: document.querySelector(".facts .id").textContent,
			Count: parseInt(document.querySelector(".figure").textContent.split("→").at(-1)),
			Chain: [...document.querySelectorAll(".chain li")].map((li) => ({
				Rule: li.querySelector(".rule").textContent, From: parseInt(li.querySelector(".from").textContent),
				To: parseInt(li.querySelector(".to").textContent), Because: said(li.querySelector(".sentence")),
			})),
			Without: [...document.querySelectorAll("ul.without li")].map((li) => li.textContent),
		};
	})()`)
	return got.ID, got.Count, got.Chain, got.Without
}

// explained checks that what the page says is what the API says in answer to a request. Decisions are made while both are asked;
// an answer for another one is none.
func (p *demoPage) explained(req *decisionv1.ExplainRequest) {
	p.t.Helper()
	var e *decisionv1.ExplainResponse
	var id string
	var count int32
	var chain []step
	var without []string
	for end := time.Now().Add(patience); e == nil || id != e.Decision.Id; {
		require.True(p.t, time.Now().Before(end), "the page explains %s, the API %v", id, e)
		var err error
		e, err = p.api.Explain(context.Background(), req)
		require.NoError(p.t, err)
		id, count, chain, without = p.chain()
	}
	require.Equal(p.t, e.Decision.To, count)
	var want []step
	for _, r := range e.Decision.Reasons {
		want = append(want, step{Rule: r.Rule, Because: r.Because, From: r.From, To: r.To})
	}
	require.NotEmpty(p.t, want)
	require.Equal(p.t, want, chain)
	var others []string
	for _, c := range e.Counterfactuals {
		replicas := "replicas"
		if c.To == 1 {
			replicas = "replica"
		}
		others = append(others, fmt.Sprintf("without %s %d: %d %s", c.Bound, c.Value, c.To, replicas))
	}
	require.ElementsMatch(p.t, others, without)
}

// line is a column of the chart's table, newest first; what has no data is left out.
func (p *demoPage) line(name string) []float64 {
	p.t.Helper()
	return evaluate[[]float64](p.browser, fmt.Sprintf(`[...document.querySelectorAll(".as-table td[data-line=%s]")].map((td) => td.textContent)
		.filter((s) => s !== "no data").map(Number)`, name))
}

// The story of somebody who is woken up: the fleet, one workload, why, what if, and a link from an event.
func TestThePageShowsTheDemosFleetAndWhy(t *testing.T) {
	t.Parallel()
	p := newDemoPage(t)
	p.theme("light")
	p.open(p.server + "/")
	p.await(`document.querySelectorAll(".fleet tbody tr").length === 4`)
	p.await(`document.getElementById("stream").textContent === "live"`)
	require.ElementsMatch(t, []string{"team-a/chat", "team-a/summarize", "team-b/chat", "team-b/classify"},
		evaluate[[]string](p.browser, `[...document.querySelectorAll(".fleet tbody a")].map((a) => a.textContent)`))

	p.press("/")
	p.await(`document.activeElement.id === "search"`)
	p.fill("#search", "") // the key is typed too, since it is no keyboard that sends it
	p.press("classify")
	p.await(`document.querySelectorAll(".fleet tbody tr").length === 1 && location.hash.includes("q=classify")`)
	p.open(p.server + "/")

	// One click, and the answer is there; its numbers are the API's.
	p.await(`document.querySelector('tr[data-key="team-a/chat"] .c-why')`)
	p.do(chromedp.Click(`tr[data-key="team-a/chat"] .c-why`))
	p.await(`document.querySelector(".figure") && document.querySelectorAll(".chain li").length > 0 && document.querySelector(".facts .id")`)
	require.Equal(t, "team-a/chat", p.text("h1"))
	require.Equal(t, "H1", evaluate[string](p.browser, `document.activeElement.tagName`), "a screen reader goes along")
	chat := &decisionv1.ExplainRequest{Namespace: "team-a", Name: "chat"}
	p.explained(chat)

	// The past is drawn, and another maximum draws another past.
	p.await(`document.querySelectorAll(".plot canvas").length === 2`)
	evaluate[bool](p.browser, `document.querySelector(".as-table").open = true`)
	p.await(`document.querySelectorAll(".as-table td[data-line=replicas]").length > 0`)
	p.await(`[...document.querySelectorAll(".as-table td[data-line=replicas]")].some((td) => Number(td.textContent) > 4)`)
	require.Empty(t, p.line("other"))
	p.whatIf("changes-max-replicas", "0")
	p.await(`document.getElementById("f-changes-max-replicas-error").textContent === "0 is too few; give 1 or more"`)
	require.Equal(t, "f-changes-max-replicas", evaluate[string](p.browser, `document.activeElement.id`))
	p.whatIf("changes-max-replicas", "2")
	p.await(`document.querySelectorAll(".as-table td[data-line=other]").length > 0 && document.querySelector(".compare")`)
	require.EqualValues(t, 2, slices.Max(p.line("other")), "the past that was not")
	require.Greater(t, slices.Max(p.line("replicas")), 4.0, "the past that was")
	require.Regexp(t, `Most at once[5-6] → 2$`, p.text(".compare"))
	p.look("autoscaler")

	// A mark in the chart leads to its decision. The chart moves on, so a click may miss what was there a moment before.
	for end := time.Now().Add(patience); !strings.HasPrefix(evaluate[string](p.browser, `location.hash`), "#/decisions/"); {
		require.True(t, time.Now().Before(end), "no mark leads to its decision")
		mark := evaluate[[]float64](p.browser, `(() => {
			const over = document.querySelectorAll(".u-over")[1];
			over.scrollIntoView({ block: "center" });
			const box = over.getBoundingClientRect();
			for (let x = 0; x < box.width; x += 4) for (let y = 0; y < box.height; y += 6) {
				over.dispatchEvent(new MouseEvent("mousemove", { clientX: box.left + x, clientY: box.top + y, bubbles: true }));
				if (over.title) return [box.left + x, box.top + y];
			}
			return [];
		})()`)
		if len(mark) == 2 {
			p.do(chromedp.MouseClickXY(mark[0], mark[1]))
		}
	}
	p.await(`location.hash.startsWith("#/decisions/") && document.querySelector("h1").textContent === "Decision of team-a/chat"`)
	p.await(`document.querySelector(".figure") && document.querySelector(".figure").textContent.includes("→")`)
	p.explained(&decisionv1.ExplainRequest{Id: strings.TrimPrefix(evaluate[string](p.browser, `location.hash`), "#/decisions/")})

	// So does the address that an event names.
	past, err := p.api.ListDecisions(context.Background(), &decisionv1.ListDecisionsRequest{Namespace: "team-a", Name: "chat"})
	require.NoError(t, err)
	first := past.Decisions[0]
	p.open("about:blank")
	p.open(p.server + "/decisions/" + first.Id)
	p.await(`document.querySelector(".facts .id")?.textContent === ` + fmt.Sprintf("%q", first.Id))
	p.explained(&decisionv1.ExplainRequest{Id: first.Id})
	p.await(`document.querySelectorAll(".plot canvas").length === 2`)
	p.look("decision")

	p.open(p.server + "/endpoints")
	p.await(`document.querySelectorAll(".endpoints tbody tr").length >= 10`)
	urls := evaluate[[]string](p.browser, `[...document.querySelectorAll(".endpoints .url")].map((e) => e.textContent)`)
	for _, one := range p.service.targets() {
		if one.Pool != string(collector.PodExporter) { // pods come and go meanwhile
			require.Contains(t, urls, one.URL)
		}
	}
	p.look("endpoints")
	p.open(p.server + "/findings")
	p.await(`document.querySelector(".summary").textContent.includes("notes")`)
	p.do(chromedp.Click(".check input"))
	p.await(`document.querySelectorAll("li[data-severity=note]").length > 0`)
	p.look("findings")
	p.open(p.server + "/#/")
	p.await(`document.querySelectorAll(".fleet tbody tr").length === 4`)
	p.look("fleet")
	p.press("?")
	p.await(`document.getElementById("help").open && document.getElementById("build").textContent !== ""`)
	p.accessible("help")
	p.press("\x1b")
	p.await(`!document.getElementById("help").open`)
}

// whatIf fills a field of the form, and sends it.
func (p *demoPage) whatIf(field, value string) {
	p.t.Helper()
	p.fill("#f-"+field, value)
	p.do(chromedp.Click(".whatif .primary"))
}

// look takes pictures of a view, wide and narrow, by day and by night, and asks each whether it is accessible.
func (p *demoPage) look(view string) {
	p.t.Helper()
	for _, width := range []int64{1280, 390} {
		p.size(width, 900)
		for _, theme := range []string{"light", "dark"} {
			p.theme(theme)
			what := fmt.Sprintf("page-%s-%d-%s", view, width, theme)
			p.await(`document.documentElement.clientWidth <= ` + fmt.Sprint(width))
			p.shoot(what)
			p.fits(what)
			p.accessible(what)
		}
	}
	for _, width := range []int64{360, 768, 2500} {
		p.size(width, 900)
		p.fits(fmt.Sprintf("%s at %d", view, width))
	}
	p.size(1280, 900)
	p.theme("light")
}

// behindPrefix is the front below a prefix, as an ingress or the API server's proxy has it.
func behindPrefix(t *testing.T, f *front, prefix string) string {
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(p *httputil.ProxyRequest) { p.SetURL(f.backend.Load()) },
		FlushInterval: -1,
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	srv := httptest.NewServer(http.StripPrefix(prefix, proxy))
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })
	return srv.URL + prefix
}

// Problems come first and say what they are; missing data is never a zero; and when flyball goes away, the page says so and how
// old it is, until flyball is back. All of it below a prefix.
func TestThePageSaysWhatIsWrongAndWhenItKnowsNoMore(t *testing.T) {
	t.Parallel()
	b := newBrowser(t)
	r := newRig(t)
	r.pod("a", "calm", "calm-0", r.exporter(page("queue 3\nrunning 1\n")))
	r.pod("b", "busy", "busy-0", r.exporter(page("queue 4500\n")))
	r.pod("c", "blind", "blind-0", r.exporter(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "gone fishing", http.StatusServiceUnavailable)
	}))
	r.autoscaler("a", "calm", queueSource+"\n  - "+strings.Replace(queueSource, "queue", "running", 1))
	r.autoscaler("b", "busy", queueSource)
	r.autoscaler("c", "blind", queueSource)
	stop := r.start()
	r.await(map[string]func(decider.Decision) error{"a/calm": to(1), "b/busy": to(20), "c/blind": holds(1, "0 of 1 exporters answer")})
	f := newFront(t, r)
	at := behindPrefix(t, f, "/tools/flyball")

	b.open(at + "/")
	b.await(`document.querySelectorAll(".fleet tbody tr").length === 3 && document.getElementById("stream").textContent === "live"`)
	b.await(`[...document.querySelectorAll(".fleet tbody tr")].map((r) => r.dataset.key).join(" ") === "c/blind b/busy a/calm"`)
	b.await(`document.querySelector(".summary").textContent === "3 autoscalers, 2 problems"`)
	b.await(`document.querySelector('tr[data-key="b/busy"] .kind').textContent === "at maximum"`)
	require.Equal(t, "no data", b.text(`tr[data-key="c/blind"] .kind`))
	require.Equal(t, "no data", b.text(`tr[data-key="c/blind"] .c-load`), "what is not measured is not 0")
	require.Equal(t, "advice", b.text(`tr[data-key="c/blind"] .tag`))

	// By its columns, with the keyboard alone.
	b.do(chromedp.Focus(`th.c-replicas button`))
	b.press("\r")
	b.await(`document.querySelector("th.c-replicas").getAttribute("aria-sort") === "descending" && document.querySelector(".fleet tbody tr").dataset.key === "b/busy"`)
	b.press("\r")
	b.await(`document.querySelector("th.c-replicas").getAttribute("aria-sort") === "ascending" && document.querySelector(".fleet tbody tr:last-child").dataset.key === "b/busy"`)
	b.press("\r")
	b.await(`!document.querySelector("th[aria-sort]") && document.querySelector(".fleet tbody tr").dataset.key === "c/blind"`)

	// The first key leads past the bar, and what the reader has chosen stays.
	b.open("about:blank")
	b.open(at + "/#/endpoints")
	b.await(`document.querySelectorAll(".endpoints tbody tr").length === 3`)
	b.press("\t")
	require.Equal(t, "Skip to content", evaluate[string](b, `document.activeElement.textContent`))
	b.press("\r")
	b.await(`document.activeElement.id === "main" && location.hash === "#/endpoints"`)
	b.do(chromedp.Click("#theme"), chromedp.Click("#theme"), chromedp.Click("#zone"))
	b.open("about:blank")
	b.open(at + "/")
	b.await(`document.documentElement.dataset.theme === "dark" && document.getElementById("zone").textContent === "Local"`)
	b.do(chromedp.Click("#theme"), chromedp.Click("#zone"))
	b.await(`!document.documentElement.dataset.theme && document.getElementById("zone").textContent === "UTC"`)

	b.open(at + "/autoscalers/c/blind")
	b.await(`location.pathname === "/tools/flyball/" && document.querySelector(".inputs tbody td")`)
	b.await(`document.querySelector(".problem .kind").textContent === "no data"`)
	require.Contains(t, evaluate[[]string](b, `[...document.querySelectorAll(".inputs tbody td")].map((td) => td.textContent)`), "no data")
	// Of two sources, each has its own chart and its own target to try.
	b.open(at + "/autoscalers/a/calm")
	b.await(`document.querySelectorAll(".chart option").length === 2 && document.querySelectorAll(".targets input").length === 2`)
	b.await(`document.querySelectorAll(".inputs .source").length === 2`)
	b.do(chromedp.SetValue(".chart select", "running"))
	evaluate[bool](b, `document.querySelector(".chart select").dispatchEvent(new Event("change"))`)
	b.await(`document.querySelector(".source-name").textContent === "Load: running"`)
	b.fill("#f-changes-targets-1-target", "-1")
	b.do(chromedp.Click(".whatif .primary"))
	b.await(`document.getElementById("f-changes-targets-1-target-error").textContent.includes("give a number above 0")`)
	require.Empty(t, b.text("#f-changes-targets-0-target-error"))
	b.fill("#f-changes-targets-1-target", "0.5")
	b.do(chromedp.Click(".whatif .primary"))
	b.await(`document.querySelector(".compare")?.textContent.endsWith("Most at once1 → 2")`)
	b.shoot("page-two-sources")

	b.open(at + "/#/autoscalers/c/blnd")
	b.await(`document.querySelector(".error").textContent.includes("the nearest are c/blind")`)
	b.open(at + "/endpoints")
	b.await(`document.querySelectorAll(".endpoints tbody tr").length === 3`)
	require.Equal(t, "down", b.text(`.endpoints tbody tr:first-child .health`))
	require.Contains(t, b.text(`.endpoints tbody tr:first-child .error`), "503")
	b.open(at + "/decisions/none")
	b.await(`document.querySelector(".note")?.textContent.includes("a decision's id is the autoscaler's UID")`)

	b.open(at + "/#/")
	b.await(`document.querySelectorAll(".fleet tbody tr").length === 3`)
	stop()
	b.await(`document.getElementById("stream").textContent === "reconnecting" && !document.querySelector(".lost").hidden`)
	b.await(`/as of \d+ s ago/.test(document.getElementById("lost-age").textContent)`)
	require.Len(t, evaluate[[]string](b, `[...document.querySelectorAll(".fleet tbody tr")].map((r) => r.dataset.key)`), 3, "what was known last is still shown")
	b.accessible("lost")
	b.shoot("page-lost")
	r.open("127.0.0.1:0")
	r.run()
	f.behind(r)
	b.await(`document.getElementById("stream").textContent === "live" && document.querySelector(".lost").hidden`)
}
