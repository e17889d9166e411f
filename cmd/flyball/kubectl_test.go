package main

import (
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// proxyPath is where an API server has flyball's Service.
const proxyPath = "/api/v1/namespaces/flyball-system/services/http:flyball:8090/proxy"

// newAPIServer is an HTTPS server in the API server's place, which admits one token and leads to flyball. A real API server won't do:
// its proxy goes by EndpointSlices, and those refuse the loopback addresses that everything here listens on.
func newAPIServer(t *testing.T, flyball string) (kubeconfig string) {
	backend, err := url.Parse(flyball)
	require.NoError(t, err)
	refuse := func(w http.ResponseWriter, code int, reason metav1.StatusReason, message string) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(metav1.Status{
			TypeMeta: metav1.TypeMeta{Kind: "Status", APIVersion: "v1"}, Status: "Failure", Message: message, Reason: reason, Code: int32(code),
		})
	}
	proxy := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(backend)
		p.Out.URL.Path = strings.TrimPrefix(p.In.URL.Path, proxyPath)
	}}
	srv := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		service, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/api/v1/namespaces/flyball-system/services/"), "/")
		switch token := r.Header.Get("Authorization"); {
		case token == "Bearer visitor":
			refuse(w, http.StatusForbidden, metav1.StatusReasonForbidden, fmt.Sprintf("services %q is forbidden: User \"visitor\" cannot get "+
				"resource \"services/proxy\" in API group \"\" in the namespace \"flyball-system\"", service))
		case token != "Bearer operator":
			refuse(w, http.StatusUnauthorized, metav1.StatusReasonUnauthorized, "Unauthorized")
		case service == "http:asleep:8090":
			refuse(w, http.StatusServiceUnavailable, metav1.StatusReasonServiceUnavailable, "no endpoints available for service \"http:asleep:8090\"")
		case service != "http:flyball:8090" || !strings.HasPrefix(rest, "proxy/"):
			refuse(w, http.StatusNotFound, metav1.StatusReasonNotFound, "services \"flybal\" not found")
		default:
			proxy.ServeHTTP(w, r)
		}
	}))
	t.Cleanup(func() { srv.CloseClientConnections(); srv.Close() })

	dir := t.TempDir()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ca.pem"), ca, 0o600))
	kubeconfig = filepath.Join(dir, "kubeconfig")
	require.NoError(t, os.WriteFile(kubeconfig, []byte(fmt.Sprintf(`
apiVersion: v1
kind: Config
current-context: operator
clusters:
- {name: here, cluster: {server: %q, certificate-authority: ca.pem}}
contexts:
- {name: operator, context: {cluster: here, user: operator, namespace: b}}
- {name: visitor, context: {cluster: here, user: visitor, namespace: b}}
- {name: stranger, context: {cluster: here, user: stranger}}
users:
- {name: operator, user: {token: operator}}
- {name: visitor, user: {token: visitor}}
- {name: stranger, user: {token: outdated}}
`, srv.URL)), 0o600))
	return kubeconfig
}

// kubectl flyball goes through the API server, as who the kubeconfig says, for the namespace of its context.
func TestThePluginAsksThroughTheAPIServer(t *testing.T) {
	t.Parallel()
	server := fleetOfThree(t)
	kubeconfig := newAPIServer(t, server)
	plugin := func(args ...string) (string, error) {
		out, _, err := typed(context.Background(), "/usr/local/bin/kubectl-flyball", append(args, "--kubeconfig", kubeconfig)...)
		return out, err
	}
	for args, want := range map[string]string{
		"get -o name":                    "b/calm\n",
		"get -o name -A":                 "a/busy\nb/calm\nc/blind\n",
		"get -o name -n a":               "a/busy\n",
		"get -o name calm":               "b/calm\n",
		"get -o name c/blind":            "c/blind\n",
		"get -o name --server " + server: "b/calm\n",
	} {
		out, err := plugin(strings.Fields(args)...)
		require.NoError(t, err, args)
		require.Equal(t, want, out, args)
	}
	out, err := plugin("explain", "calm")
	require.NoError(t, err)
	require.Contains(t, out, "b/calm (Workload calm), decision ")
	out, err = plugin("top", "-A")
	require.NoError(t, err)
	require.Contains(t, out, "no-data")
	for args, want := range map[string]string{
		"get --context visitor": "cannot get resource \"services/proxy\" in API group \"\" in the namespace \"flyball-system\"; this needs a Role in " +
			"namespace flyball-system with verb get on services/proxy, resourceNames [\"http:flyball:8090\"]; or port-forward",
		"watch --context visitor":        "watch: services \"http:flyball:8090\" is forbidden",
		"get --context stranger":         "Unauthorized; log in to the cluster again, or choose another --context",
		"top --flyball-service asleep":   "no endpoints available for service \"http:asleep:8090\"; see kubectl -n flyball-system get pods",
		"get --flyball-service flybal":   "not found; is flyball installed there? see helm status -n flyball-system flybal; for another place give --flyball-namespace and --flyball-service",
		"explain clam":                   "explain: b/clam: no decision is recorded of that name; the nearest are b/calm",
		"get b/calm --flyball-service x": "not found; is flyball installed there?",
	} {
		_, err := plugin(strings.Fields(args)...)
		require.ErrorContains(t, err, want, args)
	}
}
