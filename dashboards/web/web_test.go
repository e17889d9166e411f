package web_test

import (
	"compress/gzip"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/flyball/flyball/dashboards/web"
)

// served is the page on a mux of its own, as the server mounts it, below a prefix that a proxy takes away.
func served(t *testing.T, prefix string) *httptest.Server {
	t.Helper()
	mux := http.NewServeMux()
	page := web.Handler()
	for _, p := range web.Patterns() {
		mux.Handle(p, page)
	}
	srv := httptest.NewServer(http.StripPrefix(prefix, mux))
	t.Cleanup(srv.Close)
	return srv
}

// ask asks without following redirects; headers are name and value in turn.
func ask(t *testing.T, method, target string, headers ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(method, target, http.NoBody)
	require.NoError(t, err)
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := (&http.Transport{DisableCompression: true, DisableKeepAlives: true}).RoundTrip(req)
	require.NoError(t, err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	require.NoError(t, err)
	return resp, string(body)
}

// files are those on disk, as addresses.
func files(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	require.NoError(t, fs.WalkDir(os.DirFS("static"), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(filepath.Join("static", name))
		out["/static/"+name] = string(b)
		return err
	}))
	require.Greater(t, len(out), 15)
	return out
}

func TestEveryFileIsServedAsItIsWithItsType(t *testing.T) {
	srv := served(t, "")
	kinds := map[string]string{
		".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8",
		".svg": "image/svg+xml", ".md": "text/plain; charset=utf-8", "": "text/plain; charset=utf-8",
	}
	all := files(t)
	all["/"] = all["/static/index.html"]
	for name, want := range all {
		resp, body := ask(t, http.MethodGet, srv.URL+name)
		require.Equal(t, http.StatusOK, resp.StatusCode, name)
		require.Equal(t, want, body, name)
		kind := kinds[filepath.Ext(name)]
		if name == "/" {
			kind = kinds[".html"]
		}
		require.Equal(t, kind, resp.Header.Get("Content-Type"), name)
		require.Equal(t, "no-cache", resp.Header.Get("Cache-Control"), name)

		resp, body = ask(t, http.MethodHead, srv.URL+name)
		require.Equal(t, http.StatusOK, resp.StatusCode, name)
		require.Empty(t, body, name)
	}
}

func TestFilesAreCompressedForThoseWhoTakeIt(t *testing.T) {
	srv := served(t, "")
	for name, want := range files(t) {
		resp, body := ask(t, http.MethodGet, srv.URL+name, "Accept-Encoding", "br, gzip;q=0.8")
		require.Equal(t, "gzip", resp.Header.Get("Content-Encoding"), name)
		require.Equal(t, "Accept-Encoding", resp.Header.Get("Vary"), name)
		z, err := gzip.NewReader(strings.NewReader(body))
		require.NoError(t, err)
		plain, err := io.ReadAll(z)
		require.NoError(t, err)
		require.Equal(t, want, string(plain), name)
	}
	for _, refused := range []string{"", "br", "gzip;q=0", "gzip; q=0.0", "gzipped"} {
		resp, _ := ask(t, http.MethodGet, srv.URL+"/", "Accept-Encoding", refused)
		require.Empty(t, resp.Header.Get("Content-Encoding"), refused)
	}
}

func TestABrowserThatHasAFileIsToldSo(t *testing.T) {
	srv := served(t, "")
	tags := map[string]bool{}
	for _, encoding := range []string{"identity", "gzip"} {
		for _, name := range []string{"/", "/static/app.js", "/static/style.css"} {
			resp, _ := ask(t, http.MethodGet, srv.URL+name, "Accept-Encoding", encoding)
			tag := resp.Header.Get("ETag")
			require.Regexp(t, `^"[0-9a-f]{24}(-gzip)?"$`, tag)
			require.False(t, tags[tag], "each form of each file has a tag of its own")
			tags[tag] = true

			resp, body := ask(t, http.MethodGet, srv.URL+name, "Accept-Encoding", encoding, "If-None-Match", tag)
			require.Equal(t, http.StatusNotModified, resp.StatusCode, name)
			require.Empty(t, body)
			resp, _ = ask(t, http.MethodGet, srv.URL+name, "Accept-Encoding", encoding, "If-None-Match", `"of an older version"`)
			require.Equal(t, http.StatusOK, resp.StatusCode, name)
		}
	}
}

func TestEveryAnswerConfinesThePage(t *testing.T) {
	srv := served(t, "")
	for _, name := range []string{"/", "/static/app.js", "/static/none.js", "/decisions/x", "/endpoints"} {
		resp, _ := ask(t, http.MethodGet, srv.URL+name)
		csp := resp.Header.Get("Content-Security-Policy")
		require.Contains(t, csp, "default-src 'none'; script-src 'self'; style-src 'self'; ", name)
		require.Contains(t, csp, "base-uri 'none'; form-action 'none'; frame-ancestors 'none'", name)
		require.NotContains(t, csp, "unsafe", name)
		require.Equal(t, "nosniff", resp.Header.Get("X-Content-Type-Options"), name)
		require.Equal(t, "no-referrer", resp.Header.Get("Referrer-Policy"), name)
	}
}

func TestWhatThereIsNotIsNotFound(t *testing.T) {
	srv := served(t, "")
	for _, name := range []string{"/static/", "/static/none.js", "/static/..%2fweb.go", "/static/vendor", "/none", "/index.html", "/decisions/", "/autoscalers/a"} {
		resp, _ := ask(t, http.MethodGet, srv.URL+name)
		require.Equal(t, http.StatusNotFound, resp.StatusCode, name)
	}
	resp, _ := ask(t, http.MethodPost, srv.URL+"/")
	require.Equal(t, http.StatusMethodNotAllowed, resp.StatusCode)
}

// What events and alerts link to leads into the page, and stays below whatever prefix a proxy serves it under.
func TestLinksFromElsewhereLeadIntoThePage(t *testing.T) {
	for _, prefix := range []string{"", "/flyball", "/api/v1/namespaces/flyball/services/http:flyball:8090/proxy"} {
		srv := served(t, prefix)
		for from, to := range map[string]string{
			"/decisions/89ea8bca-67b5-5e5d-a7b7-7d3d7303588c-tp2vwn": "/#/decisions/89ea8bca-67b5-5e5d-a7b7-7d3d7303588c-tp2vwn",
			"/decisions/a%2Fb":              "/#/decisions/a%2Fb",
			"/autoscalers/team-a/chat":      "/#/autoscalers/team-a/chat",
			"/autoscalers/team-a/%3Cb%3E":   "/#/autoscalers/team-a/%3Cb%3E",
			"/endpoints":                    "/#/endpoints",
			"/findings":                     "/#/findings",
			"/decisions/%0d%0aSet-Cookie:x": "/#/decisions/%0D%0ASet-Cookie:x",
		} {
			resp, _ := ask(t, http.MethodGet, srv.URL+prefix+from)
			require.Equal(t, http.StatusFound, resp.StatusCode, from)
			at, err := url.Parse(srv.URL + prefix + from)
			require.NoError(t, err)
			location, err := at.Parse(resp.Header.Get("Location"))
			require.NoError(t, err)
			require.Equal(t, srv.URL+prefix+to, location.String(), from)
			require.Empty(t, resp.Header.Get("Set-Cookie"))
		}
	}
}

// Nothing is fetched from elsewhere, and nothing is fetched from the root, where a proxy may serve something else.
func TestThePageNamesNoAddressButItsOwn(t *testing.T) {
	address := regexp.MustCompile(`(?i)https?://[a-z0-9]|["'(]//[a-z0-9]|(src|href|action)="/|fetch\(["'` + "`" + `]/`)
	namespace := "http://www.w3.org/2000/svg" // a name, not an address
	for name, text := range files(t) {
		if strings.Contains(name, "/vendor/") {
			continue
		}
		require.Empty(t, address.FindAllString(strings.ReplaceAll(text, namespace, ""), -1), name)
		require.NotContains(t, text, "innerHTML", name)
		require.NotContains(t, text, "insertAdjacentHTML", name)
		require.NotContains(t, text, "document.write", name)
	}
}

// A module that is imported and not there leaves the page empty.
func TestModulesImportWhatThereIs(t *testing.T) {
	all := files(t)
	imports := regexp.MustCompile(`from "\./([^"]+)"`)
	for name, text := range all {
		for _, m := range imports.FindAllStringSubmatch(text, -1) {
			require.Contains(t, all, "/static/"+m[1], name)
		}
	}
}

func TestWhatIsVendoredHasItsLicence(t *testing.T) {
	all := files(t)
	require.Regexp(t, `^The MIT License`, all["/static/vendor/LICENSE"])
	require.Regexp(t, `^uPlot 1\.6\.32, MIT `, all["/static/vendor/README.md"])
	require.Regexp(t, `^/\*\*\n\* Copyright .*\n.*\n\*\n\* uPlot\.js .*\n.*\n.* \(v1\.6\.32\)\n`, all["/static/vendor/uPlot.esm.js"][:400])
}
