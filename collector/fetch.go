package collector

import (
	"compress/flate"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// maxBody is the size of a page, after inflation. A vLLM page has 50 KB and one with 100 LoRA adapters 400 KB.
	maxBody = 16 << 20
	// smallBody is what a page may take without asking. Beyond, all pages being read share maxBodies, so that a
	// thousand hostile exporters cannot take 16 GiB: the page that would exceed it fails, the others go on.
	smallBody = 1 << 20
	maxBodies = 256 << 20
	maxHeader = 64 << 10

	// acceptTypes prefers the text format: it is as fast to parse as protobuf and the cheapest to render for
	// Python exporters, which render on the event loop that serves tokens.
	acceptTypes = "text/plain;version=0.0.4;q=0.9,application/openmetrics-text;version=1.0.0;q=0.8," +
		"application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.7,*/*;q=0.1"
	// acceptEncoding prefers no compression for the same reason: inflating a page costs more than parsing it.
	acceptEncoding = "identity,gzip;q=0.1"
)

// page is one answer of an exporter.
type page struct {
	body        []byte
	contentType string
	// delimited says that the length was known beforehand, so that a cut-off page was noticed.
	delimited bool
}

// bodies hands out the memory that pages are read into.
type bodies struct {
	free  sync.Pool    // *[]byte of smallBody at most
	large atomic.Int64 // bytes beyond smallBody now in use
}

func (bs *bodies) get() []byte {
	if b, ok := bs.free.Get().(*[]byte); ok {
		return (*b)[:0]
	}
	return make([]byte, 0, 64<<10)
}

func (bs *bodies) put(b []byte) {
	if cap(b) > smallBody {
		bs.large.Add(-int64(cap(b) - smallBody))
		return
	}
	bs.free.Put(&b)
}

var errTooLarge = errors.New("page is too large")

// readAll reads r to its end into memory of bs, doubling as it goes. What it returns must be put back, also on an error.
func (bs *bodies) readAll(r io.Reader) ([]byte, error) {
	b := bs.get()
	for {
		if len(b) == cap(b) {
			grown, err := bs.grow(b)
			if err != nil {
				return b, err
			}
			b = grown
		}
		n, err := r.Read(b[len(b):cap(b)])
		b = b[:len(b)+n]
		if len(b) > maxBody {
			return b, fmt.Errorf("%w: more than %d MiB", errTooLarge, maxBody>>20)
		}
		if errors.Is(err, io.EOF) {
			return b, nil
		}
		if err != nil {
			return b, err
		}
	}
}

func (bs *bodies) grow(b []byte) ([]byte, error) {
	size := min(2*cap(b), maxBody+512)
	if size > smallBody {
		more := int64(size - max(cap(b), smallBody))
		if bs.large.Add(more) > maxBodies {
			bs.large.Add(-more)
			return b, fmt.Errorf("%w: all pages now being read exceed %d MiB together", errTooLarge, maxBodies>>20)
		}
	}
	grown := make([]byte, len(b), size)
	copy(grown, b)
	return grown, nil
}

// dialFunc opens a connection.
type dialFunc func(ctx context.Context, network, addr string) (net.Conn, error)

// newTransport is one endpoint's own connection: kept alive between scrapes, shared with no other endpoint, so that
// a new pod on a reused address never answers for the old one.
func newTransport(dial dialFunc, interval time.Duration) *http.Transport {
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	return &http.Transport{
		Proxy:                  nil, // a proxy from the environment has no business between us and a pod
		DialContext:            dial,
		MaxIdleConns:           1,
		MaxIdleConnsPerHost:    1,
		MaxConnsPerHost:        1,
		IdleConnTimeout:        max(2*interval, time.Minute),
		DisableCompression:     true, // inflated here, within maxBody
		MaxResponseHeaderBytes: maxHeader,
		WriteBufferSize:        1 << 10,
	}
}

// newRequest is the request for an endpoint's page; a context is put in at every scrape. pages answer for further schemes.
func newRequest(rawURL string, pages map[string]http.RoundTripper) (*http.Request, error) {
	const hint = "give the endpoint a URL such as http://10.0.0.7:8000/metrics"
	u, err := url.Parse(rawURL)
	if err != nil {
		return nil, failf(resultConnect, hint, "parse URL: %w", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" && pages[u.Scheme] == nil {
		return nil, failf(resultConnect, hint, "scheme %q is not http or https", u.Scheme)
	}
	if u.Host == "" || u.User != nil {
		return nil, failf(resultConnect, hint, "URL needs a host and takes no user or password")
	}
	return &http.Request{Method: http.MethodGet, URL: u, Header: http.Header{
		"Accept":          {acceptTypes},
		"Accept-Encoding": {acceptEncoding},
		"User-Agent":      {"flyball"},
	}}, nil
}

// fetch gets one page within ctx. Redirects are answers like any other that is not 200. The page's body must be
// put back into bs, also on an error.
func fetch(ctx context.Context, t http.RoundTripper, req *http.Request, bs *bodies) (page, error) {
	resp, err := t.RoundTrip(req.WithContext(ctx))
	if err != nil {
		return page{}, transportFailure(ctx, "get", err)
	}
	defer resp.Body.Close() // drops the connection unless the body was read to its end
	if resp.StatusCode != http.StatusOK {
		return page{}, statusFailure(resp)
	}
	const tooLargeHint = "point flyball at a smaller page, or take metrics off this one"
	if resp.ContentLength > maxBody {
		return page{}, failf(resultTooBig, tooLargeHint, "%w: %d bytes declared, %d allowed", errTooLarge, resp.ContentLength, maxBody)
	}
	body, closeBody, err := inflate(ctx, resp)
	if err != nil {
		return page{}, err
	}
	defer closeBody()
	b, err := bs.readAll(body)
	pg := page{
		body: b, contentType: resp.Header.Get("Content-Type"),
		delimited: resp.ContentLength >= 0 || len(resp.TransferEncoding) > 0,
	}
	switch {
	case errors.Is(err, errTooLarge):
		return pg, failf(resultTooBig, tooLargeHint, "read page: %w", err)
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, gzip.ErrChecksum), errors.As(err, new(flate.CorruptInputError)):
		return pg, failf(resultSyntax, brokenHint, "inflate page: %w", err)
	case err != nil:
		return pg, transportFailure(ctx, "read page", err)
	}
	return pg, nil
}

func statusFailure(resp *http.Response) error {
	switch code := resp.StatusCode; {
	case code >= 300 && code < 400:
		return failf(resultStatus, "redirects are not followed: give the final URL",
			"answer is %s to %q", resp.Status, resp.Header.Get("Location"))
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return failf(resultStatus, "let flyball read the metrics path without credentials", "answer is %s", resp.Status)
	case code == http.StatusNotFound:
		return failf(resultStatus, "check port and path of the metric source", "answer is %s", resp.Status)
	default:
		return failf(resultStatus, "see the exporter's own log", "answer is %s", resp.Status)
	}
}

const brokenHint = "the exporter, or a proxy before it, is broken"

var gzipReaders sync.Pool // *gzip.Reader

// inflate undoes the content encoding of an answer.
func inflate(ctx context.Context, resp *http.Response) (io.Reader, func(), error) {
	switch encoding := strings.ToLower(resp.Header.Get("Content-Encoding")); encoding {
	case "", "identity":
		return resp.Body, func() {}, nil
	case "gzip", "x-gzip":
	default:
		return nil, nil, failf(resultSyntax, "let the exporter send gzip or no compression", "content encoding %q is not known", encoding)
	}
	z, ok := gzipReaders.Get().(*gzip.Reader)
	var err error
	if ok {
		err = z.Reset(resp.Body)
	} else {
		z, err = gzip.NewReader(resp.Body)
	}
	if errors.Is(err, gzip.ErrHeader) {
		return nil, nil, failf(resultSyntax, brokenHint, "inflate page: %w", err)
	}
	if err != nil {
		return nil, nil, transportFailure(ctx, "read page", err)
	}
	return z, func() { gzipReaders.Put(z) }, nil
}
