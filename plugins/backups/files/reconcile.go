package files

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/picobase/picobase/internal/objectstore"
	"github.com/pocketbase/pocketbase/core"
)

const (
	reconcileInterval = 24 * time.Hour

	// A reconcile that failed lists everything again, hence the slow back-off.
	minRetryDelay = 5 * time.Second
	maxRetryDelay = 10 * time.Minute

	backgroundFetches = 2
	fetchFailures     = 3 // in a row tell that the store is away

	minFreeDisk = 1 << 30
)

// loop reconciles now, daily, when asked, and after a failure sooner.
func (p *Plugin) loop(ctx context.Context) {
	delay := p.retryDelay
	for {
		wait := reconcileInterval
		err := p.Reconcile(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			p.logError("reconcile", err)
			wait, delay = delay, min(2*delay, maxRetryDelay)
		default:
			delay = p.retryDelay
		}
		timer := time.NewTimer(wait)
		select {
		case <-timer.C:
		case <-p.wake:
		case <-ctx.Done():
		}
		timer.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// poke asks the loop for a reconcile.
func (p *Plugin) poke() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// recovered is told that the store is back.
func (p *Plugin) recovered() {
	p.mu.Lock()
	failed := p.reconcileErr != nil
	p.mu.Unlock()
	if failed {
		p.poke()
	}
}

// Reconcile compares the store with the local folder and makes each whole: it
// queues files that only the folder has, fetches those that only the store has,
// and deletes from the store what no record has named for the retention. Start
// does this by itself; it is to be called after the database was replaced.
// It returns when everything is fetched, and queued for upload.
func (p *Plugin) Reconcile(ctx context.Context) error {
	if !p.enabled() {
		p.skipped.Store(true)
		return nil
	}
	select {
	case p.reconciling <- struct{}{}:
		defer func() { <-p.reconciling }()
	case <-ctx.Done():
		return ctx.Err()
	}
	err := safely(func() error { return p.reconcile(ctx) })
	p.mu.Lock()
	defer p.mu.Unlock()
	p.spooled, p.spooledBytes = 0, 0
	if ctx.Err() == nil {
		p.reconcileErr = err
	}
	return err
}

func (p *Plugin) reconcile(ctx context.Context) error {
	dir := filepath.Join(p.app.DataDir(), core.LocalTempDirName)
	uploads, fetches := &spool{dir: dir}, &spool{dir: dir}
	defer uploads.close()
	defer fetches.close()
	if err := p.survey(ctx, uploads, fetches); err != nil {
		return err
	}
	p.mu.Lock()
	p.lastReconcile = p.cfg.Now()
	p.missing = fetches.count
	p.spooled, p.spooledBytes, p.spooledSince = uploads.count, uploads.bytes, time.Now()
	p.mu.Unlock()

	var group sync.WaitGroup
	var uploadErr error
	group.Go(func() { uploadErr = safely(func() error { return p.uploadSpool(ctx, uploads) }) })
	fetchErr := p.fetchSpool(ctx, fetches)
	group.Wait()
	return errors.Join(uploadErr, fetchErr)
}

// survey compares everything. Only when that ended well, something is deleted.
func (p *Plugin) survey(ctx context.Context, uploads, fetches *spool) error {
	s, err := p.newSweep(ctx)
	if err != nil {
		return err
	}
	for e, err := range p.compare(ctx) {
		switch {
		case err != nil:
			return err
		case e.isPending() && !p.uploads.has(e.key):
			var size int64
			if info, err := os.Stat(p.path(e.key)); err == nil {
				size = info.Size()
			}
			err = uploads.add(e.key, size)
		case e.isMissing():
			err = fetches.add(e.key, e.stored.Size)
		case !e.named && len(e.objects()) > 0:
			s.see(e)
		}
		if err != nil {
			return err
		}
	}
	return s.finish(ctx)
}

// uploadSpool hands the files to the queue, no faster than it uploads them.
func (p *Plugin) uploadSpool(ctx context.Context, files *spool) error {
	for key, size := range files.all() {
		if err := p.uploads.room(ctx); err != nil {
			return err
		}
		_, err := p.uploads.add(key)
		if err != nil {
			p.logError("upload", err)
		}
		p.mu.Lock()
		p.spooled--
		p.spooledBytes -= size
		p.mu.Unlock()
	}
	return files.err
}

// fetchSpool fetches the files, a few at a time.
func (p *Plugin) fetchSpool(ctx context.Context, files *spool) error {
	var mu sync.Mutex
	var row int // of failures
	var last error
	left := files.count
	away := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return row >= fetchFailures
	}

	jobs := make(chan string)
	var group sync.WaitGroup
	for range backgroundFetches {
		group.Go(func() {
			for key := range jobs {
				err := p.fetch(ctx, key)
				mu.Lock()
				if err == nil || errors.Is(err, objectstore.ErrNotFound) { // or no record names it any more
					row = 0
					left--
				} else {
					row++
					last = err
				}
				mu.Unlock()
			}
		})
	}
	full := false
	for key, size := range files.all() {
		if away() || ctx.Err() != nil || !p.enabled() {
			break
		}
		if p.hasRoom(size) {
			jobs <- key
		} else {
			full = true // a smaller one may fit
		}
	}
	close(jobs)
	group.Wait()

	p.mu.Lock()
	p.missing = left
	p.mu.Unlock()
	if full {
		p.app.Logger().Warn("files: the disk is too full to fetch all files; each is fetched when it is asked for")
	}
	return errors.Join(last, ctx.Err(), files.err)
}

// hasRoom reports whether the disk would be left with enough after a download.
func (p *Plugin) hasRoom(size int64) bool {
	dir := p.storageDir()
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		dir = p.app.DataDir()
	}
	free, total, err := p.diskSpace(dir)
	if err != nil {
		return true // not known on this system
	}
	return free >= max(total/10, minFreeDisk)+uint64(max(size, 0))
}
