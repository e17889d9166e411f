package main

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/data"
	"github.com/grafana/grafana-plugin-sdk-go/genproto/pluginv2"
	"github.com/stretchr/testify/require"
)

// The plugin's own program, from the folder that Grafana would load, asks a flyball that decides for simulated fleets.
func TestThePluginsProgramShowsARunningFlyball(t *testing.T) {
	dir := assemble(t)
	t.Run("its folder has what Grafana looks for", func(t *testing.T) { complete(t, dir) })
	h := load(t, dir)
	d := startDemo(t)
	h.point(d.url)

	require.Eventually(t, func() bool { return h.health(t).Status == backend.HealthStatusOk }, time.Minute, 100*time.Millisecond)
	t.Run("its health is that of the way that queries take", func(t *testing.T) { healthy(t, h, d.url) })
	require.Eventually(t, func() bool {
		resp := h.query(t, `{"queryType": "annotations", "namespace": "team-a", "name": "chat"}`)
		return resp.Error == nil && rows(resp.Frames[0]) > 0
	}, 90*time.Second, 200*time.Millisecond, "the demo's burst scales team-a/chat after ten seconds")

	t.Run("each query type has its frames", func(t *testing.T) { answers(t, h, d.url) })
	t.Run("its dashboards have something to show", func(t *testing.T) { shown(t, h) })
	t.Run("a stream tells of each decision as it is recorded", func(t *testing.T) { streams(t, h) })
	t.Run("resources are names", func(t *testing.T) { lists(t, h) })
	t.Run("a wrong query names the field", func(t *testing.T) { refuses(t, h) })
	t.Run("its own metrics are collected", func(t *testing.T) {
		m, err := h.diagnostics.CollectMetrics(t.Context(), &pluginv2.CollectMetricsRequest{PluginContext: backend.ToProto().PluginContext(h.context())})
		require.NoError(t, err)
		require.Contains(t, string(m.Metrics.Prometheus), "go_goroutines")
	})

	d.stop()
	t.Run("when flyball is gone, health and queries say where it was looked for", func(t *testing.T) {
		got := h.health(t)
		require.Equal(t, backend.HealthStatusError, got.Status)
		require.Contains(t, got.Message, "flyball does not answer at "+d.url)
		require.Contains(t, got.Message, "check that it runs")
		resp := h.query(t, `{"queryType": "autoscalers"}`)
		require.ErrorContains(t, resp.Error, "flyball does not answer at "+d.url)
		require.Equal(t, backend.ErrorSourceDownstream, resp.ErrorSource)
		status, body := h.get(t, "namespaces")
		require.Equal(t, http.StatusBadGateway, status)
		require.Contains(t, body, "does not answer")
	})
	t.Run("a URL that is not flyball's is told from an empty fleet", func(t *testing.T) { strangers(t, h) })
}

func rows(f *data.Frame) int {
	n, err := f.RowLen()
	if err != nil {
		return -1
	}
	return n
}

func healthy(t *testing.T, h *host, url string) {
	got := h.health(t)
	require.Regexp(t, `^flyball \S+ answers; it decides for [1-4] autoscalers$`, got.Message)
	var details struct {
		Version, URL string
		Autoscalers  int
	}
	require.NoError(t, json.Unmarshal(got.JSONDetails, &details))
	require.Equal(t, url, details.URL)
	require.NotEmpty(t, details.Version)
	require.NotEqual(t, "3.16.0", details.Version, "that is the version of Prometheus's API")
}

// column gives a field's values as JSON.
func column(t *testing.T, f *data.Frame, name string) []any {
	t.Helper()
	field, _ := f.FieldByName(name)
	require.NotNil(t, field, "%s has no %s", f.Name, name)
	out := make([]any, field.Len())
	for i := range out {
		out[i], _ = field.ConcreteAt(i)
	}
	return out
}

func answers(t *testing.T, h *host, url string) {
	ask := func(model string) data.Frames {
		resp := h.query(t, model)
		require.NoError(t, resp.Error, model)
		for _, f := range resp.Frames {
			require.NotEmpty(t, f.Meta.ExecutedQueryString)
			require.Equal(t, "A", f.RefID)
		}
		return resp.Frames
	}
	fleet := ask(`{"queryType": "autoscalers"}`)
	require.Equal(t, []any{"team-a", "team-a", "team-b", "team-b"}, column(t, fleet[0], "namespace"))
	require.Equal(t, []any{"chat", "summarize", "chat", "classify"}, column(t, fleet[0], "name"))

	history := ask(`{"queryType": "decisions", "namespace": "team-a", "name": "chat"}`)[0]
	require.Contains(t, column(t, history, "verdict"), any("ScaleUp"))
	id, _ := history.FieldByName("id")
	require.Equal(t, url+"/decisions/${__value.raw}", id.Config.Links[0].URL)
	link, err := http.Get(strings.Replace(id.Config.Links[0].URL, "${__value.raw}", *id.At(0).(*string), 1))
	require.NoError(t, err)
	link.Body.Close()
	require.Equal(t, http.StatusOK, link.StatusCode, "the link leads to flyball's page")

	events := ask(`{"queryType": "annotations", "namespace": "team-a", "name": "chat"}`)[0]
	require.Equal(t, data.DataTopic(data.DataTopicAnnotations), events.Meta.DataTopic)
	require.Regexp(t, `^team-a/chat 1 → \d`, column(t, events, "title")[0])

	series := ask(`{"queryType": "replicas", "name": "chat"}`)
	require.Len(t, series, 2)
	require.Equal(t, data.Labels{"namespace": "team-a", "name": "chat"}, series[0].Fields[1].Labels)
	require.GreaterOrEqual(t, rows(series[0]), 2)

	why := ask(`{"queryType": "explanation", "namespace": "team-a", "name": "chat"}`)
	require.Equal(t, []string{"chain", "inputs", "pods"}, []string{why[0].Name, why[1].Name, why[2].Name})
	require.Equal(t, []any{"Fresh"}, column(t, why[1], "stable state"))

	tried := ask(`{"queryType": "whatif", "namespace": "team-a", "name": "chat", "changes": {"maxReplicas": 1}}`)
	require.Equal(t, "was", tried[0].Fields[1].Name)
	require.Equal(t, "to", tried[1].Fields[1].Name)
	require.Contains(t, tried[0].Meta.Notices[0].Text, "replica-hours instead of")
	for _, v := range column(t, tried[1], "to") {
		require.Contains(t, []any{1.0, 0.0}, v, "no more than maxReplicas 1") // 0.0 is null
	}
}

func lists(t *testing.T, h *host) {
	for path, want := range map[string]string{
		"namespaces":                           `["team-a", "team-b"]`,
		"autoscalers":                          `["chat", "classify", "summarize"]`,
		"autoscalers?namespace=team-b":         `["chat", "classify"]`,
		"sources?namespace=team-b&name=nobody": `[]`,
		"sources?namespace=team-a&name=chat":   `["sum(vllm:num_requests_running)+sum(vllm:num_requests_waiting)"]`,
	} {
		status, body := h.get(t, path)
		require.Equal(t, http.StatusOK, status, body)
		require.JSONEq(t, want, body, path)
	}
	status, body := h.get(t, "targets")
	require.Equal(t, http.StatusNotFound, status)
	require.Contains(t, body, "GET namespaces, autoscalers or sources")
	status, body = h.get(t, "autoscalers?namespace=$ns")
	require.Equal(t, http.StatusBadRequest, status)
	require.Contains(t, body, "is a variable that this dashboard does not have")
}

func refuses(t *testing.T, h *host) {
	for model, want := range map[string]string{
		`{"queryType": "promql"}`: `queryType: "promql" is none; give one of autoscalers, decisions`,
		`{"queryType": "whatif", "namespace": "team-a", "name": "chat", "changes": {"scaleDownDelay": "5 min"}}`: `changes.scaleDownDelay: "5 min" is no delay; write one such as 30s`,
	} {
		resp := h.query(t, model)
		require.ErrorContains(t, resp.Error, want)
		require.Equal(t, backend.StatusBadRequest, resp.Status)
	}
	resp := h.query(t, `{"queryType": "explanation", "namespace": "team-a", "name": "chta"}`)
	require.ErrorContains(t, resp.Error, "the nearest are team-a/chat")
	require.Equal(t, backend.StatusNotFound, resp.Status)
	require.Equal(t, backend.ErrorSourceDownstream, resp.ErrorSource)
	for _, kind := range []string{"decisions", "annotations", "replicas"} {
		resp := h.query(t, `{"queryType": "`+kind+`", "namespace": "team-a", "name": "chta"}`)
		require.ErrorContains(t, resp.Error, "the nearest are team-a/chat", "the history of nobody is not that of a quiet autoscaler")
	}
	resp = h.query(t, `{"queryType": "replicas", "namespace": "team-a", "name": "chat,chta"}`)
	require.NoError(t, resp.Error)
	require.Equal(t, "name chta: no autoscaler has it", resp.Frames[0].Meta.Notices[0].Text)
}

func strangers(t *testing.T, h *host) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"status": "success", "data": {"resultType": "vector", "result": []}}`))
	}))
	defer other.Close()
	for url, want := range map[string]string{
		other.URL:                        "answers 200 OK, and not as flyball does",
		"":                               "the URL is missing; give flyball's HTTP address",
		"127.0.0.1:8090":                 "is no address of a server; give flyball's HTTP address, such as http://127.0.0.1:8090",
		other.URL + "/?orgId=1":          "is no address of a server",
		strings.ToUpper(other.URL) + "/": "answers 200 OK",
	} {
		h.point(url)
		got := h.health(t)
		require.Equal(t, backend.HealthStatusError, got.Status, url)
		require.Contains(t, got.Message, want, url)
	}
}

func streams(t *testing.T, h *host) {
	empty := h.query(t, `{"queryType": "live", "namespace": "team-a"}`)
	require.NoError(t, empty.Error)
	require.Equal(t, "ds/fly/live/team-a", empty.Frames[0].Meta.Channel)

	to := backend.ToProto()
	for path, want := range map[string]pluginv2.SubscribeStreamResponse_Status{
		"live/team-a": pluginv2.SubscribeStreamResponse_OK, "secrets": pluginv2.SubscribeStreamResponse_NOT_FOUND,
	} {
		resp, err := h.stream.SubscribeStream(t.Context(), to.SubscribeStreamRequest(&backend.SubscribeStreamRequest{PluginContext: h.context(), Path: path}))
		require.NoError(t, err)
		require.Equal(t, want, resp.Status, path)
	}
	denied, err := h.stream.PublishStream(t.Context(), to.PublishStreamRequest(&backend.PublishStreamRequest{PluginContext: h.context(), Path: "live/team-a"}))
	require.NoError(t, err)
	require.Equal(t, pluginv2.PublishStreamResponse_PERMISSION_DENIED, denied.Status)

	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	stream, err := h.stream.RunStream(ctx, to.RunStreamRequest(&backend.RunStreamRequest{PluginContext: h.context(), Path: "live/team-a"}))
	require.NoError(t, err)
	var names []string
	for i := 0; len(names) < 4; i++ { // two are the snapshot; the demo's loads bring more
		packet, err := stream.Recv()
		require.NoError(t, err, "after %v", names)
		var said struct {
			Schema *struct{ Fields []struct{ Name string } }
			Data   struct{ Values [][]any }
		}
		require.NoError(t, json.Unmarshal(packet.Data, &said))
		require.Equal(t, i == 0, said.Schema != nil, "the columns come once")
		require.Equal(t, []any{"team-a"}, said.Data.Values[1])
		names = append(names, said.Data.Values[2][0].(string))
	}
	require.ElementsMatch(t, []string{"chat", "summarize"}, names[:2])
	cancel()
	require.Eventually(t, func() bool { _, err := stream.Recv(); return err != nil }, 10*time.Second, time.Millisecond)
}
