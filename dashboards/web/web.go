package web

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"
)

//go:embed static
var static embed.FS

// policy lets the page load what flyball serves, and nothing else. Charts set styles through the DOM, which it allows.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

var types = map[string]string{
	".css":  "text/css; charset=utf-8",
	".html": "text/html; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".md":   "text/plain; charset=utf-8",
	".svg":  "image/svg+xml",
	"":      "text/plain; charset=utf-8", // the licence
}

// file is one of the page's files, as it is and compressed.
type file struct {
	plain, packed []byte
	kind, tag     string
}

// Patterns are what the page answers, as an http.ServeMux takes them. They leave every other path to others.
func Patterns() []string {
	return []string{
		"GET /{$}", "GET /static/", "GET /endpoints", "GET /findings", "GET /decisions/{id}", "GET /autoscalers/{namespace}/{name}",
	}
}

// Handler answers Patterns. The page itself keeps where it is behind the #, so the addresses that others link to are redirects;
// they are relative, since below which prefix a proxy serves the page is known to the browser alone.
func Handler() http.Handler {
	files := read()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) { files["index.html"].serve(w, r) })
	mux.HandleFunc("GET /static/{name...}", func(w http.ResponseWriter, r *http.Request) {
		f, ok := files[r.PathValue("name")]
		if !ok {
			http.NotFound(w, r)
			return
		}
		f.serve(w, r)
	})
	for _, view := range []string{"endpoints", "findings"} {
		mux.HandleFunc("GET /"+view, func(w http.ResponseWriter, _ *http.Request) { redirect(w, "./#/"+view) })
	}
	mux.HandleFunc("GET /decisions/{id}", func(w http.ResponseWriter, r *http.Request) {
		redirect(w, "../#/decisions/"+url.PathEscape(r.PathValue("id")))
	})
	mux.HandleFunc("GET /autoscalers/{namespace}/{name}", func(w http.ResponseWriter, r *http.Request) {
		redirect(w, "../../#/autoscalers/"+url.PathEscape(r.PathValue("namespace"))+"/"+url.PathEscape(r.PathValue("name")))
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		confine(w.Header())
		mux.ServeHTTP(w, r)
	})
}

// redirect does not use http.Redirect, which makes a relative address absolute and so loses the prefix.
func redirect(w http.ResponseWriter, to string) {
	w.Header().Set("Location", to)
	w.Header().Set("Cache-Control", "no-cache")
	w.WriteHeader(http.StatusFound)
}

func confine(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
}

// read packs every file once. The files are those of the build, so what is wrong with one is a bug.
func read() map[string]file {
	files := map[string]file{}
	err := fs.WalkDir(static, "static", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		plain, err := static.ReadFile(name)
		if err != nil {
			return err
		}
		kind, ok := types[path.Ext(name)]
		if !ok {
			return fmt.Errorf("%s: no content type is known of its kind", name)
		}
		sum := sha256.Sum256(plain)
		files[strings.TrimPrefix(name, "static/")] = file{plain, pack(plain), kind, hex.EncodeToString(sum[:12])}
		return nil
	})
	if err != nil {
		panic("BUG: the page's files: " + err.Error())
	}
	return files
}

func pack(plain []byte) []byte {
	var b bytes.Buffer
	z, _ := gzip.NewWriterLevel(&b, gzip.BestCompression) // the level is one that there is
	_, _ = z.Write(plain)                                 // a buffer takes everything
	_ = z.Close()
	return b.Bytes()
}

// serve answers with the file, or with 304 to who has it. A browser asks each time, so a new version shows at once.
func (f file) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Type", f.kind)
	h.Set("Cache-Control", "no-cache")
	h.Set("Vary", "Accept-Encoding")
	body, tag := f.plain, f.tag
	if takesGzip(r.Header.Values("Accept-Encoding")) {
		body, tag = f.packed, f.tag+"-gzip"
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("ETag", `"`+tag+`"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
}

// takesGzip says whether gzip is named and not refused with a weight of 0.
func takesGzip(accept []string) bool {
	for _, one := range strings.Split(strings.Join(accept, ","), ",") {
		name, params, _ := strings.Cut(one, ";")
		if strings.EqualFold(strings.TrimSpace(name), "gzip") {
			q, weighted := strings.CutPrefix(strings.ReplaceAll(params, " ", ""), "q=")
			return !weighted || strings.Trim(q, "0.") != ""
		}
	}
	return false
}
