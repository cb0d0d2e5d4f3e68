package backups

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/picobase/picobase/plugins/backups/replica"
	"github.com/picobase/picobase/plugins/backups/restore"
	"github.com/picobase/picobase/plugins/backups/snapshots"
)

// wish says what to restore: a moment or a snapshot.
type wish struct {
	at       time.Time
	snapshot string
}

// begin notes a restore, unless another one is under way or a server runs on
// the folder of a command.
func (p *Plugin) begin(w wish) (restore.Order, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.serving.Load() {
		if err := p.lockFolder(); errors.Is(err, errLocked) {
			return restore.Order{}, errServed.WithCause(err)
		} else if err != nil {
			return restore.Order{}, err
		}
	}
	if p.order != nil && (p.order.Status == restore.Preparing || p.order.Status == restore.Restarting) {
		return restore.Order{}, errRestoreRuns
	}
	pending, err := restore.Pending(p.dir)
	if err != nil {
		return restore.Order{}, err
	}
	if pending != nil {
		return restore.Order{}, errRestoreRuns
	}
	order := restore.Order{ID: strings.ToLower(rand.Text()), Status: restore.Preparing, Started: time.Now().UTC()}
	if w.snapshot != "" {
		order.Snapshot = &w.snapshot
	} else {
		at := w.at.UTC()
		order.At = &at
	}
	p.order = &order
	return order, nil
}

func (p *Plugin) setOrder(order restore.Order) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.order = &order
}

// run makes the state that the order asks for, and has it put in place: by a
// restart of the server, or, for a command on a folder, when that is closed.
func (p *Plugin) run(ctx context.Context, order restore.Order) error {
	defer p.work.begin(workRestore)()
	if err := p.prepare(ctx, &order); err != nil {
		now := time.Now().UTC()
		order.Status, order.Finished, order.Error = restore.Failed, &now, public(err)
		p.setOrder(order)
		if noteErr := restore.Note(p.dir, order); noteErr != nil {
			err = errors.Join(err, noteErr)
		}
		p.logger().Error("restore failed, nothing was changed", "id", order.ID, "error", err)
		return err
	}
	p.setOrder(order)
	if !p.serving.Load() {
		return nil
	}
	// Not in this goroutine, which the end of the plugin waits for.
	go func() {
		if err := p.cfg.Restart(); err != nil {
			p.logger().Error("restart to finish the restore; start the server anew", "error", err)
		}
	}()
	return nil
}

// prepare does all of a restore that can be done beside the present state.
func (p *Plugin) prepare(ctx context.Context, order *restore.Order) error {
	hasData := true
	if _, err := os.Stat(filepath.Join(p.dir, "data.db")); errors.Is(err, fs.ErrNotExist) {
		hasData = false
	} else if err != nil {
		return err
	}
	if order.Snapshot != nil {
		if _, err := p.vault.Get(ctx, *order.Snapshot); err != nil {
			return err
		}
	}
	if hasData {
		before, err := p.create(ctx, createWish{kind: snapshots.BeforeRestore, label: "before a restore"})
		if err != nil {
			return fmt.Errorf("keep the present state as a snapshot: %w", err)
		}
		order.Before = before.ID
		p.setOrder(*order)
	}
	area, err := restore.Begin(p.dir)
	if err != nil {
		return err
	}
	if err := p.fill(ctx, area, *order, hasData); err != nil {
		return errors.Join(err, area.Abandon())
	}
	order.Status = restore.Restarting
	return area.Commit(*order, order.Snapshot != nil)
}

// fill makes the new state in the area.
func (p *Plugin) fill(ctx context.Context, area *restore.Area, order restore.Order, hasData bool) error {
	if order.Snapshot != nil {
		if err := p.vault.Extract(ctx, *order.Snapshot, area.New()); err != nil {
			return err
		}
	} else {
		if err := os.Mkdir(area.New(), 0o700); err != nil {
			return err
		}
		if _, err := p.restoreTo(ctx, filepath.Join(area.New(), "data.db"), *order.At); err != nil {
			return err
		}
	}
	if hasData || p.cfg.NoReplication {
		return nil
	}
	// The folder is lost: what must not be undone is in the newest replica. If
	// that is lost too, the restore is all there is.
	_, err := p.replica.Restore(ctx, area.Present(), time.Time{}, nil)
	switch {
	case errors.Is(err, replica.ErrNothing):
		return nil
	case ctx.Err() != nil:
		return err
	case err != nil:
		p.logger().Warn("API keys, sessions and the audit trail will be as they were at that time: the newest replica cannot be restored", "error", err)
	}
	return p.replica.MarkRestored(ctx)
}

// Finish carries out a restore that a command on the folder has prepared. The
// app must be closed.
func (p *Plugin) Finish(ctx context.Context) error {
	p.mu.Lock()
	order := p.order
	p.mu.Unlock()
	if p.serving.Load() || order == nil || order.Status != restore.Restarting {
		return nil
	}
	_, err := restore.Carry(ctx, p.dir)
	return errors.Join(err, p.lock.Unlock())
}

// lastRestore returns the restore under way, or the last one that ended.
func (p *Plugin) lastRestore() (*restore.Order, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.order != nil {
		order := *p.order
		return &order, nil
	}
	return restore.Last(p.dir)
}
