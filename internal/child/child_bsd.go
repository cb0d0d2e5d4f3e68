//go:build unix && !linux

package child

import (
	"os/exec"
	"syscall"
)

func prepare(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }

func holdThread() (release func()) { return func() {} }

// alive reports whether anything of the group is there.
func (p *Process) alive() bool { return syscall.Kill(-p.PID(), 0) == nil }
