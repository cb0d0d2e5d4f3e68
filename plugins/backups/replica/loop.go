package replica

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/benbjohnson/litestream"
	"github.com/picobase/picobase/internal/objectstore"
	"github.com/superfly/ltx"
)

const (
	// minBackoff and maxBackoff bound the time between two tries to reach the store.
	minBackoff = 500 * time.Millisecond
	maxBackoff = 5 * time.Second

	// fullSync is how often Litestream is asked even though the log looks unchanged.
	fullSync = 15 * time.Second

	// upkeepInterval is how often merges are looked at, while there are writes.
	upkeepInterval = 10 * time.Second

	// archiveInterval is how often level 0 is packed, and keepLoose how old its
	// files are then.
	archiveInterval = 5 * time.Minute
	keepLoose       = 2 * time.Minute

	// pruneInterval is how often what is too old is deleted.
	pruneInterval = 24 * time.Hour

	// shortRetention is the history that is left when there is no room for more.
	shortRetention = 24 * time.Hour
)

// run replicates until ctx ends. Reading the log, uploading, merging and the
// lease go on beside each other: a large upload must not let the log grow, nor a
// merge the lag.
func (r *Replica) run(ctx context.Context, done chan<- struct{}) {
	defer close(done)
	wake := make(chan struct{}, 1)
	var wg sync.WaitGroup
	for _, loop := range []func(){
		func() { r.localLoop(ctx, wake) },
		func() { r.uploadLoop(ctx, wake) },
		func() { r.upkeepLoop(ctx) },
		func() { r.leaseLoop(ctx) },
	} {
		wg.Go(loop)
	}
	wg.Wait()
}

// localLoop turns what is committed into files of level 0 beside the database.
func (r *Replica) localLoop(ctx context.Context, wake chan<- struct{}) {
	wal := walWatch{path: r.cfg.Path + "-wal"}
	var last time.Time
	for sleep(ctx, r.cfg.Interval()) {
		changed := wal.changed()
		if !changed && time.Since(last) < fullSync {
			continue
		}
		if changed {
			r.tracker.wrote()
		}
		before, _ := position(r.db)
		if changed {
			wal.flush()
		}
		err := r.syncLocal(ctx)
		if err != nil {
			wal.forget()
		}
		last = time.Now()
		after, _ := position(r.db)
		if err == nil {
			r.noteRead(ctx, after != before)
		}
		if after != before || changed {
			select {
			case wake <- struct{}{}:
			default:
			}
		}
	}
}

func (r *Replica) syncLocal(ctx context.Context) error {
	err := r.database().Sync(ctx)
	if ctx.Err() == nil {
		r.tracker.read(err)
	}
	return err
}

// walWatch tells whether the write-ahead log was written to, by its time and
// size: an idle database costs one look at a directory entry.
type walWatch struct {
	path string
	size int64
	at   time.Time
}

func (w *walWatch) changed() bool {
	info, err := os.Stat(w.path)
	if err != nil {
		return true
	}
	if info.Size() == w.size && info.ModTime().Equal(w.at) {
		return false
	}
	w.size, w.at = info.Size(), info.ModTime()
	// Times are coarse: another write may have the same one.
	if time.Since(w.at) < 50*time.Millisecond {
		w.forget()
	}
	return true
}

// flush has the log written to the disk. Litestream's checkpoint does the same
// while it keeps writers out; done before, that takes it a fourth of the time.
func (w *walWatch) flush() {
	// No lock of SQLite's is on this file, so that it may be closed again. What
	// goes wrong here goes wrong again, and is told, when the log is read.
	if file, err := os.Open(w.path); err == nil {
		_ = errors.Join(file.Sync(), file.Close())
	}
}

func (w *walWatch) forget() { w.at = time.Time{} }

// uploadLoop brings the files of level 0 to the store, in order.
func (r *Replica) uploadLoop(ctx context.Context, wake <-chan struct{}) {
	var wait, backoff time.Duration // at first for what the last process left
	for {
		select {
		case <-ctx.Done():
			return
		case <-wake:
			if backoff > 0 && !sleep(ctx, backoff) {
				return
			}
		case <-time.After(wait):
		}
		err := r.upload(ctx)
		switch {
		case ctx.Err() != nil || errors.Is(err, ErrLost):
			return
		case err == nil:
			wait, backoff = fullSync, 0
			continue
		}
		if backoff == 0 {
			r.cfg.Logger.Warn("replication is behind", "error", err)
		}
		backoff = min(max(2*backoff, minBackoff), maxBackoff)
		wait = backoff
		if err := r.boundPending(ctx); err != nil {
			r.cfg.Logger.Error("what waits for replication could not be merged", "error", err)
		}
	}
}

// upload sends everything that the store lacks.
func (r *Replica) upload(ctx context.Context) (err error) {
	r.tracker.uploading.Lock()
	defer r.tracker.uploading.Unlock()
	defer func() {
		if ctx.Err() == nil {
			r.tracker.sent(err)
		}
	}()
	waiting, err := r.waiting()
	if err != nil || len(waiting) == 0 {
		return err
	}
	if err := r.mayWrite(ctx); err != nil {
		return err
	}
	if r.tracker.uploadedTXID() == 0 {
		newest, err := r.client.newest(ctx)
		if err != nil {
			return err
		}
		r.tracker.uploaded.Store(uint64(newest))
		if waiting, err = r.waiting(); err != nil {
			return err
		}
	}
	for _, file := range waiting {
		if next := r.tracker.uploadedTXID() + 1; file.MinTXID != next {
			return fmt.Errorf("transaction %s is missing in %s", next, r.db.LTXDir())
		}
		if err := r.mayWrite(ctx); err != nil {
			return err
		}
		if err := r.uploadFile(ctx, file); err != nil {
			return fmt.Errorf("upload: %w", err)
		}
		r.tracker.uploaded.Store(uint64(file.MaxTXID))
	}
	return nil
}

// mayWrite makes sure of the lease, and of the whole claim if the store was away
// when this process started.
func (r *Replica) mayWrite(ctx context.Context) error {
	r.mu.Lock()
	claimed := r.claimed
	r.mu.Unlock()
	if claimed {
		return r.lease.ensure(ctx, false)
	}
	if r.lease.lost.Load() {
		return ErrLost
	}
	err := r.claimLate(ctx)
	var held *HeldError
	if errors.As(err, &held) || errors.Is(err, ErrNotOurs) {
		r.cfg.Logger.Error("this folder cannot be replicated", "error", err)
		r.lease.lost.Store(true)
		return ErrLost
	}
	return err
}

func (r *Replica) claimLate(ctx context.Context) error {
	remote, err := r.client.newest(ctx)
	if err != nil {
		return err
	}
	if remote == 0 {
		return errors.New("the replica is gone from the store; restart to begin a new one")
	}
	s, err := readState(r.cfg.MetaDir)
	if err != nil {
		return err
	}
	return r.claimFor(ctx, &s, true)
}

// waiting returns the local files of level 0 that the store lacks, in order.
func (r *Replica) waiting() ([]*ltx.FileInfo, error) {
	return r.localFiles(func(file *ltx.FileInfo) bool { return file.MinTXID > r.tracker.uploadedTXID() })
}

// localFiles returns the local files of level 0 that are wanted, in order.
func (r *Replica) localFiles(wanted func(*ltx.FileInfo) bool) ([]*ltx.FileInfo, error) {
	entries, err := os.ReadDir(r.db.LTXLevelDir(0))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var files []*ltx.FileInfo
	for _, entry := range entries {
		minTXID, maxTXID, err := ltx.ParseFilename(entry.Name())
		if err != nil {
			continue
		}
		info, err := entry.Info()
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		file := &ltx.FileInfo{MinTXID: minTXID, MaxTXID: maxTXID, Size: info.Size(), CreatedAt: info.ModTime()}
		if wanted(file) {
			files = append(files, file)
		}
	}
	slices.SortFunc(files, func(a, b *ltx.FileInfo) int { return cmp.Compare(a.MinTXID, b.MinTXID) })
	return files, nil
}

// uploadFile stores a file that nobody else has stored: should a process that
// lost its lease not know of it yet, its files and ours meet here.
func (r *Replica) uploadFile(ctx context.Context, file *ltx.FileInfo) error {
	local, err := os.Open(r.db.LTXPath(0, file.MinTXID, file.MaxTXID))
	if err != nil {
		return err
	}
	defer func() { _ = local.Close() }() // only read from
	_, err = r.client.write(ctx, 0, file.MinTXID, file.MaxTXID, local, true)
	if !errors.Is(err, objectstore.ErrChanged) {
		return err
	}
	if err := r.lease.verify(ctx); err != nil {
		return err
	}
	// An earlier try of our own, or of one that is not the writer any more.
	if _, err := local.Seek(0, io.SeekStart); err != nil {
		return err
	}
	_, err = r.client.write(ctx, 0, file.MinTXID, file.MaxTXID, local, false)
	return err
}

// boundPending merges what waits for the store once it is more than MaxPending:
// merged, it is at most as large as the database. The newest file stays as it
// is, for Litestream goes on from there.
func (r *Replica) boundPending(ctx context.Context) error {
	r.tracker.uploading.Lock()
	defer r.tracker.uploading.Unlock()
	waiting, err := r.waiting()
	if err != nil {
		return err
	}
	var size int64
	for _, file := range waiting {
		size += file.Size
	}
	if size <= r.cfg.MaxPending || len(waiting) < 3 {
		return nil
	}
	waiting = waiting[:len(waiting)-1]
	// Merging again what is one large merge already would only shorten it by little.
	if last := waiting[0].Size; size-last <= r.cfg.MaxPending/4 {
		return nil
	}
	return r.mergeLocal(ctx, waiting)
}

func (r *Replica) mergeLocal(ctx context.Context, files []*ltx.FileInfo) (err error) {
	var readers []io.Reader
	for _, file := range files {
		local, err := os.Open(r.db.LTXPath(0, file.MinTXID, file.MaxTXID))
		if err != nil {
			return err
		}
		defer func() { _ = local.Close() }() // only read from
		readers = append(readers, local)
	}
	path := r.db.LTXPath(0, files[0].MinTXID, files[len(files)-1].MaxTXID)
	merged, err := os.OpenFile(path+".tmp", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(path+".tmp")) }()
	compactor, err := ltx.NewCompactor(merged, readers)
	if err != nil {
		return errors.Join(err, merged.Close())
	}
	compactor.HeaderFlags = ltx.HeaderFlagNoChecksum
	if err := errors.Join(compactor.Compact(ctx), merged.Sync(), merged.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+".tmp", path); err != nil {
		return err
	}
	for _, file := range files {
		if old := r.db.LTXPath(0, file.MinTXID, file.MaxTXID); old != path {
			err = errors.Join(err, os.Remove(old))
		}
	}
	return err
}

// leaseLoop keeps the lease, also while a large upload is under way.
func (r *Replica) leaseLoop(ctx context.Context) {
	lastError := time.Time{}
	for sleep(ctx, time.Second) {
		r.mu.Lock()
		claimed := r.claimed
		r.mu.Unlock()
		if !claimed || time.Since(lastError) < leaseRenewal {
			continue
		}
		err := r.lease.ensure(ctx, r.idle())
		switch {
		case errors.Is(err, ErrLost):
			r.cfg.Logger.Error("another process has taken over the replica: writes are refused from now on")
			return
		case err != nil:
			lastError = time.Now()
		}
	}
}

// upkeepLoop merges files into higher levels, takes the daily snapshot, packs
// the history and deletes what is older than the retention. It sleeps while
// nothing is written: an idle process is silent on the network.
func (r *Replica) upkeepLoop(ctx context.Context) {
	var lastArchive, lastPrune time.Time
	for sleep(ctx, upkeepInterval) {
		if r.idle() || r.lease.lost.Load() || !r.tracker.healthy() {
			continue
		}
		merged, err := r.compact(ctx)
		if err == nil {
			err = r.dropLocal(merged)
		}
		if err == nil && time.Since(lastArchive) >= archiveInterval {
			if err = r.archive(ctx, merged, keepLoose); err == nil {
				lastArchive = time.Now()
			}
		}
		low := r.cfg.SpaceLow()
		if err == nil && (time.Since(lastPrune) >= pruneInterval || low && time.Since(lastPrune) >= archiveInterval) {
			if err = r.prune(ctx, low); err == nil {
				lastPrune = time.Now()
			}
		}
		if err != nil && ctx.Err() == nil {
			r.cfg.Logger.Warn("upkeep of the replica", "error", err)
		}
	}
}

// compact returns the last transaction that is merged into level 1.
func (r *Replica) compact(ctx context.Context) (ltx.TXID, error) {
	for _, level := range append(slices.Clone(levels[1:]), r.store.SnapshotLevel()) {
		_, err := r.store.CompactDB(ctx, r.db, level)
		switch {
		case err == nil, errors.Is(err, litestream.ErrNoCompaction), errors.Is(err, litestream.ErrCompactionTooEarly):
		case errors.Is(err, litestream.ErrDBNotReady):
			return 0, nil
		default:
			return 0, fmt.Errorf("merge into level %d: %w", level.Level, err)
		}
	}
	info, err := r.db.MaxLTXFileInfo(ctx, 1)
	return info.MaxTXID, err
}

// prune deletes what is older than the retention, but for the last snapshot
// before, from which a restore to its beginning starts.
func (r *Replica) prune(ctx context.Context, low bool) error {
	retention := r.cfg.Retention()
	if low && retention > shortRetention {
		retention = shortRetention
		r.cfg.Logger.Warn("the disk is almost full: the history for restores to a moment is cut", "to", retention)
	}
	r.store.SnapshotRetention = retention + 25*time.Hour
	if err := r.store.EnforceSnapshotRetention(ctx, r.db); err != nil {
		return err
	}
	return r.client.pruneHistory(ctx, time.Now().Add(-r.store.SnapshotRetention))
}

// dropLocal deletes the local files of level 0 that are in the store and merged;
// the newest stays, for Litestream goes on from there.
func (r *Replica) dropLocal(merged ltx.TXID) error {
	uploaded := r.tracker.uploadedTXID()
	newest, err := position(r.db)
	if err != nil {
		return err
	}
	old, err := r.localFiles(func(file *ltx.FileInfo) bool {
		return file.MaxTXID <= min(merged, uploaded) && file.MaxTXID < newest
	})
	for _, file := range old {
		err = errors.Join(err, os.Remove(filepath.Clean(r.db.LTXPath(0, file.MinTXID, file.MaxTXID))))
	}
	return err
}

// sleep waits; it reports false when ctx ended.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
