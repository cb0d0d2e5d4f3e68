// Package process runs tenants as processes of this machine: the engine that needs
// none. Each has a folder, a socket and, where the platform is root, a user of its
// own; memory and CPU are limited where control groups can be used.
//
//	d, err := process.Open(process.Config{Dir: "/var/lib/picobase/tenants", Logger: logger})
//	defer d.Close() // the tenants go on
//
// A tenant is a session of its own and outlives the platform. The next one finds
// it by process id and start time, which together name a process for ever, and
// watches it; its exit code comes from the file that it leaves, see internal/exitfile.
// There is no process in between: that would cost memory for each tenant.
//
// A folder DIR/ID holds spec.json (with the environment, for the platform's user
// alone), state.json, log, log.1 and log.2, and the tenant's own data and run.
package process

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"
	"github.com/picobase/picobase/internal/platform/driver"
)

// Defaults of Config.
const (
	defaultStopTimeout = 45 * time.Second
	defaultLogSize     = 10 << 20
	defaultUIDBase     = 70000 // neither of people nor of containers: these begin at 100000
)

// rotateInterval is how often logs are looked at, if they have grown too long.
const rotateInterval = 5 * time.Second

// Config configures the driver.
type Config struct {
	// Dir holds a folder for each tenant. Required; one driver at a time.
	Dir string

	// RunDir holds the sockets of tenants whose folder has a path that is too long
	// for one (default a folder for Dir in the system's folder of temporary files).
	RunDir string

	// Binary is the server (default this program), Args what follows its
	// "serve --dir DIR --http ADDRESS".
	Binary string
	Args   []string

	// Ports gives each tenant a port of the loopback interface in the place of a
	// socket.
	Ports bool

	// UIDBase is the first of the user and group ids that tenants get, one each
	// (default 70000 if the platform is root and users can reach Dir and Binary,
	// otherwise none). -1 runs all as the platform's user.
	UIDBase int

	// StopTimeout is how long a stop waits before it kills (default 45 s).
	StopTimeout time.Duration

	// LogSize is how many bytes a tenant's log may have before another is begun
	// (default 10 MB); two older ones are kept.
	LogSize int64

	// Logger is told what an operator should know. Optional.
	Logger *slog.Logger
}

// Driver is a [driver.Driver].
type Driver struct {
	cfg    Config
	uids   bool
	limits *limits
	lock   *flock.Flock

	mu      sync.Mutex
	tenants map[string]*tenant
	uidsOf  map[int]string // tenants by user id, read when the first is needed
	closed  bool

	stop chan struct{} // closed by Close
	done sync.WaitGroup
}

// Open finds the tenants in the folder, and watches those that run.
func Open(cfg Config) (*Driver, error) {
	if err := supported(); err != nil {
		return nil, err
	}
	d := &Driver{cfg: cfg, tenants: map[string]*tenant{}, stop: make(chan struct{})}
	if err := d.complete(); err != nil {
		return nil, fmt.Errorf("process driver: %w", err)
	}
	d.lock = flock.New(filepath.Join(d.cfg.Dir, ".lock"))
	if ok, err := d.lock.TryLock(); err != nil {
		return nil, fmt.Errorf("process driver: %w", err)
	} else if !ok {
		return nil, fmt.Errorf("process driver: another platform uses %s; stop it first", d.cfg.Dir)
	}
	if err := d.find(); err != nil {
		return nil, errors.Join(fmt.Errorf("process driver: %w", err), d.lock.Close())
	}
	d.done.Go(d.rotateLogs)
	return d, nil
}

// complete fills the defaults and makes the folders.
func (d *Driver) complete() (err error) {
	c := &d.cfg
	if c.Dir == "" {
		return errors.New("no Dir is configured")
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	c.StopTimeout, c.LogSize = cmp.Or(c.StopTimeout, defaultStopTimeout), cmp.Or(c.LogSize, defaultLogSize)
	if c.Dir, err = filepath.Abs(c.Dir); err != nil {
		return err
	}
	if c.Binary == "" {
		if c.Binary, err = os.Executable(); err != nil {
			return err
		}
	}
	if c.Binary, err = filepath.Abs(c.Binary); err != nil {
		return err
	}
	if err := os.MkdirAll(c.Dir, 0o711); err != nil { //nolint:gosec // tenants pass through, and cannot list it
		return err
	}
	if c.RunDir == "" {
		c.RunDir = filepath.Join(os.TempDir(), fmt.Sprintf("picobase-%d-%s", os.Getuid(), shortHash(c.Dir)))
	}
	if err := d.chooseUsers(); err != nil {
		return err
	}
	d.limits = findLimits("picobase-"+shortHash(c.Dir), c.Logger)
	return nil
}

// chooseUsers decides whether tenants have users of their own.
func (d *Driver) chooseUsers() error {
	base := d.cfg.UIDBase
	if base < 0 || base == 0 && os.Getuid() != 0 {
		return nil
	}
	if base > 0 && os.Getuid() != 0 {
		return errors.New("UIDBase: only root can give tenants users of their own")
	}
	for _, path := range []string{d.cfg.Dir, d.cfg.Binary} {
		closed := closedTo(path)
		switch {
		case closed == "":
		case base > 0:
			return fmt.Errorf("UIDBase: users cannot reach %s, since %s is closed to others; move it, or open that for passing (chmod o+x)", path, closed)
		default:
			d.cfg.Logger.Warn("tenants run as root, without users of their own: others cannot reach the path; use a folder that they can reach",
				"path", path, "closed", closed)
			return nil
		}
	}
	d.cfg.UIDBase = cmp.Or(base, defaultUIDBase)
	d.uids = true
	return nil
}

// closedTo returns the part of the path that other users cannot pass, or "".
func closedTo(path string) string {
	for ; ; path = filepath.Dir(path) {
		if info, err := os.Stat(path); err != nil || info.Mode()&0o001 == 0 {
			return path
		}
		if path == filepath.Dir(path) {
			return ""
		}
	}
}

const deletedPrefix = ".deleted-"

// find reads the folder.
func (d *Driver) find() error {
	entries, err := os.ReadDir(d.cfg.Dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		id := entry.Name()
		if strings.HasPrefix(id, deletedPrefix) { // the end of a Delete that was cut off
			if err := os.RemoveAll(filepath.Join(d.cfg.Dir, id)); err != nil {
				d.cfg.Logger.Warn("cannot remove what is left of a deleted tenant", "error", err)
			}
			continue
		}
		if !entry.IsDir() || driver.CheckID(id) != nil {
			continue
		}
		t, err := d.load(id)
		switch {
		case errors.Is(err, fs.ErrNotExist): // the begin of a Create that was cut off
		case err != nil:
			return fmt.Errorf("tenant %s: %w", id, err)
		default:
			d.tenants[id] = t
		}
	}
	return nil
}

// Close implements [driver.Driver].
func (d *Driver) Close() error {
	d.mu.Lock()
	if d.closed {
		d.mu.Unlock()
		return nil
	}
	d.closed = true
	d.mu.Unlock()
	close(d.stop)
	d.done.Wait()
	d.limits.close()
	return d.lock.Close()
}

// acquire waits until nobody else works on the tenant; release ends that. With
// create it is made, so far in memory only, if there is none.
func (d *Driver) acquire(ctx context.Context, id string, create bool) (*tenant, error) {
	if err := driver.CheckID(id); err != nil {
		return nil, err
	}
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		d.mu.Lock()
		if d.closed {
			d.mu.Unlock()
			return nil, errors.New("the process driver is closed")
		}
		t := d.tenants[id]
		if t == nil && create {
			t = d.newTenant(id)
			d.tenants[id] = t
		}
		d.mu.Unlock()
		if t == nil {
			return nil, fmt.Errorf("tenant %s: %w", id, driver.ErrNotFound)
		}
		select {
		case t.busy <- struct{}{}:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		if !t.isGone() {
			return t, nil
		}
		<-t.busy // deleted meanwhile; there may be another of that name
	}
}

func (t *tenant) release() { <-t.busy }

// Create implements [driver.Driver].
func (d *Driver) Create(ctx context.Context, spec driver.Spec) error {
	if err := checkSpec(spec); err != nil {
		return err
	}
	t, err := d.acquire(ctx, spec.ID, true)
	if err != nil {
		return err
	}
	defer t.release()
	if err := t.writeSpec(spec); err != nil {
		if !t.exists() {
			d.forget(t)
		}
		return fmt.Errorf("tenant %s: %w", spec.ID, err)
	}
	return nil
}

// forget takes the tenant out of the list.
func (d *Driver) forget(t *tenant) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.gone = true
	delete(d.tenants, t.id)
	maps.DeleteFunc(d.uidsOf, func(_ int, id string) bool { return id == t.id })
}

// Delete implements [driver.Driver].
func (d *Driver) Delete(ctx context.Context, id string) error {
	t, err := d.acquire(ctx, id, false)
	if errors.Is(err, driver.ErrNotFound) {
		return nil
	} else if err != nil {
		return err
	}
	defer t.release()
	if err := t.end(ctx); err != nil {
		return fmt.Errorf("tenant %s: %w", id, err)
	}
	// The rename makes it gone at once, whatever happens while its data is removed.
	trash := filepath.Join(d.cfg.Dir, deletedPrefix+id)
	if err := os.RemoveAll(trash); err != nil {
		return fmt.Errorf("tenant %s: %w", id, err)
	}
	if err := os.Rename(t.dir(), trash); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("tenant %s: %w", id, err)
	}
	d.forget(t)
	d.limits.remove(id)
	if err := errors.Join(os.RemoveAll(filepath.Join(d.cfg.RunDir, id)), os.RemoveAll(trash)); err != nil {
		return fmt.Errorf("tenant %s: %w", id, err)
	}
	return nil
}

// Status implements [driver.Driver].
func (d *Driver) Status(ctx context.Context, id string) (driver.Status, error) {
	if err := errors.Join(driver.CheckID(id), ctx.Err()); err != nil {
		return driver.Status{}, err
	}
	d.mu.Lock()
	t := d.tenants[id]
	d.mu.Unlock()
	if t != nil {
		if status, ok := t.status(); ok {
			return status, nil
		}
	}
	return driver.Status{}, fmt.Errorf("tenant %s: %w", id, driver.ErrNotFound)
}

// List implements [driver.Driver].
func (d *Driver) List(ctx context.Context) ([]driver.Status, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	all := make([]driver.Status, 0, len(d.tenants))
	for _, t := range d.tenants {
		if status, ok := t.status(); ok {
			all = append(all, status)
		}
	}
	slices.SortFunc(all, func(a, b driver.Status) int { return cmp.Compare(a.ID, b.ID) })
	return all, nil
}
