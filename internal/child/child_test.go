//go:build unix

package child

import (
	"bufio"
	"errors"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

const patience = 10 * time.Second

// start runs the script, and waits for its first line.
func start(t *testing.T, script string) *Process {
	t.Helper()
	out, in, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", script)
	cmd.Stdout = in
	p, err := Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.Stop(0)
		_ = errors.Join(in.Close(), out.Close()) // nothing is lost
	})
	if _, err := bufio.NewReader(out).ReadString('\n'); err != nil {
		t.Fatal(err)
	}
	return p
}

func TestCodes(t *testing.T) {
	t.Parallel()
	for script, want := range map[string]int{"echo; exit 0": 0, "echo; exit 3": 3, "echo; kill -9 $$": 137} {
		p := start(t, script)
		<-p.Done()
		if p.Code() != want {
			t.Errorf("%s: %d, want %d", script, p.Code(), want)
		}
	}
	if _, err := Start(exec.Command("/nonexistent")); err == nil {
		t.Error("what is not there was started")
	}
}

func TestStopEndsTheGroup(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		script      string
		grace       time.Duration
		leader, all time.Duration // at least, at most
	}{
		"that listens":                 {"sleep 60 & echo; wait", patience, 0, patience / 2},
		"that does not":                {"trap '' TERM; sleep 60 & echo; wait; wait", 100 * time.Millisecond, 100 * time.Millisecond, patience / 2},
		"whose leader has ended":       {"sleep 60 >&- 2>&- & echo", patience, 0, patience / 2},
		"whose leader does not listen": {"trap '' TERM; echo; while :; do sleep 1; done", 100 * time.Millisecond, 100 * time.Millisecond, patience / 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := start(t, c.script)
			begun := time.Now()
			p.Stop(c.grace)
			if took := time.Since(begun); took < c.leader || took > c.all {
				t.Errorf("it took %s", took)
			}
			if p.alive() {
				t.Error("something is left")
			}
			p.Stop(c.grace) // again
		})
	}
}

func TestItHasAGroupOfItsOwn(t *testing.T) {
	t.Parallel()
	p := start(t, "echo; sleep 60")
	if group, err := syscall.Getpgid(p.PID()); err != nil || group != p.PID() {
		t.Errorf("group %d of %d, %v", group, p.PID(), err)
	}
}
