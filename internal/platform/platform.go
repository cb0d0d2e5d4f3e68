// Package platform is the control plane: people, organizations, projects, and the
// fleet of tenants that serves them. It is a PocketBase app of its own, so that
// its registry, users, login and backups are PocketBase's and PicoBase's.
//
// It is the one place where the parts meet: fleet acts on the driver, feed tells
// the routers, sign issues tokens, schema makes the registry. Who may do what is
// decided here.
//
//	p, err := platform.New(platform.Config{DataDir: dir, BaseDomain: "localhost", Driver: d})
//	err = p.Prepare(ctx)
//	err = p.Bootstrap()
//	err = p.Serve(ctx, listener, started)
package platform

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/picobase/picobase/internal/config"
	"github.com/picobase/picobase/internal/guard"
	"github.com/picobase/picobase/internal/objectstore"
	"github.com/picobase/picobase/internal/platform/driver"
	"github.com/picobase/picobase/internal/platform/feed"
	"github.com/picobase/picobase/internal/platform/fleet"
	"github.com/picobase/picobase/internal/platform/schema"
	"github.com/picobase/picobase/internal/platform/sign"
	"github.com/picobase/picobase/internal/routes"
	"github.com/picobase/picobase/internal/secret"
	"github.com/picobase/picobase/internal/tenant"
	"github.com/picobase/picobase/internal/worker"
	"github.com/picobase/picobase/plugins/apierrors"
	"github.com/picobase/picobase/plugins/backups"
	"github.com/picobase/picobase/plugins/health"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
	"github.com/pocketbase/pocketbase/tools/router"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"
)

// The middlewares that the platform adds, by PocketBase's priorities.
const (
	priorityErrors      = apis.DefaultCorsMiddlewarePriority - 20
	priorityDrain       = priorityErrors + 5
	priorityReplicaGate = apis.DefaultPanicRecoverMiddlewarePriority + 3
	priorityTokens      = apis.DefaultLoadAuthTokenMiddlewarePriority - 1
	priorityBackupsPage = apis.DefaultBodyLimitMiddlewarePriority + 2
)

// Config configures a platform. What has no default is required.
type Config struct {
	// DataDir is the folder of the registry. What tenants store is the driver's.
	DataDir string

	// BaseDomain is the domain that projects are served below, such as
	// example.com: NAME.example.com.
	BaseDomain string

	// PublicURL is where people reach the platform, such as https://example.com. Its
	// scheme and port are those of the projects too.
	PublicURL string

	// Driver runs the tenants.
	Driver driver.Driver

	// DriverIsLocal says that asking a tenant how it is costs nothing.
	DriverIsLocal bool

	// Folder returns the data folder of a project on this machine, for another one to
	// begin as its copy where there is no bucket (default that it cannot).
	Folder func(id string) (string, error)

	// Storage is the bucket of the whole fleet, if there is one: each project has its
	// folder there, and the registry too.
	Storage tenant.Storage

	// TenantEnv is passed on to every tenant beside what it needs to know.
	TenantEnv map[string]secret.String

	// TenantMemory in bytes and TenantCPU in cores limit each tenant (default no limit
	// of their own), TenantRegion places it in the engine's own words.
	TenantMemory int64
	TenantCPU    float64
	TenantRegion string

	// Routers are the networks that routers come from, or unix, as tenants take it
	// in PICOBASE_ROUTERS (default none).
	Routers string

	// RouterToken is what routers name themselves by. Without one only a router in
	// this process is served.
	RouterToken secret.String

	// SigningKey is the Ed25519 key as PEM (default one that is made and kept in
	// DataDir).
	SigningKey secret.String

	// OpenSignUp lets strangers make accounts. Without it there are the first user
	// and whom members invite.
	OpenSignUp bool

	// IdleAfter is when unused tenants are put to sleep, zero for never.
	IdleAfter time.Duration

	// Grace is how long deleted projects can be had back (default 7 days).
	Grace time.Duration

	// Starts is how many tenants start at once (default 8).
	Starts int

	// ListInterval is the time between two looks at the whole engine (default 2 s).
	ListInterval time.Duration

	// Quotas are those of organizations without their own.
	Quotas Quotas

	// Webhook is told of alerts.
	Webhook Webhook

	// Resolver looks up the records by which domains are verified (default the
	// system's).
	Resolver Resolver

	// TakeOver takes the registry from a platform that is gone for good.
	TakeOver bool

	Version string
	Now     func() time.Time // default time.Now
	Logger  *slog.Logger     // default slog.Default
}

// Platform is the control plane.
type Platform struct {
	App core.App

	cfg     Config
	key     *sign.Key
	fleet   *fleet.Fleet
	routes  *feed.Table
	health  *health.Plugin
	errors  *apierrors.Plugin
	backups *backups.Plugin
	devices *devices
	alerts  *worker.Worker
	domains *worker.Worker

	undeletes *semaphore.Weighted

	bucket  objectstore.Store // nil without one
	hooks   http.RoundTripper // for webhooks
	host    string            // of PublicURL, with the port
	scheme  string
	openapi []byte

	mailed sync.Map // alerts that are told by mail already, see mailOnce

	life       context.Context // of what requests leave running
	end        context.CancelFunc
	background sync.WaitGroup
}

// New builds the platform. It opens nothing but the signing key, which it makes at
// the first start.
func New(cfg Config) (*Platform, error) {
	if cfg.DataDir == "" || cfg.Driver == nil {
		return nil, errors.New("platform: Config needs DataDir and Driver")
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	if cfg.Resolver == nil {
		cfg.Resolver = net.DefaultResolver
	}
	p := &Platform{cfg: cfg, routes: feed.New(), devices: newDevices(cfg.Now), undeletes: semaphore.NewWeighted(1), hooks: guard.Transport(func() []string { return cfg.Webhook.AllowedPrivateHosts })}
	p.life, p.end = context.WithCancel(context.Background())
	var err error
	if p.scheme, p.host, err = checkDomain(cfg.BaseDomain, cfg.PublicURL); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return nil, err
	}
	if p.key, err = sign.Load(filepath.Join(cfg.DataDir, "signing-key.pem"), cfg.SigningKey); err != nil {
		return nil, err
	}
	if p.openapi, err = openapiDocument(cfg.Version); err != nil {
		return nil, err
	}
	p.App = tenant.NewApp(tenant.Config{DataDir: cfg.DataDir})
	if err := p.register(); err != nil {
		return nil, fmt.Errorf("register plugins: %w", err)
	}
	p.buildFleet()
	p.bindSignUp()
	p.bindTokenEnd()
	p.bindServe()
	p.bindTerminate()
	return p, nil
}

func (p *Platform) register() (err error) {
	metrics := prometheus.NewRegistry()
	if p.errors, err = apierrors.Register(p.App, apierrors.Config{Priority: priorityErrors}); err != nil {
		return err
	}
	stores, bucket, err := p.cfg.Storage.Fleet(p.cfg.DataDir)
	if err != nil {
		return err
	}
	p.bucket = bucket
	settings := config.Default()
	p.backups, err = backups.Register(p.App, backups.Config{
		Settings: func() *config.Settings { return settings }, Stores: stores, Metrics: metrics, Logger: p.cfg.Logger,
		TakeOver: p.cfg.TakeOver, GatePriority: priorityReplicaGate, DashboardPriority: priorityBackupsPage,
		FilesPriority: priorityBackupsPage + 1,
	})
	if err != nil {
		return err
	}
	p.health, err = health.Register(p.App, health.Config{
		Version: p.cfg.Version, Priority: priorityDrain, Metrics: metrics, DrainTimeout: drainTimeout,
		Ready: []func() error{p.backups.Ready},
	})
	return err
}

// buildFleet ties the fleet to the registry.
func (p *Platform) buildFleet() {
	healthInterval := time.Duration(-1) // asking would keep the tenant awake
	if p.cfg.DriverIsLocal {
		healthInterval = 0
	}
	p.fleet = fleet.New(fleet.Config{
		Driver: p.cfg.Driver, Store: registry{p}, Routes: p.routes, Tenants: tenants{p},
		Spec: p.spec, Purge: p.purge, Replicated: p.bucket != nil, MayWake: p.mayWake, Lead: p.backups.Ready,
		Report: p.openAlert, Resolve: p.closeAlert, Happened: p.happened,
		IdleAfter: p.cfg.IdleAfter, Grace: p.cfg.Grace, Starts: p.cfg.Starts, ListInterval: p.cfg.ListInterval,
		HealthInterval: healthInterval, Now: p.cfg.Now, Logger: p.cfg.Logger,
	})
	p.alerts = worker.New(alertInterval, p.tellAlerts, func(err error) { p.cfg.Logger.Warn("alerts not told", "error", err) })
	p.domains = worker.New(domainInterval, p.checkDomains, func(err error) { p.cfg.Logger.Warn("domains not checked", "error", err) })
}

// Follow is the feed of routes for a router in this process, see feed.Table.
func (p *Platform) Follow(ctx context.Context, send func(routes.Message) error) error {
	return p.routes.Follow(ctx, send)
}

// Wake is the waker for a router in this process.
func (p *Platform) Wake(ctx context.Context, project string) (routes.Route, error) {
	route, err := p.fleet.Wake(ctx, project)
	if err == nil {
		return route, nil
	}
	refusal := *fleetError(err)
	if refusal.Code == errQuota.Code {
		// Whoever visits the project can do nothing about it, but come again.
		refusal.Status, refusal.RetryAfter = http.StatusServiceUnavailable, time.Minute
	}
	return route, &refusal
}

// Used takes what a router in this process has seen used.
func (p *Platform) Used(activity routes.Activity) {
	for id, use := range activity.Projects {
		p.fleet.Used(id, use.Last, use.Open)
	}
}

func (p *Platform) bindRoutes(r *router.Router[*core.RequestEvent]) {
	p.errors.Routes(r)
	p.health.Routes(r)
	p.backups.Routes(r)
	r.Bind(&hook.Handler[*core.RequestEvent]{Id: "picoPlatformTokens", Priority: priorityTokens, Func: p.loadToken})
	p.bindOpen(r)
	p.bindAPI(r)
}

// bindAPI binds what people do.
func (p *Platform) bindAPI(r *router.Router[*core.RequestEvent]) {
	api := r.Group(PathPrefix)
	api.Bind(&hook.Handler[*core.RequestEvent]{Id: "picoPlatformCaller", Func: p.requireCaller})
	p.bindOrganizations(api)
	p.bindMembers(api)
	p.bindProjects(api)
	p.bindDomains(api)
	p.bindTokens(api)
	p.bindFigures(api)
}

// bootstrapped opens the registry.
func (p *Platform) bootstrapped() error {
	if err := p.App.Bootstrap(); err != nil {
		return fmt.Errorf("open %s: %w", p.cfg.DataDir, err)
	}
	if err := schema.Apply(p.App); err != nil {
		return err
	}
	// Mails of PocketBase lead there.
	settings := p.App.Settings()
	if settings.Meta.AppURL == p.URL() {
		return nil
	}
	settings.Meta.AppURL = p.URL()
	return p.App.Save(settings)
}
