// Package health tells the outside how a tenant is doing and lets it end
// without dropping a request: probes, Prometheus metrics and draining.
//
// It decides nothing about routing or restarts: whoever probes does.
//
//	p, err := health.Register(app, health.Config{Version: version, Priority: priority, Metrics: registry})
//	p.Routes(router)
//	err = p.Drain(ctx) // before PocketBase cancels the requests under way
package health

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/internal/scope"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
	"github.com/pocketbase/pocketbase/tools/router"
	"github.com/prometheus/client_golang/prometheus"
)

// MiddlewareID is the id of the middleware that counts and refuses requests.
const MiddlewareID = "picoDrain"

// Config configures the plugin.
type Config struct {
	// Version is PicoBase's own version, as shown by the health route and in
	// the metrics (default "dev").
	Version string

	// Priority of the middleware: just inside of the one that formats errors,
	// outside of all others. It must be below PocketBase's CORS middleware's.
	Priority int

	// Checks are what the health route asks beside the built-in database,
	// disk, wal and queue.
	Checks []Check

	// Ready holds further conditions for being ready, for example that no
	// restore is under way. They run on every probe and must be cheap. The
	// message of an *apierr.Error is shown to the public, any other error is not.
	Ready []func() error

	// Metrics is the registry behind /metrics; the plugin adds its own
	// collectors to it (default: a new one).
	Metrics *prometheus.Registry

	// AuthorizeMetrics lets callers from elsewhere than this machine read
	// /metrics (default: owners and secret keys with the scope usage).
	AuthorizeMetrics func(e *core.RequestEvent) bool

	// DrainTimeout is how long Drain waits for the requests in flight (default 20 s).
	DrainTimeout time.Duration
}

// Plugin is the registered plugin.
type Plugin struct {
	app    core.App
	cfg    Config
	checks checker
	scrape func(*core.RequestEvent) error

	started  atomic.Pointer[time.Time] // nil while not started
	draining atomic.Bool
	inFlight atomic.Int64 // requests that Drain waits for
	realtime atomic.Int64 // PocketBase's event streams, which end only when told to
	streams  atomic.Int64 // ours, such as tails of logs
	lastUse  atomic.Int64 // when the last request ended, in nanoseconds
	telling  sync.Mutex   // held while realtime clients are told of the end
}

// Register checks cfg and registers the plugin's collectors in cfg.Metrics.
func Register(app core.App, cfg Config) (*Plugin, error) {
	if cfg.Priority >= apis.DefaultCorsMiddlewarePriority {
		return nil, fmt.Errorf("health: Priority must be below %d, that of PocketBase's outermost middleware, not %d",
			apis.DefaultCorsMiddlewarePriority, cfg.Priority)
	}
	if cfg.DrainTimeout < 0 {
		return nil, errors.New("health: DrainTimeout must not be negative")
	}
	if cfg.DrainTimeout == 0 {
		cfg.DrainTimeout = 20 * time.Second
	}
	if cfg.Version == "" {
		cfg.Version = "dev"
	}
	if cfg.Metrics == nil {
		cfg.Metrics = prometheus.NewRegistry()
	}
	if cfg.AuthorizeMetrics == nil {
		cfg.AuthorizeMetrics = func(e *core.RequestEvent) bool {
			return httpapi.CallerOf(e).Allows(scope.Usage)
		}
	}

	p := &Plugin{app: app, cfg: cfg}
	if err := p.checks.init(app, append(p.builtinChecks(), cfg.Checks...)); err != nil {
		return nil, fmt.Errorf("health: %w", err)
	}
	if err := p.registerMetrics(); err != nil {
		return nil, fmt.Errorf("health: register metrics: %w", err)
	}
	return p, nil
}

// The routes that answer while the tenant drains, as patterns of the router.
const (
	patternLive    = "GET " + httpapi.PathPrefix + "/live"
	patternReady   = "GET " + httpapi.PathPrefix + "/ready"
	patternHealth  = "GET " + httpapi.PathPrefix + "/health"
	patternMetrics = "GET /metrics"
)

// Routes binds the middleware, the probes and /metrics.
func (p *Plugin) Routes(r *router.Router[*core.RequestEvent]) {
	r.Bind(&hook.Handler[*core.RequestEvent]{
		Id:       MiddlewareID,
		Priority: p.cfg.Priority,
		Func:     p.count,
	})
	// Probes come every few seconds: only failures are worth a line in the log.
	g := r.Group(httpapi.PathPrefix)
	g.GET("/live", p.live).Bind(apis.SkipSuccessActivityLog())
	g.GET("/ready", p.ready).Bind(apis.SkipSuccessActivityLog())
	g.GET("/health", p.health).Bind(apis.SkipSuccessActivityLog())
	r.GET("/metrics", p.metrics).Bind(apis.SkipSuccessActivityLog())
}

// Start makes the tenant ready and starts its uptime. It also ends a drain,
// for PocketBase starts an app again when its restart failed.
func (p *Plugin) Start() error {
	now := time.Now()
	p.started.CompareAndSwap(nil, &now)
	p.draining.Store(false)
	return nil
}

// Stop makes the tenant not ready. There is nothing to wait for: the plugin
// keeps no goroutine, and a check that hangs ends with the database's own timeout.
func (p *Plugin) Stop(context.Context) error {
	p.started.Store(nil)
	return nil
}

// uptime returns the time since Start, 0 while not started.
func (p *Plugin) uptime() time.Duration {
	if started := p.started.Load(); started != nil {
		return time.Since(*started)
	}
	return 0
}
