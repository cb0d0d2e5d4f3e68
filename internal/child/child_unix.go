//go:build unix

package child

import (
	"os/exec"
	"syscall"
)

func exitCode(exit *exec.ExitError) int {
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return exit.ExitCode()
}

func (p *Process) terminate() { _ = syscall.Kill(-p.PID(), syscall.SIGTERM) } // gone is good

// Kill ends the group at once.
func (p *Process) Kill() { _ = syscall.Kill(-p.PID(), syscall.SIGKILL) } // gone is good
