package controlplane

import (
	"os/exec"
	"syscall"
)

// dieWithUs has the kernel kill the process when the thread that starts it ends, so that none outlives a test that was killed.
// The caller keeps that thread alive as long as the process (see process.go). Other systems have no such thing.
func dieWithUs(cmd *exec.Cmd) {
	ownGroup(cmd)
	cmd.SysProcAttr.Pdeathsig = syscall.SIGKILL
}
