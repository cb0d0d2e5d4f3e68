// Package usage counts requests, serves the figures and the request log, and
// shows requests live as they end.
//
// Requests are counted in memory and added every two seconds to a table in
// auxiliary.db, by hour, API key, route group and class of status. A kill loses
// at most that interval, Stop nothing. The log itself is PocketBase's: this
// package adds the key, the route and the request id to it. It limits nothing
// and refuses nobody.
//
//	p, err := usage.Register(app, usage.Config{Settings: settings.Current})
//	p.Routes(serveEvent.Router)
//	err = p.Start()
package usage

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/picobase/picobase/internal/config"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/internal/scope"
	"github.com/picobase/picobase/internal/worker"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/router"
	"github.com/prometheus/client_golang/prometheus"
)

// MaxFlushInterval is the longest time that counts stay in memory alone.
const MaxFlushInterval = 2 * time.Second

const retentionJob = "picoUsageRetention"

// Config configures the plugin.
type Config struct {
	// Settings returns the tenant's present settings. Required.
	Settings func() *config.Settings

	// Priority is the middleware's place in the chain (default just inside
	// PocketBase's activity logger). It must be inside of that logger, which
	// stores what the middleware leaves for it, and outside of PocketBase's
	// panic recovery.
	Priority int

	// FlushInterval is how often counts are written (default and at most
	// MaxFlushInterval).
	FlushInterval time.Duration

	// StillAllowed reports whether the caller of a live stream may go on reading
	// the log; it is asked before everything that is sent. Defaults to always.
	StillAllowed func(e *core.RequestEvent) bool

	// TouchKeys is told after each flush which API keys were used, by id, and
	// when last. It must not keep the map. After an error it is told again
	// with the next flush. May be nil.
	TouchKeys func(lastUsed map[string]time.Time) error

	// Metrics takes the request metrics. May be nil.
	Metrics prometheus.Registerer

	// Now is the clock (default time.Now).
	Now func() time.Time
}

// Plugin counts the requests of one app.
type Plugin struct {
	app      core.App
	cfg      Config
	counters counters
	metrics  *metrics
	tail     httpapi.Tail[entry]
	worker   *worker.Worker
	requests requestLog
	logger   *worker.Worker // writes requests

	flushing sync.Mutex // held by the one flush under way; guards what follows
	pending  cells      // drained from the counters, not yet in the table
	lastUsed map[string]time.Time
}

// Register checks the configuration and registers the metrics.
func Register(app core.App, cfg Config) (*Plugin, error) {
	if cfg.Settings == nil {
		return nil, errors.New("usage: Config.Settings is required")
	}
	if cfg.FlushInterval < 0 || cfg.FlushInterval > MaxFlushInterval {
		return nil, errors.New("usage: Config.FlushInterval must be at most " + MaxFlushInterval.String())
	}
	if cfg.FlushInterval == 0 {
		cfg.FlushInterval = MaxFlushInterval
	}
	if cfg.Priority == 0 {
		cfg.Priority = apis.DefaultActivityLoggerMiddlewarePriority + 1
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	metrics, err := newMetrics(cfg.Metrics)
	if err != nil {
		return nil, err
	}
	p := &Plugin{
		app:      app,
		cfg:      cfg,
		metrics:  metrics,
		pending:  cells{},
		lastUsed: map[string]time.Time{},
	}
	p.tail.StillAllowed = cfg.StillAllowed
	p.worker = worker.New(cfg.FlushInterval, func(context.Context) error { return p.flush() }, p.logError)
	p.requests.app = app
	p.logger = worker.New(logInterval, func(context.Context) error { return p.requests.write() }, p.logError)
	return p, nil
}

// Routes binds the middleware and the routes.
func (p *Plugin) Routes(r *router.Router[*core.RequestEvent]) {
	r.Bind(p.middleware())

	api := r.Group(httpapi.PathPrefix)
	api.GET("/usage", p.getUsage).Bind(httpapi.Require(scope.Usage))
	api.GET("/logs", p.listLogs).Bind(httpapi.Require(scope.Logs), apis.SkipSuccessActivityLog())
	api.GET("/logs/stream", p.streamLogs).Bind(httpapi.Require(scope.Logs), apis.SkipSuccessActivityLog())
}

// Start begins to flush, and schedules the daily deletion of old figures.
func (p *Plugin) Start() error {
	p.worker.Start()
	p.logger.Start()
	// Off the full hour, when everybody's jobs run.
	return p.app.Cron().Add(retentionJob, "23 3 * * *", func() {
		if err := p.deleteOld(); err != nil {
			p.logError(err)
		}
	})
}

// Stop ends all live streams and writes what is left. Requests that end later
// are counted, and written if the plugin is started again.
func (p *Plugin) Stop(ctx context.Context) error {
	p.app.Cron().Remove(retentionJob)
	p.tail.Close()
	stopped := errors.Join(p.worker.Stop(ctx), p.logger.Stop(ctx))

	flushed := make(chan error, 1)
	go func() { flushed <- errors.Join(p.flush(), p.requests.write()) }()
	select {
	case err := <-flushed:
		return errors.Join(stopped, err)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// flush moves the counts into the table. Counts that the database refuses wait
// for the next flush. Without any it writes nothing, so that an idle tenant's
// disk stays still.
func (p *Plugin) flush() error {
	p.flushing.Lock()
	defer p.flushing.Unlock()
	p.counters.drain(p.pending)
	if len(p.pending) > 0 {
		if err := store(p.app, p.pending); err != nil {
			return err
		}
		for key, counted := range p.pending {
			p.noteUse(key.keyID, counted.lastUsed)
		}
		p.pending = cells{} // not clear: it would keep the size of the worst hour
	}
	p.touchKeys()
	return nil
}

func (p *Plugin) noteUse(keyID string, at time.Time) {
	if keyID != "" && keyID != overflowKey && at.After(p.lastUsed[keyID]) {
		p.lastUsed[keyID] = at
	}
}

// touchKeys passes on which keys were used. Its failure is no failure of the
// flush: the figures are safe.
func (p *Plugin) touchKeys() {
	if len(p.lastUsed) == 0 {
		return
	}
	if p.cfg.TouchKeys != nil {
		if err := p.cfg.TouchKeys(p.lastUsed); err != nil {
			p.logError(err)
			return
		}
	}
	p.lastUsed = map[string]time.Time{}
}

func (p *Plugin) deleteOld() error {
	days := p.cfg.Settings().Usage.RetentionDays
	return deleteBefore(p.app, p.cfg.Now().AddDate(0, 0, -days))
}

func (p *Plugin) logError(err error) {
	p.app.Logger().Error("usage: background work", "error", err)
}
