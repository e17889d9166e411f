package controlplane

import (
	"fmt"
	"path/filepath"
	"strings"
)

// controllers are those of kube-controller-manager that work on objects alone. Left out: what needs kubelets (node lifecycle and
// taint eviction would evict the pods of nodes without heartbeats, volumes), a network (endpoints, service CIDRs) or certificates.
var controllers = []string{
	"deployment-controller", "replicaset-controller", "statefulset-controller", "daemonset-controller", "job-controller",
	"horizontal-pod-autoscaler-controller", "disruption-controller", "resourcequota-controller",
	"namespace-controller", "serviceaccount-controller", "clusterrole-aggregation-controller",
	"garbage-collector-controller", "pod-garbage-collector-controller",
}

// auditPolicy records who did what, and for writes also what was sent.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- level: Request
  verbs: [create, update, patch, delete, deletecollection]
- level: Metadata
`

func (cp *ControlPlane) path(name string) string { return filepath.Join(cp.dir, name) }

func (cp *ControlPlane) etcdArgs() []string {
	return []string{
		"--data-dir=" + cp.path("etcd"),
		"--listen-client-urls=unix://" + cp.path(etcdSocket),
		// No second member will come; port 0 is any free one. etcd refuses a socket here, and nobody reads the advertised addresses.
		"--listen-peer-urls=http://127.0.0.1:0",
		"--advertise-client-urls=http://127.0.0.1:0",
		"--unsafe-no-fsync", // a machine that crashes takes the control plane with it
		"--log-level=warn",
	}
}

func (cp *ControlPlane) apiServerArgs() []string {
	args := []string{
		"--etcd-servers=unix://" + cp.path(etcdSocket),
		"--bind-address=127.0.0.1",
		"--advertise-address=127.0.0.1", // else it looks for a network interface, and a machine may have none
		"--endpoint-reconciler-type=none",
		fmt.Sprintf("--secure-port=%d", cp.port),
		"--permit-port-sharing", // see reservePort
		"--tls-cert-file=" + cp.path("apiserver.crt"),
		"--tls-private-key-file=" + cp.path("apiserver.key"),
		"--token-auth-file=" + cp.path("tokens.csv"),
		"--authorization-mode=RBAC",
		"--disable-admission-plugins=ServiceAccount", // see doc.go for this and the next
		"--enable-admission-plugins=OwnerReferencesPermissionEnforcement",
		"--service-account-issuer=https://kubernetes.default.svc",
		"--service-account-key-file=" + cp.path("service-account.key"),
		"--service-account-signing-key-file=" + cp.path("service-account.key"),
		"--service-cluster-ip-range=10.0.0.0/24",
		"--requestheader-client-ca-file=" + cp.path("front-proxy-ca.crt"),
		"--requestheader-allowed-names=front-proxy-client",
		"--requestheader-username-headers=X-Remote-User",
		"--requestheader-group-headers=X-Remote-Group",
		"--requestheader-extra-headers-prefix=X-Remote-Extra-",
		"--proxy-client-cert-file=" + cp.path("front-proxy-client.crt"),
		"--proxy-client-key-file=" + cp.path("front-proxy-client.key"),
		"--profiling=false",
	}
	if cp.options.AuditLog {
		args = append(args, "--audit-policy-file="+cp.path("audit-policy.yaml"), "--audit-log-path="+cp.AuditLog())
	}
	return args
}

func (cp *ControlPlane) controllerManagerArgs() []string {
	return []string{
		"--kubeconfig=" + cp.path(controllerManagerKubeconfig),
		"--controllers=" + strings.Join(controllers, ","),
		"--leader-elect=false", // there is one; electing it takes seconds
		"--secure-port=0",
		"--profiling=false",
		"--kube-api-qps=500", // the default of 20 makes a Deployment of 100 pods take seconds
		"--kube-api-burst=1000",
	}
}
