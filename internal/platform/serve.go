package platform

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/picobase/picobase/internal/routes"
	"github.com/pocketbase/pocketbase/apis"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
)

const (
	// drainTimeout bounds how long a stop waits for requests in flight.
	drainTimeout = 5 * time.Second

	// stopTimeout bounds the stop of all else together.
	stopTimeout = 10 * time.Second

	// pocketbaseShutdownPriority is of the handler that cancels every request.
	pocketbaseShutdownPriority = -9999
)

// Prepare makes sure that no other platform leads, and restores the registry if
// the folder has none and a bucket does. It comes before Bootstrap.
func (p *Platform) Prepare(ctx context.Context) error { return p.backups.Prepare(ctx, nil) }

// Bootstrap opens the registry and brings it up to date.
func (p *Platform) Bootstrap() error { return p.bootstrapped() }

// ServeConfig says how a platform is served.
type ServeConfig struct {
	// Listener is where its own API and dashboard are. Serve closes it.
	Listener net.Listener

	// BehindRouter says that only routers reach the listener, so that their word on
	// who the client is counts.
	BehindRouter bool

	// Routers are the networks of routers elsewhere, whose word on who the client is
	// counts too (default none).
	Routers []netip.Prefix

	// InternalURL is where routers reach the listener: what they bring there is the
	// base domain itself. Empty for routers that do not.
	InternalURL string

	// Started is called once requests are answered. An error ends the server.
	Started func() error
}

// Serve answers requests until ctx ends or the server fails, then ends the app.
// Tenants go on.
func (p *Platform) Serve(ctx context.Context, cfg ServeConfig) error {
	if cfg.InternalURL != "" {
		p.routes.Put(routes.Route{Project: ownRoute, Hosts: p.ownHosts(), State: routes.Running, URL: cfg.InternalURL})
	}
	up := make(chan struct{})
	failed := make(chan error, 1)
	var once sync.Once
	var startErr error
	p.App.OnServe().Bind(&hook.Handler[*core.ServeEvent]{
		Id: "picoPlatformStarted", Priority: -1,
		Func: func(e *core.ServeEvent) error {
			e.InstallerFunc = nil
			e.Listener = cfg.Listener
			if err := e.Next(); err != nil {
				return err
			}
			e.Server.Handler = cfg.believeRouters(e.Server.Handler)
			if err := p.health.Start(); err != nil {
				return err
			}
			once.Do(func() {
				if cfg.Started != nil {
					startErr = cfg.Started()
				}
				close(up)
			})
			return startErr
		},
	})
	go func() { failed <- apis.Serve(p.App, apis.ServeConfig{HttpAddr: cfg.Listener.Addr().String()}) }()
	select {
	case err := <-failed:
		return errors.Join(err, cfg.Listener.Close(), p.Close())
	case <-up:
	}
	select {
	case err := <-failed:
		return errors.Join(err, p.Close())
	case <-ctx.Done():
		err := p.Close()
		return errors.Join(err, <-failed)
	}
}

// ownRoute names the platform among the projects of the table. It is no project's
// id: those have 15 characters.
const ownRoute = "platform"

// believeRouters takes the client's address from a router's header, in the place of
// the router's own.
func (cfg ServeConfig) believeRouters(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !cfg.BehindRouter && !cfg.isRouter(r.RemoteAddr) {
			next.ServeHTTP(w, r)
			return
		}
		forwarded := r.Header.Get("X-Forwarded-For")
		client := strings.TrimSpace(forwarded[strings.LastIndexByte(forwarded, ',')+1:])
		if net.ParseIP(client) != nil {
			r.RemoteAddr = net.JoinHostPort(client, "0")
		}
		r.Header.Del("X-Forwarded-For")
		next.ServeHTTP(w, r)
	})
}

func (cfg ServeConfig) isRouter(peer string) bool {
	addr, err := netip.ParseAddrPort(peer)
	return err == nil && slices.ContainsFunc(cfg.Routers, func(network netip.Prefix) bool {
		return network.Contains(addr.Addr().Unmap().WithZone(""))
	})
}

// Close ends the app. Closing twice is harmless.
func (p *Platform) Close() error {
	return p.App.OnTerminate().Trigger(&core.TerminateEvent{App: p.App}, func(e *core.TerminateEvent) error {
		return e.App.ResetBootstrapState()
	})
}

func (p *Platform) bindServe() {
	p.App.OnServe().Bind(&hook.Handler[*core.ServeEvent]{
		Id: "picoPlatformServe",
		Func: func(e *core.ServeEvent) error {
			p.bindRoutes(e.Router)
			if err := e.Next(); err != nil {
				return err
			}
			if err := p.backups.Start(); err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			if err := p.fleet.Load(ctx); err != nil {
				return err
			}
			p.fleet.Start()
			p.alerts.Start()
			p.domains.Start()
			return nil
		},
	})
}

func (p *Platform) bindTerminate() {
	p.App.OnTerminate().Bind(&hook.Handler[*core.TerminateEvent]{
		Id: "picoPlatformTerminate", Priority: pocketbaseShutdownPriority - 1,
		Func: func(e *core.TerminateEvent) error {
			// Before Next: a restart replaces the process there and never returns.
			problem := p.health.Drain(context.Background())
			ctx, cancel := context.WithTimeout(context.Background(), stopTimeout)
			defer cancel()
			p.end()
			// The fleet first: what it is about to store is to be stored still.
			problem = errors.Join(problem, p.health.Stop(ctx), p.fleet.Stop(ctx), p.alerts.Stop(ctx), p.domains.Stop(ctx), p.backups.Stop(ctx))
			p.background.Wait() // its context has ended
			return errors.Join(problem, e.Next())
		},
	})
}

// StopTenants stops every tenant that runs, as the end of everything on one
// machine. They are started again when the platform is.
func (p *Platform) StopTenants(ctx context.Context) error {
	list, err := p.cfg.Driver.List(ctx)
	if err != nil {
		return err
	}
	var group sync.WaitGroup
	failures := make(chan error, len(list))
	for _, status := range list {
		group.Go(func() { failures <- p.cfg.Driver.Stop(ctx, status.ID) })
	}
	group.Wait()
	close(failures)
	var problem error
	for err := range failures {
		problem = errors.Join(problem, err)
	}
	return problem
}

// Handler returns the whole HTTP API without a listener, and with nothing running
// in the background.
func (p *Platform) Handler() (http.Handler, error) {
	r, err := apis.NewRouter(p.App)
	if err != nil {
		return nil, err
	}
	p.bindRoutes(r)
	return r.BuildMux()
}
