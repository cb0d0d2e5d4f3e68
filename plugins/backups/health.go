package backups

import (
	"context"
	"fmt"
	"math"
	"time"

	"github.com/picobase/picobase/plugins/backups/snapshots"
)

// Finding is what a look at one part of the plugin found, for a health check.
// Only Err may hold secrets.
type Finding struct {
	Failing  bool
	Degraded bool
	Message  string
	Values   map[string]any
	Err      error
}

// degradedLag is from when on replication that is behind is worth a word.
const degradedLag = 15 * time.Second

// CheckReplication looks at replication. Without it, ok is false.
func (p *Plugin) CheckReplication(context.Context) (f Finding, ok bool) {
	if p.cfg.NoReplication {
		return f, false
	}
	s := p.replica.Status()
	f.Values = map[string]any{"lagSeconds": math.Round(1000*s.Lag.Seconds()) / 1000, "pendingBytes": s.Pending}
	f.Err = s.Err
	switch {
	case s.Lost:
		f.Failing, f.Message = true, "Another server has taken over this project; this one refuses writes."
	case s.Lag > degradedLag:
		f.Degraded = true
		f.Message = fmt.Sprintf("Replication is %d seconds behind; the object store does not take what is written.", int(s.Lag.Seconds()))
	}
	return f, true
}

// CheckFiles looks at uploaded files. Without a store for them, ok is false.
func (p *Plugin) CheckFiles(context.Context) (f Finding, ok bool) {
	if p.files == nil {
		return f, false
	}
	s := p.files.Status()
	if s.Disabled {
		return f, false
	}
	f.Values = map[string]any{"pending": s.Pending, "pendingBytes": s.PendingBytes, "missing": s.Missing}
	f.Err = s.LastError
	if !s.OldestPending.IsZero() && time.Since(s.OldestPending) > degradedLag && s.LastError != nil {
		f.Degraded, f.Message = true, fmt.Sprintf("Uploaded files that are in the data folder alone: %d.", s.Pending)
	}
	return f, true
}

// CheckBackups looks at the snapshots and drills that this process made: it asks
// no store, for a health check must cost nothing.
func (p *Plugin) CheckBackups(context.Context) Finding {
	m := p.metrics
	m.mu.Lock()
	defer m.mu.Unlock()
	f := Finding{Values: map[string]any{}}
	if !m.lastSnapshot.IsZero() {
		f.Values["lastSnapshot"] = m.lastSnapshot.UTC().Format(time.RFC3339)
	}
	if m.drill != nil {
		f.Values["lastDrill"] = map[string]any{
			"status": m.drill.Status, "started": m.drill.Started.Format(time.RFC3339), "seconds": m.drill.Duration,
		}
	}
	switch {
	case m.drill != nil && m.drill.Status != "ok":
		f.Degraded, f.Message = true, "The last restore drill failed: "+m.drill.Error+"."
	case m.snapshotErr != nil:
		f.Degraded, f.Message, f.Err = true, "The last snapshot failed.", m.snapshotErr
	}
	return f
}

// Ready reports why the server should not get requests, or nil.
func (p *Plugin) Ready() error {
	if p.replica.Lost() {
		return errTakenOver
	}
	return nil
}

// load reads from the stores what the health check says of the time before this
// process, as far as they answer.
func (p *Plugin) load(ctx context.Context) {
	report, err := p.lastDrill(ctx)
	if err == nil && report != nil {
		p.metrics.drilled(*report)
	}
	all, err := p.vault.List(ctx)
	if err != nil {
		return
	}
	for _, s := range all {
		if s.Status == snapshots.OK && s.Kind != snapshots.Uploaded {
			p.metrics.noteSnapshot(s.Created)
			return
		}
	}
}
