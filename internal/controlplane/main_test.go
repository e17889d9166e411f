package controlplane

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

// startsAndWaits names a folder: the test binary then is the program that TestAKilledTestLeavesNoProcess kills.
const startsAndWaits = "FLYBALL_TEST_CONTROL_PLANE"

func TestMain(m *testing.M) {
	if dir := os.Getenv(startsAndWaits); dir != "" {
		startAndWait(dir)
	}
	goleak.VerifyTestMain(m)
}

// startAndWait starts a control plane, stores an object, prints the processes' numbers and waits for its end.
func startAndWait(dir string) {
	cp, err := Start(context.Background(), Options{Dir: dir})
	if err != nil {
		panic(err)
	}
	kube, err := kubernetes.NewForConfig(cp.Config())
	if err != nil {
		panic(err)
	}
	_, err = kube.CoreV1().ConfigMaps("default").Create(context.Background(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "kept"}}, metav1.CreateOptions{})
	if err != nil {
		panic(err)
	}
	_ = json.NewEncoder(os.Stdout).Encode(cp.pids())
	select {}
}

func TestAKilledTestLeavesNoProcessAndItsFolderStartsAgain(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("only Linux kills the processes of a test that was killed")
	}
	if _, err := Build(t.Context(), os.Stderr); err != nil {
		t.Skipf("no control plane: %v", err) // ForTest, below in TestControlPlane, fails in CI
	}
	dir := t.TempDir()
	other := exec.Command(os.Args[0])
	other.Env = append(os.Environ(), startsAndWaits+"="+dir)
	other.Stderr = os.Stderr
	out, err := other.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, other.Start())
	line, err := bufio.NewReader(out).ReadBytes('\n')
	require.NoError(t, err)
	var pids []int
	require.NoError(t, json.Unmarshal(line, &pids))
	require.Len(t, pids, 3)

	require.NoError(t, other.Process.Kill())
	require.Error(t, other.Wait())
	require.Eventually(t, func() bool {
		for _, pid := range pids {
			if running(pid) {
				return false
			}
		}
		return true
	}, 5*time.Second, 10*time.Millisecond)

	cp := ForTest(t, Options{Dir: dir})
	kube, err := kubernetes.NewForConfig(cp.Config())
	require.NoError(t, err)
	_, err = kube.CoreV1().ConfigMaps("default").Get(t.Context(), "kept", metav1.GetOptions{})
	require.NoError(t, err)
	require.NoFileExists(t, cp.AuditLog(), "nobody asked for one")
	require.NoError(t, cp.Stop())
	require.FileExists(t, filepath.Join(dir, "kube-apiserver.log"), "a folder that was named is kept")
}

// running says whether the process exists and is more than a zombie, which nobody may collect in a container.
func running(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	var n int
	var name string
	var state rune
	_, _ = fmt.Sscanf(string(stat), "%d %s %c", &n, &name, &state)
	return state != 'Z'
}

func TestAProgramThatEndsIsAnErrorWithTheEndOfItsLog(t *testing.T) {
	if _, err := Build(t.Context(), os.Stderr); err != nil {
		t.Skipf("no control plane: %v", err)
	}
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "etcd"), []byte("a file where etcd's folder should be"), 0o600))
	_, err := Start(t.Context(), Options{Dir: dir})
	require.ErrorContains(t, err, "wait until the API server is ready: etcd ended: exit status 1")
	require.ErrorContains(t, err, "not a directory")
}

func TestAFolderWhosePathIsTooLongForASocketIsAnError(t *testing.T) {
	if _, err := Build(t.Context(), os.Stderr); err != nil {
		t.Skipf("no control plane: %v", err)
	}
	_, err := Start(t.Context(), Options{Dir: filepath.Join(t.TempDir(), fmt.Sprintf("%0100d", 0))})
	require.ErrorContains(t, err, "use a shorter Dir")
}
