package cli

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
)

// IsPlugin says whether a program's name makes it the plugin of kubectl that is called as `kubectl flyball`.
func IsPlugin(program string) bool {
	return strings.HasPrefix(filepath.Base(program), "kubectl-flyball")
}

// Plugin is `kubectl flyball`. It has the commands that ask; they reach flyball as kubectl reaches a cluster.
func Plugin() *cobra.Command {
	root := &cobra.Command{
		Use:         "kubectl-flyball",
		Annotations: map[string]string{cobra.CommandDisplayNameAnnotation: "kubectl flyball"},
		Short:       "Ask the flyball of a cluster: how many replicas each workload should have, and why.",
		Long: "Ask the flyball of a cluster. It is reached through the API server's service proxy with your own credentials, which need " +
			"the verb get on services/proxy in flyball's namespace; with --server it is asked directly.",
	}
	root.AddCommand(newCommands(true)...)
	return root
}

// Commands are those that ask the flyball at an address.
func Commands() []*cobra.Command { return newCommands(false) }

func newCommands(plugin bool) []*cobra.Command {
	return []*cobra.Command{
		newGet(&scope{plugin: plugin}), newWatch(&scope{plugin: plugin}), newTop(&scope{plugin: plugin}), newExplain(&scope{plugin: plugin}),
	}
}

// scope says where flyball is, and whose autoscalers are meant.
type scope struct {
	plugin    bool // of kubectl: through the API server unless server is given, and for the context's namespace
	server    string
	namespace string
	all       bool

	kubeconfig, context string
	service             service
}

// service is flyball's Service in a cluster.
type service struct{ namespace, name string }

func (s *scope) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	if !s.plugin {
		f.StringVar(&s.server, "server", DefaultServer, "address of the running flyball")
		f.StringVarP(&s.namespace, "namespace", "n", "", "only this namespace; all when omitted")
		return
	}
	f.StringVar(&s.server, "server", "", "address of the running flyball; through the API server when omitted")
	f.StringVarP(&s.namespace, "namespace", "n", "", "only this namespace; the context's when omitted")
	f.StringVar(&s.kubeconfig, "kubeconfig", "", "file that says how to reach the cluster; as kubectl finds it when omitted")
	f.StringVar(&s.context, "context", "", "context of the kubeconfig; the current one when omitted")
	f.StringVar(&s.service.namespace, "flyball-namespace", "flyball-system", "namespace that flyball is installed in")
	f.StringVar(&s.service.name, "flyball-service", "flyball", "name of flyball's Service there")
}

func (s *scope) allFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&s.all, "all-namespaces", "A", false, "all namespaces")
	cmd.MarkFlagsMutuallyExclusive("namespace", "all-namespaces")
}

// who reads the argument and the flags: a namespace, or none for all, and an autoscaler's name, or none for all.
func (s *scope) who(args []string) (namespace, name string, err error) {
	if len(args) == 0 {
		if s.all {
			return "", "", nil
		}
		namespace, err = s.ownNamespace()
		return namespace, "", err
	}
	namespace, name, ok := strings.Cut(args[0], "/")
	if !ok && namespace != "" {
		name = namespace
		if namespace, err = s.ownNamespace(); err != nil {
			return "", "", err
		}
	}
	switch {
	case namespace == "" || name == "" || strings.Contains(name, "/"):
		return "", "", fmt.Errorf("%q is not an autoscaler's name; give NAMESPACE/NAME, such as default/llm, or --namespace and NAME", args[0])
	case s.all:
		return "", "", fmt.Errorf("--all-namespaces and the name %s exclude each other; leave one out", args[0])
	case ok && s.namespace != "" && s.namespace != namespace:
		return "", "", fmt.Errorf("--namespace is %s, and %s is in %s; leave one out", s.namespace, args[0], namespace)
	}
	return namespace, name, nil
}

// ownNamespace is that of the flag, or of the kubeconfig's context; none if neither says one.
func (s *scope) ownNamespace() (string, error) {
	if s.namespace != "" || !s.plugin {
		return s.namespace, nil
	}
	namespace, _, err := s.config().Namespace()
	if err != nil {
		return "", kubeconfigError(err)
	}
	return namespace, nil
}

func (s *scope) config() clientcmd.ClientConfig {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = s.kubeconfig
	return clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: s.context})
}

func kubeconfigError(err error) error {
	return fmt.Errorf("read the kubeconfig: %w; give --kubeconfig and --context, or flyball's own address as --server", err)
}

// client is a client of the flyball that is meant. It sends nothing.
func (s *scope) client() (*client, error) {
	if !s.plugin || s.server != "" {
		return direct(s.server)
	}
	if s.service.namespace == "" || s.service.name == "" {
		return nil, errors.New("--flyball-namespace and --flyball-service must not be empty")
	}
	config, err := s.config().ClientConfig()
	if err != nil {
		return nil, kubeconfigError(err)
	}
	base, _, err := rest.DefaultServerUrlFor(config)
	if err != nil {
		return nil, kubeconfigError(err)
	}
	hc, err := rest.HTTPClientFor(config)
	if err != nil {
		return nil, kubeconfigError(err)
	}
	return &client{http: hc, base: strings.TrimSuffix(base.String(), "/") + s.service.path(), service: &s.service}, nil
}

// proxied is the Service as the API server's proxy calls it: scheme, name, port.
func (s service) proxied() string { return "http:" + s.name + ":8090" }

func (s service) path() string {
	return "/api/v1/namespaces/" + url.PathEscape(s.namespace) + "/services/" + url.PathEscape(s.proxied()) + "/proxy"
}

// advice says what to do about the API server's refusal.
func (s service) advice(status int) string {
	switch status {
	case http.StatusUnauthorized:
		return "log in to the cluster again, or choose another --context"
	case http.StatusForbidden:
		return fmt.Sprintf("this needs a Role in namespace %s with verb get on services/proxy, resourceNames [%q]; "+
			"or port-forward to flyball and give --server", s.namespace, s.proxied())
	case http.StatusNotFound:
		return fmt.Sprintf("is flyball installed there? see helm status -n %s %s; for another place give --flyball-namespace and --flyball-service",
			s.namespace, s.name)
	}
	return fmt.Sprintf("see kubectl -n %s get pods", s.namespace)
}
