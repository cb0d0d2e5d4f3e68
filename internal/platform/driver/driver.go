// Package driver is what the platform asks of the engine that runs tenants: local
// processes, Docker, Railway. A driver knows how to run one server and nothing of
// projects, people or time: what should run is decided by the platform, which
// compares it with List and acts.
//
// Every method can be repeated: asking for what is so already does nothing. A
// driver keeps nothing in memory that it could not find again after a restart of
// the platform, and its tenants do not notice that restart.
//
//	err := d.Create(ctx, driver.Spec{ID: "k3x9", Name: "shop", Env: env})
//	err = d.Start(ctx, "k3x9")
//	status, err := driver.WaitReady(ctx, d, "k3x9")
//
// The folders below it hold the drivers and, in drivertest, what each must do.
package driver

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/picobase/picobase/internal/secret"
)

// Errors that callers branch on.
var (
	// ErrNotFound answers for an id that was never created, or was deleted.
	ErrNotFound = errors.New("no such tenant")

	// ErrBusy answers while an engine refuses for now: a rate limit, a deploy under
	// way. The platform tries again, no sooner than a RetryError says.
	ErrBusy = errors.New("the engine is busy")
)

// RetryError is ErrBusy with the time to wait.
type RetryError struct {
	After time.Duration
	Err   error
}

func (e *RetryError) Error() string { return e.Err.Error() }

// Unwrap makes errors.Is(err, ErrBusy) hold.
func (e *RetryError) Unwrap() []error { return []error{ErrBusy, e.Err} }

// Spec is what a tenant is made of. Create with another Spec of the same ID
// changes it; what runs already goes on as it is until its next start.
type Spec struct {
	// ID names the tenant for ever: 1 to 32 characters of a-z and 0-9. All that a
	// driver makes for it carries the id in its name or labels.
	ID string

	// Name is what people call it, for labels and listings. It may change.
	Name string

	// Env is the server's whole environment, secrets among it. It is never logged.
	Env map[string]secret.String

	// Memory is the limit in bytes, CPU in cores. Zero is no limit of its own.
	Memory int64
	CPU    float64

	// Region is where the engine should place it, in the engine's own words.
	// Empty leaves the choice to the engine.
	Region string
}

// State says what the engine observes.
type State string

// The states of a tenant.
const (
	Stopped  State = "stopped"  // exists, does not run; its data is kept
	Starting State = "starting" // on its way: placed, pulled, restored, not known to listen yet
	Running  State = "running"  // its process runs; whether it answers is for WaitReady
	Stopping State = "stopping"
	Crashed  State = "crashed" // ended without being asked to, see ExitCode and Message
)

// Status is what the engine says of one tenant.
type Status struct {
	ID    string
	State State

	// URL is where the router reaches it while it is Starting or Running:
	// http://127.0.0.1:41234, http://shop.internal:8090 or unix:///run/k3x9.sock.
	URL string

	// Since is when the state began, as far as the engine knows.
	Since time.Time

	// ExitCode of the last process that ended, -1 if it was killed or none has.
	// After a Stop, 0 says that the tenant has ended cleanly, its last write synced.
	ExitCode int

	// Message is the engine's own word on a failure, for people. It holds no secret.
	Message string
}

// LogOptions say which lines Logs returns.
type LogOptions struct {
	// Tail is how many of the last lines to begin with (default all that are kept).
	Tail int

	// Follow waits for more lines until the context ends.
	Follow bool
}

// Driver runs tenants on one engine. Its methods may be called at once, for one id
// and for many.
type Driver interface {
	// Create makes what a tenant needs before it can start: a folder, a volume, a
	// service. It starts nothing.
	Create(ctx context.Context, spec Spec) error

	// Start begins to run it and returns without waiting for it to be ready. One
	// that runs or starts is left alone; a crashed one is started again.
	Start(ctx context.Context, id string) error

	// Stop ends it as an operator would: a signal, time to drain and sync, then
	// force. It returns when the tenant has ended.
	Stop(ctx context.Context, id string) error

	// Delete ends it and removes all that Create made, its data too. Deleting what is
	// not there is no error.
	Delete(ctx context.Context, id string) error

	// Status of one tenant, or ErrNotFound.
	Status(ctx context.Context, id string) (Status, error)

	// List returns the status of every tenant that this driver made here, in as few
	// calls to the engine as it allows.
	List(ctx context.Context) ([]Status, error)

	// Logs returns what the tenant has printed, oldest first. The caller closes it.
	Logs(ctx context.Context, id string, options LogOptions) (io.ReadCloser, error)

	// Close lets go of the engine. Tenants go on.
	Close() error
}
