package platform

import (
	"context"
	"errors"
	"net"
	"net/http"
	"sync"
	"time"

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

// Serve answers requests that come by listener until ctx ends or the server fails,
// then ends the app. Tenants go on. Started is called once requests are answered,
// with the handler of the platform's own API and dashboard.
func (p *Platform) Serve(ctx context.Context, listener net.Listener, started func(http.Handler) error) error {
	up := make(chan struct{})
	failed := make(chan error, 1)
	var once sync.Once
	var startErr error
	p.App.OnServe().Bind(&hook.Handler[*core.ServeEvent]{
		Id: "picoPlatformStarted", Priority: -1,
		Func: func(e *core.ServeEvent) error {
			e.InstallerFunc = nil
			e.Listener = listener
			if err := e.Next(); err != nil {
				return err
			}
			if err := p.health.Start(); err != nil {
				return err
			}
			once.Do(func() {
				if started != nil {
					startErr = started(e.Server.Handler)
				}
				close(up)
			})
			return startErr
		},
	})
	go func() { failed <- apis.Serve(p.App, apis.ServeConfig{HttpAddr: listener.Addr().String()}) }()
	select {
	case err := <-failed:
		return errors.Join(err, listener.Close(), p.Close())
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
			// The fleet first: what it is about to store is to be stored still.
			problem = errors.Join(problem, p.health.Stop(ctx), p.fleet.Stop(ctx), p.alerts.Stop(ctx), p.domains.Stop(ctx), p.backups.Stop(ctx))
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
