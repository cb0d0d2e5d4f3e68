// Package router brings a request to the project that its host name belongs to,
// and wakes the project first if it sleeps.
//
// It holds a table in memory and no secret, database or plan of its own: what
// belongs where it is told by a source (package source, or a platform in the same
// process), and who sleeps is woken by a Waker. Certificates are package certs'.
//
//	table := router.NewTable(logger)
//	r, err := router.New(router.Config{Resolver: table, Waker: platform})
//	go follow(table.Apply)
//	err = r.Serve(ctx, router.ServeConfig{HTTP: listener})
package router

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/routes"
)

// Waker wakes projects.
type Waker interface {
	// Wake returns the project's route once it runs. It is asked about a project that
	// sleeps, and about one that cannot be reached where its route says. An
	// *apierr.Error is shown to the client; any other error only says that it was not
	// woken. The router never asks twice at once for one project.
	Wake(ctx context.Context, project string) (routes.Route, error)
}

// Reporter is told which projects are used.
type Reporter interface {
	Report(ctx context.Context, activity routes.Activity) error
}

// Resolver knows which project has a host name: a Table or a Pattern.
type Resolver interface {
	// resolve returns nil for a name that no project has. The name is normal.
	resolve(host string) *project
	size() int
}

// Config says what a router is made of.
type Config struct {
	// Resolver is required.
	Resolver Resolver

	// Waker wakes who sleeps. Without one, sleeping projects are answered 503.
	Waker Waker

	// Reporter is told who was used, at most every routes.ActivityInterval. Default nobody.
	Reporter Reporter

	// WakeTimeout is how long a request is held for a project that is not there yet.
	// Default 10 s.
	WakeTimeout time.Duration

	// TrustedProxies are the peers whose X-Forwarded-For and -Proto are believed.
	// Default none.
	TrustedProxies []netip.Prefix

	// Limits bound what clients can take.
	Limits Limits

	// Logger is for the operator. Default slog's default.
	Logger *slog.Logger

	// AccessLog gets a record for every request. Default none.
	AccessLog *slog.Logger
}

// Router is an http.Handler. It is safe for many goroutines.
type Router struct {
	cfg       Config
	logger    *slog.Logger
	transport http.RoundTripper
	exchanges sync.Pool
	metrics   *metrics

	patience, bodyGrace time.Duration // the constants, but in tests

	open     atomic.Int64 // requests that have a slot
	held     atomic.Int64 // requests that wait
	buffered atomic.Int64 // bytes of bodies kept for a second try
	activity activity

	// streams ends when the router drains: streams never end by themselves.
	streams    context.Context
	endStreams context.CancelFunc
}

// New returns a router. It starts nothing.
func New(cfg Config) (*Router, error) {
	if cfg.Resolver == nil {
		return nil, errors.New("router: Resolver is required")
	}
	if cfg.WakeTimeout == 0 {
		cfg.WakeTimeout = 10 * time.Second
	}
	if cfg.WakeTimeout < 0 {
		return nil, fmt.Errorf("router: WakeTimeout must not be negative, got %s", cfg.WakeTimeout)
	}
	if err := cfg.Limits.complete(); err != nil {
		return nil, fmt.Errorf("router: %w", err)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	r := &Router{cfg: cfg, logger: cfg.Logger, transport: newTransport(), patience: patience, bodyGrace: bodyGrace}
	r.streams, r.endStreams = context.WithCancel(context.Background())
	r.metrics = newMetrics(r)
	r.exchanges.New = func() any { return newExchange(r) }
	return r, nil
}

// ServeHTTP answers one request.
func (r *Router) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	x, _ := r.exchanges.Get().(*exchange)
	x.begin(w, req)
	// A stream that breaks off ends in a panic too, which is net/http's to see.
	defer func() {
		failure := recover()
		if failure != nil && failure != http.ErrAbortHandler { //nolint:errorlint // that very value
			r.logger.Error("the router failed", "requestId", x.id, "panic", failure, "stack", string(debug.Stack()))
			if x.out.status == 0 {
				x.fail(apierr.ErrInternal)
				failure = nil
			}
		}
		x.end()
		r.exchanges.Put(x)
		if failure != nil {
			panic(http.ErrAbortHandler)
		}
	}()
	x.serve()
}

// find returns the project that the request is for. Only the host counts, and of
// an absolute URI its own, as net/http has it: never a header that a client could
// set to something else.
func (r *Router) find(req *http.Request) *project {
	host, ok := NormalHost(req.Host)
	if !ok {
		return nil
	}
	return r.cfg.Resolver.resolve(host)
}
