//go:build linux || darwin

package process

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"syscall"
)

// unknownExit is the exit code of a process whose parent we are not.
const unknownExit = -2

// proc is a process of a tenant: a child, or one that an earlier platform started.
type proc struct {
	id     identity
	handle *handle
	child  *exec.Cmd // nil for an adopted one
}

// parentOf returns the process of a started command.
func parentOf(cmd *exec.Cmd) (*proc, error) {
	// It has not been waited for, so that its id cannot be another's.
	pid := cmd.Process.Pid
	started, _ := startTime(pid) // none if it has ended already; then nobody will be found by it
	h, err := openHandle(pid)
	if err != nil {
		return nil, errors.Join(err, cmd.Process.Kill(), cmd.Wait())
	}
	return &proc{id: identity{PID: pid, Started: started, Boot: boot()}, handle: h, child: cmd}, nil
}

// adopt returns the process if it still runs, or nil.
func adopt(id identity) (*proc, error) {
	if id.Boot != boot() {
		return nil, nil
	}
	h, err := openHandle(id.PID)
	if errors.Is(err, syscall.ESRCH) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	// In this order: what has the handle now is what was asked for.
	if started, ok := startTime(id.PID); !ok || started != id.Started {
		h.close()
		return nil, nil
	}
	return &proc{id: id, handle: h}, nil
}

// wait returns the exit code once the process has ended: -1 if it was killed. It
// reports false if stop is closed before.
func (p *proc) wait(stop <-chan struct{}) (code int, ok bool) {
	defer p.handle.close()
	if p.child == nil {
		return unknownExit, p.handle.wait(p.id, stop)
	}
	ended := make(chan int, 1)
	go func() {
		// Goes on after the driver is closed, as long as the process does, which
		// would otherwise be a zombie.
		_ = p.child.Wait() // the state says it all
		ended <- p.child.ProcessState.ExitCode()
	}()
	select {
	case code := <-ended:
		return code, true
	case <-stop:
		return 0, false
	}
}

// terminate asks the process to end.
func (p *proc) terminate() error { return p.handle.signal(p.id, syscall.SIGTERM, false) }

// kill ends it and whatever it has started.
func (p *proc) kill() error { return p.handle.signal(p.id, syscall.SIGKILL, true) }

func signalPID(id identity, signal syscall.Signal, group bool) error {
	if started, ok := startTime(id.PID); !ok || started != id.Started {
		return nil
	}
	pid := id.PID
	if group {
		pid = -pid
	}
	if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}

func sessionOf(uid int) *syscall.SysProcAttr {
	attr := &syscall.SysProcAttr{Setsid: true}
	if uid > 0 {
		attr.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)} //nolint:gosec // an id
	}
	return attr
}

func ownedByUs(info fs.FileInfo) bool { return owner(info) == os.Getuid() }

func owner(info fs.FileInfo) int {
	if stat, ok := info.Sys().(*syscall.Stat_t); ok {
		return int(stat.Uid)
	}
	return -1
}

func supported() error { return nil }
