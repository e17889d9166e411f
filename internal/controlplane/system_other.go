//go:build unix && !linux

package controlplane

import "os/exec"

// dieWithUs has no equal here: a process outlives a test that was killed.
func dieWithUs(cmd *exec.Cmd) { ownGroup(cmd) }
