package webhooks

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"sync"
	"time"

	"github.com/picobase/picobase/migrations"
)

const (
	// laneWidth is how many attempts one endpoint has under way at most. Endpoints
	// share nothing, so a slow one delays no other.
	laneWidth = 4

	// pollInterval is how soon what another process wrote, and what has become due,
	// is noticed.
	pollInterval = time.Second

	// troubleWait is the pause after the database did not take an outcome: without
	// it, the same delivery would be made again at once.
	troubleWait = 5 * time.Second

	// After a vain look at the table that took longer than slowLook, a lane starts
	// no new worker for restFactor times as long: a hundred thousand events that all
	// wait for an earlier one are looked through in half a second, again and again.
	slowLook   = 50 * time.Millisecond
	restFactor = 10
)

// dispatcher makes the attempts that are due. Each endpoint has a lane, with
// workers that take one delivery after the other from the table and end when none
// is due: what waits is on disk, not in memory.
type dispatcher struct {
	p      *Plugin
	waking chan struct{}

	mu      sync.Mutex
	ctx     context.Context // of the run under way; nil while stopped
	cancel  context.CancelFunc
	running *sync.WaitGroup // its goroutines
	lanes   map[string]*lane
}

// lane is the state of one endpoint's workers. Its fields are guarded by the
// dispatcher's mutex.
type lane struct {
	workers int
	flying  map[string]bool
	until   time.Time // no attempt before
	rest    time.Time // no new worker before

	claiming sync.Mutex // two workers must not take the same delivery
}

func (d *dispatcher) init(p *Plugin) {
	d.p, d.waking, d.lanes = p, make(chan struct{}, 1), map[string]*lane{}
}

// wake has the table looked at soon. It never waits.
func (d *dispatcher) wake() {
	select {
	case d.waking <- struct{}{}:
	default:
	}
}

func (d *dispatcher) start() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.ctx != nil {
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	d.ctx, d.cancel, d.running = ctx, cancel, &sync.WaitGroup{}
	d.running.Go(func() { d.loop(ctx) })
	d.wake() // for what an earlier process left
}

func (d *dispatcher) stop(ctx context.Context) error {
	d.mu.Lock()
	cancel, running := d.cancel, d.running
	d.ctx, d.cancel = nil, nil
	d.mu.Unlock()
	if cancel == nil {
		return nil
	}
	cancel()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		running.Wait()
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("webhooks: an attempt had to be left behind: %w", ctx.Err())
	}
}

func (d *dispatcher) loop(ctx context.Context) {
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-d.waking:
			d.fill(ctx)
		case <-ticker.C:
			d.follow()
			d.fill(ctx)
		}
	}
}

// follow reads the endpoints again if another process changed them.
func (d *dispatcher) follow() {
	version, err := d.p.version()
	if err == nil && version != d.p.endpoints.Load().version {
		err = d.p.reload()
	}
	if err != nil {
		d.p.app.Logger().Error("webhook endpoints could not be read again", "error", err)
	}
}

// fill makes sure that each endpoint with something to do has a worker.
func (d *dispatcher) fill(ctx context.Context) {
	endpoints := d.p.endpoints.Load().byID
	d.mu.Lock()
	defer d.mu.Unlock()
	for id, ep := range endpoints {
		if ep.disabled.IsZero() && !ep.blocking {
			d.addWorker(ctx, id)
		}
	}
	maps.DeleteFunc(d.lanes, func(id string, l *lane) bool { return endpoints[id] == nil && l.workers == 0 })
}

// addWorker starts one more worker unless the lane has all. The caller holds mu.
func (d *dispatcher) addWorker(ctx context.Context, endpointID string) {
	l := d.lanes[endpointID]
	if l == nil {
		l = &lane{flying: map[string]bool{}}
		d.lanes[endpointID] = l
	}
	// d.ctx is another one after a stop, and Wait must not meet Go.
	if l.workers == laneWidth || d.ctx != ctx || time.Now().Before(l.rest) {
		return
	}
	l.workers++
	d.running.Go(func() { d.work(ctx, endpointID, l) })
}

// work takes deliveries from the lane until there is none.
func (d *dispatcher) work(ctx context.Context, endpointID string, l *lane) {
	defer func() {
		if r := recover(); r != nil {
			d.p.app.Logger().Error("webhook worker", "error", fmt.Errorf("panic: %v\n%s", r, debug.Stack()))
		}
		d.mu.Lock()
		l.workers--
		d.mu.Unlock()
	}()
	for ctx.Err() == nil {
		ep := d.p.endpoints.Load().byID[endpointID]
		if ep == nil || !ep.disabled.IsZero() {
			return
		}
		taken := d.claim(endpointID, l)
		if taken == nil {
			return
		}
		d.mu.Lock()
		d.addWorker(ctx, endpointID) // there may be more
		d.mu.Unlock()
		d.attempt(ctx, ep, taken, l)
	}
}

// claim takes a due delivery that no other worker has, or nil.
func (d *dispatcher) claim(endpointID string, l *lane) *delivery {
	l.claiming.Lock()
	defer l.claiming.Unlock()
	now := d.p.cfg.Now()
	d.mu.Lock()
	held := now.Before(l.until)
	flying := make([]any, 0, laneWidth)
	for id := range l.flying {
		flying = append(flying, id)
	}
	d.mu.Unlock()
	if held {
		return nil
	}
	started := time.Now()
	taken, err := d.p.nextDue(endpointID, now, flying)
	if err != nil {
		d.p.app.Logger().Error("read webhook deliveries", "error", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if taken == nil {
		if took := time.Since(started); took > slowLook {
			l.rest = time.Now().Add(restFactor * took)
		}
		return nil
	}
	l.flying[taken.ID] = true
	return taken
}

// attempt sends a delivery and stores how that ended.
func (d *dispatcher) attempt(ctx context.Context, ep *endpoint, row *delivery, l *lane) {
	var hold time.Time
	defer func() {
		d.mu.Lock()
		delete(l.flying, row.ID)
		if hold.After(l.until) {
			l.until = hold
		}
		d.mu.Unlock()
	}()
	attempts := row.Attempts
	result := d.p.send(ctx, ep, row)
	if ctx.Err() != nil && result.status == 0 {
		return // broken off by the stop; the next start makes it again
	}
	outcome := d.p.settle(ep, row, result)
	stored, err := d.p.store(row, attempts)
	if err != nil {
		d.p.app.Logger().Error("store the outcome of a webhook", "delivery", row.ID, "error", err)
		hold = d.p.cfg.Now().Add(troubleWait)
		return
	}
	if !stored {
		return // what was decided meanwhile counts
	}
	hold = outcome.hold
	d.p.metrics.deliveries.WithLabelValues(outcome.name).Inc()
	if outcome.disable != "" {
		d.p.disable(ep, outcome.disable, result.problem())
	}
}

// until returns when the endpoint may be tried again, zero for at once.
func (d *dispatcher) until(endpointID string) (until time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if l := d.lanes[endpointID]; l != nil {
		until = l.until
	}
	return until
}

// release lets the endpoint be tried again at once, whatever it has asked for.
func (d *dispatcher) release(endpointID string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if l := d.lanes[endpointID]; l != nil {
		l.until = time.Time{}
	}
}

// Sending returns how many deliveries are being attempted now.
func (p *Plugin) Sending() (n int) {
	p.dispatch.mu.Lock()
	defer p.dispatch.mu.Unlock()
	for _, l := range p.dispatch.lanes {
		n += len(l.flying)
	}
	return n
}

// NextDue returns when the next delivery is due and why, or the zero time: the
// tenant must be awake then.
func (p *Plugin) NextDue() (at time.Time, reason string, err error) {
	for id, ep := range p.endpoints.Load().byID {
		if !ep.disabled.IsZero() {
			continue
		}
		var due int64
		err := p.inOrder("d.due", id).Row(&due)
		if errors.Is(err, sql.ErrNoRows) {
			continue
		}
		if err != nil {
			return at, "", fmt.Errorf("webhooks: next due: %w", err)
		}
		next := time.UnixMilli(due).UTC()
		if until := p.dispatch.until(id).UTC(); until.After(next) {
			next = until
		}
		if at.IsZero() || next.Before(at) {
			at, reason = next, "webhook delivery to "+migrations.WebhooksCollection+" "+id
		}
	}
	return at, reason, nil
}
