// Package enginetest starts Docker Engines of a test's own: their sockets, data and
// networks are theirs, no registry is asked, and nothing of them is left.
//
//	engine := enginetest.Start(t)
//	engine.Build(t, "fixture", map[string]string{"picobase": path})
//	d, err := docker.New(ctx, docker.Config{Host: engine.Host, Image: "fixture"})
//
// It needs root and dockerd (apt-get install docker.io). Without them the test is
// skipped, by name, or fails where NO_SKIP is set and NO_DOCKER is not.
package enginetest

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/moby/moby/client"
)

// Patience bounds each wait: a Swarm is slow where other tests need the processors.
const Patience = 2 * time.Minute

// Engine is a Docker Engine that runs.
type Engine struct {
	// Host is its socket, as docker -H wants it.
	Host string

	// API speaks to it.
	API *client.Client

	dir  string
	proc *os.Process
	done chan struct{}

	// serving: it has answered, and nobody has asked it to end.
	serving atomic.Bool
}

// Start starts an engine that ends with the test. Prefix is a command to put before
// dockerd, optional. Two engines in one network would change each other's rules of the
// firewall: tests that start one are not parallel.
func Start(t *testing.T, prefix ...string) *Engine {
	t.Helper()
	if why := missing(); why != "" {
		skip(t, why)
	}
	if os.Getenv(insideVariable) == "" {
		skip(t, "this system allows no namespaces, or the package has no TestMain")
	}
	// Not t.TempDir: a socket's path is short.
	dir, err := os.MkdirTemp("", "dockerd")
	if err != nil {
		t.Fatal(err)
	}
	e := &Engine{Host: "unix://" + filepath.Join(dir, "sock"), dir: dir, done: make(chan struct{})}
	if e.API, err = client.New(client.WithHost(e.Host)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.end(t) })
	e.run(t, prefix)
	e.wait(t)
	return e
}

// wait returns when the engine answers.
func (e *Engine) wait(t *testing.T) {
	t.Helper()
	deadline := time.Now().Add(Patience)
	for {
		_, err := e.API.Ping(t.Context(), client.PingOptions{})
		if err == nil {
			e.serving.Store(true)
			return
		}
		select {
		case <-e.done:
			skip(t, "dockerd does not start:\n"+e.Log())
		case <-time.After(50 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			skip(t, "dockerd does not answer:\n"+e.Log())
		}
	}
}

func missing() string {
	if os.Getenv(insideVariable) != "" {
		return ""
	}
	if os.Geteuid() != 0 {
		return "dockerd needs root"
	}
	if _, err := exec.LookPath("dockerd"); err != nil {
		return "there is no dockerd: apt-get install docker.io"
	}
	return ""
}

func skip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("NO_SKIP") != "" && os.Getenv("NO_DOCKER") == "" {
		t.Fatalf("no Docker Engine, and skipping is not allowed: %s", why)
	}
	t.Skipf("no Docker Engine: %s", why)
}

func (e *Engine) run(t *testing.T, prefix []string) {
	t.Helper()
	log, err := os.Create(filepath.Join(e.dir, "log"))
	if err != nil {
		t.Fatal(err)
	}
	args := slices.Concat(prefix, []string{"dockerd", "--data-root", filepath.Join(e.dir, "data"), "--exec-root", filepath.Join(e.dir, "exec"),
		"--pidfile", filepath.Join(e.dir, "pid"), "-H", e.Host, "--bridge=none",
		"--cgroup-parent", "/" + filepath.Base(e.dir)})
	cmd := exec.Command(args[0], args[1:]...) //nolint:gosec,noctx // the test's own, ended by its clean-up
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(e.done)
		_ = cmd.Wait() // its log says why
		_ = log.Close()
		if e.serving.Load() {
			panic("dockerd has ended by itself:\n" + e.Log()) // or each test would wait for it in turn
		}
	}()
	e.proc = cmd.Process
}

// Log is what dockerd has printed.
func (e *Engine) Log() string {
	content, err := os.ReadFile(filepath.Join(e.dir, "log"))
	if err != nil {
		return err.Error()
	}
	if lines := bytes.Split(content, []byte("\n")); len(lines) > 30 {
		content = bytes.Join(lines[len(lines)-30:], []byte("\n"))
	}
	return string(content)
}

func (e *Engine) end(t *testing.T) {
	defer func() {
		_, _ = e.API.Close(), os.RemoveAll(e.dir)
		removeGroups(filepath.Base(e.dir))
	}()
	if t.Failed() && e.proc != nil {
		t.Logf("dockerd:\n%s", e.Log())
	}
	if e.proc == nil {
		return
	}
	e.serving.Store(false)
	_ = e.proc.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-e.done:
	case <-time.After(Patience):
		t.Errorf("dockerd does not end:\n%s", e.Log())
		_ = e.proc.Kill()
		<-e.done
	}
}

// removeGroups removes the cgroups that a killed engine leaves: the one thing of it that
// no namespace holds. They are folders that only rmdir removes, the innermost first.
func removeGroups(name string) {
	for _, pattern := range []string{"/sys/fs/cgroup/" + name, "/sys/fs/cgroup/*/" + name} {
		roots, _ := filepath.Glob(pattern) // the pattern is well formed
		for _, root := range roots {
			var groups []string
			_ = filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
				if err == nil && entry.IsDir() {
					groups = append(groups, path)
				}
				return nil
			})
			for _, group := range slices.Backward(groups) {
				_ = os.Remove(group) // one that is in use stays
			}
		}
	}
}

// Kill ends the engine at once.
func (e *Engine) Kill(t *testing.T) {
	t.Helper()
	e.serving.Store(false)
	if err := e.proc.Kill(); err != nil {
		t.Fatal(err)
	}
	<-e.done
}

// Stop ends the engine and all that it runs, until Restart.
func (e *Engine) Stop(t *testing.T) {
	t.Helper()
	e.serving.Store(false)
	if err := e.proc.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	<-e.done
}

// Restart starts the engine again after Stop.
func (e *Engine) Restart(t *testing.T) {
	t.Helper()
	e.done = make(chan struct{})
	e.run(t, nil)
	e.wait(t)
}
