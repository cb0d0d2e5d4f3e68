// Package files keeps users' uploaded files in an object store from the moment
// of upload, and brings them back from there when the local folder lacks them.
//
// PocketBase goes on using pb_data/storage as it always does; that folder is in
// effect a cache of the store. The store holds the same files under the same
// names, with PocketBase's ".attrs" sidecars and without thumbnails, so that a
// plain copy of the store is a storage folder. A file whose record is gone stays
// in the store for the retention, so that an earlier database finds its files.
// The package keeps no database, and does nothing while PocketBase's own S3
// setting is on: the files are in a bucket of the user's then.
//
//	p, err := files.Register(app, files.Config{Store: objectstore.Prefix(bucket, "files/")})
//	p.Routes(serveEvent.Router)
//	err = p.Start()
package files

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/picobase/picobase/internal/disk"
	"github.com/picobase/picobase/internal/objectstore"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/router"
	"github.com/prometheus/client_golang/prometheus"
)

const (
	defaultRetention     = 7 * 24 * time.Hour
	defaultUploadTimeout = 10 * time.Second

	// defaultPatience is how long the store may take over any object, beside the time
	// that its size needs at slowestRate.
	defaultPatience = 30 * time.Second
	slowestRate     = 128 << 10 // bytes a second

	requestFetches = 8 // at a time, with those of the background
)

// Config configures the plugin.
type Config struct {
	// Store is where files are kept, under <collectionId>/<recordId>/<name> as
	// below pb_data/storage. Required.
	Store objectstore.Store

	// Retention returns how long a file is kept that no record names any more
	// (default 7 days, also for a result that is not positive).
	Retention func() time.Duration

	// UploadTimeout is how long a request waits for the store; then it is
	// answered, and the upload goes on without it (default 10 s).
	UploadTimeout time.Duration

	// Priority is the middleware's place in the chain (default just inside of
	// PocketBase's body limit, so that rate limits come first).
	Priority int

	// Metrics takes the metrics. May be nil.
	Metrics prometheus.Registerer

	// Now is the clock of the retention (default time.Now).
	Now func() time.Time
}

// Status says how far the store and the local folder agree.
type Status struct {
	Disabled      bool      // PocketBase's own S3 setting is on
	Pending       int       // files that are not in the store yet
	PendingBytes  int64     // their size
	OldestPending time.Time // since when the first of them waits; zero without any
	Missing       int       // files that only the store has, as far as is known
	LastError     error     // of the store; nil again after a success
	LastReconcile time.Time // when store and folder were last compared as a whole
}

// Plugin keeps the files of one app.
type Plugin struct {
	app     core.App
	cfg     Config
	metrics *metrics
	uploads queue
	fetches flight
	sets    sync.Map // of files saved by transactions under way: see setFor

	reconciling chan struct{} // holds a token while a reconcile runs
	wake        chan struct{} // asks the loop for a reconcile

	// disabled mirrors PocketBase's S3 setting, which is reloaded in place, so
	// that the background may not read it.
	disabled atomic.Bool
	skipped  atomic.Bool // work was left undone because of disabled

	patience   time.Duration
	retryDelay time.Duration // of the loop, doubled up to maxRetryDelay
	diskSpace  func(path string) (free, total uint64, err error)

	mu            sync.Mutex
	background    *background // nil when stopped
	stopLoop      context.CancelFunc
	missing       int
	spooled       int // uploads that a reconcile found and has not queued yet
	spooledBytes  int64
	spooledSince  time.Time
	reconcileErr  error
	lastReconcile time.Time
}

// background is what runs until one Stop.
type background struct {
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
}

func newBackground() *background {
	ctx, cancel := context.WithCancel(context.Background())
	return &background{ctx: ctx, cancel: cancel}
}

// Register checks the configuration, registers the metrics and binds the hooks
// on records.
func Register(app core.App, cfg Config) (*Plugin, error) {
	if cfg.Store == nil {
		return nil, errors.New("files: Config.Store is required")
	}
	if cfg.UploadTimeout < 0 {
		return nil, fmt.Errorf("files: Config.UploadTimeout must not be negative, got %v", cfg.UploadTimeout)
	}
	if cfg.UploadTimeout == 0 {
		cfg.UploadTimeout = defaultUploadTimeout
	}
	if cfg.Retention == nil {
		cfg.Retention = func() time.Duration { return defaultRetention }
	}
	if cfg.Priority == 0 {
		cfg.Priority = apis.DefaultBodyLimitMiddlewarePriority + 1
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	p := &Plugin{
		app:         app,
		cfg:         cfg,
		reconciling: make(chan struct{}, 1),
		wake:        make(chan struct{}, 1),
		patience:    defaultPatience,
		retryDelay:  minRetryDelay,
		diskSpace:   disk.Space,
		background:  newBackground(),
	}
	p.uploads.init(p)
	p.fetches.init(requestFetches)
	var err error
	if p.metrics, err = newMetrics(cfg.Metrics, p); err != nil {
		return nil, err
	}
	p.disabled.Store(app.Settings().S3.Enabled)
	p.bindHooks()
	return p, nil
}

// Routes binds the middleware that fetches what a download finds missing.
func (p *Plugin) Routes(r *router.Router[*core.RequestEvent]) {
	r.Bind(p.middleware())
}

// Start compares the store with the local folder in the background, now and
// daily, and retries the uploads that are queued.
func (p *Plugin) Start() error {
	p.mu.Lock()
	if p.stopLoop != nil {
		p.mu.Unlock()
		return nil
	}
	if p.background == nil {
		p.background = newBackground()
	}
	ctx, stop := context.WithCancel(p.background.ctx)
	p.stopLoop = stop
	p.mu.Unlock()
	p.spawn(func(context.Context) { p.loop(ctx) })
	p.uploads.resume()
	return nil
}

// Stop ends the background work. It first uploads what is queued, as far as the
// store and ctx allow; the rest is found by the reconcile after the next Start.
func (p *Plugin) Stop(ctx context.Context) error {
	p.mu.Lock()
	if p.stopLoop != nil {
		p.stopLoop()
		p.stopLoop = nil
	}
	stopped := p.background == nil
	p.mu.Unlock()
	if stopped {
		return nil
	}

	err := p.uploads.drain(ctx)

	p.mu.Lock()
	b := p.background
	p.background = nil
	p.mu.Unlock()
	if b == nil { // another Stop was faster
		return err
	}
	b.cancel()
	ended := make(chan struct{})
	go func() {
		b.running.Wait()
		close(ended)
	}()
	select {
	case <-ended:
		return err
	case <-ctx.Done():
		return errors.Join(err, ctx.Err())
	}
}

// Status returns the present state. It asks neither the store nor the disk.
func (p *Plugin) Status() Status {
	s := Status{Disabled: !p.enabled()}
	s.Pending, s.PendingBytes, s.OldestPending, s.LastError = p.uploads.status()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.spooled > 0 {
		s.Pending += p.spooled
		s.PendingBytes += p.spooledBytes
		if s.OldestPending.IsZero() || p.spooledSince.Before(s.OldestPending) {
			s.OldestPending = p.spooledSince
		}
	}
	s.Missing, s.LastReconcile = p.missing, p.lastReconcile
	if s.LastError == nil {
		s.LastError = p.reconcileErr
	}
	return s
}

func (p *Plugin) enabled() bool { return !p.disabled.Load() }

func (p *Plugin) isStopped() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.background == nil
}

// spawn runs f in the background until Stop; it reports false when the plugin
// is stopped.
func (p *Plugin) spawn(f func(ctx context.Context)) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	b := p.background
	if b == nil {
		return false
	}
	b.running.Go(func() { f(b.ctx) })
	return true
}

// budget limits ctx to what an object of that size may take.
func (p *Plugin) budget(ctx context.Context, size int64) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, p.patience+time.Duration(size)*time.Second/slowestRate)
}

func (p *Plugin) logError(what string, err error) {
	p.app.Logger().Error("files: "+what, "error", err)
}

// safely makes an error of a panic: this code runs after a commit and in
// goroutines of its own, where a panic would do most harm.
func safely(f func() error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("panic: %v\n%s", r, debug.Stack())
		}
	}()
	return f()
}
