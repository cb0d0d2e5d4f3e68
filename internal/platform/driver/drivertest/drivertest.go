// Package drivertest holds what every driver must do, as one suite on real
// tenants: the program in the folder fixture, which behaves and misbehaves as it
// is told.
//
//	drivertest.Run(t, drivertest.Harness{
//		New:  func(t *testing.T) driver.Driver { return open(t, dir) },
//		Spec: func(t *testing.T, id string, _ drivertest.Behaviour) driver.Spec { return driver.Spec{ID: id, Name: "Test " + id} },
//	})
//
// What an engine cannot do is said in Options, one by one, with what it costs.
package drivertest

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/picobase/picobase/internal/platform/driver"
	"github.com/picobase/picobase/internal/secret"
)

// Behaviour is what the tenant's program does, see the folder fixture.
type Behaviour string

// What the fixture can do.
const (
	Normal   Behaviour = "normal"   // answers, and ends with 0 when it is asked to
	Crash    Behaviour = "crash"    // prints and exits with CrashCode at its start
	Slow     Behaviour = "slow"     // is ready only after SlowDelay
	Stubborn Behaviour = "stubborn" // ignores SIGTERM
	Drains   Behaviour = "drains"   // takes DrainTime to end
	Dirty    Behaviour = "dirty"    // exits with 1 when it is asked to end
)

// What the fixture does exactly.
const (
	CrashCode    = 3
	CrashMessage = "out of cheese" // in its last line before it crashes at its start
	SlowDelay    = 500 * time.Millisecond
	DrainTime    = 300 * time.Millisecond
)

// Variables that tell the fixture how to behave. Run sets them in every Spec.
const (
	BehaviourEnv = "DRIVERTEST_BEHAVIOUR"
	DelayEnv     = "DRIVERTEST_DELAY"
)

// canary is in the environment of the platform, which is the test here, and must
// not get into a tenant's.
const canary = "PICOBASE_DRIVERTEST_CANARY"

// Harness is one engine with a driver for it.
type Harness struct {
	// New opens the driver. Each call finds what the drivers before it left, as a
	// platform does that is started again. Run closes what it opens, one after the other.
	New func(t *testing.T) driver.Driver

	// Spec returns a tenant that runs the fixture. Run adds the variables that the
	// fixture and the case need to its Env. It may be called again for an id, for
	// another Spec of it.
	Spec func(t *testing.T, id string, behaviour Behaviour) driver.Spec

	Options
}

// Options say what an engine does differently.
type Options struct {
	// Patience bounds each wait for something that should happen (default 30 s).
	Patience time.Duration

	// StopTimeout is how long the driver, as opened by New, waits before it forces a
	// tenant to end (default 2 s). Set the driver's short.
	StopTimeout time.Duration

	// Many is how many tenants run at once in the test of that (default 8).
	Many int

	// Sequential runs one case after the other, on an engine that can do no more.
	Sequential bool

	// EngineEnv names the variables that the engine itself adds to a tenant's
	// environment; one that ends in * stands for all that begin so.
	EngineEnv []string

	// Visible returns what others at the engine can see of a tenant: labels, command
	// lines, files that others may read, the driver's own log. No secret may be in
	// it. Optional.
	Visible func(t *testing.T, id string) string

	// NoURL: tests cannot reach the tenants (their addresses are in a network of the
	// engine's own). What they would answer is not looked at, and New must return
	// a driver whose status can be used with driver.WaitReady all the same.
	NoURL bool

	// NoExitCode: the engine does not tell how a tenant ended. The platform then
	// cannot know whether its last write was synced.
	NoExitCode bool

	// NoCrashMessage: a crashed tenant's Message need not hold its last lines.
	NoCrashMessage bool

	// NoLogsAfterStop: the engine forgets what a tenant printed when it has ended.
	NoLogsAfterStop bool

	// NoFollow: Logs with Follow is refused with an error.
	NoFollow bool

	// NoData: the engine keeps no folder between two starts. Tenants are restored from
	// their replica at each.
	NoData bool
}

// Run runs all cases.
func Run(t *testing.T, h Harness) {
	t.Setenv(canary, "must not leak")
	if h.Patience == 0 {
		h.Patience = 30 * time.Second
	}
	if h.StopTimeout == 0 {
		h.StopTimeout = 2 * time.Second
	}
	if h.Many == 0 {
		h.Many = 8
	}
	t.Run("verbs", func(t *testing.T) {
		d := newRig(t, h).d
		for _, tt := range cases {
			t.Run(tt.name, func(t *testing.T) {
				if !h.Sequential {
					t.Parallel()
				}
				tt.run(&rig{t, h, d})
			})
		}
	})
	// These close the driver, which nobody else may use meanwhile.
	t.Run("restart of the platform", func(t *testing.T) { testRestart(newRig(t, h)) })
	t.Run("restart while stopping", func(t *testing.T) { testRestartWhileStopping(newRig(t, h)) })
}

var cases = []struct {
	name string
	run  func(*rig)
}{
	{"life", testLife},
	{"verbs twice", testTwice},
	{"unknown ids", testUnknown},
	{"invalid ids", testInvalid},
	{"list", testList},
	{"data", testData},
	{"environment", testEnvironment},
	{"secrets", testSecrets},
	{"changed spec", testChangedSpec},
	{"crash at start", testCrashAtStart},
	{"crash later", testCrashLater},
	{"slow start", testSlowStart},
	{"stop that drains", testDrains},
	{"stop that is not clean", testDirty},
	{"stop by force", testStubborn},
	{"delete while running", testDeleteRunning},
	{"logs", testLogs},
	{"logs followed", testLogsFollowed},
	{"cancelled contexts", testCancelled},
	{"many at once", testMany},
	{"one at once", testOneAtOnce},
}

// rig is what a case works with. Its methods fail the case.
type rig struct {
	*testing.T
	h Harness
	d driver.Driver
}

// newRig opens the driver, and closes whichever is open at the end.
func newRig(t *testing.T, h Harness) *rig {
	r := &rig{t, h, h.New(t)}
	t.Cleanup(r.close)
	return r
}

func (r *rig) close() {
	r.Helper()
	if err := r.d.Close(); err != nil {
		r.Errorf("close the driver: %v", err)
	}
}

// ctx bounds one call of the driver.
func (r *rig) ctx() context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), r.h.Patience)
	r.Cleanup(cancel)
	return ctx
}

// newID returns an id that nothing has, and sees to it that nothing of it is left.
func (r *rig) newID() string {
	id := "t" + strings.ToLower(rand.Text()[:12])
	r.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), r.h.Patience)
		defer cancel()
		if err := insist(ctx, func() error { return r.d.Delete(ctx, id) }); err != nil {
			r.Errorf("clean up: delete %s: %v", id, err)
		}
	})
	return id
}

func (r *rig) spec(id string, behaviour Behaviour, env ...string) driver.Spec {
	r.Helper()
	spec := r.h.Spec(r.T, id, behaviour)
	all := map[string]secret.String{}
	for name, value := range spec.Env {
		all[name] = value
	}
	all[BehaviourEnv] = secret.New(string(behaviour))
	all[DelayEnv] = secret.New(SlowDelay.String())
	for _, pair := range env {
		name, value, _ := strings.Cut(pair, "=")
		all[name] = secret.New(value)
	}
	spec.Env = all
	return spec
}

// create makes a tenant and returns its id.
func (r *rig) create(behaviour Behaviour, env ...string) string {
	r.Helper()
	id := r.newID()
	r.must("create", func() error { return r.d.Create(r.ctx(), r.spec(id, behaviour, env...)) })
	return id
}

// started makes a tenant that is ready.
func (r *rig) started(behaviour Behaviour, env ...string) string {
	r.Helper()
	id := r.create(behaviour, env...)
	r.start(id)
	r.ready(id)
	return id
}

func (r *rig) start(id string) {
	r.Helper()
	r.must("start", func() error { return r.d.Start(r.ctx(), id) })
}

func (r *rig) stop(id string) {
	r.Helper()
	r.must("stop", func() error { return r.d.Stop(r.ctx(), id) })
}

func (r *rig) delete(id string) {
	r.Helper()
	r.must("delete", func() error { return r.d.Delete(r.ctx(), id) })
}

func (r *rig) ready(id string) driver.Status {
	r.Helper()
	status, err := driver.WaitReady(r.ctx(), r.d, id)
	if err != nil {
		r.Fatalf("wait ready: %v", err)
	}
	if status.State != driver.Running && status.State != driver.Starting {
		r.Fatalf("ready in the state %q", status.State)
	}
	return status
}

// must repeats what the engine has no time for now, as the platform would.
func (r *rig) must(what string, verb func() error) {
	r.Helper()
	if err := insist(r.ctx(), verb); err != nil {
		r.Fatalf("%s: %v", what, err)
	}
}

func insist(ctx context.Context, verb func() error) error {
	for {
		err := verb()
		if !errors.Is(err, driver.ErrBusy) {
			return err
		}
		wait := 100 * time.Millisecond
		if busy := (*driver.RetryError)(nil); errors.As(err, &busy) {
			wait = max(wait, busy.After)
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(wait):
		}
	}
}

func (r *rig) status(id string) driver.Status {
	r.Helper()
	var status driver.Status
	r.must("status", func() (err error) {
		status, err = r.d.Status(r.ctx(), id)
		return err
	})
	if status.ID != id {
		r.Fatalf("the status of %q is of %q", id, status.ID)
	}
	return status
}

// until polls until the tenant is in the state.
func (r *rig) until(id string, want driver.State) driver.Status {
	r.Helper()
	var status driver.Status
	r.eventually(func() bool {
		status = r.status(id)
		return status.State == want
	}, func() string {
		return "the state is " + string(status.State) + ", not " + string(want) + ": " + status.Message
	})
	return status
}

func (r *rig) eventually(happened func() bool, problem func() string) {
	r.Helper()
	deadline := time.Now().Add(r.h.Patience)
	for !happened() {
		if time.Now().After(deadline) {
			r.Fatal(problem())
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// stopped checks that it does not run, at once.
func (r *rig) stopped(id string) driver.Status {
	r.Helper()
	status := r.status(id)
	if status.State != driver.Stopped {
		r.Fatalf("the state is %q, not stopped: %s", status.State, status.Message)
	}
	return status
}

func (r *rig) exitCode(status driver.Status, want int) {
	r.Helper()
	if !r.h.NoExitCode && status.ExitCode != want {
		r.Errorf("exit code %d, want %d (%s)", status.ExitCode, want, status.Message)
	}
}

func (r *rig) gone(id string) {
	r.Helper()
	if _, err := r.d.Status(r.ctx(), id); !errors.Is(err, driver.ErrNotFound) {
		r.Errorf("status of a deleted tenant: %v, want ErrNotFound", err)
	}
	if _, ok := r.listed()[id]; ok {
		r.Error("a deleted tenant is in the list")
	}
}

func (r *rig) listed() map[string]driver.Status {
	r.Helper()
	var all []driver.Status
	r.must("list", func() (err error) {
		all, err = r.d.List(r.ctx())
		return err
	})
	byID := map[string]driver.Status{}
	for _, status := range all {
		if _, twice := byID[status.ID]; twice {
			r.Errorf("%s is in the list twice", status.ID)
		}
		byID[status.ID] = status
	}
	return byID
}

// who is what the fixture says of itself.
type who struct {
	Instance string
	Starts   int
	PID      int
	UID      int
}

func (r *rig) who(id string) (w who) {
	r.Helper()
	if r.h.NoURL {
		return who{}
	}
	if err := r.get(id, "/", &w); err != nil {
		r.Fatal(err)
	}
	return w
}

// get asks the tenant.
func (r *rig) get(id, path string, into any) error {
	r.Helper()
	client, base, err := driver.Client(r.status(id).URL)
	if err != nil {
		return err
	}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(r.ctx(), http.MethodGet, base+path, nil)
	if err != nil {
		return err
	}
	response, err := client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return errors.New(response.Status + ": " + string(content))
	}
	return json.Unmarshal(content, into)
}

func (r *rig) print(id, text string) {
	r.Helper()
	if err := r.get(id, "/print?text="+url.QueryEscape(text), new(any)); err != nil {
		r.Fatal(err)
	}
}

// BuildFixture builds the fixture, static and for Linux on this processor, and returns its path.
func BuildFixture(t testing.TB) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "fixture")
	//nolint:gosec // the path is the test's own
	build := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-ldflags", "-s -w", "-o", path,
		"github.com/picobase/picobase/internal/platform/driver/drivertest/fixture")
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build the fixture: %v\n%s", err, out)
	}
	return path
}
