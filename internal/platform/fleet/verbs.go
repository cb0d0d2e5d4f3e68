package fleet

import (
	"context"
	"errors"
)

// StartProject wants the project to run, also one that was stopped or parked, and
// waits until it does or ctx ends.
func (f *Fleet) StartProject(ctx context.Context, id string) error {
	p := f.get(id)
	if p == nil {
		return ErrUnknown
	}
	p.mu.Lock()
	info := p.Project
	p.mu.Unlock()
	if info.Want == Off || info.Want == Parked {
		if err := f.cfg.MayWake(ctx, info, f.Running(info.Organization)); err != nil {
			return err
		}
		if err := f.setState(ctx, p, State{Want: Asleep}, notDeleted); err != nil {
			return err
		}
		p.mu.Lock()
		p.failures = nil
		p.mu.Unlock()
		f.cfg.Resolve(id, CrashLoop)
	}
	_, err := f.Wake(ctx, id)
	return err
}

// StopProject stops the project until its owner starts it, and waits for that.
func (f *Fleet) StopProject(ctx context.Context, id string) error {
	p := f.get(id)
	if p == nil {
		return ErrUnknown
	}
	f.collectLast(ctx, p)
	if err := f.setState(ctx, p, State{Want: Off}, notDeleted); err != nil {
		return err
	}
	if err := f.cfg.Lead(); err != nil {
		return err
	}
	if err := p.work.Lock(ctx); err != nil {
		return err
	}
	defer p.work.Unlock()
	return f.bringDown(ctx, p)
}

// RestartProject stops the project and starts it again. Requests in between are held.
func (f *Fleet) RestartProject(ctx context.Context, id string) error {
	p := f.get(id)
	if p == nil {
		return ErrUnknown
	}
	f.collectLast(ctx, p)
	if err := f.stopForRestart(ctx, p); err != nil {
		return err
	}
	return f.StartProject(ctx, id)
}

func (f *Fleet) stopForRestart(ctx context.Context, p *project) error {
	if err := f.cfg.Lead(); err != nil {
		return err
	}
	// Before its state is changed, so that nobody starts it in between.
	if err := p.work.Lock(ctx); err != nil {
		return err
	}
	defer p.work.Unlock()
	if err := f.setState(ctx, p, State{Want: Asleep}, notDeleted); err != nil {
		return err
	}
	return f.bringDown(ctx, p)
}

// Delete takes the project away from its users; Undelete gives it back until the
// grace time is over.
func (f *Fleet) Delete(ctx context.Context, id string) error {
	p := f.get(id)
	if p == nil {
		return ErrUnknown
	}
	f.collectLast(ctx, p)
	err := f.setState(ctx, p, State{Want: Deleted, DeletedAt: f.cfg.Now()}, notDeleted)
	if errors.Is(err, ErrDeleted) {
		return nil
	}
	if err == nil {
		f.cfg.Resolve(id, Down)
		f.cfg.Resolve(id, CrashLoop)
	}
	return err
}

// Undelete gives a deleted project back, asleep.
func (f *Fleet) Undelete(ctx context.Context, id string) error {
	p := f.get(id)
	if p == nil {
		return ErrUnknown
	}
	// Not while it is being taken apart.
	if err := p.work.Lock(ctx); err != nil {
		return err
	}
	defer p.work.Unlock()
	if f.get(id) == nil {
		return ErrUnknown
	}
	err := f.setState(ctx, p, State{Want: Asleep}, func(want Want) error {
		switch {
		case want != Deleted:
			return errNotDeleted
		case !f.cfg.Now().Before(p.DeletedAt.Add(f.cfg.Grace)):
			return ErrGone // it may be half taken apart
		}
		return nil
	})
	if errors.Is(err, errNotDeleted) {
		return nil
	}
	return err
}

var errNotDeleted = errors.New("the project is not deleted")

func notDeleted(want Want) error {
	if want == Deleted {
		return ErrDeleted
	}
	return nil
}

// collectLast takes over the figures of a project that is about to stop.
func (f *Fleet) collectLast(ctx context.Context, p *project) {
	p.mu.Lock()
	url := p.url
	p.mu.Unlock()
	if url != "" {
		f.collect(ctx, p, url)
	}
}
