package fleet

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	askTimeout    = 15 * time.Second
	healthTimeout = 5 * time.Second

	// maxMissed is how many health checks in a row may go unanswered.
	maxMissed = 3

	// busyPause is the time until a tenant that is at work is asked again.
	busyPause = time.Minute

	// syncPause is the time until one is asked again that is not synced yet.
	syncPause = 2 * time.Second

	// worthSleeping is how long a tenant must be able to sleep to be stopped.
	worthSleeping = time.Minute
)

// maySleep asks a tenant that looks idle whether it is, and puts it to sleep.
func (f *Fleet) maySleep(ctx context.Context, p *project, url string) error {
	asking, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	answer, err := f.cfg.Tenants.Due(asking, p.ID, url)
	if err != nil {
		f.askLater(p, busyPause)
		return fmt.Errorf("ask whether it may sleep: %w", err)
	}
	now := f.cfg.Now()
	idle := max(now.Sub(answer.IdleSince), 0) // whatever it takes for the future
	switch {
	case answer.Busy != "":
		f.askLater(p, min(f.cfg.IdleAfter, busyPause))
		return nil
	case idle < f.cfg.IdleAfter:
		// It was used past the router.
		f.askLater(p, f.cfg.IdleAfter-idle)
		return nil
	case !answer.Due.IsZero() && answer.Due.Before(now.Add(f.cfg.DueLead+worthSleeping)):
		f.askLater(p, max(answer.Due.Sub(now), 0)+syncPause)
		return nil
	case !answer.Synced:
		f.askLater(p, syncPause)
		return nil
	}
	f.collect(ctx, p, url)
	return f.sleep(ctx, p, url, answer.Due)
}

func (f *Fleet) askLater(p *project, after time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.awake != nil {
		p.awake.askAt = f.cfg.Now().Add(after)
	}
}

// sleep takes the project's route back, then stops it. Whoever asks for it in
// between waits for the stop and has it started again.
func (f *Fleet) sleep(ctx context.Context, p *project, url string, due time.Time) error {
	if !p.work.TryLock() {
		return nil
	}
	defer p.work.Unlock()
	err := f.setState(ctx, p, State{Want: Asleep, Due: due}, func(want Want) error {
		if want != Awake || p.url != url || p.attempt != nil || f.cfg.Now().Before(p.awake.openUntil) {
			return errNotIdle
		}
		return nil
	})
	if errors.Is(err, errNotIdle) {
		return nil
	}
	if err != nil {
		return err
	}
	return f.bringDown(ctx, p)
}

// errNotIdle says that something has happened since the tenant was asked.
var errNotIdle = errors.New("not idle any more")

// collect takes over the tenant's figures, as far as it gives them.
func (f *Fleet) collect(ctx context.Context, p *project, url string) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	if err := f.cfg.Tenants.Collect(ctx, p.ID, url); err != nil {
		f.cfg.Logger.Warn("usage of a tenant not collected; it is next time", "project", p.ID, "error", err)
	}
}

// checkHealth restarts a tenant that runs and does not answer any more. One that
// answers that it is not ready is at work, at a restore for example.
func (f *Fleet) checkHealth(ctx context.Context, p *project, url string) error {
	checking, cancel := context.WithTimeout(ctx, healthTimeout)
	defer cancel()
	ready, err := f.cfg.Tenants.Ready(checking, p.ID, url)
	p.mu.Lock()
	if p.awake == nil || p.url != url {
		p.mu.Unlock()
		return nil
	}
	if ready && err == nil {
		p.awake.missed = 0
		p.mu.Unlock()
		f.cfg.Resolve(p.ID, Down)
		return nil
	}
	p.awake.missed++
	missed := p.awake.missed
	p.awake.healthAt = f.cfg.Now().Add(healthTimeout)
	p.mu.Unlock()
	if missed < maxMissed {
		return nil
	}
	if err == nil {
		f.cfg.Report(p.ID, Down, "It answers that it is not ready.")
		return nil
	}
	f.cfg.Report(p.ID, Down, "It runs and does not answer: "+err.Error())
	if !p.work.TryLock() {
		return nil
	}
	defer p.work.Unlock()
	// Its state in the store stays: the next pass starts it again.
	stopErr := f.cfg.Driver.Stop(ctx, p.ID)
	_ = f.crashed(p, fmt.Errorf("it did not answer: %w", err)) // told by its state
	return stopErr
}
