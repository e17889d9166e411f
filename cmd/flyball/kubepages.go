package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	v1alpha1 "github.com/flyball/flyball/api/v1alpha1"
	"github.com/flyball/flyball/collector"
	"github.com/flyball/flyball/internal/kube"
	"github.com/flyball/flyball/internal/loop"
)

// kubeScheme is the scheme of pages that are made of what the Kubernetes metrics APIs say.
const kubeScheme = "kube"

const (
	// shared is how long one answer of a metrics API serves the pages of all pods that it speaks of.
	shared = time.Second
	// oldest is the age beyond which a value is none. metrics-server measures every 15 to 60 s; what is older than two minutes
	// comes from something that has stopped.
	oldest = 2 * time.Minute
	// askTimeout bounds one request to a metrics API; less than a page may take (0.8 of 2 s), so that its error is what is shown.
	askTimeout = 1500 * time.Millisecond
)

// kubePages turns what a Kubernetes metrics API says into pages, one per pod or per external metric, so that these
// sources are collected like any other: with up, readiness, identity and staleness. One request serves all pods.
type kubePages struct {
	read func(ctx context.Context, s scaled, source v1alpha1.MetricSource) ([]kube.MetricValue, error)
	now  func() time.Time

	mu      sync.Mutex
	sources map[string]apiSource // by whose UID they are, and source key
	answers map[string]*answer   // likewise
}

// apiSource is what one request asks for.
type apiSource struct {
	scaled
	source v1alpha1.MetricSource
}

// answer is one request to a metrics API, under way or done.
type answer struct {
	done   chan struct{}
	at     time.Time // of the request
	values []kube.MetricValue
	err    error
}

func newKubePages(read func(context.Context, scaled, v1alpha1.MetricSource) ([]kube.MetricValue, error)) *kubePages {
	return &kubePages{read: read, now: time.Now, sources: map[string]apiSource{}, answers: map[string]*answer{}}
}

// endpoints are the pages of the autoscaler's sources that a metrics API answers for: one for each pod, or for the source.
func (p *kubePages) endpoints(s scaled, pods []podState) []collector.Endpoint {
	var out []collector.Endpoint
	for _, source := range s.pa.Spec.MetricsSources {
		if loop.API(source.Kind()) == "" {
			continue
		}
		// What is said of a workload's pods is the same for every autoscaler of it; an external metric is the autoscaler's own.
		of := s.a.Target.UID
		if source.Kind() == v1alpha1.ExternalMetricSource {
			of = s.a.UID
		}
		page := func(query url.Values) string {
			query.Set("of", of)
			u := url.URL{Scheme: kubeScheme, Host: loop.API(source.Kind()), Path: "/" + source.Key(), RawQuery: query.Encode()}
			return u.String()
		}
		p.mu.Lock()
		p.sources[of+"/"+source.Key()] = apiSource{s, source}
		p.mu.Unlock()
		if source.Kind() == v1alpha1.ExternalMetricSource {
			out = append(out, collector.Endpoint{
				Role: collector.SourceEndpoint, URL: page(url.Values{}),
				Identity: collector.Identity{Namespace: s.a.Namespace, AutoscalerUID: s.a.UID, Source: source.Key(), Job: loop.API(source.Kind())},
			})
			continue
		}
		for _, pod := range pods {
			id := pod.identity
			id.Job = loop.API(source.Kind())
			out = append(out, collector.Endpoint{
				Role: collector.PodExporter, URL: page(url.Values{"pod": {id.PodUID}}), Ready: pod.ready, Started: pod.started, Identity: id,
			})
		}
	}
	return out
}

// keep forgets the sources of all autoscalers and targets but these.
func (p *kubePages) keep(uids map[string]bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id := range p.sources {
		if uid, _, _ := strings.Cut(id, "/"); !uids[uid] {
			delete(p.sources, id)
			delete(p.answers, id)
		}
	}
}

// RoundTrip implements http.RoundTripper: the page of one pod, or of one external metric. A pod without a value has an
// empty page: it answers, and exports nothing.
func (p *kubePages) RoundTrip(req *http.Request) (*http.Response, error) {
	query := req.URL.Query()
	a, source, err := p.ask(req.Context(), query.Get("of")+req.URL.Path)
	if err != nil {
		return nil, err
	}
	var body strings.Builder
	for _, v := range a.values {
		if string(v.PodUID) == query.Get("pod") && p.now().Sub(v.At) <= oldest {
			name := loop.APIMetric(source)
			fmt.Fprintf(&body, "# TYPE %s gauge\n%s %s\n", name, name, strconv.FormatFloat(v.Value, 'g', -1, 64))
		}
	}
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
		Header: http.Header{"Content-Type": {"text/plain; version=0.0.4"}}, ContentLength: int64(body.Len()),
		Body: io.NopCloser(strings.NewReader(body.String())),
	}, nil
}

var errNoSource = errors.New("no autoscaler has this source any more")

// ask gives the answer for a source: one that is young enough, the one that is under way, or a new one.
func (p *kubePages) ask(ctx context.Context, id string) (*answer, v1alpha1.MetricSource, error) {
	p.mu.Lock()
	s, ok := p.sources[id]
	if !ok {
		p.mu.Unlock()
		return nil, v1alpha1.MetricSource{}, errNoSource
	}
	a := p.answers[id]
	if a == nil || p.now().Sub(a.at) >= shared {
		a = &answer{done: make(chan struct{}), at: p.now()}
		p.answers[id] = a
		p.mu.Unlock()
		// The request is for all that share it: it does not end with the page that asked first.
		asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), askTimeout)
		a.values, a.err = p.read(asking, s.scaled, s.source)
		cancel()
		close(a.done)
	} else {
		p.mu.Unlock()
	}
	select {
	case <-a.done:
		return a, s.source, a.err
	case <-ctx.Done():
		return nil, s.source, ctx.Err()
	}
}
