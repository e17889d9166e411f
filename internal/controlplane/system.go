//go:build unix

package controlplane

import (
	"errors"
	"net"
	"os"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// What the operating system has to do for us. Windows has no such calls, and no control plane.

const (
	terminate = syscall.SIGTERM
	kill      = syscall.SIGKILL
)

// ownGroup gives a process a group of its own: an interrupt typed at the terminal then reaches us only, and we stop it in order.
func ownGroup(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Setpgid = true
}

// signalGroup sends the signal to the group of the process pid, which leads it.
func signalGroup(pid int, s syscall.Signal) error { return syscall.Kill(-pid, s) }

var errLocked = errors.New("locked by another process")

// tryLock takes an exclusive lock on the open file, or returns errLocked.
func tryLock(f *os.File) error {
	err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return errLocked
	}
	return err
}

// reservePort takes a free port of 127.0.0.1 and keeps it until release: with a socket that is bound and never listens, so that
// nobody is given the port before the API server listens there or while it is away. The API server shares it (--permit-port-sharing).
func reservePort() (port int, release func(), err error) {
	syscall.ForkLock.RLock() // no child inherits the socket
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return 0, nil, err
	}
	release = func() { _ = unix.Close(fd) }
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		release()
		return 0, nil, err
	}
	loopback := &unix.SockaddrInet4{Addr: [4]byte(net.IPv4(127, 0, 0, 1).To4())}
	if err := unix.Bind(fd, loopback); err != nil {
		release()
		return 0, nil, err
	}
	address, err := unix.Getsockname(fd)
	if err != nil {
		release()
		return 0, nil, err
	}
	return address.(*unix.SockaddrInet4).Port, release, nil
}
