package collector

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// badPage scrapes an exporter that answers with h, and a good neighbour.
func badPage(t *testing.T, want string, h http.HandlerFunc) {
	r := newRig(t)
	bad, neighbour := r.exporter("a"), r.exporter("b")
	bad.answer(h)
	neighbour.serve("m 7\n")
	r.set("m", bad.pod("prod/llama-0"), neighbour.pod("prod/llama-1"))
	r.tick()
	r.expect("m", `{__name__="m", endpoint="b/metrics", job="vllm", namespace="prod", node="n1", pod="llama-1", `+
		`pod_uid="prod-llama-1", workload="llama", workload_uid="w1"} 7`)
	r.expect("up", `{__name__="up", `+podA+`} 0`,
		`{__name__="up", endpoint="b/metrics", job="vllm", namespace="prod", node="n1", pod="llama-1", `+
			`pod_uid="prod-llama-1", workload="llama", workload_uid="w1"} 1`)
	got := r.health(bad.Server.URL + "/metrics")
	require.ErrorContains(t, got.Err, want)
	require.ErrorContains(t, got.Err, bad.Server.URL, "the error names the endpoint")
	require.Equal(t, 1, got.Failures)
	require.Zero(t, got.Samples)
	require.True(t, r.health(neighbour.Server.URL+"/metrics").Up())
}

func TestABadPageStoresNothingAndDisturbsNobody(t *testing.T) {
	f := func(name, want string, h http.HandlerFunc) {
		t.Helper()
		t.Run(name, func(t *testing.T) { badPage(t, want, h) })
	}
	f("bad syntax midway", "parse page after 1 samples", text("m 1\nm{a=} 2\nm 3\n"))
	f("garbage", "parse page after 0 samples", text("\x01\x02 garbage\xff"))
	f("a zero byte, at which the parser would stop", "zero byte at 4", text("m 1\n\x00m 2\n"))
	f("a label twice", `label "a" is there twice`, text(`m{a="1",a="2"} 1`+"\n"))
	f("too many labels", "m has 65 labels, allowed are 64", text(manyLabels(65)))
	f("a long label", "shorten the label", text(`m{a="`+strings.Repeat("x", maxLabelValue+1)+`"} 1`+"\n"))
	f("a million series", "more than 100000 samples", text(strings.Repeat("x 1\n", 1_000_000)))
	f("100 MB declared", "104857600 bytes declared, 16777216 allowed", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", fmt.Sprint(100<<20))
		_, _ = w.Write(make([]byte, 4096))
	})
	f("a body that never ends", "more than 16 MiB", endless)
	f("a gzip bomb", "more than 16 MiB", gzipped(func(w io.Writer) {
		for range 100 {
			_, _ = w.Write(bytes.Repeat([]byte("#\n"), 1<<19))
		}
	}))
	f("broken gzip", "inflate page", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = io.WriteString(w, "m 1\n but plain, and long enough for a header\n")
	})
	f("an unknown encoding", `content encoding "zstd" is not known`, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "zstd")
	})
	f("a redirect", `answer is 302 Found to "/elsewhere" (redirects are not followed: give the final URL)`,
		func(w http.ResponseWriter, req *http.Request) { http.Redirect(w, req, "/elsewhere", http.StatusFound) })
	f("not found", "check port and path", http.NotFound)
	f("a connection that breaks", "read page", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "100")
		_, _ = io.WriteString(w, "m 1\n")
	})
	f("HTML", "parse page after 0 samples", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html></html>") })
	f("an empty page of no known type", "is this the metrics path?", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
	})
	f("OpenMetrics cut off", "parse page after 1 samples", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/openmetrics-text; version=1.0.0")
		_, _ = io.WriteString(w, "m 1\n")
	})
}

func endless(w http.ResponseWriter, req *http.Request) {
	for i := 0; req.Context().Err() == nil; i++ {
		_, _ = fmt.Fprintf(w, "m{i=%q} 1\n", strings.Repeat("x", 4000))
	}
}

func gzipped(body func(io.Writer)) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		z := gzip.NewWriter(w)
		body(z)
		_ = z.Close()
	}
}

func text(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4")
		_, _ = io.WriteString(w, body)
	}
}

func manyLabels(n int) string {
	var b strings.Builder
	for i := range n {
		_, _ = fmt.Fprintf(&b, "l%d=\"v\",", i)
	}
	return "m{" + b.String() + "} 1\n"
}

func TestATextPageOfUndeclaredLengthMustEndItsLastLine(t *testing.T) {
	r := newRig(t)
	x := r.exporter("a")
	closeDelimited := func(body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n"+body)
			_ = conn.Close()
		}
	}
	r.set("m", x.pod("prod/llama-0"))
	x.answer(closeDelimited("m 12\n"))
	r.tick()
	x.answer(closeDelimited("m 1")) // of "m 12\n"
	r.tick()
	require.ErrorContains(t, r.health(x.Server.URL+"/metrics").Err, "it may be cut off")
	r.expect("m", `{__name__="m", `+podA+`} 12`)
}

func TestASlowEndpointTimesOutAndDelaysNobody(t *testing.T) {
	r := newRig(t)
	slow := r.exporter("a")
	f := func(h http.HandlerFunc) {
		t.Helper()
		slow.answer(h)
		r.set("m", slow.pod("prod/llama-0"))
		s := r.c.scrapers[slow.pod("prod/llama-0").Key()]
		start := time.Now()
		s.scrape(t.Context(), 100*time.Millisecond) // so the timeout is 80 ms
		require.Less(t, time.Since(start), 5*time.Second)
		h2 := r.health(slow.Server.URL + "/metrics")
		require.ErrorContains(t, h2.Err, "no whole page within 0.8 of the scrape interval")
		r.ms.Add(2000)
	}
	f(func(_ http.ResponseWriter, req *http.Request) { <-req.Context().Done() }) // never answers
	f(func(w http.ResponseWriter, req *http.Request) {                           // a byte now and then
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for req.Context().Err() == nil {
			_, _ = io.WriteString(w, "#")
			_ = http.NewResponseController(w).Flush()
			<-tick.C
		}
	})
	r.expect("m")
}

func TestLargePagesShareTheirMemory(t *testing.T) {
	var bs bodies
	const others = maxBodies - 20<<20 // pages being read elsewhere
	bs.large.Store(others)
	b, err := bs.readAll(io.LimitReader(zeros{}, maxBody))
	require.NoError(t, err)
	b2, err := bs.readAll(io.LimitReader(zeros{}, maxBody))
	require.ErrorIs(t, err, errTooLarge)
	require.ErrorContains(t, err, "256 MiB together")
	small, err := bs.readAll(io.LimitReader(zeros{}, smallBody-1))
	require.NoError(t, err, "small pages go on")
	bs.put(small)
	bs.put(b2)
	bs.put(b)
	require.EqualValues(t, others, bs.large.Load())
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestAURLThatCanNotBeScrapedIsSaid(t *testing.T) {
	f := func(url, want string) {
		t.Helper()
		r := newRig(t)
		r.set("m", Endpoint{Role: PodExporter, URL: url, Identity: Identity{PodUID: "u"}})
		r.tick()
		require.ErrorContains(t, r.health(url).Err, want)
		require.Contains(t, r.stored("up"), `pod_uid="u"} 0`)
	}
	f("ftp://127.0.0.1/metrics", `scheme "ftp" is not http or https`)
	f("http://user:secret@127.0.0.1/metrics", "takes no user or password")
	f("http://127.0.0.1:1/metrics", "does something listen there")
	f("http://bad host/", "parse URL")
}
