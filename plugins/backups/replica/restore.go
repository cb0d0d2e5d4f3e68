package replica

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/benbjohnson/litestream"
	"github.com/superfly/ltx"
	_ "modernc.org/sqlite" // the driver of PocketBase itself: one SQLite per process
)

// ErrNothing says that the replica holds nothing to restore.
var ErrNothing = errors.New("there is no replica to restore from")

// Restored says what a restore brought back.
type Restored struct {
	// At is the moment that the database is of: that of the last write before
	// the one asked for.
	At time.Time

	// TXID is the last transaction of it.
	TXID ltx.TXID
}

// Restore writes the database as it was at a moment, or with a zero time as it
// is now, to path, which must not exist. It is checked before it is there; a
// restore that is killed leaves nothing at path. progress may be nil.
func (r *Replica) Restore(ctx context.Context, path string, at time.Time, progress func(done, total int64)) (Restored, error) {
	found, err := r.target(ctx, at)
	if err != nil {
		return found, err
	}
	reader := *r.client
	view, plan, err := reader.plan(ctx, found.TXID)
	if err != nil {
		return found, err
	}
	if progress != nil {
		var mu sync.Mutex
		var done, total int64
		for _, file := range plan {
			total += file.Size
		}
		view.read = func(n int) {
			mu.Lock()
			defer mu.Unlock()
			done += int64(n)
			progress(min(done, total), total)
		}
	}
	if err := restoreChecked(ctx, view, plan, path); err != nil {
		return found, err
	}
	return found, nil
}

// Find returns what a restore to a moment would bring back, without doing it.
func (r *Replica) Find(ctx context.Context, at time.Time) (Restored, error) { return r.target(ctx, at) }

// target finds the transaction to restore.
func (r *Replica) target(ctx context.Context, at time.Time) (Restored, error) {
	live, err := r.client.list(ctx, 0, 0)
	if err != nil {
		return Restored{}, err
	}
	if len(live) == 0 {
		return Restored{}, ErrNothing
	}
	if !at.IsZero() {
		txid, moment, err := r.client.find(ctx, at)
		return Restored{At: moment, TXID: txid}, err
	}
	newest := live[len(live)-1]
	moment, err := r.client.headerTime(ctx, newest)
	return Restored{At: moment, TXID: newest.MaxTXID}, err
}

// plan returns the view of the replica to restore from, and the files that will
// be read. The files of level 0 come out of packs only where no other level has
// what they hold; should the levels have a gap, all packs since the snapshot help.
func (c *client) plan(ctx context.Context, target ltx.TXID) (*withHistory, []*ltx.FileInfo, error) {
	var problem error
	for _, covering := range [][]int{{1, 2, 3, litestream.SnapshotLevel}, {litestream.SnapshotLevel}, {}} {
		view, err := c.historyUntil(ctx, target, covering)
		if err != nil {
			return nil, nil, err
		}
		plan, err := litestream.CalcRestorePlan(ctx, view, target, time.Time{}, slog.New(slog.DiscardHandler))
		if err == nil {
			return view, plan, nil
		}
		if problem == nil {
			problem = err
		}
	}
	return nil, nil, fmt.Errorf("the replica is not whole: %w", problem)
}

// restoreChecked restores into a folder of its own, so that nothing is at path
// before it is known to be good.
func restoreChecked(ctx context.Context, view *withHistory, plan []*ltx.FileInfo, path string) (err error) {
	scratch, err := os.MkdirTemp(filepath.Dir(path), ".restoring-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()

	fresh := filepath.Join(scratch, filepath.Base(path))
	db, err := os.OpenFile(fresh, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	if err := errors.Join(view.apply(ctx, plan, db), db.Close()); err != nil {
		return err
	}
	if err := checkIntegrity(ctx, fresh); err != nil {
		return err
	}
	return os.Rename(fresh, path)
}

func checkIntegrity(ctx context.Context, path string) (err error) {
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var result string
	if err := db.QueryRowContext(ctx, "PRAGMA quick_check(1)").Scan(&result); err != nil {
		return fmt.Errorf("check the restored database: %w", err)
	}
	if result != "ok" {
		return fmt.Errorf("check the restored database: %s", result)
	}
	return nil
}

// MarkRestored notes in a data folder that it was restored from the replica, so
// that the next Claim knows that they belong together, as long as nobody wrote to
// the replica meanwhile. The folder must not be in use.
func (r *Replica) MarkRestored(ctx context.Context) error {
	newest, err := r.client.newest(ctx)
	if err != nil {
		return err
	}
	id, err := r.readID(ctx)
	if err != nil {
		return err
	}
	s, err := r.prepareOwner()
	if err != nil {
		return err
	}
	s.Replica, s.Restored = id, newest
	return errors.Join(os.RemoveAll(r.ltxDir()), s.write(r.cfg.MetaDir))
}
