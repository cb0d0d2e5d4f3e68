// Package fleet keeps tenants as they should be: it wakes those that are asked
// for, puts idle ones to sleep, restarts those that crash, parks those that go on
// crashing, and brings the engine's state back to the registry's after anything
// that went wrong in between.
//
// What should be is in the Store, what is comes from the driver, and every step
// can be repeated: whoever is killed between two of them leaves work for the next
// pass, no damage. The package knows nothing of PocketBase, HTTP or people.
//
//	f := fleet.New(fleet.Config{Driver: d, Store: s, Routes: table, …})
//	err := f.Load(ctx) // adopts what runs
//	f.Start()
//	route, err := f.Wake(ctx, "k3x9")
package fleet

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/picobase/picobase/internal/platform/driver"
	"github.com/picobase/picobase/internal/platform/feed"
	"github.com/picobase/picobase/internal/worker"
	"golang.org/x/sync/semaphore"
)

// Want is what a project should be.
type Want string

// What projects can be wanted to be.
const (
	Awake   Want = "running" // runs, or is on its way to
	Asleep  Want = "asleep"  // until somebody asks for it, or until it is due
	Off     Want = "off"     // its owner has stopped it
	Parked  Want = "parked"  // it went on crashing; its owner's start tries again
	Deleted Want = "deleted" // its data is kept for the grace time
)

// State is what changes about a project.
type State struct {
	Want Want

	// Message says why it is Parked.
	Message string

	// Due is when an Asleep project must be awake, zero for never.
	Due time.Time

	// DeletedAt is when it was deleted; zero while it is not.
	DeletedAt time.Time
}

// Project is what the registry knows of a project, as far as it matters here.
type Project struct {
	ID           string
	Name         string
	Organization string
	Hosts        []string
	State
}

// Store is the registry.
type Store interface {
	// Load returns every project.
	Load(ctx context.Context) ([]Project, error)

	// SetState stores the state of a project before it is acted on.
	SetState(ctx context.Context, id string, state State) error

	// Forget removes a project of which nothing is left.
	Forget(ctx context.Context, id string) error
}

// Answer is what a tenant says of itself, see GET /api/v1/due.
type Answer struct {
	Due       time.Time // zero for never
	IdleSince time.Time // when it was last used
	Busy      string    // what is open, empty for nothing
	Synced    bool      // whether all that was written is in its replica
}

// Tenants asks running tenants.
type Tenants interface {
	// Due asks whether the tenant may sleep, and until when.
	Due(ctx context.Context, id, url string) (Answer, error)

	// Ready reports whether the tenant wants requests. An error says that it does not
	// answer at all.
	Ready(ctx context.Context, id, url string) (bool, error)

	// Collect takes over the figures that the tenant keeps.
	Collect(ctx context.Context, id, url string) error
}

// Kind is a kind of incident.
type Kind string

// Incidents that the fleet sees by itself.
const (
	Down      Kind = "down"       // wanted awake, and does not get there or does not answer
	CrashLoop Kind = "crash_loop" // parked
)

// Config configures a Fleet. What has no default is required.
type Config struct {
	Driver  driver.Driver
	Store   Store
	Routes  *feed.Table
	Tenants Tenants

	// Spec returns what the tenant is made of.
	Spec func(ctx context.Context, id string) (driver.Spec, error)

	// Purge deletes all that is kept of a project outside of the engine. It is
	// called after the engine has let go of it, and may be called again.
	Purge func(ctx context.Context, id string) error

	// Replicated says that a project's data is in a bucket, so that the engine may
	// free its disk as soon as it is deleted.
	Replicated bool

	// MayWake refuses to wake a project, for example for its organization's quota
	// (default nobody). Running is how many of it run already.
	MayWake func(ctx context.Context, p Project, running int) error

	// Lead refuses to act when another platform leads (default never).
	Lead func() error

	// Report opens an incident (default nothing). Resolve closes it. Both are called
	// again and again for one that goes on.
	Report  func(id string, kind Kind, message string)
	Resolve func(id string, kind Kind)

	// Happened is told what the fleet did by itself, for the record (default nothing).
	Happened func(id, what, message string)

	// IdleAfter is how long nobody must have used a tenant before it sleeps. Zero
	// never puts any to sleep.
	IdleAfter time.Duration

	// DueLead is how long before it is due a tenant is woken (default 10 s).
	DueLead time.Duration

	// Grace is how long a deleted project can be had back (default 7 days).
	Grace time.Duration

	// StartTimeout is how long a start may take until it counts as failed to be
	// ready (default 10 min: it may restore a large database).
	StartTimeout time.Duration

	// Interval is how often the fleet looks whether a tenant is idle, due or to be
	// started again (default 2 s).
	Interval time.Duration

	// ListInterval is how often the engine is asked for the state of all tenants
	// (default Interval). Engines far away want to be asked less often.
	ListInterval time.Duration

	// HealthInterval is how often a tenant that runs is asked whether it answers
	// (default 30 s; negative for engines where asking keeps it awake).
	HealthInterval time.Duration

	// Starts bounds how many tenants start at once (default 8). One that has not
	// become ready within StartBurst (default 15 s) counts no more.
	Starts     int
	StartBurst time.Duration

	// WaitReady waits for a started tenant (default driver.WaitReady).
	WaitReady func(ctx context.Context, d driver.Driver, id string) (driver.Status, error)

	Now    func() time.Time // default time.Now
	Logger *slog.Logger     // default slog.Default
}

// Fleet is the running fleet.
type Fleet struct {
	cfg    Config
	starts *semaphore.Weighted
	loop   *worker.Worker

	life context.Context // of what a pass or a wake leaves running
	end  context.CancelFunc
	back sync.WaitGroup

	listed    time.Time     // when the engine was asked last; of the loop alone
	strangers sync.Map      // ids of tenants of the engine that were warned of
	readied   atomic.Uint64 // counts tenants that became ready, see project.compare

	admission sync.Mutex // of those that are to run, see Fleet.admit

	mu       sync.RWMutex
	projects map[string]*project
}

// project is one project in memory. Thousands of them sleep: what only awake ones
// need is behind awake.
type project struct {
	work lock // held by whoever changes the engine's state of it

	mu sync.Mutex // guards all below
	Project
	url      string // while it is ready, else empty
	attempt  *attempt
	awake    *awake
	failures *failures
	dueAgain time.Time // not before: it was woken because it is due

	created uint64 // what the engine was told last, see fingerprint; under work
}

// awake is what is known of a project that runs.
type awake struct {
	number    uint64    // of Fleet.readied
	used      time.Time // last, as far as routers and the tenant have told
	openUntil time.Time // as long as a router's word holds that requests are open
	askAt     time.Time // not before: whether it may sleep
	healthAt  time.Time
	collectAt time.Time
	missed    int       // health checks in a row without an answer
	looked    time.Time // last time that the engine was asked on suspicion
}

// New returns a fleet that does nothing yet.
func New(cfg Config) *Fleet {
	defaults(&cfg)
	f := &Fleet{cfg: cfg, starts: semaphore.NewWeighted(int64(cfg.Starts)), projects: map[string]*project{}}
	f.life, f.end = context.WithCancel(context.Background())
	f.loop = worker.New(cfg.Interval, f.turn, func(err error) {
		cfg.Logger.Error("the fleet's state could not be compared", "error", err)
	})
	return f
}

func defaults(cfg *Config) {
	fill := func(d *time.Duration, otherwise time.Duration) {
		if *d == 0 {
			*d = otherwise
		}
	}
	fill(&cfg.DueLead, 10*time.Second)
	fill(&cfg.Grace, 7*24*time.Hour)
	fill(&cfg.StartTimeout, 10*time.Minute)
	fill(&cfg.StartBurst, 15*time.Second)
	fill(&cfg.Interval, 2*time.Second)
	fill(&cfg.ListInterval, cfg.Interval)
	fill(&cfg.HealthInterval, 30*time.Second)
	if cfg.Starts <= 0 {
		cfg.Starts = 8
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.WaitReady == nil {
		cfg.WaitReady = driver.WaitReady
	}
	if cfg.MayWake == nil {
		cfg.MayWake = func(context.Context, Project, int) error { return nil }
	}
	if cfg.Lead == nil {
		cfg.Lead = func() error { return nil }
	}
	if cfg.Report == nil {
		cfg.Report = func(string, Kind, string) {}
	}
	if cfg.Resolve == nil {
		cfg.Resolve = func(string, Kind) {}
	}
	if cfg.Happened == nil {
		cfg.Happened = func(string, string, string) {}
	}
}

// Load reads the registry and looks at the engine: what should run and does is
// routed at once, as it was before.
func (f *Fleet) Load(ctx context.Context) error {
	all, err := f.cfg.Store.Load(ctx)
	if err != nil {
		return fmt.Errorf("load projects: %w", err)
	}
	observed, err := f.observe(ctx)
	if err != nil {
		// The registry is enough to answer people; the next pass looks again.
		f.cfg.Logger.Error("the engine does not answer", "error", err)
	}
	for _, p := range all {
		f.add(p, observed[p.ID])
	}
	return nil
}

// Add makes a new project known. It must be in the store already.
func (f *Fleet) Add(p Project) { f.add(p, driver.Status{}) }

func (f *Fleet) add(info Project, status driver.Status) {
	p := &project{Project: info, work: newLock()}
	if info.Want == Awake && status.State == driver.Running && status.URL != "" {
		f.ready(p, status.URL)
	}
	f.mu.Lock()
	f.projects[info.ID] = p
	f.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	f.publish(p)
}

// ready notes that the tenant answers at url. The caller holds p.mu, or is alone.
func (f *Fleet) ready(p *project, url string) {
	now := f.cfg.Now()
	p.url = url
	p.awake = &awake{
		number: f.readied.Add(1),
		used:   now, askAt: now.Add(f.cfg.IdleAfter), healthAt: now.Add(f.cfg.HealthInterval),
		collectAt: now.Add(collectInterval),
	}
}

// gone notes that it does not run any more. The caller holds p.mu.
func (p *project) gone() { p.url, p.awake = "", nil }

// collectInterval is how often figures are taken from a tenant that is awake.
const collectInterval = time.Hour

// Start begins to compare and act in the background.
func (f *Fleet) Start() { f.loop.Start() }

// Stop ends what is under way; tenants go on. The fleet cannot be started again.
func (f *Fleet) Stop(ctx context.Context) error {
	err := f.loop.Stop(ctx)
	f.end()
	done := make(chan struct{})
	go func() {
		f.back.Wait()
		close(done)
	}()
	select {
	case <-done:
		return err
	case <-ctx.Done():
		return errors.Join(err, ctx.Err())
	}
}

func (f *Fleet) get(id string) *project {
	f.mu.RLock()
	defer f.mu.RUnlock()
	return f.projects[id]
}

func (f *Fleet) all() []*project {
	f.mu.RLock()
	defer f.mu.RUnlock()
	all := make([]*project, 0, len(f.projects))
	for _, p := range f.projects {
		all = append(all, p)
	}
	return all
}

func (f *Fleet) observe(ctx context.Context) (map[string]driver.Status, error) {
	list, err := f.cfg.Driver.List(ctx)
	if err != nil {
		return nil, err
	}
	observed := make(map[string]driver.Status, len(list))
	for _, status := range list {
		observed[status.ID] = status
	}
	return observed, nil
}

// lock is a mutex that can be waited for until a context ends.
type lock chan struct{}

func newLock() lock { return make(lock, 1) }

func (l lock) Lock(ctx context.Context) error {
	select {
	case l <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (l lock) TryLock() bool {
	select {
	case l <- struct{}{}:
		return true
	default:
		return false
	}
}

func (l lock) Unlock() { <-l }
