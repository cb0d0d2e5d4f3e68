package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"time"

	"github.com/picobase/picobase/internal/child"
)

// appGrace is how long the app has to end.
const appGrace = 5 * time.Second

// runApp runs the command until it ends by itself, whose exit code the error then
// has, or until ctx ends. Nothing that it has started is left; again kills it all
// at once.
func runApp(ctx context.Context, command string, env []string, again <-chan struct{}, out, messages io.Writer) error {
	shell, flag := "sh", "-c"
	if runtime.GOOS == "windows" {
		shell, flag = "cmd", "/C"
	}
	cmd := exec.Command(shell, flag, command) //nolint:gosec,noctx // the person's own command; its whole group is ended below
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = out, messages
	// Should a program of the app leave its group, nobody waits for its output.
	cmd.WaitDelay = time.Second
	app, err := child.Start(cmd)
	if err != nil {
		return fmt.Errorf("run %q: %w", command, err)
	}
	select {
	case <-app.Done():
		stopChild(app, appGrace, again)
		if code := app.Code(); code != 0 {
			return &Error{Code: code, Err: fmt.Errorf("%q ended with %d", command, code)}
		}
		return nil
	case <-ctx.Done():
		stopChild(app, appGrace, again)
		return nil
	}
}

// stopChild stops the process, and kills it when again is closed meanwhile.
func stopChild(p *child.Process, grace time.Duration, again <-chan struct{}) {
	stopped := make(chan struct{})
	go func() {
		p.Stop(grace)
		close(stopped)
	}()
	select {
	case <-stopped:
	case <-again:
		p.Kill()
		<-stopped
	}
}
