package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/grafana/grafana-plugin-sdk-go/backend"
	"github.com/grafana/grafana-plugin-sdk-go/backend/grpcplugin"
	"github.com/grafana/grafana-plugin-sdk-go/genproto/pluginv2"
	"github.com/hashicorp/go-hclog"
	goplugin "github.com/hashicorp/go-plugin"
	"github.com/stretchr/testify/require"
)

const root = "../.."

// goBuild is how programs are built here: as this test is, so that what is compiled already is used again, and a race in them shows.
func goBuild() []string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "-race" && s.Value == "true" {
				return []string{"go", "build", "-race"}
			}
		}
	}
	return []string{"go", "build"}
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "MAKEFLAGS=", "MAKELEVEL=")
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s %v:\n%s", name, args, out)
}

// assemble makes the plugin's folder as `make plugin` does.
func assemble(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "flyball-datasource")
	run(t, "make", "-s", "-C", root, "plugin", "PLUGIN_DIR="+dir, "PLUGIN_BUILD="+strings.Join(goBuild(), " "))
	return dir
}

// demo is a real flyball over simulated fleets.
type demo struct {
	cmd *exec.Cmd
	url string
}

var saysWhere = regexp.MustCompile(`(http://[^/]+)/api/v1/query`)

func startDemo(t *testing.T) *demo {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "flyball")
	run(t, "go", append([]string{"-C", root}, append(goBuild()[1:], "-o", bin, "./cmd/flyball")...)...)
	d := &demo{cmd: exec.Command(bin, "demo", "--listen", "127.0.0.1:0", "--grpc-listen", "127.0.0.1:0")}
	out, err := d.cmd.StdoutPipe()
	require.NoError(t, err)
	d.cmd.Stderr = os.Stderr
	require.NoError(t, d.cmd.Start())
	t.Cleanup(d.stop)
	lines := bufio.NewScanner(out)
	for d.url == "" && lines.Scan() {
		if m := saysWhere.FindStringSubmatch(lines.Text()); m != nil {
			d.url = m[1]
		}
	}
	require.NotEmpty(t, d.url, "the demo did not say where it listens")
	go func() { _, _ = io.Copy(io.Discard, out) }() // ends with the demo
	return d
}

// stop ends the demo as Ctrl-C does. It may be called twice.
func (d *demo) stop() {
	if d.cmd.ProcessState != nil {
		return
	}
	_ = d.cmd.Process.Signal(syscall.SIGINT)
	kill := time.AfterFunc(20*time.Second, func() { _ = d.cmd.Process.Kill() })
	defer kill.Stop()
	_ = d.cmd.Wait()
}

// host speaks to the plugin's process as Grafana does.
type host struct {
	diagnostics grpcplugin.DiagnosticsClient
	data        grpcplugin.DataClient
	resource    grpcplugin.ResourceClient
	stream      grpcplugin.StreamClient
	settings    backend.DataSourceInstanceSettings
}

// load starts the plugin's program from its folder, by the name that plugin.json gives.
func load(t *testing.T, dir string) *host {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, "plugin.json"))
	require.NoError(t, err)
	var manifest struct{ Executable string }
	require.NoError(t, json.Unmarshal(b, &manifest))
	name := manifest.Executable + "_" + runtime.GOOS + "_" + runtime.GOARCH
	client := goplugin.NewClient(&goplugin.ClientConfig{
		Cmd:              exec.Command(filepath.Join(dir, name)),
		AllowedProtocols: []goplugin.Protocol{goplugin.ProtocolGRPC},
		Logger:           hclog.NewNullLogger(),
		HandshakeConfig: goplugin.HandshakeConfig{
			ProtocolVersion: grpcplugin.ProtocolVersion, MagicCookieKey: grpcplugin.MagicCookieKey, MagicCookieValue: grpcplugin.MagicCookieValue,
		},
		VersionedPlugins: map[int]goplugin.PluginSet{grpcplugin.ProtocolVersion: {
			"diagnostics": &grpcplugin.DiagnosticsGRPCPlugin{}, "data": &grpcplugin.DataGRPCPlugin{}, "resource": &grpcplugin.ResourceGRPCPlugin{},
			"stream": &grpcplugin.StreamGRPCPlugin{},
		}},
	})
	t.Cleanup(client.Kill)
	protocol, err := client.Client()
	require.NoError(t, err)
	return &host{
		diagnostics: dispense[grpcplugin.DiagnosticsClient](t, protocol, "diagnostics"),
		data:        dispense[grpcplugin.DataClient](t, protocol, "data"),
		resource:    dispense[grpcplugin.ResourceClient](t, protocol, "resource"),
		stream:      dispense[grpcplugin.StreamClient](t, protocol, "stream"),
	}
}

func dispense[T any](t *testing.T, p goplugin.ClientProtocol, name string) T {
	t.Helper()
	raw, err := p.Dispense(name)
	require.NoError(t, err)
	out, ok := raw.(T)
	require.True(t, ok, "%s is a %T", name, raw)
	return out
}

// point sets the data source's URL; Grafana tells of a change by its time.
func (h *host) point(url string) {
	h.settings = backend.DataSourceInstanceSettings{
		UID: "fly", Name: "flyball", URL: url, JSONData: []byte(`{}`), Updated: h.settings.Updated.Add(time.Second),
	}
}

func (h *host) context() backend.PluginContext {
	return backend.PluginContext{Namespace: "default", PluginID: "flyball-datasource", DataSourceInstanceSettings: &h.settings}
}

func (h *host) health(t *testing.T) *backend.CheckHealthResult {
	t.Helper()
	resp, err := h.diagnostics.CheckHealth(t.Context(), &pluginv2.CheckHealthRequest{PluginContext: backend.ToProto().PluginContext(h.context())})
	require.NoError(t, err)
	return backend.FromProto().CheckHealthResponse(resp)
}

// query asks one query of the last minutes.
func (h *host) query(t *testing.T, model string) backend.DataResponse {
	t.Helper()
	now := time.Now()
	resp, err := h.data.QueryData(t.Context(), backend.ToProto().QueryDataRequest(&backend.QueryDataRequest{
		PluginContext: h.context(),
		Queries: []backend.DataQuery{{
			RefID: "A", MaxDataPoints: 100, Interval: time.Second, TimeRange: backend.TimeRange{From: now.Add(-5 * time.Minute), To: now}, JSON: []byte(model),
		}},
	}))
	require.NoError(t, err)
	got, err := backend.FromProto().QueryDataResponse(resp)
	require.NoError(t, err)
	return got.Responses["A"]
}

// get calls a resource. Grafana gives the path without the question, and the URL with it.
func (h *host) get(t *testing.T, url string) (int, string) {
	t.Helper()
	path, _, _ := strings.Cut(url, "?")
	stream, err := h.resource.CallResource(t.Context(), backend.ToProto().CallResourceRequest(&backend.CallResourceRequest{
		PluginContext: h.context(), Path: path, URL: url, Method: http.MethodGet,
	}))
	require.NoError(t, err)
	status, body := 0, ""
	for {
		part, err := stream.Recv()
		if errors.Is(err, io.EOF) || errors.Is(err, context.Canceled) {
			return status, body
		}
		require.NoError(t, err)
		resp := backend.FromProto().CallResourceResponse(part)
		if resp.Status != 0 {
			status = resp.Status
		}
		body += string(resp.Body)
	}
}
