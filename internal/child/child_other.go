//go:build !unix

package child

import "os/exec"

func prepare(*exec.Cmd) {}

func holdThread() (release func()) { return func() {} }

func exitCode(exit *exec.ExitError) int { return exit.ExitCode() }

func (p *Process) terminate() { p.Kill() } // there is no gentle way

// Kill ends the process at once.
func (p *Process) Kill() { _ = p.cmd.Process.Kill() } // gone is good

func (p *Process) alive() bool { return false }
