package controlplane

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

const (
	etcdSocket = "etcd.sock"
	// maxSocket is the longest path of a Unix socket that both Linux (107) and macOS (103) take.
	maxSocket = 103
	// readyWithin bounds the wait for each program. They take 3 s together on two idle cores.
	readyWithin = 2 * time.Minute
	// stopWithin is how long a program may take to end before it is killed.
	stopWithin = 5 * time.Second
)

// Options of a control plane. The zero value is a good one.
type Options struct {
	// Dir is where etcd's data, keys and logs go; it is kept. A control plane started later in the same Dir has the same objects,
	// another port and new tokens. Default: a temporary folder, which Stop removes.
	Dir string
	// CRDs are paths of YAML files with CustomResourceDefinitions. They are established before the controllers start, since the
	// garbage collector learns of later ones within 30 s only. (The API server lets whoever creates a first object of a CRD that is
	// younger than 2 s wait for 2 s.)
	CRDs []string
	// AuditLog asks for a log of all requests, see [ControlPlane.AuditLog].
	AuditLog bool
	// Log gets progress, a line at a time. Default: none.
	Log io.Writer
}

// ControlPlane is a running etcd, kube-apiserver and kube-controller-manager. Its methods may be called from several goroutines.
type ControlPlane struct {
	options  Options
	bin, dir string
	port     int               // of the API server, on 127.0.0.1
	release  func()            // gives the port back
	trust    []byte            // the certificate (PEM) that clients trust
	tokens   map[string]string // by user

	mu                           sync.Mutex // held while processes start or stop
	etcd, apiServer, controllers *process   // nil: not running
}

// Start builds the programs where needed (see [Build]), starts them, and returns when they work: the API server is ready, its default
// namespaces exist, the CRDs are served and the deployment controller reacts. It takes 3 to 5 s, 440 MB of memory and 125 MB of disk.
// ctx bounds the start, not the life: that ends with Stop, or (on Linux) with this process.
func Start(ctx context.Context, o Options) (*ControlPlane, error) {
	if o.Log == nil {
		o.Log = io.Discard
	}
	bin, err := Build(ctx, o.Log)
	if err != nil {
		return nil, err
	}
	cp := &ControlPlane{options: o, bin: bin, dir: o.Dir, release: func() {}}
	start := time.Now()
	if err := cp.prepare(start); err != nil {
		return nil, errors.Join(fmt.Errorf("start the control plane: %w", err), cp.stop(0))
	}
	if err := cp.boot(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("start the control plane: %w", err), cp.stop(0))
	}
	fmt.Fprintf(o.Log, "control plane: ready on %s after %s, files in %s\n", cp.Config().Host, time.Since(start).Round(100*time.Millisecond), cp.dir)
	return cp, nil
}

// prepare makes the folder and all files in it, and takes the port.
func (cp *ControlPlane) prepare(now time.Time) (err error) {
	if cp.options.Dir == "" {
		cp.dir, err = os.MkdirTemp("", "flyball-controlplane-")
	} else if cp.dir, err = filepath.Abs(cp.options.Dir); err == nil {
		err = os.MkdirAll(cp.dir, 0o700)
	}
	if err != nil {
		return err
	}
	if s := cp.path(etcdSocket); len(s) > maxSocket {
		return fmt.Errorf("the socket's path %s has more than %d characters, an operating system's limit (use a shorter Dir)", s, maxSocket)
	}
	if cp.trust, err = writePKI(cp.dir, now); err != nil {
		return err
	}
	if cp.port, cp.release, err = reservePort(); err != nil {
		return fmt.Errorf("find a free port on 127.0.0.1: %w", err)
	}
	if err := cp.writeTokens(); err != nil {
		return err
	}
	if err := os.WriteFile(cp.path("audit-policy.yaml"), []byte(auditPolicy), 0o600); err != nil {
		return err
	}
	return cp.writeKubeconfigs()
}

// boot starts etcd and the API server together (it waits for etcd by itself), then the CRDs, then the controllers.
func (cp *ControlPlane) boot(ctx context.Context) (err error) {
	cp.mu.Lock()
	defer cp.mu.Unlock()
	if cp.etcd, err = startProcess(cp.bin, cp.dir, "etcd", cp.etcdArgs()); err != nil {
		return err
	}
	if err := cp.startAPI(ctx); err != nil {
		return err
	}
	if err := cp.installCRDs(ctx); err != nil {
		return err
	}
	if cp.controllers, err = startProcess(cp.bin, cp.dir, "kube-controller-manager", cp.controllerManagerArgs()); err != nil {
		return err
	}
	return cp.wait(ctx, "the deployment controller reacts", cp.deploymentsWork, cp.etcd, cp.apiServer, cp.controllers)
}

// StopAPI kills the API server, as a crash would: watches break, and connections are refused until StartAPI. etcd and the
// controllers go on. A stopped API server stays stopped.
func (cp *ControlPlane) StopAPI() error {
	cp.mu.Lock()
	defer cp.mu.Unlock()
	if cp.apiServer == nil {
		return nil
	}
	err := cp.apiServer.kill()
	cp.apiServer = nil
	return err
}

// StartAPI brings the API server back on the same port with the same data, and returns when it is ready (about 3 s).
func (cp *ControlPlane) StartAPI(ctx context.Context) error {
	cp.mu.Lock()
	defer cp.mu.Unlock()
	if cp.etcd == nil {
		return errors.New("start the API server: the control plane was stopped (Start a new one)")
	}
	if cp.apiServer != nil {
		return nil
	}
	if err := cp.startAPI(ctx); err != nil {
		return fmt.Errorf("start the API server: %w", err)
	}
	return nil
}

func (cp *ControlPlane) startAPI(ctx context.Context) (err error) {
	if cp.apiServer, err = startProcess(cp.bin, cp.dir, "kube-apiserver", cp.apiServerArgs()); err != nil {
		return err
	}
	if err := cp.wait(ctx, "the API server is ready", cp.apiReady, cp.etcd, cp.apiServer); err != nil {
		err = errors.Join(err, cp.apiServer.kill())
		cp.apiServer = nil
		return err
	}
	return nil
}

// Stop ends all processes (each is asked, and killed after 5 s), waits until they are gone, and removes the folder unless Options
// named it. A second call does nothing.
func (cp *ControlPlane) Stop() error { return cp.stop(stopWithin) }

func (cp *ControlPlane) stop(grace time.Duration) error {
	cp.mu.Lock()
	defer cp.mu.Unlock()
	var errs []error
	for _, p := range []**process{&cp.controllers, &cp.apiServer, &cp.etcd} { // each before what it writes to
		if *p != nil {
			errs = append(errs, (*p).stop(grace))
			*p = nil
		}
	}
	cp.release()
	cp.release = func() {}
	if cp.options.Dir == "" && cp.dir != "" {
		errs = append(errs, os.RemoveAll(cp.dir))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("stop the control plane: %w", err)
	}
	return nil
}

// AuditLog is the path of the audit log: one audit.k8s.io/v1 Event as JSON per line, written when the request has been answered, with the
// request's body where it writes. The controllers are the user system:kube-controller-manager there. The file exists if Options asked for it.
func (cp *ControlPlane) AuditLog() string { return cp.path("audit.log") }
