package controlplane

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"time"
)

// programs are what Build makes: the file's name and the package it comes from.
var programs = []struct{ name, pkg string }{
	{"etcd", "go.etcd.io/etcd/server/v3"},
	{"kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver"},
	{"kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager"},
	{"kubectl", "k8s.io/kubernetes/cmd/kubectl"},
}

// stillBuilding is how often a build that takes long says so.
const stillBuilding = 30 * time.Second

// Build returns the folder that holds etcd, kube-apiserver, kube-controller-manager and kubectl, and builds them first where they
// are not in the cache: about 9 CPU-minutes with an empty Go build cache. Progress goes to log, a line at a time.
//
// The cache is $FLYBALL_CACHE/controlplane, by default the user's cache folder's flyball/controlplane, with one folder per key (see
// [cacheKey]). A second process that needs the same build waits for the first. It needs the go command, and flyball's source tree:
// the one this code was compiled from, or else the one that contains the working directory.
func Build(ctx context.Context, log io.Writer) (dir string, err error) {
	r, err := newRecipe(ctx)
	if err != nil {
		return "", fmt.Errorf("build the control plane: %w", err)
	}
	cache, err := cacheDir()
	if err != nil {
		return "", fmt.Errorf("build the control plane: find the cache folder: %w (set FLYBALL_CACHE to a folder)", err)
	}
	dir = filepath.Join(cache, cacheKey(r))
	if isDir(dir) {
		return dir, nil
	}
	if err := os.MkdirAll(cache, 0o755); err != nil {
		return "", fmt.Errorf("build the control plane: %w (set FLYBALL_CACHE to a folder that can be written)", err)
	}
	unlock, err := lock(ctx, filepath.Join(cache, "lock"), func(waited time.Duration) {
		fmt.Fprintf(log, "control plane: another process is building it; waited %s\n", waited.Round(time.Second))
	})
	if err != nil {
		return "", fmt.Errorf("build the control plane: %w", err)
	}
	defer unlock()
	if isDir(dir) {
		return dir, nil
	}
	if err := r.buildAll(ctx, log, cache, dir); err != nil {
		return "", fmt.Errorf("build the control plane: %w", err)
	}
	return dir, nil
}

// recipe is all that the built programs depend on.
type recipe struct {
	module      string   // folder of the nested module
	goMod       []byte   // its go.mod and go.sum
	goSum       []byte   //
	environment string   // Go version, operating system and architecture
	flags       []string // of go build
}

var kubernetesVersion = regexp.MustCompile(`(?m)^\s*k8s\.io/kubernetes (v(\d+)\.(\d+)\.\S+)`)

func newRecipe(ctx context.Context) (recipe, error) {
	root, err := repository()
	if err != nil {
		return recipe{}, err
	}
	r := recipe{module: filepath.Join(root, "deploy", "controlplane")}
	if r.goMod, err = os.ReadFile(filepath.Join(r.module, "go.mod")); err != nil {
		return recipe{}, err
	}
	if r.goSum, err = os.ReadFile(filepath.Join(r.module, "go.sum")); err != nil {
		return recipe{}, err
	}
	out, err := r.goCommand(ctx, "env", "GOVERSION", "GOOS", "GOARCH").Output()
	if err != nil {
		return recipe{}, fmt.Errorf("go env: %w (is Go installed and on the PATH?)", err)
	}
	r.environment = strings.Join(strings.Fields(string(out)), " ")
	version := kubernetesVersion.FindSubmatch(r.goMod)
	if version == nil {
		return recipe{}, fmt.Errorf("%s requires no version of k8s.io/kubernetes", filepath.Join(r.module, "go.mod"))
	}
	// Released programs get their version from the linker; without it kubectl and the API server call themselves v0.0.0-master.
	ldflags := "-s -w"
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		ldflags += fmt.Sprintf(" -X %[1]s.gitVersion=%[2]s -X %[1]s.gitMajor=%[3]s -X %[1]s.gitMinor=%[4]s -X %[1]s.gitCommit= -X %[1]s.gitTreeState=clean",
			pkg, version[1], version[2], version[3])
	}
	r.flags = []string{"-trimpath", "-mod=readonly", "-ldflags", ldflags}
	return r, nil
}

// cacheKey names a build: the same key, the same programs. It is a hash of the nested module's go.mod and go.sum, the Go version,
// GOOS, GOARCH and the flags.
func cacheKey(r recipe) string {
	h := sha256.New()
	for _, part := range append([]string{string(r.goMod), string(r.goSum), r.environment}, r.flags...) {
		fmt.Fprintf(h, "%d:%s", len(part), part) // the length keeps neighbours apart
	}
	return hex.EncodeToString(h.Sum(nil))[:16]
}

// buildAll makes every program in a folder beside dir and renames it at the end, so that dir is whole or absent.
func (r recipe) buildAll(ctx context.Context, log io.Writer, cache, dir string) error {
	abandoned, _ := filepath.Glob(filepath.Join(cache, "building-*")) // of builds that were killed; the lock is ours
	for _, old := range abandoned {
		_ = os.RemoveAll(old)
	}
	tmp, err := os.MkdirTemp(cache, "building-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	fmt.Fprintf(log, "control plane: building %d programs from source (%s), about 9 CPU-minutes the first time; kept in %s\n", len(programs), r.environment, dir)
	start := time.Now()
	for i, p := range programs {
		what := fmt.Sprintf("%s (%d of %d)", p.name, i+1, len(programs))
		if err := r.build(ctx, log, what, filepath.Join(tmp, p.name), p.pkg); err != nil {
			return err
		}
	}
	if err := os.Rename(tmp, dir); err != nil {
		return err
	}
	fmt.Fprintf(log, "control plane: built in %s\n", time.Since(start).Round(time.Second))
	return nil
}

func (r recipe) build(ctx context.Context, log io.Writer, what, out, pkg string) error {
	fmt.Fprintf(log, "control plane: building %s\n", what)
	start := time.Now()
	var output strings.Builder
	cmd := r.goCommand(ctx, append([]string{"build", "-o", out}, append(r.flags, pkg)...)...)
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("go build %s: %w", pkg, err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	tick := time.NewTicker(stillBuilding)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			fmt.Fprintf(log, "control plane: still building %s, %s so far\n", what, time.Since(start).Round(time.Second))
		case err := <-done:
			if ctx.Err() != nil {
				return fmt.Errorf("go build %s: %w", pkg, ctx.Err())
			}
			if err != nil {
				return fmt.Errorf("go build %s: %w (the module downloads through Go's module proxy; is it reachable?)\n%s", pkg, err, lastLines(output.String(), 20))
			}
			fmt.Fprintf(log, "control plane: built %s in %s\n", what, time.Since(start).Round(100*time.Millisecond))
			return nil
		}
	}
}

// goCommand is the go command inside the nested module. Programs are built without C, so that no compiler but Go's is needed.
// When ctx ends, the compilers that the go command started are killed too.
func (r recipe) goCommand(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = r.module
	cmd.Env = append(os.Environ(), "PWD="+r.module, "CGO_ENABLED=0", "GOWORK=off")
	ownGroup(cmd)
	cmd.Cancel = func() error { return signalGroup(cmd.Process.Pid, kill) }
	return cmd
}

// repository is the root of flyball's source tree.
func repository() (string, error) {
	const module = "deploy/controlplane/go.mod"
	if _, file, _, ok := runtime.Caller(0); ok && filepath.IsAbs(file) { // not absolute in a binary built with -trimpath
		root := filepath.Dir(filepath.Dir(filepath.Dir(file)))
		if isFile(filepath.Join(root, module)) {
			return root, nil
		}
	}
	wd, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for dir := wd; ; dir = filepath.Dir(dir) {
		if isFile(filepath.Join(dir, module)) {
			return dir, nil
		}
		if dir == filepath.Dir(dir) {
			return "", fmt.Errorf("find %s above %s: %w (run this inside flyball's source tree: the control plane is built from it)", module, wd, fs.ErrNotExist)
		}
	}
}

func cacheDir() (string, error) {
	if dir := os.Getenv("FLYBALL_CACHE"); dir != "" {
		dir, err := filepath.Abs(dir)
		return filepath.Join(dir, "controlplane"), err
	}
	dir, err := os.UserCacheDir()
	return filepath.Join(dir, "flyball", "controlplane"), err
}

// lock takes the lock file, and calls waiting at once and then every 15 s while another process has it.
func lock(ctx context.Context, path string, waiting func(time.Duration)) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	start, said := time.Now(), time.Time{}
	for {
		if err = tryLock(f); err == nil {
			return func() { f.Close() }, nil // closing the file gives the lock back
		}
		if !errors.Is(err, errLocked) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		if time.Since(said) >= 15*time.Second {
			waiting(time.Since(start))
			said = time.Now()
		}
		select {
		case <-ctx.Done():
			f.Close()
			return nil, fmt.Errorf("wait for %s: %w", path, ctx.Err())
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func isDir(path string) bool  { i, err := os.Stat(path); return err == nil && i.IsDir() }
func isFile(path string) bool { i, err := os.Stat(path); return err == nil && i.Mode().IsRegular() }

func lastLines(s string, n int) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}
