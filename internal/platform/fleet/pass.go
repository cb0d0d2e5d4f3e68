package fleet

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/picobase/picobase/internal/platform/driver"
)

// Pass compares every project with the engine, acts where they differ, and waits
// until that is done.
func (f *Fleet) Pass(ctx context.Context) error {
	acting, err := f.pass(ctx, true)
	acting.Wait()
	return err
}

// turn is one of the loop.
func (f *Fleet) turn(ctx context.Context) error {
	list := f.cfg.Now().Sub(f.listed) >= f.cfg.ListInterval
	if list {
		f.listed = f.cfg.Now()
	}
	_, err := f.pass(ctx, list)
	return err
}

// observation is what the engine says of one project.
type observation struct {
	driver.Status
	known  bool   // whether it was asked
	before uint64 // Fleet.readied when it was
}

// pass looks at every project, and acts in the background. Without list it does what
// time alone asks for.
func (f *Fleet) pass(ctx context.Context, list bool) (*sync.WaitGroup, error) {
	var acting sync.WaitGroup
	if err := f.cfg.Lead(); err != nil {
		return &acting, err
	}
	all := f.all() // before the engine is asked, so that it knows of none that is newer
	var observed map[string]driver.Status
	before := f.readied.Load()
	if list {
		var err error
		if observed, err = f.observe(ctx); err != nil {
			return &acting, fmt.Errorf("list tenants: %w", err)
		}
		f.unknown(observed)
	}
	for _, p := range all {
		act := f.next(p, observation{observed[p.ID], list, before})
		if act == nil {
			continue
		}
		acting.Add(1)
		f.back.Go(func() {
			defer acting.Done()
			if err := act(f.life); err != nil && f.life.Err() == nil {
				f.cfg.Logger.Warn("a project is not as it should be yet", "project", p.ID, "error", err)
			}
		})
	}
	return &acting, nil
}

// unknown warns once of each tenant that the registry does not know: they are
// nobody's to delete.
func (f *Fleet) unknown(observed map[string]driver.Status) {
	for id, status := range observed {
		if f.get(id) != nil {
			continue
		}
		if _, told := f.strangers.LoadOrStore(id, true); !told {
			f.cfg.Logger.Warn("the engine has a tenant that is not in the registry; it is left alone", "tenant", id, "state", status.State)
		}
	}
}

// next returns what is to be done for the project, nil for nothing.
func (f *Fleet) next(p *project, o observation) func(context.Context) error {
	if len(p.work) > 0 {
		return nil // somebody is at it
	}
	now := f.cfg.Now()
	if o.known {
		f.compare(p, o.Status, o.before)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	switch p.Want {
	case Awake:
		if p.url != "" {
			return f.nextAwake(p, now)
		}
		if p.attempt != nil || p.failures.wait(now) > 0 {
			return nil
		}
		return func(context.Context) error { return f.wakeAlone(p) }
	case Asleep:
		if alive(o.State) {
			break
		}
		if !p.Due.IsZero() && !now.Before(p.Due.Add(-f.cfg.DueLead)) && !now.Before(p.dueAgain) && p.attempt == nil && p.failures.wait(now) == 0 {
			p.dueAgain = now.Add(dueRetry)
			return func(context.Context) error { return f.wakeAlone(p) }
		}
		return nil
	case Deleted:
		over := !now.Before(p.DeletedAt.Add(f.cfg.Grace))
		free := f.cfg.Replicated && o.State == driver.Stopped && o.ExitCode == 0
		if o.known && (alive(o.State) || over || free) {
			return func(ctx context.Context) error { return f.takeApart(ctx, p, over) }
		}
		return nil
	default:
		if !alive(o.State) {
			return nil
		}
	}
	return func(ctx context.Context) error {
		if !p.work.TryLock() {
			return nil
		}
		defer p.work.Unlock()
		return f.bringDown(ctx, p)
	}
}

func alive(s driver.State) bool {
	return s == driver.Running || s == driver.Starting || s == driver.Stopping
}

// dueRetry is the time until a due project is woken again that was refused, for its
// organization's quota for example. Its people may wake it at any time.
const dueRetry = time.Minute

// wakeAlone starts a project that nobody waits for, and waits for it.
func (f *Fleet) wakeAlone(p *project) error {
	a, err := f.begin(p)
	if err != nil || a == nil {
		return err
	}
	<-a.done
	return a.err
}

// compare notes when a project that should run does not, or runs elsewhere. Before
// is Fleet.readied when the engine was asked: one that became ready since then did
// not run then, and does.
func (f *Fleet) compare(p *project, status driver.Status, before uint64) {
	p.mu.Lock()
	url := p.url
	switch {
	case p.Want != Awake || url == "" || p.attempt != nil || len(p.work) > 0 || p.awake.number > before:
		p.mu.Unlock()
		return
	case status.State == driver.Running && (status.URL == url || status.URL == ""):
		p.mu.Unlock()
		return
	case status.State == driver.Running || status.State == driver.Starting:
		// The engine has started it anew by itself: wait for it.
		p.gone()
		f.publish(p)
		p.mu.Unlock()
		return
	}
	p.mu.Unlock()
	message := status.Message
	if message == "" {
		message = fmt.Sprintf("exit code %d", status.ExitCode)
	}
	_ = f.crashed(p, fmt.Errorf("it has ended: %s", message)) // told by its state
}

// bringDown stops a project that should not run. The caller holds p.work.
func (f *Fleet) bringDown(ctx context.Context, p *project) error {
	p.mu.Lock()
	want := p.Want
	p.mu.Unlock()
	if want == Awake {
		return nil // it was woken meanwhile
	}
	if err := f.cfg.Driver.Stop(ctx, p.ID); err != nil && !errors.Is(err, driver.ErrNotFound) {
		return fmt.Errorf("stop tenant: %w", err)
	}
	return nil
}

// takeApart stops a deleted project, frees the engine's part of it once its
// replica has all, and forgets it when the grace time is over.
func (f *Fleet) takeApart(ctx context.Context, p *project, over bool) error {
	if !p.work.TryLock() {
		return nil
	}
	defer p.work.Unlock()
	p.mu.Lock()
	want := p.Want
	p.mu.Unlock()
	if want != Deleted {
		return nil // given back meanwhile
	}
	if err := f.bringDown(ctx, p); err != nil {
		return err
	}
	if !over {
		status, err := f.cfg.Driver.Status(ctx, p.ID)
		if err != nil || !f.cfg.Replicated || status.State != driver.Stopped || status.ExitCode != 0 {
			return nil //nolint:nilerr // the disk is freed later, with all the rest
		}
		p.created = 0
		return f.cfg.Driver.Delete(ctx, p.ID)
	}
	// The registry comes last: what failed before is tried again.
	if err := f.cfg.Driver.Delete(ctx, p.ID); err != nil {
		return fmt.Errorf("delete tenant: %w", err)
	}
	if err := f.cfg.Purge(ctx, p.ID); err != nil {
		return fmt.Errorf("delete what is kept of project %s: %w", p.ID, err)
	}
	if err := f.cfg.Store.Forget(ctx, p.ID); err != nil {
		return err
	}
	f.mu.Lock()
	delete(f.projects, p.ID)
	f.mu.Unlock()
	f.cfg.Routes.Remove(p.ID)
	return nil
}

// nextAwake returns what is to be done for a project that runs. The caller holds p.mu.
func (f *Fleet) nextAwake(p *project, now time.Time) func(context.Context) error {
	a, url := p.awake, p.url
	switch {
	case f.cfg.IdleAfter > 0 && !now.Before(a.openUntil) && now.Sub(a.used) >= f.cfg.IdleAfter && !now.Before(a.askAt):
		a.askAt = now.Add(askTimeout) // not twice at once
		return func(ctx context.Context) error { return f.maySleep(ctx, p, url) }
	case !now.Before(a.collectAt):
		a.collectAt = now.Add(collectInterval)
		return func(ctx context.Context) error { f.collect(ctx, p, url); return nil }
	case f.cfg.HealthInterval > 0 && !now.Before(a.healthAt):
		a.healthAt = now.Add(f.cfg.HealthInterval)
		return func(ctx context.Context) error { return f.checkHealth(ctx, p, url) }
	}
	return nil
}
