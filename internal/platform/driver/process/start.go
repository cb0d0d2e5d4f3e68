package process

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/picobase/picobase/internal/exitfile"
	"github.com/picobase/picobase/internal/platform/driver"
)

// maxSocketPath is how long a socket's path may be on every system that we run on.
const maxSocketPath = 100

// memoryShare is how much of a limit that nobody enforces Go should stay below.
const memoryShare = 0.7

// Start implements [driver.Driver].
func (d *Driver) Start(ctx context.Context, id string) error {
	t, err := d.acquire(ctx, id, false)
	if err != nil {
		return err
	}
	defer t.release()
	status, ok := t.status()
	switch {
	case !ok:
		return fmt.Errorf("tenant %s: %w", id, driver.ErrNotFound)
	case status.State == driver.Stopping: // a Stop whose caller did not wait
		err = t.end(ctx)
	case status.State == driver.Running:
		return nil
	}
	if err == nil {
		err = t.start()
	}
	if err != nil {
		return fmt.Errorf("start tenant %s: %w", id, err)
	}
	return nil
}

func (t *tenant) start() error {
	spec, err := t.readSpec()
	if err != nil {
		return err
	}
	if !t.d.uids {
		spec.UID = 0 // as this platform runs its tenants, whatever an earlier one did
	}
	if err := t.ownFolders(spec); err != nil {
		return err
	}
	if err := t.shareBranch(&spec); err != nil {
		return err
	}
	if err := os.Remove(t.exitFile()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	log, logStart, err := t.openLog()
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }()
	socket, url, err := t.listen()
	if err != nil {
		return err
	}
	defer func() { _ = socket.Close() }()

	t.mu.Lock()
	defer t.mu.Unlock()
	err = t.set(func(s *state) {
		s.State, s.Process, s.URL, s.Message, s.LogStart = driver.Starting, nil, url, "", logStart
	})
	if err != nil {
		return err
	}
	child, err := t.spawn(spec, log, socket)
	if err == nil {
		if err = t.set(func(s *state) { s.State, s.Process = driver.Running, &child.id }); err != nil {
			// Nobody would find it again.
			err = errors.Join(err, child.kill())
		}
	}
	if child != nil {
		t.proc = child
		t.watch(child)
		return err
	}
	t.removeSocket()
	return errors.Join(err, t.set(func(s *state) { s.State, s.URL = driver.Stopped, "" }))
}

// spawn starts the server as a session of its own, so that a ^C for the platform
// is none for it.
func (t *tenant) spawn(spec storedSpec, log, socket *os.File) (*proc, error) {
	more := []string{exitfile.Env + "=" + t.exitFile()}
	if spec.Memory > 0 && !t.d.limits.memory() {
		more = append(more, "GOMEMLIMIT="+strconv.FormatInt(int64(float64(spec.Memory)*memoryShare), 10))
	}
	args := t.commandLine()
	cmd := &exec.Cmd{
		Path: args[0], Args: args, Dir: t.dir(), Env: t.environ(spec, more...),
		Stdout: log, Stderr: log, ExtraFiles: []*os.File{socket},
		SysProcAttr: sessionOf(spec.UID),
	}
	if err := t.d.limits.start(t.id, spec, cmd); err != nil {
		return nil, err
	}
	return parentOf(cmd)
}

// socketArg tells the server that its listener is the first file after the
// standard ones.
const socketArg = "fd:3"

// commandLine is the same for each start of the tenant, and no other's.
func (t *tenant) commandLine() []string {
	return append([]string{t.d.cfg.Binary, "serve", "--dir", t.dataDir(), "--http", socketArg}, t.d.cfg.Args...)
}

// listen opens the tenant's address for it. A socket that the tenant made itself
// could be a link to somebody else's by the time that the router, who may be root,
// opens it; and requests that come before the process is up wait in its queue.
func (t *tenant) listen() (socket *os.File, url string, err error) {
	if t.d.cfg.Ports {
		listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, "", err
		}
		defer func() { _ = listener.Close() }()
		socket, err = listener.(*net.TCPListener).File()
		return socket, "http://" + listener.Addr().String(), err
	}
	path := t.socketPath()
	if filepath.Dir(path) != t.dir() {
		if err := ownDir(t.d.cfg.RunDir); err != nil {
			return nil, "", err
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, "", err
		}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, "", err
	}
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "unix", path)
	if err != nil {
		return nil, "", err
	}
	unix := listener.(*net.UnixListener)
	unix.SetUnlinkOnClose(false)
	defer func() { _ = unix.Close() }()
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, "", err
	}
	socket, err = unix.File()
	return socket, t.socketURL(), err
}

func (t *tenant) socketPath() string {
	if path := filepath.Join(t.dir(), "socket"); len(path) <= maxSocketPath {
		return path
	}
	return filepath.Join(t.d.cfg.RunDir, t.id, "socket")
}

func (t *tenant) socketURL() string { return "unix://" + t.socketPath() }

// removeSocket takes away the address of a process that has ended. The next start
// does too, so that it may fail.
func (t *tenant) removeSocket() { _ = os.Remove(t.socketPath()) }

// ownDir makes a folder in a place where others may write, and makes sure that it
// is ours.
func ownDir(path string) error {
	if err := os.Mkdir(path, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Lstat(path)
	if err != nil {
		return err
	}
	if !info.IsDir() || info.Mode().Perm() != 0o700 || !ownedByUs(info) {
		return fmt.Errorf("%s is not a folder for this user alone; remove it, or name another RunDir", path)
	}
	return nil
}
