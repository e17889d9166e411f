package controlplane

import (
	"crypto/rand"
	"fmt"
	"os"
	"os/exec"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

const (
	adminKubeconfig             = "admin.kubeconfig"
	controllerManagerKubeconfig = "kube-controller-manager.kubeconfig"
	adminUser                   = "admin"
	controllerManagerUser       = "system:kube-controller-manager" // a name of its own, so that the audit log tells it apart
)

// Config is an admin's client configuration (group system:masters: everything is allowed). It has no client-side rate limit;
// set QPS and Burst where a test is about them. Each call returns a copy.
func (cp *ControlPlane) Config() *rest.Config {
	return &rest.Config{
		Host:            fmt.Sprintf("https://127.0.0.1:%d", cp.port),
		BearerToken:     cp.tokens[adminUser],
		TLSClientConfig: rest.TLSClientConfig{CAData: cp.trust},
		QPS:             -1,
	}
}

// As is the client configuration of any user, for tests of RBAC rules: the admin impersonates the user, and the API server decides
// by the user's rights. A service account is the user system:serviceaccount:NAMESPACE:NAME; it needs no groups here, the API server adds its own.
func (cp *ControlPlane) As(user string, groups ...string) *rest.Config {
	c := cp.Config()
	c.Impersonate = rest.ImpersonationConfig{UserName: user, Groups: groups}
	return c
}

// Kubeconfig is the path of an admin's kubeconfig file. The file is gone after Stop.
func (cp *ControlPlane) Kubeconfig() string { return cp.path(adminKubeconfig) }

// KubeconfigAs writes what [ControlPlane.As] returns as a kubeconfig file, for programs under test, and returns its path.
func (cp *ControlPlane) KubeconfigAs(user string, groups ...string) (string, error) {
	f, err := os.CreateTemp(cp.dir, "user-*.kubeconfig")
	if err != nil {
		return "", fmt.Errorf("write a kubeconfig for %s: %w", user, err)
	}
	f.Close()
	return f.Name(), writeKubeconfig(f.Name(), cp.As(user, groups...))
}

// Kubectl is a kubectl command as admin, ready to run. Its caches stay with the control plane's files.
func (cp *ControlPlane) Kubectl(args ...string) *exec.Cmd {
	return exec.Command(cp.bin+"/kubectl", append([]string{"--kubeconfig=" + cp.Kubeconfig(), "--cache-dir=" + cp.path("kubectl-cache")}, args...)...)
}

// writeTokens makes the API server's static token file: both users may do everything.
func (cp *ControlPlane) writeTokens() error {
	cp.tokens = map[string]string{}
	file := ""
	for _, user := range []string{adminUser, controllerManagerUser} {
		cp.tokens[user] = rand.Text()
		file += fmt.Sprintf("%s,%s,%s,system:masters\n", cp.tokens[user], user, user)
	}
	return os.WriteFile(cp.path("tokens.csv"), []byte(file), 0o600)
}

func (cp *ControlPlane) writeKubeconfigs() error {
	if err := writeKubeconfig(cp.path(adminKubeconfig), cp.Config()); err != nil {
		return err
	}
	manager := cp.Config()
	manager.BearerToken = cp.tokens[controllerManagerUser]
	return writeKubeconfig(cp.path(controllerManagerKubeconfig), manager)
}

func writeKubeconfig(path string, c *rest.Config) error {
	const name = "flyball-controlplane"
	k := clientcmdapi.NewConfig()
	k.Clusters[name] = &clientcmdapi.Cluster{Server: c.Host, CertificateAuthorityData: c.CAData}
	k.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: c.BearerToken, Impersonate: c.Impersonate.UserName, ImpersonateGroups: c.Impersonate.Groups}
	k.Contexts[name] = &clientcmdapi.Context{Cluster: name, AuthInfo: name}
	k.CurrentContext = name
	if err := clientcmd.WriteToFile(*k, path); err != nil {
		return fmt.Errorf("write the kubeconfig %s: %w", path, err)
	}
	return nil
}
