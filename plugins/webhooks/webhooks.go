// Package webhooks tells other servers what happened: it keeps the endpoints,
// writes each event that one of them wants into an outbox within the transaction
// of what happened, and delivers it at least once, by the Standard Webhooks
// specification. It also asks blocking endpoints before something happens.
//
// It makes no events: package hooks does. It does not guarantee that an event
// comes only once, nor that different users' events keep their order.
//
//	p, err := webhooks.Register(app, webhooks.Config{Settings: settings.Current})
//	hooks.PublishRecords(app, p)
//	err = p.Start()
package webhooks

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/picobase/picobase/internal/config"
	"github.com/picobase/picobase/internal/guard"
	"github.com/picobase/picobase/migrations"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
	"github.com/pocketbase/pocketbase/tools/router"
	"github.com/prometheus/client_golang/prometheus"
)

// Config configures the plugin.
type Config struct {
	// Settings returns the settings in force. Required.
	Settings func() *config.Settings

	// Version of the binary, told to receivers in the User-Agent (default "dev").
	Version string

	// Project is the id of the project, if it has one. Webhooks of another one are
	// not called, see Adopt.
	Project string

	// Paused takes webhooks of an unknown project for another one's too. Without
	// an id of this project, it takes all for that, after every start.
	Paused bool

	// PrivateHosts returns what may be reached beside the public internet (default the
	// setting webhooks.allowedPrivateHosts). NoPrivateHosts says that the setting is
	// ignored, for those who would change it in vain.
	PrivateHosts   func() []string
	NoPrivateHosts bool

	// Transact runs a change in a transaction on behalf of the request, so that
	// the audit trail knows who made it. Defaults to the app's own transaction.
	Transact func(e *core.RequestEvent, change func(tx core.App) error) error

	// Metrics takes the metrics. May be nil.
	Metrics prometheus.Registerer

	// Timeout bounds one attempt to deliver (default 15 s).
	Timeout time.Duration

	// AskTimeout bounds one question to a blocking endpoint (default 5 s).
	AskTimeout time.Duration

	// Now is the clock (default time.Now).
	Now func() time.Time

	// Jitter returns a number from 0 to 1 that lengthens a wait (default random).
	Jitter func() float64
}

// Plugin is the registered plugin.
type Plugin struct {
	app       core.App
	cfg       Config
	transport *http.Transport
	plain     *http.Transport // for http:// URLs: listed hosts only
	metrics   *metrics

	endpoints atomic.Pointer[snapshot]
	loading   sync.Mutex

	dispatch dispatcher
}

// Register checks the configuration and binds the plugin to app.
func Register(app core.App, cfg Config) (*Plugin, error) {
	if cfg.Settings == nil {
		return nil, errors.New("webhooks: Config.Settings is required")
	}
	if cfg.Transact == nil {
		cfg.Transact = func(e *core.RequestEvent, change func(core.App) error) error { return e.App.RunInTransaction(change) }
	}
	if cfg.Version == "" {
		cfg.Version = "dev"
	}
	if cfg.Timeout == 0 {
		cfg.Timeout = 15 * time.Second
	}
	if cfg.AskTimeout == 0 {
		cfg.AskTimeout = 5 * time.Second
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Jitter == nil {
		cfg.Jitter = rand.Float64
	}
	if cfg.PrivateHosts == nil {
		cfg.PrivateHosts = func() []string { return cfg.Settings().Webhooks.AllowedPrivateHosts }
	}
	p := &Plugin{app: app, cfg: cfg}
	p.transport, p.plain = guard.Transport(cfg.PrivateHosts), guard.ListedTransport(cfg.PrivateHosts)
	p.endpoints.Store(&snapshot{})
	p.dispatch.init(p)
	var err error
	if p.metrics, err = newMetrics(cfg.Metrics, p); err != nil {
		return nil, fmt.Errorf("webhooks: %w", err)
	}
	p.bindCollection()
	return p, nil
}

// bindCollection keeps the endpoints in memory as they are in the database, and
// their secrets out of what anybody is shown.
func (p *Plugin) bindCollection() {
	p.app.OnBootstrap().Bind(&hook.Handler[*core.BootstrapEvent]{
		Id: "picoWebhooksLoad",
		Func: func(e *core.BootstrapEvent) error {
			if err := e.Next(); err != nil {
				return err
			}
			return p.reload()
		},
	})
	const name = migrations.WebhooksCollection
	reload := &hook.Handler[*core.RecordEvent]{
		Id: "picoWebhooksReload",
		Func: func(e *core.RecordEvent) error {
			if err := p.reload(); err != nil {
				return err
			}
			return e.Next()
		},
	}
	p.app.OnRecordAfterCreateSuccess(name).Bind(reload)
	p.app.OnRecordAfterUpdateSuccess(name).Bind(reload)
	p.app.OnRecordAfterDeleteSuccess(name).Bind(reload)
	// Whoever makes a webhook here, or enables one, means it for this project.
	own := &hook.Handler[*core.RecordEvent]{
		Id: "picoWebhooksOwn",
		Func: func(e *core.RecordEvent) error {
			disabled := func(r *core.Record) bool { return !r.GetDateTime("disabled").IsZero() }
			if e.Record.IsNew() || disabled(e.Record.Original()) && !disabled(e.Record) {
				e.Record.Set("project", p.cfg.Project)
			}
			return e.Next()
		},
	}
	p.app.OnRecordCreate(name).Bind(own)
	p.app.OnRecordUpdate(name).Bind(own)
	p.app.OnRecordEnrich(name).Bind(&hook.Handler[*core.RecordEnrichEvent]{
		Id: "picoWebhooksHide",
		Func: func(e *core.RecordEnrichEvent) error {
			err := e.Next() // which unhides everything for superusers
			e.Record.Hide("secret", "previousSecret")
			return err
		},
	})
}

// Routes binds /api/v1/webhooks.
func (p *Plugin) Routes(r *router.Router[*core.RequestEvent]) { p.bindAPI(r) }

const retentionJob = "picoWebhooksRetention"

// Start begins to deliver.
func (p *Plugin) Start() error {
	if err := p.reload(); err != nil {
		return err
	}
	if err := p.app.Cron().Add(retentionJob, "41 * * * *", p.runRetention); err != nil {
		return err
	}
	p.mendDue()
	p.dispatch.start()
	return nil
}

// Stop breaks off the attempts under way, which are made again after the next
// start, and waits for their end as long as ctx allows.
func (p *Plugin) Stop(ctx context.Context) error {
	p.app.Cron().Remove(retentionJob)
	err := p.dispatch.stop(ctx)
	p.transport.CloseIdleConnections()
	p.plain.CloseIdleConnections()
	return err
}
