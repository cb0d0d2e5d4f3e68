package engine

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/dop251/goja"
	"github.com/pocketbase/pocketbase/core"
	"github.com/prometheus/client_golang/prometheus"
)

// Defaults of a Config.
const (
	DefaultCallTimeout  = time.Second
	DefaultLoadTimeout  = 5 * time.Second
	DefaultMaxVMs       = 8
	DefaultQueueTimeout = 5 * time.Second
	DefaultMemoryLimit  = 128 << 20
	DefaultMaxResponse  = 5 << 20
)

const retryBusy = time.Second

// Config configures an Engine.
type Config struct {
	// App is the app whose events call hooks. Required.
	App core.App

	// CallTimeout returns the wall time of one call, without the time inside
	// e.next() (default DefaultCallTimeout). It is asked for every call.
	CallTimeout func() time.Duration

	// LoadTimeout is how long the top of a file may take when it is compiled
	// (default DefaultLoadTimeout).
	LoadTimeout time.Duration

	// MaxVMs returns how many calls run at once (default DefaultMaxVMs). Two more
	// run for those who hold a database transaction, so that the others can go on.
	// It is asked once, before the first call: settings are known after bootstrap.
	MaxVMs func() int

	// QueueTimeout is how long a call waits for a VM before it fails with 503
	// (default DefaultQueueTimeout).
	QueueTimeout time.Duration

	// MemoryLimit returns how much the heap may grow while calls run before
	// they are stopped, the longest running first (default DefaultMemoryLimit).
	MemoryLimit func() int64

	// MaxResponse is the largest response of $http.send and of a route, in bytes
	// (default DefaultMaxResponse).
	MaxResponse int64

	// Transport carries $http.send. It must refuse addresses that hooks may not reach
	// (default: refuses all).
	Transport http.RoundTripper

	// Secrets answers $secrets.get (default: there are none).
	Secrets func(name string) (string, bool)

	// Log takes what hooks print and their errors. It must not block (default: nobody).
	Log func(Entry)

	// Metrics takes the metrics of calls. May be nil.
	Metrics prometheus.Registerer
}

// Entry is one line of the hook log.
type Entry struct {
	At        time.Time `json:"at"`
	Level     string    `json:"level"` // debug, info, warn or error
	Message   string    `json:"message"`
	Hook      string    `json:"hook"` // such as onRecordCreate, "GET /hello" or "cron cleanup"
	File      string    `json:"file"`
	Line      int       `json:"line"`
	Version   string    `json:"version"`
	RequestID string    `json:"requestId"`
}

// Engine runs the hooks of one app.
type Engine struct {
	cfg       Config
	app       core.App
	current   atomic.Pointer[Generation]
	pool      *pool
	watch     *watchdog
	lanes     lanes
	shares    func() *shares
	metrics   *hookMetrics
	replacing sync.Mutex
	running   sync.Map // goroutine id → *machine

	requests sync.Map // goroutine id → id of the request that it serves

	cronMu sync.Mutex

	prelude     sync.Once
	preludeCode *goja.Program
	preludeErr  error
}

// New checks the configuration and binds one permanent handler to every hook
// point, which does nothing until a generation is active.
func New(cfg Config) (*Engine, error) {
	if cfg.App == nil {
		return nil, errors.New("engine: Config.App is required")
	}
	if cfg.QueueTimeout < 0 || cfg.LoadTimeout < 0 || cfg.MaxResponse < 0 {
		return nil, errors.New("engine: Config.QueueTimeout, LoadTimeout and MaxResponse must not be negative")
	}
	if cfg.LoadTimeout == 0 {
		cfg.LoadTimeout = DefaultLoadTimeout
	}
	if cfg.CallTimeout == nil {
		cfg.CallTimeout = func() time.Duration { return DefaultCallTimeout }
	}
	if cfg.MaxVMs == nil {
		cfg.MaxVMs = func() int { return DefaultMaxVMs }
	}
	if cfg.QueueTimeout == 0 {
		cfg.QueueTimeout = DefaultQueueTimeout
	}
	if cfg.MemoryLimit == nil {
		cfg.MemoryLimit = func() int64 { return DefaultMemoryLimit }
	}
	if cfg.MaxResponse == 0 {
		cfg.MaxResponse = DefaultMaxResponse
	}
	if cfg.Transport == nil {
		cfg.Transport = refuseTransport{}
	}
	if cfg.Secrets == nil {
		cfg.Secrets = func(string) (string, bool) { return "", false }
	}
	if cfg.Log == nil {
		cfg.Log = func(Entry) {}
	}
	metrics, err := newMetrics(cfg.Metrics)
	if err != nil {
		return nil, err
	}
	e := &Engine{cfg: cfg, app: cfg.App, metrics: metrics}
	e.pool = newPool(cfg.MaxVMs, cfg.QueueTimeout, e.machine)
	e.watch = newWatchdog(cfg.MemoryLimit)
	e.lanes.most = cfg.MaxVMs
	// Made at the first call, as the pool is: settings are read by then.
	e.shares = sync.OnceValue(func() *shares { return newShares(cfg.MaxVMs(), cfg.QueueTimeout) })
	e.bindHooks()
	e.bindRouter()
	e.bindRequests()
	return e, nil
}

// Activate makes g the generation that events call; nil turns hooks off. Calls
// that run already finish on the one they began with.
func (e *Engine) Activate(g *Generation) {
	if g != nil {
		e.pool.open()
	}
	e.cronMu.Lock()
	defer e.cronMu.Unlock()
	e.swapCrons(e.current.Swap(g), g)
}

// Running returns how many calls of hooks are under way.
func (e *Engine) Running() (n int) {
	e.running.Range(func(_, _ any) bool {
		n++
		return true
	})
	return n
}

// Close turns hooks off and waits for the running calls until ctx ends. Closing
// twice is harmless, and Activate turns hooks on again.
func (e *Engine) Close(ctx context.Context) error {
	e.Activate(nil)
	if err := e.pool.close(ctx); err != nil {
		return fmt.Errorf("wait for running hooks: %w", err)
	}
	return nil
}

func (e *Engine) preludeProgram() (*goja.Program, error) {
	e.prelude.Do(func() {
		e.preludeCode, e.preludeErr = goja.Compile("prelude.js", preludeSource, true)
	})
	return e.preludeCode, e.preludeErr
}

// callTimeout never returns less than what any hook needs.
func (e *Engine) callTimeout() time.Duration { return max(e.cfg.CallTimeout(), 10*time.Millisecond) }
