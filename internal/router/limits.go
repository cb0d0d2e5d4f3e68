package router

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"golang.org/x/sync/semaphore"

	"github.com/picobase/picobase/internal/apierr"
)

// Limits bound what clients can take from the router and from each other. The
// zero value of a field is its default.
type Limits struct {
	// Requests is how many may be open at once for one project. Default 500. Streams
	// (SSE, WebSocket) do not count.
	Requests int

	// TotalRequests is the same for all projects together. Default 4000. While more
	// than three quarters of them are open, a project may have a sixteenth at most.
	TotalRequests int

	// Streams is how many may be open at once for one project. Default 10000.
	Streams int

	// Held is how many requests may wait for one project, TotalHeld for all. Default
	// 2000 and 10000.
	Held, TotalHeld int

	// Connections is how many clients may hold, ConnectionsPerClient one address (an
	// IPv6 /64). Trusted proxies are not counted as one client. Default 20000 and 2000.
	Connections, ConnectionsPerClient int
}

func (l *Limits) complete() error {
	for _, field := range []struct {
		name  string
		value *int
		or    int
	}{
		{"Requests", &l.Requests, 500}, {"TotalRequests", &l.TotalRequests, 4000}, {"Streams", &l.Streams, 10_000},
		{"Held", &l.Held, 2000}, {"TotalHeld", &l.TotalHeld, 10_000},
		{"Connections", &l.Connections, 20_000}, {"ConnectionsPerClient", &l.ConnectionsPerClient, 2000},
	} {
		if *field.value < 0 {
			return fmt.Errorf("limits: %s must not be negative, got %d", field.name, *field.value)
		}
		if *field.value == 0 {
			*field.value = field.or
		}
	}
	return nil
}

const (
	// busyWait is how long a request waits for a slot of its project: a burst is no
	// overload.
	busyWait = time.Second

	// When that much of all slots is taken, no project gets more than its share.
	contended = 0.75
	share     = 1.0 / 16
)

// traffic is what goes on with one project.
type traffic struct {
	project string
	slots   *semaphore.Weighted // of requests
	taken   atomic.Int64        // slots
	streams atomic.Int64
	held    atomic.Int64

	open  atomic.Int64 // requests and streams, held or not
	last  atomic.Int64 // when the last one began or ended, in Unix nanoseconds
	noted atomic.Bool  // in the list of what is to be reported

	// preflight is when the router last answered a preflight in the project's place.
	preflight atomic.Int64

	waking waking
}

func newTraffic(project string, limits *Limits) *traffic {
	return &traffic{project: project, slots: semaphore.NewWeighted(int64(limits.Requests))}
}

// take gets a slot for a request, and waits for one no longer than wait.
func (r *Router) take(ctx context.Context, t *traffic, wait time.Duration) error {
	if !t.slots.TryAcquire(1) {
		if err := r.hold(t); err != nil {
			return err
		}
		waiting, cancel := context.WithTimeout(ctx, wait)
		err := t.slots.Acquire(waiting, 1)
		cancel()
		r.unhold(t)
		if err != nil {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return errBusy
		}
	}
	total, own := r.open.Add(1), t.taken.Add(1)
	limit := float64(r.cfg.Limits.TotalRequests)
	var refused *apierr.Error
	switch {
	case float64(total) > limit:
		refused = errRouterBusy
	case float64(total) > limit*contended && float64(own) > max(limit*share, 1):
		refused = errBusy
	default:
		return nil
	}
	r.give(t)
	return refused
}

// give returns the slot.
func (r *Router) give(t *traffic) {
	r.open.Add(-1)
	t.taken.Add(-1)
	t.slots.Release(1)
}

// hold counts a request that begins to wait. Who may not wait gets an error.
func (r *Router) hold(t *traffic) error {
	if t.held.Add(1) > int64(r.cfg.Limits.Held) {
		t.held.Add(-1)
		return errBusy
	}
	if r.held.Add(1) > int64(r.cfg.Limits.TotalHeld) {
		r.unhold(t)
		return errRouterBusy
	}
	return nil
}

func (r *Router) unhold(t *traffic) {
	r.held.Add(-1)
	t.held.Add(-1)
}

// isRefusal reports whether err is an answer and nothing that went wrong.
func isRefusal(err error) (*apierr.Error, bool) {
	var own *apierr.Error
	return own, errors.As(err, &own)
}
