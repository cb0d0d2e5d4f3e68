package router

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/routes"
)

const (
	// wakeLimit ends a call of the waker that nobody may be waiting for any more.
	wakeLimit = 2 * time.Minute

	// wakePause is the shortest time between two calls for one project, so that one
	// that runs and cannot be reached does not keep the platform busy.
	wakePause = 500 * time.Millisecond
)

// waking is the way of one project from asleep to running. One call of the waker
// serves all who wait.
type waking struct {
	mu   sync.Mutex
	call *wakeCall // nil while none is under way

	// refused is what the last call said, for those who come before until.
	refused error
	until   time.Time
	awoke   time.Time // when the last call succeeded
}

type wakeCall struct {
	from   *place // where the project was when it began
	done   chan struct{}
	cancel context.CancelFunc
	err    error // once done is closed
	over   bool
}

// end tells who waits. Only the first end counts.
func (c *wakeCall) end(err error) {
	if !c.over {
		c.over, c.err = true, err
		c.cancel()
		close(c.done)
	}
}

// moved ends the wait for a project that the table says is somewhere.
func (t *traffic) moved() {
	t.waking.mu.Lock()
	defer t.waking.mu.Unlock()
	if call := t.waking.call; call != nil {
		call.end(nil)
		t.waking.call = nil
	}
}

// wake joins the call for the project or begins one. It returns nil when the
// waker has just said that it runs.
func (r *Router) wake(p *project, t *traffic) (*wakeCall, error) {
	w := &t.waking
	w.mu.Lock()
	defer w.mu.Unlock()
	now := time.Now()
	switch {
	case w.call != nil:
		return w.call, nil
	case now.Before(w.until):
		return nil, w.refused
	case now.Sub(w.awoke) < wakePause && p.place.Load().state == routes.Running:
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), wakeLimit)
	call := &wakeCall{from: p.place.Load(), done: make(chan struct{}), cancel: cancel}
	w.call = call
	go func() {
		defer cancel()
		began := time.Now()
		route, err := r.cfg.Waker.Wake(ctx, p.id)
		r.awoke(p, t, call, route, err, time.Since(began))
	}()
	return call, nil
}

// awoke does what the waker said.
func (r *Router) awoke(p *project, t *traffic, call *wakeCall, route routes.Route, err error, took time.Duration) {
	if err == nil && route.Project != p.id {
		err = fmt.Errorf("asked for project %q, the waker answered with %q", p.id, route.Project)
	}
	t.waking.mu.Lock()
	if call.over {
		// The table knew first.
		t.waking.mu.Unlock()
		r.metrics.woken(took, true)
		return
	}
	t.waking.call = nil
	now := time.Now()
	if err != nil {
		t.waking.until, t.waking.refused = r.wakeError(p, err, now)
		err = t.waking.refused
	} else {
		t.waking.awoke = now
		// Unless the table has moved it meanwhile: what that says is newer.
		p.place.CompareAndSwap(call.from, newPlace(route, call.from, r.logger))
	}
	call.end(err)
	t.waking.mu.Unlock()
	r.metrics.woken(took, err == nil)
}

// wakeError returns what clients are told, and until when.
func (r *Router) wakeError(p *project, err error, now time.Time) (until time.Time, refused error) {
	var own *apierr.Error
	if !errors.As(err, &own) {
		r.logger.Warn("a project was not woken", "project", p.id, "error", err)
		own = errWaking.WithCause(err)
	}
	// A long wait is for clients. The next of them may find that it is over.
	wait := min(max(own.RetryAfter, wakePause), 2*time.Second)
	return now.Add(wait), own
}

// awaken waits until the project is no longer asleep, or has been woken again
// after it could not be reached at stale. It returns an error once the deadline is over.
func (x *exchange) awaken(ctx context.Context, deadline time.Time, stale *place) error {
	r, t := x.router, x.traffic
	if r.cfg.Waker == nil {
		return errWaking
	}
	if err := r.hold(t); err != nil {
		return err
	}
	defer r.unhold(t)
	call, err := r.wake(x.project, t)
	if err != nil || call == nil {
		return err
	}
	// It may have moved between the look at its place and the call.
	if x.project.place.Load() != stale {
		return nil
	}
	timer := time.NewTimer(time.Until(deadline))
	defer timer.Stop()
	select {
	case <-call.done:
		return call.err
	case <-timer.C:
		return errWaking
	case <-ctx.Done():
		return ctx.Err()
	}
}
