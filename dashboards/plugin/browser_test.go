package main

import (
	"context"
	"fmt"
	"html/template"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// The page is what Grafana is to the plugin, as far as it goes: it gives React, loads module.js as AMD, holds the query, and hands
// on what the editor says. React comes as CommonJS files, which a few lines join.
var hostPage = template.Must(template.New("").Parse(`<!doctype html><meta charset="utf-8"><title>plugin</title><div id="root"></div>
<script>
globalThis.failed = [];
addEventListener('error', (e) => failed.push(e.message));
globalThis.process = { env: { NODE_ENV: 'production' } };
const sources = {{.Sources}}, loaded = {};
function need(name) {
  if (!loaded[name]) {
    loaded[name] = { exports: {} };
    new Function('module', 'exports', 'require', sources[name])(loaded[name], loaded[name].exports, need);
  }
  return loaded[name].exports;
}
</script>
<script src="/stubs.js"></script>
<script>
const React = need('react'), { createRoot } = need('react-dom/client');
const { calls, modules } = flyballStubs(React);
calls.resource = async (path) => ({ namespaces: ['team-a', 'team-b'], autoscalers: ['chat'], sources: ['queue'] })[path];
const { plugin } = flyballLoad({{.Module}}, modules);
const datasource = new plugin.DataSourceClass({ uid: 'x' });
globalThis.seen = { changes: [], runs: 0, options: [] };
function Panel() {
  const [query, setQuery] = React.useState({ refId: 'A', queryType: 'decisions', namespace: '', name: '', limit: 5 });
  return React.createElement(plugin.components.QueryEditor, {
    query, datasource, onRunQuery: () => seen.runs++, onChange: (q) => { seen.changes.push(q); setQuery(q); },
  });
}
function Settings() {
  const [options, setOptions] = React.useState({ url: '', jsonData: { other: true } });
  return React.createElement(plugin.components.ConfigEditor, { options, onOptionsChange: (o) => { seen.options.push(o); setOptions(o); } });
}
createRoot(document.getElementById('root')).render(React.createElement('div', null, React.createElement(Panel), React.createElement(Settings)));

// set does what a person does: React hears of it as of any event.
function set(label, value) {
  const el = document.querySelector('[aria-label="' + label + '"]');
  const proto = el.tagName === 'SELECT' ? HTMLSelectElement.prototype : HTMLInputElement.prototype;
  Object.getOwnPropertyDescriptor(proto, 'value').set.call(el, value);
  el.dispatchEvent(new Event(el.tagName === 'SELECT' ? 'change' : 'input', { bubbles: true }));
  el.dispatchEvent(new FocusEvent('focusout', { bubbles: true })); // a headless page has no focus to lose
}
</script>`))

func TestTheQueryEditorInChromiumWithReact18(t *testing.T) { inChromium(t, "18") }
func TestTheQueryEditorInChromiumWithReact19(t *testing.T) { inChromium(t, "19") }

func inChromium(t *testing.T, version string) {
	browser, err := exec.LookPath("chromium")
	if err != nil {
		absent(t, "chromium is not there")
	}
	server := serve(t, react(t, version))
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(browser), chromedp.UserDataDir(t.TempDir()), chromedp.NoSandbox,
		chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	ctx, cancel = chromedp.NewExecAllocator(ctx, options...)
	defer cancel()
	ctx, cancel = chromedp.NewContext(ctx)
	defer cancel()

	type step = chromedp.Action[chromedp.Void]
	do := func(expression string) step { return chromedp.Evaluate[chromedp.Void](expression) }
	until := func(expression string) step {
		return chromedp.Func(func(ctx context.Context, tab *chromedp.Target) error {
			_, err := chromedp.Poll[bool]("Boolean("+expression+")", chromedp.WithPollingInterval(20*time.Millisecond), chromedp.WithPollingTimeout(10*time.Second))(ctx, tab)
			if err == nil {
				return nil
			}
			state, _ := chromedp.Evaluate[string](`JSON.stringify([globalThis.failed, globalThis.seen?.changes.at(-1), document.body?.innerText])`)(ctx, tab)
			return fmt.Errorf("until %s: %w; the page: %s", expression, err, state)
		})
	}
	has := func(label string) string { return fmt.Sprintf(`document.querySelector('[aria-label="%s"]')`, label) }
	set := func(label, value string) step { return do(fmt.Sprintf("set(%q, %q)", label, value)) }
	require.NoError(t, chromedp.Do(ctx,
		chromedp.Navigate(server.URL),
		until(has("Limit")+` !== null && `+has("Namespace")+`.querySelector('option[value="team-a"]') !== null`), // the names came by getResource
		set("Show", "whatif"), // a limit does not belong to it, and goes
		until(has("Min replicas")+" !== null && "+has("Limit")+" === null"),
		set("Namespace", "team-a"), until(`seen.changes.at(-1).namespace === 'team-a'`),
		set("Autoscaler", "chat"), until(`seen.changes.at(-1).name === 'chat'`),
		set("Max replicas", "3"), until(`seen.changes.at(-1).changes?.maxReplicas === 3`),
		set("Scale-down delay", " 5m "), until(`seen.changes.at(-1).changes?.scaleDownDelay === '5m'`),
		do(`[...document.querySelectorAll('button')].find((b) => b.textContent === 'Another target').click()`),
		until(has("Source")+`?.querySelector('option[value="queue"]')`),
		set("Source", "queue"), until(`seen.changes.at(-1).changes?.targets?.[0]?.source === 'queue'`),
		set("Target", "2.5"), until(`seen.changes.at(-1).changes?.targets?.[0]?.target === 2.5`),
	))
	last, err := chromedp.Run(ctx, chromedp.Evaluate[map[string]any](`seen.changes.at(-1)`))
	require.NoError(t, err)
	require.Equal(t, map[string]any{
		"refId": "A", "queryType": "whatif", "namespace": "team-a", "name": "chat",
		"changes": map[string]any{
			"maxReplicas": 3.0, "scaleDownDelay": "5m", "targets": []any{map[string]any{"source": "queue", "target": 2.5}},
		},
	}, last)
	require.NoError(t, chromedp.Do(ctx,
		set("Max replicas", ""), until(`!('maxReplicas' in seen.changes.at(-1).changes)`), // an empty field changes nothing
		do(has("Remove target")+`.click()`), until(`!('targets' in seen.changes.at(-1).changes)`),
		set("Show", "replicas"), until(`!('changes' in seen.changes.at(-1)) && seen.runs === seen.changes.length`),
		set("Page's URL", "https://fly.example"), until(`seen.options.length === 1`),
	))
	settings, err := chromedp.Run(ctx, chromedp.Evaluate[map[string]any](`seen.options[0].jsonData`))
	require.NoError(t, err)
	require.Equal(t, map[string]any{"other": true, "pageUrl": "https://fly.example"}, settings, "other settings stay")
}

func serve(t *testing.T, dir string) *httptest.Server {
	t.Helper()
	read := func(path string) string {
		b, err := os.ReadFile(path)
		require.NoError(t, err)
		return string(b)
	}
	sources := map[string]string{}
	for name, path := range map[string]string{
		"react": "react/cjs/react.production", "react-dom": "react-dom/cjs/react-dom.production",
		"react-dom/client": "react-dom/cjs/react-dom-client.production", "scheduler": "scheduler/cjs/scheduler.production",
	} {
		path = filepath.Join(dir, "node_modules", path)
		if _, err := os.Stat(path + ".min.js"); err == nil { // React 18
			path += ".min"
		}
		if _, err := os.Stat(path + ".js"); err != nil && name == "react-dom/client" { // React 18 has it in react-dom
			sources[name] = `module.exports = require('react-dom')`
			continue
		}
		sources[name] = read(path + ".js")
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /stubs.js", func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, "frontend/test/stubs.js") })
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		if err := hostPage.Execute(w, map[string]any{"Sources": sources, "Module": read("frontend/module.js")}); err != nil {
			t.Error(err)
		}
	})
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	return s
}
