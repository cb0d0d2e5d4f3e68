package process

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/picobase/picobase/internal/exitfile"
	"github.com/picobase/picobase/internal/platform/driver"
)

// tenant is one tenant. Its spec is read when it is needed: a thousand sleeping
// tenants should cost little memory.
type tenant struct {
	d  *Driver
	id string

	busy chan struct{} // held by whoever changes it, see Driver.acquire

	mu    sync.Mutex
	state state
	made  bool          // its folder is complete
	gone  bool          // deleted
	ended chan struct{} // closed when the process has ended; nil without one
	proc  *proc
}

// state is what state.json holds. It is written before whatever it announces.
type state struct {
	State driver.State `json:"state"`
	Since time.Time    `json:"since"`

	// Process while there is one. A state of starting without one may have left a
	// process that nobody wrote down.
	Process *identity `json:"process,omitempty"`
	URL     string    `json:"url,omitempty"`

	ExitCode int    `json:"exitCode"`
	Message  string `json:"message,omitempty"`

	// LogStart is how long the log was when the process started.
	LogStart int64 `json:"logStart,omitempty"`
}

// identity names a process for ever, over restarts of the platform, of the
// machine and of the container that they are in.
type identity struct {
	PID     int    `json:"pid"`
	Started uint64 `json:"started"` // in the system's own count
	Boot    string `json:"boot"`    // of the machine and the container
}

func (d *Driver) newTenant(id string) *tenant {
	return &tenant{
		d: d, id: id, busy: make(chan struct{}, 1),
		state: state{State: driver.Stopped, Since: time.Now(), ExitCode: -1},
	}
}

func (t *tenant) dir() string      { return filepath.Join(t.d.cfg.Dir, t.id) }
func (t *tenant) dataDir() string  { return filepath.Join(t.dir(), "data") }
func (t *tenant) runDir() string   { return filepath.Join(t.dir(), "run") }
func (t *tenant) exitFile() string { return filepath.Join(t.runDir(), "exit") }

func (t *tenant) isGone() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.gone
}

func (t *tenant) exists() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.made
}

// status reports false for one that is not there, or not yet.
func (t *tenant) status() (driver.Status, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := t.state
	return driver.Status{
		ID: t.id, State: s.State, URL: s.URL, Since: s.Since, ExitCode: s.ExitCode, Message: s.Message,
	}, t.made && !t.gone
}

// set changes the state, on disk first. The caller holds t.mu.
func (t *tenant) set(change func(*state)) error {
	next := t.state
	change(&next)
	if next.State != t.state.State {
		next.Since = time.Now()
	}
	content, err := json.Marshal(next)
	if err != nil {
		return err
	}
	if err := writeFile(filepath.Join(t.dir(), "state.json"), content, false); err != nil {
		return err
	}
	t.state = next
	return nil
}

// load reads what an earlier driver left, and watches the process that may still run.
func (d *Driver) load(id string) (*tenant, error) {
	t := d.newTenant(id)
	if _, err := os.Stat(t.specFile()); err != nil {
		return nil, err
	}
	t.made = true
	content, err := os.ReadFile(filepath.Join(t.dir(), "state.json"))
	if errors.Is(err, fs.ErrNotExist) {
		return t, nil // created, never started
	} else if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(content, &t.state); err != nil {
		// The machine failed while it was written. There is one other way to know.
		d.cfg.Logger.Warn("the state of a tenant cannot be read", "tenant", id, "error", err)
		t.state = state{State: driver.Starting, ExitCode: -1}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.state.State == driver.Starting {
		// The platform died between the start and writing down what it had started.
		found := findProcess(t.commandLine())
		if found == nil {
			return t, t.set(func(s *state) { s.State, s.URL = driver.Stopped, "" })
		}
		if err := t.set(func(s *state) { s.State, s.Process, s.URL = driver.Running, found, cmp.Or(s.URL, t.socketURL()) }); err != nil {
			return nil, err
		}
	}
	if t.state.Process == nil {
		return t, nil
	}
	if t.proc, err = adopt(*t.state.Process); err != nil {
		return nil, err
	}
	if t.proc == nil {
		return t, t.finish(t.leftExitCode(), t.state.Process.Boot != boot())
	}
	t.watch(t.proc)
	return t, nil
}

func (t *tenant) leftExitCode() int {
	if code, ok := exitfile.Read(t.exitFile()); ok {
		return code
	}
	return -1
}

// watch waits for the end of the process. The caller holds t.mu.
func (t *tenant) watch(p *proc) {
	ended := make(chan struct{})
	t.ended = ended
	t.d.done.Go(func() {
		code, ok := p.wait(t.d.stop)
		if !ok {
			return // the driver was closed
		}
		if code == unknownExit {
			code = t.leftExitCode()
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		if err := t.finish(code, false); err != nil {
			t.d.cfg.Logger.Error("cannot write down the end of a tenant", "tenant", t.id, "error", err)
		}
		t.proc, t.ended = nil, nil
		close(ended)
	})
}

// finish writes down how the process has ended: as it was asked to or together with
// its machine, or not. The caller holds t.mu.
func (t *tenant) finish(code int, withMachine bool) error {
	asked := t.state.State == driver.Stopping || withMachine
	message := ""
	if !asked {
		message = t.crashMessage(code)
	}
	t.removeSocket()
	t.d.limits.remove(t.id) // what it has counted is of this process
	err := t.set(func(s *state) {
		s.State, s.Process, s.URL, s.ExitCode, s.Message = driver.Stopped, nil, "", code, message
		if !asked {
			s.State = driver.Crashed
		}
	})
	if err != nil {
		// What is on disk names a process that is gone, so the next driver comes to the
		// same end. Callers should not wait for a disk.
		t.state.Process, t.state.URL, t.state.ExitCode, t.state.Message = nil, "", code, message
		t.state.State = driver.Stopped
		if !asked {
			t.state.State = driver.Crashed
		}
	}
	return err
}

// Stop implements [driver.Driver].
func (d *Driver) Stop(ctx context.Context, id string) error {
	t, err := d.acquire(ctx, id, false)
	if err != nil {
		return err
	}
	defer t.release()
	if !t.exists() {
		return fmt.Errorf("tenant %s: %w", id, driver.ErrNotFound)
	}
	if err := t.end(ctx); err != nil {
		return fmt.Errorf("stop tenant %s: %w", id, err)
	}
	return nil
}

// end stops the process, if there is one: it asks once, since a second signal
// would end the tenant without its last sync, and kills when the time is over.
func (t *tenant) end(ctx context.Context) error {
	t.mu.Lock()
	proc, ended, err := t.proc, t.ended, error(nil)
	switch {
	case !t.made:
	case proc == nil && t.state.State == driver.Crashed:
		err = t.set(func(s *state) { s.State = driver.Stopped })
	case proc != nil && t.state.State != driver.Stopping:
		if err = t.set(func(s *state) { s.State = driver.Stopping }); err == nil {
			err = proc.terminate()
		}
	}
	deadline := t.state.Since.Add(t.d.cfg.StopTimeout)
	t.mu.Unlock()
	if proc == nil || err != nil {
		return err
	}
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-t.d.stop:
		return errors.New("the process driver was closed")
	case <-timer.C:
	}
	t.d.cfg.Logger.Warn("a tenant does not end, it is killed", "tenant", t.id, "after", t.d.cfg.StopTimeout)
	if err := proc.kill(); err != nil {
		return err
	}
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-t.d.stop:
		return errors.New("the process driver was closed")
	}
}
