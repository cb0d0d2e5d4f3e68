package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/platform/driver"
	"github.com/picobase/picobase/internal/platform/feed"
	"github.com/picobase/picobase/internal/secret"
)

// world is what outlives a platform: the engine, the registry and the clock. It
// can be told to let the platform die at its nth step.
type world struct {
	t *testing.T

	mu         sync.Mutex
	now        time.Time
	tenants    map[string]*tenant
	projects   map[string]Project
	purged     map[string]bool
	steps      int
	dieAt      int // 0 for never
	dieAfter   bool
	starts     map[string]int
	crashes    map[string]bool // ids whose start crashes
	answer     Answer
	slow       chan struct{} // not nil: starts wait for it
	held       int
	calls      int // of Start
	most       int // how many started at once
	incident   map[string]string
	asked      int
	hung       bool
	restoring  bool
	beforeList func() // between the engine's look and its answer
}

type tenant struct{ status driver.Status }

func newWorld(t *testing.T) *world {
	t.Helper()
	return &world{
		t: t, now: time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), tenants: map[string]*tenant{},
		projects: map[string]Project{}, purged: map[string]bool{}, starts: map[string]int{},
		crashes: map[string]bool{}, incident: map[string]string{}, answer: Answer{Synced: true},
	}
}

var errDead = errors.New("the platform was killed")

// step counts what the platform does to the world. It dies before or after its
// dieAt'th step, and does nothing from then on.
func (w *world) step(do func() error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.steps++
	switch {
	case w.dieAt == 0 || w.steps < w.dieAt:
		return do()
	case w.steps == w.dieAt && w.dieAfter:
		_ = do()
	}
	return errDead
}

func (w *world) add(id string, want Want) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.projects[id] = Project{ID: id, Name: id, Organization: "o", Hosts: []string{id + ".example.com"}, State: State{Want: want}}
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) state(id string) driver.State {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t := w.tenants[id]; t != nil {
		return t.status.State
	}
	return ""
}

func (w *world) crash(id string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tenants[id].status = driver.Status{ID: id, State: driver.Crashed, ExitCode: 2, Message: "killed"}
}

func (w *world) want(id string) Want {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.projects[id].Want
}

func (w *world) set(change func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change()
}

func (w *world) started(id string) (n int) {
	w.set(func() { n = w.starts[id] })
	return n
}

func (w *world) timesAsked() (n int) {
	w.set(func() { n = w.asked })
	return n
}

func (w *world) incidents() (all map[string]string) {
	w.set(func() { all = maps.Clone(w.incident) })
	return all
}

func (w *world) project(id string) (p Project) {
	w.set(func() { p = w.projects[id] })
	return p
}

// The registry.

func (w *world) Load(context.Context) ([]Project, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := make([]Project, 0, len(w.projects))
	for _, p := range w.projects {
		all = append(all, p)
	}
	return all, nil
}

func (w *world) SetState(_ context.Context, id string, state State) error {
	return w.step(func() error {
		p := w.projects[id]
		p.State = state
		w.projects[id] = p
		return nil
	})
}

func (w *world) Forget(_ context.Context, id string) error {
	return w.step(func() error {
		delete(w.projects, id)
		return nil
	})
}

// The tenants.

type asked struct{ *world }

func (w asked) Due(context.Context, string, string) (Answer, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.world.asked++
	return w.answer, nil
}

func (w asked) Ready(context.Context, string, string) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.hung {
		return false, context.DeadlineExceeded
	}
	return !w.restoring, nil
}

func (w asked) Collect(context.Context, string, string) error { return nil }

// The engine.

type engine struct{ *world }

func (e engine) Create(_ context.Context, spec driver.Spec) error {
	return e.step(func() error {
		if e.tenants[spec.ID] == nil {
			e.tenants[spec.ID] = &tenant{driver.Status{ID: spec.ID, State: driver.Stopped, ExitCode: -1}}
		}
		return nil
	})
}

func (e engine) Start(_ context.Context, id string) error {
	e.mu.Lock()
	slow := e.slow
	e.calls++
	e.held++
	e.most = max(e.most, e.held)
	e.mu.Unlock()
	if slow != nil {
		<-slow
	}
	e.set(func() { e.held-- })
	return e.step(func() error {
		t := e.tenants[id]
		if t == nil {
			return driver.ErrNotFound
		}
		if t.status.State == driver.Running {
			return nil
		}
		e.starts[id]++
		t.status = driver.Status{ID: id, State: driver.Running, URL: "http://" + id}
		if e.crashes[id] {
			t.status = driver.Status{ID: id, State: driver.Crashed, ExitCode: 1, Message: "it does not start"}
		}
		return nil
	})
}

func (e engine) Stop(_ context.Context, id string) error {
	return e.step(func() error {
		if t := e.tenants[id]; t != nil {
			t.status = driver.Status{ID: id, State: driver.Stopped}
			return nil
		}
		return driver.ErrNotFound
	})
}

func (e engine) Delete(_ context.Context, id string) error {
	return e.step(func() error {
		delete(e.tenants, id)
		return nil
	})
}

func (e engine) Status(_ context.Context, id string) (driver.Status, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if t := e.tenants[id]; t != nil {
		return t.status, nil
	}
	return driver.Status{}, driver.ErrNotFound
}

func (e engine) List(context.Context) ([]driver.Status, error) {
	e.mu.Lock()
	var all []driver.Status
	for t := range maps.Values(e.tenants) {
		all = append(all, t.status)
	}
	meanwhile := e.beforeList
	e.mu.Unlock()
	if meanwhile != nil {
		meanwhile()
	}
	return all, nil
}

func (e engine) Logs(_ context.Context, id string, _ driver.LogOptions) (io.ReadCloser, error) {
	return io.NopCloser(strings.NewReader("last words of " + id + ": correct horse\n")), nil
}

func (e engine) Close() error { return nil }

func (e engine) ready(ctx context.Context, _ driver.Driver, id string) (driver.Status, error) {
	status, err := e.Status(ctx, id)
	switch {
	case err != nil:
		return status, err
	case status.State == driver.Crashed:
		return status, &driver.CrashError{Status: status}
	}
	return status, nil
}

// platform starts a platform in the world.
func (w *world) platform(change ...func(*Config)) *Fleet {
	w.t.Helper()
	cfg := Config{
		Driver: engine{w}, Store: w, Routes: feed.New(), Tenants: asked{w},
		Spec: func(_ context.Context, id string) (driver.Spec, error) {
			return driver.Spec{ID: id, Name: id, Env: map[string]secret.String{"PASSWORD": secret.New("correct horse")}}, nil
		},
		Purge: func(_ context.Context, id string) error {
			return w.step(func() error { w.purged[id] = true; return nil })
		},
		IdleAfter: 15 * time.Minute, WaitReady: engine{w}.ready, Now: w.clock,
		Logger: slog.New(slog.DiscardHandler),
		Report: func(id string, kind Kind, message string) {
			w.mu.Lock()
			defer w.mu.Unlock()
			w.incident[fmt.Sprint(id, " ", kind)] = message
		},
		Resolve: func(id string, kind Kind) {
			w.mu.Lock()
			defer w.mu.Unlock()
			delete(w.incident, fmt.Sprint(id, " ", kind))
		},
	}
	for _, c := range change {
		c(&cfg)
	}
	f := New(cfg)
	if err := f.Load(context.Background()); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := f.Stop(context.Background()); err != nil {
			w.t.Error(err)
		}
	})
	return f
}

func (f *Fleet) mustPass(t *testing.T) {
	t.Helper()
	if err := f.Pass(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func (f *Fleet) routeState(id string) string {
	route, _ := f.cfg.Routes.Get(id)
	return string(route.State)
}
