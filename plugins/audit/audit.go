// Package audit keeps the trail of administrative changes: who did what, from
// where, when, and what it was before and after, with secrets masked.
//
// Changes of collections, settings, superusers and of every system collection
// whose name starts with _pico_ are caught at model level, whoever makes them
// and however, and are written in the transaction of the change. Acts that
// change no model (backups, cron runs, SQL, sign-ins) are caught where they
// happen. The trail is a plain table that only grows; migrations/ creates it.
//
// It is not a request log, and not a history of users' records.
//
//	p, err := audit.Register(app, audit.Config{Settings: settings.Current})
//	p.Routes(router)
//	err = p.Start()
package audit

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/picobase/picobase/internal/config"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
	"github.com/pocketbase/pocketbase/tools/router"
)

// table is where the trail is kept, in data.db, so that it is in every backup.
const table = "_pico_audit"

// Config configures the plugin.
type Config struct {
	// Settings returns the settings in force. Required.
	Settings func() *config.Settings

	// DefaultActor says who acts when no request does: whoever runs a command,
	// or, by default, the system itself.
	DefaultActor func() Actor

	// Priority is the place of the HTTP middleware. It must lie inside of what
	// identifies the caller and of the body limit. Defaults to just inside
	// PocketBase's body limit.
	Priority int
}

// Plugin is the registered plugin.
type Plugin struct {
	app core.App
	cfg Config

	// requests holds the *core.RequestEvent behind an open transaction, by its *core.TxAppInfo.
	requests sync.Map

	// migrated turns true once the table has been seen. From then on a change
	// that cannot be recorded fails.
	migrated atomic.Bool

	failedSignIns throttle
}

// Register binds the plugin's hooks to app.
func Register(app core.App, cfg Config) (*Plugin, error) {
	if cfg.Settings == nil {
		return nil, errors.New("audit: Config.Settings is required")
	}
	if cfg.DefaultActor == nil {
		cfg.DefaultActor = func() Actor { return Actor{Kind: KindSystem} }
	}
	if cfg.Priority == 0 {
		cfg.Priority = apis.DefaultBodyLimitMiddlewarePriority + 1
	}
	p := &Plugin{app: app, cfg: cfg}
	p.bindChanges()
	p.bindGuard()
	p.bindSignIns()
	p.bindBackups()
	return p, nil
}

// Routes binds the middleware that names who acts, and GET /api/v1/audit.
func (p *Plugin) Routes(r *router.Router[*core.RequestEvent]) {
	r.Bind(&hook.Handler[*core.RequestEvent]{Id: "picoAudit", Priority: p.cfg.Priority, Func: p.attribute})
	p.bindAPI(r)
}

// Start schedules the deletion of old entries.
func (p *Plugin) Start() error {
	if !p.ready(p.app) {
		return fmt.Errorf("audit: the table %s does not exist; the migrations have not run", table)
	}
	return p.app.Cron().Add(retentionJob, retentionSchedule, p.runRetention)
}

// Stop ends the schedule. Entries are written with their changes, so there is nothing to flush.
func (p *Plugin) Stop(context.Context) error {
	p.app.Cron().Remove(retentionJob)
	return nil
}

// ready reports whether there is a trail to write to. There is none while the
// migrations of a new folder have not come that far.
func (p *Plugin) ready(app core.App) bool {
	if p.migrated.Load() {
		return true
	}
	if !app.HasTable(table) {
		return false
	}
	p.migrated.Store(true)
	return true
}
