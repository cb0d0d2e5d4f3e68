// Package access decides which requests may come in at all: from which web
// pages (CORS), from which addresses, and how fast. Everything follows the
// tenant's settings request by request, so that a change is in force at once.
//
// It does not know who is calling: API keys and tokens are other plugins'. A
// key's identity, where there is one, only chooses the bucket to charge.
//
//	p, err := access.Register(app, access.Config{Settings: current, Priorities: order})
//	…
//	p.Routes(router)
package access

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/picobase/picobase/internal/config"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
	"github.com/pocketbase/pocketbase/tools/router"
	"github.com/prometheus/client_golang/prometheus"
)

// The ids of the middlewares; CORS has PocketBase's own, which it replaces.
const (
	RoutersID        = "picoRouters"
	TrustedProxiesID = "picoTrustedProxies"
	IPAllowlistID    = "picoIPAllowlist"
	RateLimitID      = "picoRateLimit"
)

// Config says what the plugin obeys and where it stands among the middlewares.
type Config struct {
	// Settings returns the settings in force, never nil. Required.
	Settings func() *config.Settings

	// Priorities places the middlewares. Required.
	Priorities Priorities

	// Origins, when not empty, replaces settings.CORS.Origins for this process.
	// The same rules hold for them.
	Origins []string

	// Routers are the peers whose requests come from elsewhere (default none).
	Routers Routers

	// Metrics is where the counters are registered; nil registers none.
	Metrics prometheus.Registerer

	// Now is the clock of the rate limits (default time.Now).
	Now func() time.Time

	// MaxBuckets is how many addresses, and how many keys, have a rate limit
	// bucket at one time (default 49152; at about 205 bytes each, 10 MB when full).
	MaxBuckets int
}

// Priorities are the places of the middlewares, lower being further out. They
// must rise in the order of the fields: addresses are only worth checking once
// forged ones are gone, and a refusal needs its CORS headers to be readable.
type Priorities struct {
	Routers        int
	CORS           int
	TrustedProxies int
	IPAllowlist    int
	RateLimit      int // further in than the middleware that resolves the API key
}

// Plugin is the access control of one tenant.
type Plugin struct {
	cfg      Config
	limiter  *limiter
	refusals *limiter // of requests that are turned away further out
	compiled atomic.Pointer[policy]

	refusedIPs  prometheus.Counter
	rateLimited *prometheus.CounterVec
}

// Register checks cfg and returns the plugin. It opens nothing.
func Register(app core.App, cfg Config) (*Plugin, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.MaxBuckets == 0 {
		cfg.MaxBuckets = defaultMaxBuckets
	}
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	p := &Plugin{
		cfg:      cfg,
		limiter:  newLimiter(cfg.MaxBuckets, cfg.Now),
		refusals: newLimiter(cfg.MaxBuckets, cfg.Now),
		refusedIPs: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "picobase_ip_refused_total",
			Help: "Requests refused because their address is not in the allowlist.",
		}),
		rateLimited: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "picobase_rate_limited_total",
			Help: "Requests refused by a rate limit.",
		}, []string{"limit"}),
	}
	if cfg.Metrics != nil {
		for _, counter := range []prometheus.Collector{p.refusedIPs, p.rateLimited} {
			if err := cfg.Metrics.Register(counter); err != nil {
				return nil, fmt.Errorf("access: register metrics: %w", err)
			}
		}
	}
	app.OnBatchRequest().Bind(&hook.Handler[*core.BatchRequestEvent]{
		Id:   TrustedProxiesID,
		Func: dropBatchedAddresses,
	})
	return p, nil
}

func (cfg Config) validate() error {
	if cfg.Settings == nil {
		return errors.New("access: Config.Settings is required")
	}
	if order := cfg.Priorities; order.Routers >= order.CORS || order.CORS >= order.TrustedProxies || order.TrustedProxies >= order.IPAllowlist || order.IPAllowlist >= order.RateLimit {
		return fmt.Errorf("access: Config.Priorities %+v must rise from field to field", order)
	}
	if cfg.MaxBuckets < shardCount {
		return fmt.Errorf("access: Config.MaxBuckets is %d, must be at least %d", cfg.MaxBuckets, shardCount)
	}
	if len(cfg.Origins) > 0 {
		settings := config.Default()
		settings.CORS.Origins = cfg.Origins
		if err := settings.Validate(); err != nil {
			return fmt.Errorf("access: Config.Origins: %w", err)
		}
	}
	return nil
}

// Routes binds the middlewares.
func (p *Plugin) Routes(r *router.Router[*core.RequestEvent]) {
	order := p.cfg.Priorities
	r.Bind(
		&hook.Handler[*core.RequestEvent]{Id: RoutersID, Priority: order.Routers, Func: p.fromRouters},
		&hook.Handler[*core.RequestEvent]{Id: TrustedProxiesID, Priority: order.TrustedProxies, Func: p.trustedProxies},
		&hook.Handler[*core.RequestEvent]{Id: apis.DefaultCorsMiddlewareId, Priority: order.CORS, Func: p.cors},
		&hook.Handler[*core.RequestEvent]{Id: IPAllowlistID, Priority: order.IPAllowlist, Func: p.ipAllowlist},
		&hook.Handler[*core.RequestEvent]{Id: RateLimitID, Priority: order.RateLimit, Func: p.rateLimit},
	)
}

// Start does nothing: the plugin has no background work.
func (p *Plugin) Start() error { return nil }

// Stop does nothing: buckets are not worth keeping over a restart.
func (p *Plugin) Stop(context.Context) error { return nil }
