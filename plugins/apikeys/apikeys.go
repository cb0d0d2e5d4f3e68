// Package apikeys is the gate of a tenant: it tells by an API key which
// project and which program a request is for, and what it may do.
//
// Publishable keys open the door and nothing else: PocketBase's collection rules
// decide. Secret keys read and write past the rules within their scopes, which
// a table of routes (access.go) maps to PocketBase's endpoints. Keys are held as
// hashes; checking one is a hash and a map read.
//
//	p, err := apikeys.Register(app, apikeys.Config{Settings: settings.Current, Priority: n})
//	p.Routes(router)
//	created, err := p.CreateFirst(nil) // prints nothing; the caller shows the keys once
package apikeys

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/apikey"
	"github.com/picobase/picobase/internal/config"
	"github.com/picobase/picobase/internal/token"
	"github.com/picobase/picobase/internal/worker"
	"github.com/picobase/picobase/migrations"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
	"github.com/pocketbase/pocketbase/tools/router"
	"github.com/prometheus/client_golang/prometheus"
)

// MiddlewareID is the id of the gate.
const MiddlewareID = "picoAPIKeys"

// Kind tells the two kinds of keys apart.
type Kind = apikey.Kind

// The kinds of keys.
const (
	Publishable = apikey.Publishable
	Secret      = apikey.Secret
)

// reloadInterval is how soon a key that another process made (the command line
// beside a running server) is known here.
const reloadInterval = 400 * time.Millisecond

// Config configures the plugin.
type Config struct {
	// Settings returns the settings in force. Required.
	Settings func() *config.Settings

	// Off opens the gate for requests without a key, whatever the settings say.
	Off bool

	// Priority of the gate: inside PocketBase's panic recovery, outside of its
	// loading of the Authorization header.
	Priority int

	// Platform checks the platform's tokens. Nil accepts none.
	Platform *token.Verifier

	// Transact runs a change in a transaction on behalf of the request, so that
	// the audit trail knows who made it. Defaults to the app's own transaction.
	Transact func(e *core.RequestEvent, change func(tx core.App) error) error

	// Charge charges a request that the gate turns away to the rate limits, which
	// lie further in; its error, if any, is answered instead. Optional.
	Charge func(e *core.RequestEvent) error

	// Metrics is where the counter of refused requests is registered. Optional.
	Metrics prometheus.Registerer

	// Now defaults to time.Now.
	Now func() time.Time
}

// Plugin is the registered plugin.
type Plugin struct {
	app      core.App
	cfg      Config
	keys     atomic.Pointer[snapshot]
	loading  sync.Mutex // held while keys is replaced
	reloader *worker.Worker
	rejected *prometheus.CounterVec
}

// Register binds the plugin to app: keys are read at bootstrap and again when
// one changes.
func Register(app core.App, cfg Config) (*Plugin, error) {
	if cfg.Transact == nil {
		cfg.Transact = func(e *core.RequestEvent, change func(tx core.App) error) error {
			return e.App.RunInTransaction(change)
		}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	p := &Plugin{
		app: app,
		cfg: cfg,
		rejected: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "picobase_key_rejections_total",
			Help: "Requests refused on account of their API key, by reason.",
		}, []string{"reason"}),
	}
	p.keys.Store(&snapshot{})
	p.reloader = worker.New(reloadInterval, p.poll, func(err error) {
		app.Logger().Error("API keys could not be read again", "error", err)
	})
	if cfg.Metrics != nil {
		if err := cfg.Metrics.Register(p.rejected); err != nil {
			return nil, err
		}
	}
	p.bindReload()
	p.bindInnerRequests()
	p.bindRealtime()
	p.bindSchemaGuards()
	return p, nil
}

// Routes binds the gate and /api/v1/keys.
func (p *Plugin) Routes(r *router.Router[*core.RequestEvent]) {
	r.Bind(&hook.Handler[*core.RequestEvent]{Id: MiddlewareID, Priority: p.cfg.Priority, Func: p.gate})
	p.bindAPI(r)
}

// Start begins to watch for keys that other processes change.
func (p *Plugin) Start() error {
	p.reloader.Start()
	return nil
}

// Stop ends the watching.
func (p *Plugin) Stop(ctx context.Context) error { return p.reloader.Stop(ctx) }

// bindReload reads the keys at bootstrap and after every committed change.
func (p *Plugin) bindReload() {
	p.app.OnBootstrap().Bind(&hook.Handler[*core.BootstrapEvent]{
		Id: "picoKeysLoad",
		Func: func(e *core.BootstrapEvent) error {
			if err := e.Next(); err != nil {
				return err
			}
			return p.reload()
		},
	})
	changed := &hook.Handler[*core.ModelEvent]{
		Id: "picoKeysReload",
		Func: func(e *core.ModelEvent) error {
			if err := e.Next(); err != nil {
				return err
			}
			return p.reload()
		},
	}
	p.app.OnModelAfterCreateSuccess(migrations.KeysCollection).Bind(changed)
	p.app.OnModelAfterUpdateSuccess(migrations.KeysCollection).Bind(changed)
	p.app.OnModelAfterDeleteSuccess(migrations.KeysCollection).Bind(changed)
}

// reject counts a refusal and passes it on.
func (p *Plugin) reject(err *apierr.Error) *apierr.Error {
	p.rejected.WithLabelValues(err.Code).Inc()
	return err
}
