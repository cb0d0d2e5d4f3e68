// Package jshooks runs a project's own JavaScript on PocketBase's events, routes
// and schedules: it keeps versions of the hooks, puts one in force without a
// restart, and shows what they log.
//
// JavaScript itself is the business of package engine below this one; which files
// make a bundle is known to internal/hookfiles. Hooks run in servers only: a
// command on the folder can upload and check them, and runs none.
//
//	p, err := jshooks.Register(app, jshooks.Config{Settings: settings.Current, Dir: "jsvm_hooks"})
//	p.Routes(router)
//	err = p.Start()
package jshooks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/picobase/picobase/internal/config"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/internal/watch"
	"github.com/picobase/picobase/internal/worker"
	"github.com/picobase/picobase/plugins/jshooks/engine"
	"github.com/pocketbase/pocketbase/core"
	"github.com/prometheus/client_golang/prometheus"
)

// pollInterval is how soon a version that another process activated is in force.
const pollInterval = 500 * time.Millisecond

// defaultLoadLimit is how long the files of a version may take to load, together.
const defaultLoadLimit = 15 * time.Second

const retentionJob = "picoHookLogRetention"

// Config configures the plugin.
type Config struct {
	// Settings returns the settings in force. Required.
	Settings func() *config.Settings

	// Dir is a folder with hooks of the machine's owner. It is loaded at the
	// start; default none.
	Dir string

	// Watch loads Dir again whenever something changes in it (default false).
	Watch bool

	// Transport carries what hooks send over HTTP. It must keep them off the
	// inner network. The default refuses everything.
	Transport http.RoundTripper

	// Transact runs a change in a transaction on behalf of a request, so that the
	// audit trail knows who made it. Defaults to the app's own transaction.
	Transact func(e *core.RequestEvent, change func(tx core.App) error) error

	// Record writes to the audit trail, in the transaction of tx. The request may
	// be nil. Defaults to nothing.
	Record func(tx core.App, e *core.RequestEvent, act Act) error

	// StillAllowed reports whether the caller of a live stream may go on reading;
	// it is asked before everything that is sent. Defaults to always.
	StillAllowed func(e *core.RequestEvent) bool

	// Metrics takes the metrics. May be nil.
	Metrics prometheus.Registerer

	// Logger gets what an operator should see (default the app's).
	Logger *slog.Logger
}

// Act is something done to hooks, for the audit trail.
type Act struct {
	Action string         // hook.uploaded, hook.activated, hook.deactivated, hook.deleted, hook_secret.set, hook_secret.deleted
	Type   string         // hook or hook_secret
	ID     string         // of the version, or the secret's name
	Name   string         // for people
	After  map[string]any // particulars
}

// Plugin is the registered plugin.
type Plugin struct {
	app     core.App
	cfg     Config
	engine  *engine.Engine
	metrics *metrics
	secrets secrets
	logs    logBuffer
	tail    httpapi.Tail[logEntry]
	poller  *worker.Worker
	flusher *worker.Worker
	watcher watch.Watcher

	loadLimit time.Duration

	status atomic.Pointer[status] // what runs, for whoever asks

	// changing is held by whoever changes what is stored or what runs.
	changing sync.Mutex
	serving  bool      // a server: hooks run
	applied  state     // what was put in force last
	retry    time.Time // when to try again what could not be
}

// Register checks the configuration and makes the engine.
func Register(app core.App, cfg Config) (*Plugin, error) {
	if cfg.Settings == nil {
		return nil, errors.New("jshooks: Config.Settings is required")
	}
	if cfg.Transport == nil {
		cfg.Transport = refusing{}
	}
	if cfg.Transact == nil {
		cfg.Transact = func(e *core.RequestEvent, change func(tx core.App) error) error {
			return e.App.RunInTransaction(change)
		}
	}
	if cfg.Record == nil {
		cfg.Record = func(core.App, *core.RequestEvent, Act) error { return nil }
	}
	p := &Plugin{app: app, cfg: cfg, loadLimit: defaultLoadLimit}
	p.status.Store(&status{})
	p.logs.app = app
	p.tail.StillAllowed = cfg.StillAllowed
	var err error
	if p.metrics, err = newMetrics(cfg.Metrics, p); err != nil {
		return nil, fmt.Errorf("jshooks: %w", err)
	}
	p.engine, err = engine.New(engine.Config{
		App:         app,
		CallTimeout: func() time.Duration { return time.Duration(cfg.Settings().JSHooks.TimeoutMS) * time.Millisecond },
		MaxVMs:      func() int { return cfg.Settings().JSHooks.MaxVMs },
		MemoryLimit: func() int64 { return int64(cfg.Settings().JSHooks.MemoryMB) << 20 },
		Transport:   cfg.Transport,
		Secrets:     p.secrets.get,
		Log:         p.log,
		Metrics:     cfg.Metrics,
	})
	if err != nil {
		return nil, fmt.Errorf("jshooks: %w", err)
	}
	p.poller = worker.New(pollInterval, p.poll, p.logError("look for changed hooks"))
	p.flusher = worker.New(logInterval, func(context.Context) error { return p.logs.write() }, p.logError("write what hooks logged"))
	return p, nil
}

// Start puts the hooks in force, before the server answers its first request. What
// is wrong with them is reported and never keeps the server from starting.
func (p *Plugin) Start() error {
	p.changing.Lock()
	p.serving = true
	if err := p.loadFolder(context.Background()); err != nil {
		p.logError("load the folder of hooks")(err)
	}
	if err := p.apply(context.Background()); err != nil {
		p.logError("load the hooks")(err)
	}
	p.changing.Unlock()

	p.poller.Start()
	p.flusher.Start()
	if p.cfg.Watch && p.cfg.Dir != "" {
		if err := p.watcher.Start(p.cfg.Dir, p.reloadFolder, p.logError("watch the folder of hooks")); err != nil {
			p.logError("watch the folder of hooks")(err)
		}
	}
	// Off the full hour, when everybody's jobs run.
	return p.app.Cron().Add(retentionJob, "37 3 * * *", func() {
		if err := p.deleteOldLogs(); err != nil {
			p.logError("delete old logs of hooks")(err)
		}
	})
}

// Stop lets the calls under way end, as far as ctx allows, and writes what they
// logged.
func (p *Plugin) Stop(ctx context.Context) error {
	p.app.Cron().Remove(retentionJob)
	p.watcher.Stop()
	stopped := p.poller.Stop(ctx)

	p.changing.Lock()
	p.serving, p.applied = false, state{}
	p.status.Store(&status{})
	p.changing.Unlock()
	stopped = errors.Join(stopped, p.engine.Close(ctx))
	p.tail.Close()
	stopped = errors.Join(stopped, p.flusher.Stop(ctx))

	written := make(chan error, 1)
	go func() { written <- p.logs.write() }()
	select {
	case err := <-written:
		return errors.Join(stopped, err)
	case <-ctx.Done():
		return errors.Join(stopped, ctx.Err())
	}
}

// logger is the operator's, if there is one: he set up the folder of hooks.
func (p *Plugin) logger() *slog.Logger {
	if p.cfg.Logger != nil {
		return p.cfg.Logger
	}
	return p.app.Logger()
}

func (p *Plugin) logError(operation string) func(error) {
	return func(err error) { p.logger().Error("jshooks: "+operation, "error", err) }
}

// refusing is the transport of hooks that may not reach any network.
type refusing struct{}

func (refusing) RoundTrip(r *http.Request) (*http.Response, error) {
	return nil, fmt.Errorf("%s: hooks on this server may not send HTTP requests", r.URL.Host)
}
