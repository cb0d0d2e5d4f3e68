// Package tenant builds one project's backend out of PocketBase and PicoBase's
// plugins.
//
// It is the one place where plugins meet and where order is decided: of
// registration, of middlewares (order.go), of start and of stop. A plugin that
// needs another one gets a function of it here.
//
//	t, err := tenant.New(tenant.Config{DataDir: "pb_data"})
//	err = t.Bootstrap()
//	err = t.Serve(ctx, tenant.ServeConfig{HTTP: "127.0.0.1:8090"})
package tenant

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"time"

	"github.com/picobase/picobase/hooks"
	"github.com/picobase/picobase/internal/apikey"
	"github.com/picobase/picobase/internal/config"
	"github.com/picobase/picobase/internal/guard"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/internal/scope"
	"github.com/picobase/picobase/internal/token"
	_ "github.com/picobase/picobase/migrations" // system collections and tables
	"github.com/picobase/picobase/plugins/access"
	"github.com/picobase/picobase/plugins/apierrors"
	"github.com/picobase/picobase/plugins/apikeys"
	"github.com/picobase/picobase/plugins/audit"
	"github.com/picobase/picobase/plugins/backups"
	"github.com/picobase/picobase/plugins/due"
	"github.com/picobase/picobase/plugins/health"
	"github.com/picobase/picobase/plugins/jshooks"
	"github.com/picobase/picobase/plugins/openapi"
	"github.com/picobase/picobase/plugins/settings"
	"github.com/picobase/picobase/plugins/typegen"
	"github.com/picobase/picobase/plugins/usage"
	"github.com/picobase/picobase/plugins/webhooks"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	_ "github.com/pocketbase/pocketbase/migrations" // PocketBase's own tables
	"github.com/pocketbase/pocketbase/tools/router"
	"github.com/prometheus/client_golang/prometheus"
)

// Config configures a tenant.
type Config struct {
	// DataDir is the folder that holds everything the tenant stores. Required.
	DataDir string

	// Version of the binary, shown by the health check.
	Version string

	// CommandLineUser names who runs a command on the folder; it is who the
	// audit trail names for changes that no request made. Empty for a server.
	CommandLineUser string

	// Logger gets what an operator should see: warnings, failures of the server,
	// errors of hooks. PocketBase's request log is not repeated there. Optional.
	Logger *slog.Logger

	// EncryptionEnv names the variable with the key that encrypts PocketBase's settings.
	EncryptionEnv string

	// QueryTimeout bounds SELECT queries (default 30 s).
	QueryTimeout time.Duration

	// Dev prints logs and SQL statements to the terminal.
	Dev bool

	// APIKeysOff lets requests without a key pass.
	APIKeysOff bool

	// Origins replaces the CORS origins of the settings.
	Origins []string

	// ProjectID and PlatformPublicKey make the tenant accept the platform's
	// tokens. Without both it accepts none.
	ProjectID         string
	PlatformPublicKey string

	// WebhooksPaused is for data that comes from elsewhere: its webhooks are
	// disabled, and their pending deliveries are not sent, until somebody enables
	// them. Without a ProjectID that happens at every start.
	WebhooksPaused bool

	// Routers are the peers whose requests come from elsewhere, as X-Forwarded-For
	// says: networks, and "unix" for peers at the socket, separated by commas.
	Routers string

	// FirstKeys are stored by a folder without keys in the place of its own.
	FirstKeys []apikey.Stored

	// DrainTimeout bounds how long a stop waits for requests in flight (default 20 s).
	DrainTimeout time.Duration

	// Storage says where backups are kept (default in the data folder).
	Storage Storage

	// BackupsDir is the data folder that is backed up and restored, if that is
	// not DataDir: one that is lost, and is recovered from a folder made for that.
	BackupsDir string

	// NoReplication makes snapshots only.
	NoReplication bool

	// TakeOver takes the replica from a process that seems to hold it still.
	TakeOver bool

	// HooksDir is a folder with JavaScript hooks that a server loads at its start
	// (default none), and again whenever it changes with HooksWatch.
	HooksDir   string
	HooksWatch bool

	// PrivateHosts are host names, addresses and networks that webhooks and hooks may
	// reach beside those that the settings list. NoPrivateHosts ignores both: in a
	// fleet, whoever owns a project must not reach the network that it runs in.
	PrivateHosts   []string
	NoPrivateHosts bool

	// Migrations of the project's own collections (default none).
	Migrations Migrations
}

// Tenant is one project's backend.
type Tenant struct {
	App core.App

	cfg       Config
	inherited *os.File // a listener from whoever started the process
	keys      *apikeys.Plugin
	settings  *settings.Plugin
	health    *health.Plugin
	backups   *backups.Plugin
	webhooks  *webhooks.Plugin
	jshooks   *jshooks.Plugin

	// routed is every plugin with routes or middlewares, in the order of binding.
	routed []interface {
		Routes(*router.Router[*core.RequestEvent])
	}

	// running is every plugin with something in the background, in the order of
	// start; they stop in reverse.
	running []runner
}

type runner interface {
	Start() error
	Stop(ctx context.Context) error
}

// New builds the tenant. It opens nothing.
func New(cfg Config) (*Tenant, error) {
	if cfg.DataDir == "" {
		return nil, errors.New("tenant: DataDir is empty")
	}
	verifier, err := platformVerifier(cfg)
	if err != nil {
		return nil, err
	}
	t := &Tenant{App: newApp(cfg), cfg: cfg}
	if err := t.register(verifier); err != nil {
		return nil, fmt.Errorf("register plugins: %w", err)
	}
	if err := registerMigrations(t.App, cfg.Migrations); err != nil {
		return nil, err
	}
	t.bindServe()
	t.bindTerminate()
	if cfg.Logger != nil {
		forwardLogs(t.App, cfg.Logger)
	}
	return t, nil
}

// register makes the plugins known to the app and to each other.
func (t *Tenant) register(verifier *token.Verifier) (err error) {
	app, metrics := t.App, prometheus.NewRegistry()

	// Settings come first, because all others read them; what they need of later
	// plugins is passed as functions that run only once there are requests.
	var auditPlugin *audit.Plugin
	var accessPlugin *access.Plugin
	transact := func(e *core.RequestEvent, change func(core.App) error) error { return auditPlugin.Transact(e, change) }
	t.settings, err = settings.Register(app, settings.Config{
		Transact: transact,
		Check:    func(e *core.RequestEvent, next *config.Settings) error { return accessPlugin.CheckLockout(e, next) },
	})
	if err != nil {
		return err
	}
	current := t.settings.Current

	errorsPlugin, err := apierrors.Register(app, apierrors.Config{Priority: priorityErrors})
	if err != nil {
		return err
	}
	routers, err := access.ParseRouters(t.cfg.Routers)
	if err != nil {
		return fmt.Errorf("PICOBASE_ROUTERS: %w", err)
	}
	accessPlugin, err = access.Register(app, access.Config{
		Settings: current,
		Origins:  t.cfg.Origins,
		Metrics:  metrics,
		Routers:  routers,
		Priorities: access.Priorities{
			Routers: priorityRouters, TrustedProxies: priorityTrustedProxies, CORS: priorityCORS,
			IPAllowlist: priorityIPAllowlist, RateLimit: priorityRateLimit,
		},
	})
	if err != nil {
		return err
	}
	t.keys, err = apikeys.Register(app, apikeys.Config{
		Settings: current, Off: t.cfg.APIKeysOff, Priority: priorityAPIKeys,
		Platform: verifier, Transact: transact, Charge: accessPlugin.ChargeRefusal, Metrics: metrics,
	})
	if err != nil {
		return err
	}
	usagePlugin, err := usage.Register(app, usage.Config{
		Settings: current, Priority: priorityUsage, TouchKeys: t.keys.Touch, Metrics: metrics,
		StillAllowed: func(e *core.RequestEvent) bool { return t.keys.StillAllows(e, scope.Logs) },
	})
	if err != nil {
		return err
	}
	auditPlugin, err = audit.Register(app, audit.Config{
		Settings: current, Priority: priorityAudit, DefaultActor: t.defaultActor,
	})
	if err != nil {
		return err
	}
	stores, err := t.cfg.Storage.stores(t.backupsDir())
	if err != nil {
		return err
	}
	branch, err := t.cfg.Storage.branch()
	if err != nil {
		return err
	}
	t.backups, err = backups.Register(app, backups.Config{
		Settings: current, Stores: stores, Branch: branch, Dir: t.backupsDir(), Metrics: metrics, Logger: t.cfg.Logger,
		NoReplication: t.cfg.NoReplication, TakeOver: t.cfg.TakeOver,
		GatePriority: priorityReplicaGate, DashboardPriority: priorityBackupsPage, FilesPriority: priorityFiles,
		Record: func(e *core.RequestEvent, action, target string) error {
			return auditPlugin.Record(app, e, audit.Entry{Action: action, TargetType: "backup", TargetID: target, TargetName: target})
		},
	})
	if err != nil {
		return err
	}
	t.jshooks, err = jshooks.Register(app, jshooks.Config{
		Settings: current, Dir: t.cfg.HooksDir, Watch: t.cfg.HooksWatch,
		Transport: guard.Transport(t.privateHosts(func() []string { return current().JSHooks.AllowedPrivateHosts })),
		Transact:  transact, Metrics: metrics, Logger: t.cfg.Logger,
		StillAllowed: func(e *core.RequestEvent) bool { return t.keys.StillAllows(e, scope.Hooks) },
		Record: func(tx core.App, e *core.RequestEvent, act jshooks.Act) error {
			return auditPlugin.Record(tx, e, audit.Entry{
				Action: act.Action, TargetType: act.Type, TargetID: act.ID, TargetName: act.Name, After: act.After,
			})
		},
	})
	if err != nil {
		return err
	}
	t.webhooks, err = webhooks.Register(app, webhooks.Config{
		Settings: current, Version: t.cfg.Version, Transact: transact, Metrics: metrics,
		Project: t.cfg.ProjectID, Paused: t.cfg.WebhooksPaused,
		PrivateHosts: t.privateHosts(func() []string { return current().Webhooks.AllowedPrivateHosts }), NoPrivateHosts: t.cfg.NoPrivateHosts,
	})
	if err != nil {
		return err
	}
	t.health, err = health.Register(app, health.Config{
		Version: t.cfg.Version, Priority: priorityDrain, Metrics: metrics, DrainTimeout: t.cfg.DrainTimeout,
		Checks: append(t.backupChecks(), t.webhooksCheck(), t.hooksCheck()), Ready: []func() error{t.backups.Ready},
	})
	if err != nil {
		return err
	}
	duePlugin, err := due.Register(app, due.Config{
		Sources: []due.Source{t.webhooks.NextDue, t.backups.NextDue, due.Crons(app)},
		Busy:    t.busy, IdleSince: t.health.IdleSince, Synced: t.backups.Synced,
	})
	if err != nil {
		return err
	}
	typegenPlugin, err := typegen.Register(app, typegen.Config{})
	if err != nil {
		return err
	}
	openapiPlugin, err := openapi.Register(app, openapi.Config{Version: t.cfg.Version})
	if err != nil {
		return err
	}
	hooks.RestrictRedirects(app, current)
	hooks.PublishRecords(app, t.webhooks)
	hooks.PublishAuth(app, t.webhooks)
	hooks.AskBefore(app, t.webhooks)

	t.routed = append(t.routed, errorsPlugin, t.health, accessPlugin, usagePlugin, t.keys, auditPlugin, t.settings, t.backups,
		t.webhooks, t.jshooks, duePlugin, typegenPlugin, openapiPlugin)
	// Webhooks stop first: nobody waits for them, and what is cut off is sent again.
	// Usage stops before the keys, whose last use it stores with its last flush.
	// Backups stop last: what the others write at their end is replicated too.
	// Hooks start last, when all that they may use is there.
	if t.cfg.Migrations.Watch && t.cfg.Migrations.Dir != "" {
		t.running = append(t.running, &migrationWatch{app: app, dir: t.cfg.Migrations.Dir, logger: t.cfg.Logger})
	}
	t.running = append(t.running, t.backups, t.settings, t.keys, auditPlugin, usagePlugin, t.webhooks, t.jshooks)
	return nil
}

// privateHosts returns what the settings list with what the operator says to it.
func (t *Tenant) privateHosts(listed func() []string) func() []string {
	if t.cfg.NoPrivateHosts {
		return func() []string { return nil }
	}
	if len(t.cfg.PrivateHosts) == 0 {
		return listed
	}
	return func() []string { return slices.Concat(t.cfg.PrivateHosts, listed()) }
}

func (t *Tenant) backupsDir() string {
	if t.cfg.BackupsDir != "" {
		return t.cfg.BackupsDir
	}
	return t.cfg.DataDir
}

// backupChecks puts what the backups plugin finds into the health check.
func (t *Tenant) backupChecks() []health.Check {
	result := func(f backups.Finding, ok bool) health.Result {
		r := health.Result{Status: health.OK, Message: f.Message, Values: f.Values, Err: f.Err}
		switch {
		case !ok:
			r.Status, r.Message = health.Unknown, "Off."
		case f.Failing:
			r.Status = health.Failing
		case f.Degraded:
			r.Status = health.Degraded
		}
		return r
	}
	return []health.Check{
		{Name: "replication", Run: func(ctx context.Context) health.Result { return result(t.backups.CheckReplication(ctx)) }},
		{Name: "files", Run: func(ctx context.Context) health.Result { return result(t.backups.CheckFiles(ctx)) }},
		{Name: "backups", Run: func(ctx context.Context) health.Result { return result(t.backups.CheckBackups(ctx), true) }},
	}
}

// webhooksCheck puts what the webhooks plugin finds into the health check.
func (t *Tenant) webhooksCheck() health.Check {
	return health.Check{Name: "webhooks", Run: func(ctx context.Context) health.Result {
		f := t.webhooks.Check(ctx)
		r := health.Result{Status: health.OK, Message: f.Message, Values: f.Values, Err: f.Err}
		if f.Degraded {
			r.Status = health.Degraded
		}
		return r
	}}
}

// hooksCheck puts what the hooks plugin finds into the health check.
func (t *Tenant) hooksCheck() health.Check {
	return health.Check{Name: "hooks", Run: func(ctx context.Context) health.Result {
		f, ok := t.jshooks.Check(ctx)
		r := health.Result{Status: health.OK, Message: f.Message, Values: f.Values}
		switch {
		case !ok:
			r.Status, r.Message = health.Unknown, "Off."
		case f.Degraded:
			r.Status = health.Degraded
		}
		return r
	}}
}

// busy tells what a stop would break off.
func (t *Tenant) busy() []due.Busy {
	requests, realtime, streams := t.health.Busy()
	snapshots, restores, drills := t.backups.Busy()
	return []due.Busy{
		{What: "requests", Count: requests}, {What: "realtime streams", Count: realtime}, {What: "log streams", Count: streams},
		{What: "backups", Count: int64(snapshots)}, {What: "restores", Count: int64(restores)}, {What: "restore drills", Count: int64(drills)},
		{What: "hooks", Count: int64(t.jshooks.Running())}, {What: "webhook deliveries", Count: int64(t.webhooks.Sending())},
	}
}

// FinishRestore puts in place what a command on the folder has restored. The
// tenant must be closed.
func (t *Tenant) FinishRestore(ctx context.Context) error { return t.backups.Finish(ctx) }

// defaultActor is who makes the changes that no request asked for.
func (t *Tenant) defaultActor() audit.Actor {
	if user := t.cfg.CommandLineUser; user != "" {
		return audit.Actor{Kind: string(httpapi.CallerCommandLine), ID: user, Name: user}
	}
	return audit.Actor{Kind: "system"}
}

// Bootstrap opens the databases and brings their tables up to date. It makes the
// data folder for this user alone: it holds password hashes and what signs
// tokens, in files that PocketBase lets everybody on the machine read.
func (t *Tenant) Bootstrap() error {
	if err := os.MkdirAll(t.cfg.DataDir, 0o700); err != nil {
		return err
	}
	return t.App.Bootstrap()
}

// Handler returns the whole HTTP API, without a listener and with nothing
// running in the background: what the command line talks to.
func (t *Tenant) Handler() (http.Handler, error) {
	r, err := apis.NewRouter(t.App)
	if err != nil {
		return nil, err
	}
	t.bindRoutes(r)
	return r.BuildMux()
}

// Close ends the app: PocketBase writes its last logs and closes the databases.
// It also ends a server, see Serve. Closing twice is harmless.
func (t *Tenant) Close() error {
	event := &core.TerminateEvent{App: t.App}
	return t.App.OnTerminate().Trigger(event, func(e *core.TerminateEvent) error {
		return e.App.ResetBootstrapState()
	})
}

func (t *Tenant) bindRoutes(r *router.Router[*core.RequestEvent]) {
	for _, plugin := range t.routed {
		plugin.Routes(r)
	}
}

func platformVerifier(cfg Config) (*token.Verifier, error) {
	if cfg.PlatformPublicKey == "" {
		return nil, nil
	}
	return token.NewVerifier(cfg.PlatformPublicKey, cfg.ProjectID)
}
