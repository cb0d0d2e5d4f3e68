// Package child runs a program together with all that it starts: it ends the whole
// group of processes, not only the one that was started, and leaves none behind.
//
// Only on Unix is there a group; elsewhere the one process is ended.
//
//	p, err := child.Start(cmd)
//	defer p.Stop(5 * time.Second)
//	<-p.Done()
package child

import (
	"errors"
	"os/exec"
	"time"
)

// Process is a running program.
type Process struct {
	cmd  *exec.Cmd
	done chan struct{}
	code int
}

// Start starts the command in a group of its own. On Linux the process ends when
// this one is killed.
func Start(cmd *exec.Cmd) (*Process, error) {
	p := &Process{cmd: cmd, done: make(chan struct{})}
	prepare(cmd)
	started := make(chan error, 1)
	go p.run(started)
	if err := <-started; err != nil {
		return nil, err
	}
	return p, nil
}

func (p *Process) run(started chan<- error) {
	// Linux takes the end of the thread that started a process for the end of its
	// parent. This one stays.
	defer holdThread()()
	if err := p.cmd.Start(); err != nil {
		started <- err
		return
	}
	started <- nil
	err := p.cmd.Wait()
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit):
		p.code = exitCode(exit)
	case err != nil:
		p.code = 1
	}
	close(p.done)
}

// PID returns the id of the process, which on Unix is that of its group too.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the process has ended. What it started may still run.
func (p *Process) Done() <-chan struct{} { return p.done }

// Code returns the exit code of a process that is done: 128 and the number of the
// signal when one has ended it.
func (p *Process) Code() int { return p.code }

// Stop asks the group to end, kills it after the grace, and waits until it is gone.
// A second Stop is harmless.
func (p *Process) Stop(grace time.Duration) {
	p.terminate()
	if !p.gone(time.Now().Add(grace)) {
		p.Kill()
		p.gone(time.Now().Add(grace))
	}
	<-p.done
}

// gonePoll is how often is asked whether a group is gone: nobody tells.
const gonePoll = 20 * time.Millisecond

func (p *Process) gone(deadline time.Time) bool {
	limit := time.NewTimer(time.Until(deadline))
	defer limit.Stop()
	select {
	case <-p.done:
	case <-limit.C:
		return false
	}
	ticker := time.NewTicker(gonePoll)
	defer ticker.Stop()
	for p.alive() {
		select {
		case <-ticker.C:
		case <-limit.C:
			return false
		}
	}
	return true
}
