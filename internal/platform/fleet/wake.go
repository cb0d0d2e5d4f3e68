package fleet

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/picobase/picobase/internal/platform/driver"
	"github.com/picobase/picobase/internal/routes"
	"github.com/picobase/picobase/internal/secret"
)

// Errors of Wake and the other verbs.
var (
	ErrUnknown = errors.New("no such project")
	ErrOff     = errors.New("the project is stopped")
	ErrParked  = errors.New("the project cannot start")
	ErrDeleted = errors.New("the project is deleted")
	ErrGone    = errors.New("the project cannot be had back any more")
)

// LaterError says that the project cannot be woken yet.
type LaterError struct {
	After time.Duration
	Err   error
}

func (e *LaterError) Error() string { return e.Err.Error() }
func (e *LaterError) Unwrap() error { return e.Err }

// attempt is one start under way, which any number of callers wait for.
type attempt struct {
	done   chan struct{}
	err    error // once done is closed
	cancel context.CancelFunc
}

// suspicionInterval bounds how often the engine is asked about a tenant that a
// router cannot reach.
const suspicionInterval = time.Second

// Wake returns the route of the project once it runs. Any number of callers cause
// one start. A caller that gives up does not end it.
//
// For one that runs already it makes sure of that: a router asks only because it
// could not reach it.
func (f *Fleet) Wake(ctx context.Context, id string) (routes.Route, error) {
	p := f.get(id)
	if p == nil {
		return routes.Route{}, ErrUnknown
	}
	if err := f.cfg.Lead(); err != nil {
		return routes.Route{}, &LaterError{After: time.Second, Err: err}
	}
	f.suspect(ctx, p)
	a, err := f.begin(p)
	if err != nil {
		return routes.Route{}, err
	}
	if a != nil {
		select {
		case <-a.done:
			if a.err != nil {
				return routes.Route{}, a.err
			}
		case <-ctx.Done():
			return routes.Route{}, ctx.Err()
		}
	}
	route, ok := f.cfg.Routes.Get(id)
	if !ok || route.State != routes.Running {
		// It was put to sleep, stopped or deleted in the same moment.
		return route, &LaterError{After: time.Second, Err: errors.New("the project was stopped again")}
	}
	return route, nil
}

// begin joins the start under way, or makes one; nil for a project that runs.
func (f *Fleet) begin(p *project) (*attempt, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch p.Want {
	case Off:
		return nil, ErrOff
	case Parked:
		return nil, fmt.Errorf("%w: %s", ErrParked, p.Message)
	case Deleted:
		return nil, ErrDeleted
	}
	if p.attempt != nil {
		return p.attempt, nil
	}
	if p.Want == Awake && p.url != "" {
		return nil, nil
	}
	if wait := p.failures.wait(f.cfg.Now()); wait > 0 {
		return nil, &LaterError{After: wait, Err: errors.New("the project has crashed and is started again soon")}
	}
	ctx, cancel := context.WithTimeout(f.life, f.cfg.StartTimeout)
	a := &attempt{done: make(chan struct{}), cancel: cancel}
	p.attempt = a
	f.back.Go(func() {
		defer cancel()
		err := f.run(ctx, p)
		p.mu.Lock()
		p.attempt, a.err = nil, err
		p.mu.Unlock()
		if err == nil {
			f.cfg.Resolve(p.ID, Down)
		}
		close(a.done)
	})
	return a, nil
}

// run starts the project and publishes its route.
func (f *Fleet) run(ctx context.Context, p *project) error {
	// A stop under way ends first.
	if err := p.work.Lock(ctx); err != nil {
		return err
	}
	defer p.work.Unlock()
	if err := f.admit(ctx, p); err != nil {
		return err
	}
	if err := f.starts.Acquire(ctx, 1); err != nil {
		return err
	}
	// One that takes its time, at a large restore or because it hangs, must not keep
	// the others from starting.
	release := sync.OnceFunc(func() { f.starts.Release(1) })
	slow := time.AfterFunc(f.cfg.StartBurst, release)
	status, err := f.bringUp(ctx, p)
	slow.Stop()
	release()
	if err != nil {
		return f.failed(p, err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := mayRun(p.Want); err != nil {
		return err // it was stopped meanwhile: who did that waits for p.work
	}
	if p.failures != nil {
		p.failures.pause = 0
	}
	f.ready(p, status.URL)
	f.publish(p)
	return nil
}

// admit wants the project to run, if it may. One at a time: of two that are woken
// at once only one may take its organization's last place.
func (f *Fleet) admit(ctx context.Context, p *project) error {
	f.admission.Lock()
	defer f.admission.Unlock()
	p.mu.Lock()
	info := p.Project
	p.mu.Unlock()
	if info.Want == Asleep {
		if err := f.cfg.MayWake(ctx, info, f.Running(info.Organization)); err != nil {
			return err
		}
	}
	// Stored before anything is done: a tenant that runs and should not is stopped.
	return f.setState(ctx, p, State{Want: Awake}, mayRun)
}

// mayRun refuses to run what should not.
func mayRun(want Want) error {
	switch want {
	case Off:
		return ErrOff
	case Parked:
		return ErrParked
	case Deleted:
		return ErrDeleted
	}
	return nil
}

func (f *Fleet) bringUp(ctx context.Context, p *project) (driver.Status, error) {
	spec, err := f.cfg.Spec(ctx, p.ID)
	if err != nil {
		return driver.Status{}, fmt.Errorf("describe the tenant: %w", err)
	}
	described := fingerprint(spec)
	if p.created != described {
		if err := f.cfg.Driver.Create(ctx, spec); err != nil {
			return driver.Status{}, fmt.Errorf("create the tenant: %w", err)
		}
		p.created = described
	}
	err = f.cfg.Driver.Start(ctx, p.ID)
	if errors.Is(err, driver.ErrNotFound) {
		p.created = 0 // somebody has removed it: the next attempt makes it anew
	}
	if err != nil {
		return driver.Status{}, fmt.Errorf("start the tenant: %w", err)
	}
	return f.cfg.WaitReady(ctx, f.cfg.Driver, p.ID)
}

// fingerprint tells whether a tenant is described as before: on engines far away
// each description costs requests.
func fingerprint(spec driver.Spec) uint64 {
	hash := sha256.New()
	fmt.Fprintf(hash, "%q %q %d %g %q", spec.ID, spec.Name, spec.Memory, spec.CPU, spec.Region)
	for _, name := range slices.Sorted(maps.Keys(spec.Env)) {
		fmt.Fprintf(hash, " %q %q", name, spec.Env[name].Reveal())
	}
	return binary.LittleEndian.Uint64(hash.Sum(nil))
}

// failed decides what a start that did not succeed means.
func (f *Fleet) failed(p *project, err error) error {
	var busy *driver.RetryError
	switch {
	case f.life.Err() != nil:
		return err // it is we who stop
	case errors.Is(err, context.Canceled):
		return &LaterError{After: time.Second, Err: errors.New("the project was stopped while it started")}
	case errors.As(err, &busy):
		p.mu.Lock()
		p.failures = p.failures.until(f.cfg.Now().Add(busy.After))
		p.mu.Unlock()
		return &LaterError{After: busy.After, Err: err}
	case errors.Is(err, driver.ErrBusy):
		return &LaterError{After: time.Second, Err: err}
	case errors.Is(err, context.DeadlineExceeded):
		f.cfg.Report(p.ID, Down, "It does not become ready: "+err.Error())
		return &LaterError{After: time.Second, Err: err}
	case !errors.Is(err, driver.ErrCrashed):
		// The engine failed, or we did: a full disk must not park whoever is woken, for
		// nobody would start them again.
		f.cfg.Report(p.ID, Down, "It cannot be started: "+err.Error())
		p.mu.Lock()
		p.failures = p.failures.slower(f.cfg.Now())
		wait := p.failures.pause
		p.mu.Unlock()
		return &LaterError{After: wait, Err: err}
	}
	return f.crashed(p, err)
}

// crashed counts a crash, and parks a project that goes on crashing.
func (f *Fleet) crashed(p *project, cause error) error {
	now := f.cfg.Now()
	p.mu.Lock()
	p.gone()
	p.failures = p.failures.add(now)
	parked := p.failures.tooMany() && p.Want == Awake
	wait := p.failures.wait(now)
	f.publish(p)
	p.mu.Unlock()
	f.cfg.Logger.Warn("a tenant has crashed", "project", p.ID, "error", cause)
	if !parked {
		f.cfg.Happened(p.ID, "project.crashed", cause.Error())
		return &LaterError{After: max(wait, time.Second), Err: fmt.Errorf("the project does not start: %w", cause)}
	}
	message := cause.Error()
	if lines := f.lastLines(p.ID); lines != "" {
		message += "\n" + lines
	}
	ctx, cancel := context.WithTimeout(f.life, storeTimeout)
	defer cancel()
	if err := f.setState(ctx, p, State{Want: Parked, Message: message}, mayRun); err != nil {
		return err
	}
	f.cfg.Happened(p.ID, "project.parked", message)
	f.cfg.Report(p.ID, CrashLoop, message)
	return fmt.Errorf("%w: %w", ErrParked, cause)
}

const (
	storeTimeout = 10 * time.Second
	lastLines    = 20
	lastBytes    = 4 << 10
)

// lastLines returns the end of the tenant's log, as far as there is one.
func (f *Fleet) lastLines(id string) string {
	ctx, cancel := context.WithTimeout(f.life, storeTimeout)
	defer cancel()
	logs, err := f.cfg.Driver.Logs(ctx, id, driver.LogOptions{Tail: lastLines})
	if err != nil {
		return ""
	}
	defer logs.Close()
	content, _ := io.ReadAll(io.LimitReader(logs, 1<<20)) // what came is better than nothing
	if len(content) > lastBytes {
		content = content[len(content)-lastBytes:]
	}
	return f.masked(ctx, id, strings.ToValidUTF8(strings.TrimSpace(string(content)), "?"))
}

// masked takes the tenant's longer variables out of a text that is for more people
// than its logs are.
func (f *Fleet) masked(ctx context.Context, id, text string) string {
	spec, err := f.cfg.Spec(ctx, id)
	if err != nil {
		return "" // rather nothing than a secret
	}
	return secret.Mask(text, maps.Values(spec.Env))
}

// suspect asks the engine about a project that should run and is said not to.
func (f *Fleet) suspect(ctx context.Context, p *project) {
	now := f.cfg.Now()
	p.mu.Lock()
	if p.url == "" || p.attempt != nil || now.Sub(p.awake.looked) < suspicionInterval {
		p.mu.Unlock()
		return
	}
	p.awake.looked = now
	p.mu.Unlock()
	before := f.readied.Load()
	status, err := f.cfg.Driver.Status(ctx, p.ID)
	if err != nil && !errors.Is(err, driver.ErrNotFound) {
		return
	}
	f.compare(p, status, before)
}

// setState stores what the project should be, then notes and publishes it. Check
// decides by what it should be now; the two do not come apart.
func (f *Fleet) setState(ctx context.Context, p *project, state State, check func(Want) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := check(p.Want); err != nil {
		return err
	}
	if state == p.State {
		return nil
	}
	if err := f.cfg.Store.SetState(ctx, p.ID, state); err != nil {
		return fmt.Errorf("store the state of project %s: %w", p.ID, err)
	}
	p.State = state
	if state.Want != Awake {
		p.gone()
	}
	if state.Want != Awake && state.Want != Asleep && p.attempt != nil {
		p.attempt.cancel()
	}
	f.publish(p)
	return nil
}
