package main

import (
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
)

// front is an address that stays while the service behind it is restarted, as a Service's does.
type front struct {
	*httptest.Server
	backend atomic.Pointer[url.URL]
}

func newFront(t *testing.T, r *rig) *front {
	f := &front{}
	f.behind(r)
	proxy := &httputil.ReverseProxy{
		Rewrite:       func(p *httputil.ProxyRequest) { p.SetURL(f.backend.Load()) },
		FlushInterval: -1,
		ErrorHandler:  func(w http.ResponseWriter, _ *http.Request, _ error) { w.WriteHeader(http.StatusBadGateway) },
	}
	f.Server = httptest.NewServer(proxy)
	t.Cleanup(func() { f.CloseClientConnections(); f.Close() })
	return f
}

// behind puts the rig's present service behind the front.
func (f *front) behind(r *rig) {
	f.backend.Store(&url.URL{Scheme: "http", Host: r.service.listener.Addr().String()})
}
