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
	want := p.Want
	info := p.Project
	p.mu.Unlock()
	switch want {
	case Deleted:
		return ErrDeleted
	case Off, Parked:
		if err := f.cfg.MayWake(ctx, info, f.Running(info.Organization)); err != nil {
			return err
		}
		p.mu.Lock()
		p.failures = nil
		p.mu.Unlock()
		if err := f.setState(ctx, p, State{Want: Asleep}); err != nil {
			return err
		}
		f.cfg.Resolve(id, CrashLoop)
	}
	_, err := f.Wake(ctx, id)
	return err
}

// StopProject stops the project until its owner starts it, and waits for that.
func (f *Fleet) StopProject(ctx context.Context, id string) error {
	p, err := f.change(ctx, id, State{Want: Off})
	if err != nil {
		return err
	}
	return f.settleNow(ctx, p)
}

// RestartProject stops the project and starts it again.
func (f *Fleet) RestartProject(ctx context.Context, id string) error {
	p := f.get(id)
	if p == nil {
		return ErrUnknown
	}
	p.mu.Lock()
	want := p.Want
	p.mu.Unlock()
	if want == Awake {
		// To sleep rather than off: requests in between are held.
		if _, err := f.change(ctx, id, State{Want: Asleep}); err != nil {
			return err
		}
		if err := f.settleNow(ctx, p); err != nil {
			return err
		}
	}
	return f.StartProject(ctx, id)
}

// Delete takes the project away from its users; Undelete gives it back until the
// grace time is over.
func (f *Fleet) Delete(ctx context.Context, id string) error {
	_, err := f.change(ctx, id, State{Want: Deleted, DeletedAt: f.cfg.Now()})
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
	p.mu.Lock()
	want := p.Want
	p.mu.Unlock()
	if want != Deleted {
		return nil
	}
	return f.setState(ctx, p, State{Want: Asleep})
}

// change stores another state of a project that is not deleted. What should not
// run any more has no route from then on.
func (f *Fleet) change(ctx context.Context, id string, state State) (*project, error) {
	p := f.get(id)
	if p == nil {
		return nil, ErrUnknown
	}
	p.mu.Lock()
	deleted := p.Want == Deleted
	url := p.url
	p.mu.Unlock()
	if deleted {
		return nil, ErrDeleted
	}
	if url != "" {
		f.collect(ctx, p, url)
	}
	return p, f.setState(ctx, p, state)
}

// settleNow does what a pass would do for the project, at once.
func (f *Fleet) settleNow(ctx context.Context, p *project) error {
	if err := f.cfg.Lead(); err != nil {
		return err
	}
	if err := p.work.Lock(ctx); err != nil {
		return err
	}
	defer p.work.Unlock()
	return f.bringDown(ctx, p)
}
