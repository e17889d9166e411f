package controlplane

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// process is one running program. Its output goes to a file.
type process struct {
	name string
	log  string // path
	pid  int
	done chan struct{} // closed when it has ended
	err  error         // how it ended; read it after done
}

// startProcess starts bin/name in dir, with the arguments and an environment that holds nothing of ours (etcd would take ETCD_*
// variables for flags). Its output is appended to dir/name.log.
func startProcess(bin, dir, name string, args []string) (*process, error) {
	p := &process{name: name, log: filepath.Join(dir, name+".log"), done: make(chan struct{})}
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	cmd := exec.Command(filepath.Join(bin, name), args...)
	cmd.Dir, cmd.Env = dir, []string{"HOME=" + dir}
	cmd.Stdout, cmd.Stderr = log, log
	dieWithUs(cmd)
	started := make(chan error, 1)
	go func() {
		// The kernel kills the process when the thread that started it ends. This thread ends after the process.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer log.Close()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.err = cmd.Wait()
			close(p.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p.pid = cmd.Process.Pid
	return p, nil
}

// stop asks the process to end, kills it after grace, and returns when it is gone. It may have ended before.
func (p *process) stop(grace time.Duration) error {
	if err := p.signal(terminate); err != nil {
		return err
	}
	select {
	case <-p.done:
		return nil
	case <-time.After(grace):
		return p.kill()
	}
}

// kill ends the process at once, as a crash would.
func (p *process) kill() error {
	if err := p.signal(kill); err != nil {
		return err
	}
	<-p.done
	return nil
}

func (p *process) signal(s syscall.Signal) error {
	select {
	case <-p.done: // its number may be another process's by now
		return nil
	default:
	}
	if err := signalGroup(p.pid, s); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("stop %s (process %d): %w", p.name, p.pid, err)
	}
	return nil
}

// tail is the end of the process's log, for errors.
func (p *process) tail() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("--- the end of %s ---\n%s", p.log, lastLines(string(b), 15))
}
