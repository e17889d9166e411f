package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	cdplog "github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

const axeFile = "../../bin/_axe/axe.min.js"

// need gives a path that a test needs, or skips the test; in CI nothing may be skipped.
func need(t *testing.T, what, path string, err error) string {
	t.Helper()
	if err != nil {
		require.NotEqual(t, "true", os.Getenv("CI"), "CI needs %s: %v", what, err)
		t.Skipf("no %s here (make chromium axe): %v", what, err)
	}
	return path
}

// artifacts is where screenshots go.
func artifacts(t *testing.T) string {
	t.Helper()
	dir := os.Getenv("FLYBALL_ARTIFACTS")
	if dir == "" {
		dir = "../../bin/_artifacts"
	}
	require.NoError(t, os.MkdirAll(dir, 0o755))
	return dir
}

// browser is Chromium with one tab, which reaches loopback and nothing else. What the page complains about on its
// console fails the test: an exception, or something that its security policy forbids.
type browser struct {
	t   *testing.T
	ctx context.Context

	mu         sync.Mutex
	complaints []string
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	path, err := exec.LookPath("chromium")
	need(t, "Chromium", path, err)
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.UserDataDir(t.TempDir()),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true),
		chromedp.Flag("host-resolver-rules", "MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"))
	allocator, stop := chromedp.NewExecAllocator(context.Background(), options...)
	b := &browser{t: t}
	var quit context.CancelFunc
	b.ctx, quit = chromedp.NewContext(allocator)
	t.Cleanup(func() {
		_ = chromedp.Cancel(b.ctx) // the browser closes its files before its folder goes
		quit()
		stop()
		b.mu.Lock()
		defer b.mu.Unlock()
		require.Empty(t, b.complaints)
	})
	require.NoError(t, chromedp.Listen(b.ctx, b.hear))
	_, err = chromedp.Call(b.ctx, cdplog.Enable, cdp.Empty{})
	require.NoError(t, err)
	b.size(1280, 900)
	return b
}

// hear takes note of complaints. That an address does not answer is none: tests stop servers.
func (b *browser) hear(event any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch e := event.(type) {
	case *runtime.EventExceptionThrown:
		text := e.ExceptionDetails.Text
		if e.ExceptionDetails.Exception != nil {
			text += " " + e.ExceptionDetails.Exception.Description
		}
		b.complaints = append(b.complaints, text)
	case *cdplog.EventEntryAdded:
		if e.Entry.Level == cdplog.EntryLevelError && e.Entry.Source != cdplog.EntrySourceNetwork {
			b.complaints = append(b.complaints, e.Entry.Text)
		}
	}
}

func (b *browser) do(actions ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	require.NoError(b.t, chromedp.Do(ctx, actions...))
}

func (b *browser) open(url string) { b.t.Helper(); b.do(chromedp.Navigate(url)) }

func (b *browser) size(width, height int64) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(width, height))
}

// theme is what the system says.
func (b *browser) theme(scheme string) {
	b.t.Helper()
	_, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}},
	})
	require.NoError(b.t, err)
}

// evaluate asks the page for the value of an expression.
func evaluate[T any](b *browser, js string) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	v, err := chromedp.Run(ctx, chromedp.Evaluate[T](js, chromedp.EvalAwaitPromise))
	require.NoError(b.t, err, js)
	return v
}

// await waits until an expression is true.
func (b *browser) await(js string) {
	b.t.Helper()
	is := evaluate[bool](b, fmt.Sprintf(`new Promise((done) => {
		const end = Date.now() + %d;
		const look = () => {
			let is = false;
			try { is = Boolean(%s); } catch { /* not there yet */ }
			if (is || Date.now() > end) done(is); else setTimeout(look, 30);
		};
		look();
	})`, (patience*9/10).Milliseconds(), js))
	if !is {
		require.Fail(b.t, "never true: "+js, "the page:\n%.1500s", evaluate[string](b, `document.body.innerText`))
	}
}

// text is what the first element of a selector says.
func (b *browser) text(selector string) string {
	b.t.Helper()
	return evaluate[string](b, fmt.Sprintf(`document.querySelector(%q)?.textContent ?? ""`, selector))
}

// fill writes into a field.
func (b *browser) fill(selector, value string) {
	b.t.Helper()
	evaluate[bool](b, fmt.Sprintf(`(() => {
		const field = document.querySelector(%q);
		field.value = %q;
		field.dispatchEvent(new Event("input", { bubbles: true }));
		return true;
	})()`, selector, value))
}

// press types keys, wherever the focus is.
func (b *browser) press(keys string) { b.t.Helper(); b.do(chromedp.KeyEvent(keys)) }

// shoot keeps the whole page as a picture.
func (b *browser) shoot(name string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	picture, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	require.NoError(b.t, err)
	require.NoError(b.t, os.WriteFile(filepath.Join(artifacts(b.t), name+".png"), picture, 0o644))
}

// fits checks that nothing makes the page itself wider than the screen.
func (b *browser) fits(what string) {
	b.t.Helper()
	wide := evaluate[[]string](b, `document.documentElement.scrollWidth <= document.documentElement.clientWidth ? [] :
		[...document.querySelectorAll("main *")].filter((e) => e.getBoundingClientRect().right > innerWidth + 1 && !e.closest(".scrolls"))
			.slice(0, 5).map((e) => e.outerHTML.slice(0, 200))`)
	require.Empty(b.t, wide, what)
}

// accessible asks axe-core for violations that matter.
func (b *browser) accessible(what string) {
	b.t.Helper()
	axe, err := os.ReadFile(axeFile)
	need(b.t, "axe-core", axeFile, err)
	evaluate[bool](b, string(axe)+"; true")
	found := evaluate[string](b, `axe.run(document, {resultTypes: ["violations"]}).then((r) => JSON.stringify(r.violations
		.filter((v) => v.impact === "serious" || v.impact === "critical")
		.map((v) => ({id: v.id, help: v.help, nodes: v.nodes.slice(0, 3).map((n) => n.html + " " + n.failureSummary)}))))`)
	var violations []struct {
		ID, Help string
		Nodes    []string
	}
	require.NoError(b.t, json.Unmarshal([]byte(found), &violations))
	for _, v := range violations {
		b.t.Errorf("%s: %s: %s\n  %s", what, v.ID, v.Help, strings.Join(v.Nodes, "\n  "))
	}
}
