package backups

import (
	"context"
	"sync"
	"time"
)

// What the plugin is at, as Busy tells it.
const (
	workBackup  = "backups"
	workRestore = "restores"
	workDrill   = "drills"
)

// work counts what is under way.
type work struct {
	mu     sync.Mutex
	counts map[string]int
}

// begin counts a piece of work until end is called.
func (w *work) begin(what string) (end func()) {
	w.add(what, 1)
	return func() { w.add(what, -1) }
}

func (w *work) add(what string, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.counts == nil {
		w.counts = map[string]int{}
	}
	w.counts[what] += n
}

// Busy returns how many backups, restores and drills are under way.
func (p *Plugin) Busy() (backups, restores, drills int) {
	p.work.mu.Lock()
	defer p.work.mu.Unlock()
	return p.work.counts[workBackup], p.work.counts[workRestore], p.work.counts[workDrill]
}

// syncedTimeout bounds how long Synced waits for the store.
const syncedTimeout = 5 * time.Second

// Synced brings what was written to the store, and reports whether all is there:
// the database, and uploaded files. Without replication there is nothing to bring.
func (p *Plugin) Synced(ctx context.Context) bool {
	if !p.cfg.NoReplication {
		ctx, cancel := context.WithTimeout(ctx, syncedTimeout)
		defer cancel()
		if err := p.replica.Sync(ctx); err != nil {
			return false
		}
		if s := p.replica.Status(); s.Pending > 0 || s.Lost {
			return false
		}
	}
	return p.files == nil || p.files.Status().Pending == 0
}
