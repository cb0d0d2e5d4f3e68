// Package settings keeps a tenant's settings and serves them at /api/v1/settings.
//
// They live as one JSON document in PocketBase's own _params table, so that
// they travel with every backup. Other plugins read them through Current, which
// is one atomic load; a change is in force with the next request.
//
//	p, err := settings.Register(app, settings.Config{Transact: audit.Transact})
//	access.Register(app, access.Config{Settings: p.Current})
package settings

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/picobase/picobase/internal/config"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/internal/scope"
	"github.com/picobase/picobase/internal/worker"
	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
	"github.com/pocketbase/pocketbase/tools/router"
)

// reloadInterval is how soon a change that another process made is in force.
const reloadInterval = 700 * time.Millisecond

// Config configures the plugin.
type Config struct {
	// Transact runs a change in a transaction on behalf of the request, so that
	// the audit trail knows who made it. Defaults to the app's own transaction.
	Transact func(e *core.RequestEvent, change func(tx core.App) error) error

	// Check may refuse a change before it is stored. Defaults to no check.
	Check func(e *core.RequestEvent, next *config.Settings) error
}

// Plugin is the registered plugin.
type Plugin struct {
	app     core.App
	cfg     Config
	current atomic.Pointer[config.Settings]

	// changing keeps two patches from each starting from the same settings.
	changing sync.Mutex

	// version is what updated said when the settings were read; guarded by changing.
	version  string
	reloader *worker.Worker
}

// Register binds the plugin to app: the stored settings are read at bootstrap.
func Register(app core.App, cfg Config) (*Plugin, error) {
	if cfg.Transact == nil {
		cfg.Transact = func(e *core.RequestEvent, change func(tx core.App) error) error {
			return e.App.RunInTransaction(change)
		}
	}
	if cfg.Check == nil {
		cfg.Check = func(*core.RequestEvent, *config.Settings) error { return nil }
	}
	p := &Plugin{app: app, cfg: cfg}
	p.current.Store(config.Default())
	p.reloader = worker.New(reloadInterval, p.poll, func(err error) {
		app.Logger().Error("settings could not be read again", "error", err)
	})
	app.OnBootstrap().Bind(&hook.Handler[*core.BootstrapEvent]{
		Id: "picoSettingsLoad",
		Func: func(e *core.BootstrapEvent) error {
			if err := e.Next(); err != nil {
				return err
			}
			p.changing.Lock()
			defer p.changing.Unlock()
			return p.load()
		},
	})
	return p, nil
}

// Start begins to watch for settings that another process changes: the command
// line beside a running server.
func (p *Plugin) Start() error {
	p.reloader.Start()
	return nil
}

// Stop ends the watching.
func (p *Plugin) Stop(ctx context.Context) error { return p.reloader.Stop(ctx) }

func (p *Plugin) poll(context.Context) error {
	p.changing.Lock()
	defer p.changing.Unlock()
	return p.load()
}

// Current returns the settings in force. Callers must not change them.
func (p *Plugin) Current() *config.Settings { return p.current.Load() }

// Routes binds /api/v1/settings.
func (p *Plugin) Routes(r *router.Router[*core.RequestEvent]) {
	g := r.Group(httpapi.PathPrefix + "/settings")
	g.Bind(httpapi.Require(scope.Settings))
	g.GET("", p.get)
	g.PATCH("", p.patch)
}

func (p *Plugin) get(e *core.RequestEvent) error {
	return e.JSON(http.StatusOK, p.Current())
}

func (p *Plugin) patch(e *core.RequestEvent) error {
	body, err := io.ReadAll(e.Request.Body)
	if err != nil {
		return httpapi.Failure(err)
	}
	next, err := p.change(e, body)
	if err != nil {
		return httpapi.Failure(err)
	}
	return e.JSON(http.StatusOK, next)
}

// change stores the patched settings and puts them in force, or does nothing at all.
func (p *Plugin) change(e *core.RequestEvent, patch []byte) (*config.Settings, error) {
	p.changing.Lock()
	defer p.changing.Unlock()
	next, err := p.Current().Patch(patch)
	if err != nil {
		return nil, err
	}
	if err := p.cfg.Check(e, next); err != nil {
		return nil, err
	}
	err = p.cfg.Transact(e, func(tx core.App) error { return save(tx, next) })
	if err != nil {
		return nil, err
	}
	p.current.Store(next) // the poll reads the same again, once
	return next, nil
}

// load puts the stored settings in force, if they are others than those that
// were read last. The caller holds changing.
func (p *Plugin) load() error {
	var stored, version string
	err := p.app.ConcurrentDB().Select("value", "updated").From(tableName).
		Where(dbx.HashExp{"id": rowID}).Row(&stored, &version)
	if errors.Is(err, sql.ErrNoRows) {
		p.current.Store(config.Default())
		p.version = ""
		return nil
	}
	if err != nil {
		return fmt.Errorf("read settings: %w", err)
	}
	if version == p.version {
		return nil
	}
	settings, err := config.Parse([]byte(stored))
	if err != nil {
		return fmt.Errorf("read settings: row %q of table %s: %w", rowID, tableName, err)
	}
	p.current.Store(settings)
	p.version = version
	return nil
}

// save writes the settings as a model, so that model hooks (the audit trail's
// among them) see the change.
func save(tx core.App, settings *config.Settings) error {
	var exists bool
	err := tx.DB().NewQuery("SELECT EXISTS(SELECT 1 FROM {{" + tableName + "}} WHERE id = {:id})").
		Bind(dbx.Params{"id": rowID}).Row(&exists)
	if err != nil {
		return err
	}
	encoded, err := json.Marshal(settings)
	if err != nil {
		return err
	}
	return tx.Save(&row{value: encoded, isNew: !exists})
}
