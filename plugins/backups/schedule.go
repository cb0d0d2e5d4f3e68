package backups

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/picobase/picobase/internal/config"
	"github.com/picobase/picobase/plugins/backups/snapshots"
	"github.com/robfig/cron/v3"
)

// catchUpAfter is how long after the start what was missed meanwhile is made up
// for: a project that always sleeps at the scheduled hour is backed up too.
const catchUpAfter = 30 * time.Second

// watchInterval is how soon changed settings are in force.
const watchInterval = time.Second

// startSchedules runs what is scheduled by the settings, and follows them.
func (p *Plugin) startSchedules() error {
	p.mu.Lock()
	p.running, p.cancel = context.WithCancel(context.Background())
	p.mu.Unlock()
	p.reschedule()
	p.goBack(func(ctx context.Context) {
		if err := p.vault.Recover(ctx); err != nil && ctx.Err() == nil {
			// The store may be away; what is left behind does no harm.
			p.logger().Warn("tidy up after interrupted snapshots", "error", err)
		}
		p.load(ctx)
	})
	p.goBack(func(ctx context.Context) {
		start := time.Now()
		caughtUp := false
		ticker := time.NewTicker(watchInterval)
		defer ticker.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
			p.reschedule()
			if !caughtUp && time.Since(start) > catchUpAfter {
				caughtUp = true
				p.catchUp(ctx)
			}
		}
	})
	return nil
}

// stopSchedules ends what runs, and waits for it as long as ctx allows.
func (p *Plugin) stopSchedules(ctx context.Context) error {
	p.mu.Lock()
	jobs, cancel := p.cron, p.cancel
	p.cron, p.running, p.cancel, p.scheduled = nil, nil, nil, config.Backups{}
	p.mu.Unlock()
	if cancel != nil {
		cancel()
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		p.back.Wait()
		if jobs != nil {
			<-jobs.Stop().Done()
		}
	}()
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return errors.New("a backup had to be left behind")
	}
}

// reschedule makes the schedules those of the settings.
func (p *Plugin) reschedule() {
	want := p.settings()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.cron != nil && want == p.scheduled {
		return
	}
	if p.cron != nil {
		p.cron.Stop()
	}
	location, err := time.LoadLocation(want.Snapshots.TimeZone)
	if err != nil {
		p.logger().Error("the time zone of the settings is not known here, UTC is used", "error", err)
		location = time.UTC
	}
	p.cron, p.scheduled = cron.New(cron.WithLocation(location), cron.WithLogger(cron.DiscardLogger), cron.WithChain(
		cron.Recover(cronLogger{p.logger()}), cron.SkipIfStillRunning(cron.DiscardLogger),
	)), want
	p.addJob(want.Snapshots.Schedule, p.scheduledSnapshot)
	p.addJob(want.Drill.Schedule, func(ctx context.Context) { p.drill(ctx) })
	p.cron.Start()
}

// addJob adds a job that ends with the plugin. The caller holds mu.
func (p *Plugin) addJob(schedule string, job func(context.Context)) {
	if schedule == "" {
		return
	}
	_, err := p.cron.AddFunc(schedule, func() {
		done := make(chan struct{})
		p.goBack(func(ctx context.Context) {
			defer close(done)
			job(ctx)
		})
		<-done
	})
	if err != nil {
		p.logger().Error("a schedule of the settings does not parse", "schedule", schedule, "error", err)
	}
}

// catchUp does what should have been done while the project slept.
func (p *Plugin) catchUp(ctx context.Context) {
	all, err := p.vault.List(ctx)
	if err != nil {
		p.logger().Warn("list snapshots", "error", err)
		return
	}
	var last time.Time
	for _, s := range all {
		if s.Status == snapshots.OK && s.Created.After(last) {
			last = s.Created
		}
	}
	settings := p.settings()
	if !last.IsZero() && missed(settings, settings.Snapshots.Schedule, last) {
		p.scheduledSnapshot(ctx)
	}
	report, err := p.lastDrill(ctx)
	if err == nil && report != nil && missed(settings, settings.Drill.Schedule, report.Started) {
		p.drill(ctx)
	}
}

// missed reports whether a schedule had a time between last and now.
func missed(settings config.Backups, schedule string, last time.Time) bool {
	location, err := time.LoadLocation(settings.Snapshots.TimeZone)
	if err != nil || schedule == "" {
		return false
	}
	parsed, err := cron.ParseStandard(schedule)
	return err == nil && parsed.Next(last.In(location)).Before(time.Now())
}

// NextDue returns when the next snapshot or drill is scheduled and which, or the
// zero time when none is.
func (p *Plugin) NextDue() (first time.Time, reason string, err error) {
	settings := p.settings()
	location, err := time.LoadLocation(settings.Snapshots.TimeZone)
	if err != nil {
		location = time.UTC // as reschedule does
	}
	for _, job := range []struct{ schedule, reason string }{
		{settings.Snapshots.Schedule, "scheduled backup"}, {settings.Drill.Schedule, "scheduled restore drill"},
	} {
		if job.schedule == "" {
			continue
		}
		parsed, err := cron.ParseStandard(job.schedule)
		if err != nil {
			return first, "", fmt.Errorf("backups: %w", err)
		}
		if at := parsed.Next(time.Now().In(location)); !at.IsZero() && (first.IsZero() || at.Before(first)) {
			first, reason = at, job.reason
		}
	}
	return first, reason, nil
}

// scheduledSnapshot makes a snapshot unless nothing changed, and deletes old ones.
func (p *Plugin) scheduledSnapshot(ctx context.Context) {
	all, err := p.vault.List(ctx)
	if err != nil {
		p.logger().Error("scheduled snapshot", "error", err)
		p.metrics.made(err)
		return
	}
	for _, s := range all {
		if s.Status == snapshots.OK && !p.changedSince(s.At) {
			return
		}
	}
	// Recorded before the copy is made: after it, the entry would be a change that
	// the next snapshot is made for, and so on for ever.
	record := func(s snapshots.Snapshot) {
		if err := p.cfg.Record(nil, "backup.scheduled", s.ID); err != nil {
			p.logger().Error("audit entry lost", "error", err)
		}
	}
	if _, err := p.create(ctx, createWish{kind: snapshots.Scheduled, begun: record}); err != nil {
		p.logger().Error("scheduled snapshot", "error", err)
		return
	}
	settings := p.settings().Snapshots
	gone, err := p.vault.Prune(ctx, settings.Keep, time.Duration(settings.KeepDays)*24*time.Hour)
	if err != nil {
		p.logger().Warn("delete old snapshots", "error", err, "deleted", len(gone))
	}
}

// cronLogger reports the panics of jobs.
type cronLogger struct{ logger *slog.Logger }

func (l cronLogger) Info(string, ...any) {}

func (l cronLogger) Error(err error, message string, args ...any) {
	l.logger.Error(message, append(args, "error", err)...)
}
