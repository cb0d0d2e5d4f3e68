package replica

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/superfly/ltx"
)

// Status is how replication is doing.
type Status struct {
	// Lag is the age of the oldest write that the store does not have, 0 when it
	// has all.
	Lag time.Duration

	// Pending is how many bytes wait on disk for the store.
	Pending int64

	// Synced is when the store last had everything.
	Synced time.Time

	// Err is why the last try failed; nil when it did not.
	Err error

	// Lost tells that another process has taken over the replica.
	Lost bool
}

// tracker keeps account of what is replicated.
type tracker struct {
	uploading sync.Mutex    // held while files go to the store
	uploaded  atomic.Uint64 // the last transaction that the store has, 0 for not known

	mu        sync.Mutex
	unread    time.Time // since when the log has what level 0 does not; zero for nothing
	lastWrite time.Time
	synced    time.Time
	localErr  error
	remoteErr error
}

func (t *tracker) uploadedTXID() ltx.TXID { return ltx.TXID(t.uploaded.Load()) }

// wrote notes that the log has changed.
func (t *tracker) wrote() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.lastWrite = time.Now()
	if t.unread.IsZero() {
		t.unread = t.lastWrite
	}
}

// read notes how an attempt to read the log ended.
func (t *tracker) read(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.localErr = err; err == nil {
		t.unread = time.Time{}
	}
}

// sent notes how an attempt to bring everything to the store ended.
func (t *tracker) sent(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.remoteErr = err; err == nil {
		t.synced = time.Now()
	}
}

func (t *tracker) healthy() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.localErr == nil && t.remoteErr == nil
}

// quiet reports whether there has been no write for a while.
func (t *tracker) quiet() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.unread.IsZero() && time.Since(t.lastWrite) > idleAfter
}

// idle reports whether there is nothing to do and has not been for a while.
func (r *Replica) idle() bool {
	newest, err := position(r.db)
	return err == nil && newest <= r.tracker.uploadedTXID() && r.tracker.quiet()
}

// Status returns how replication is doing. A replica that was never started has
// the zero status.
func (r *Replica) Status() Status {
	t := &r.tracker
	t.mu.Lock()
	s := Status{Synced: t.synced, Err: errors.Join(t.localErr, t.remoteErr), Lost: r.lease.lost.Load()}
	if !t.unread.IsZero() {
		s.Lag = time.Since(t.unread)
	}
	t.mu.Unlock()
	if r.database() == nil {
		return s
	}
	waiting, err := r.waiting()
	s.Err = errors.Join(s.Err, err)
	for _, file := range waiting {
		s.Pending += file.Size
	}
	if len(waiting) > 0 {
		s.Lag = max(s.Lag, time.Since(waiting[0].CreatedAt))
	}
	return s
}

// Window returns the first and the last moment that can be restored: of the last
// write that the store has, everything after being the same. Both are zero for a
// replica that has nothing yet.
func (r *Replica) Window(ctx context.Context) (from, to time.Time, err error) {
	live, err := r.client.list(ctx, 0, 0)
	if err != nil || len(live) == 0 {
		return from, to, err
	}
	packs, err := r.client.listPacks(ctx)
	if err != nil {
		return from, to, err
	}
	if to, err = r.client.headerTime(ctx, live[len(live)-1]); err != nil {
		return from, to, err
	}
	from = r.client.oldest(ctx, packs, live)
	if limit := time.Now().Add(-r.cfg.Retention()).UTC(); from.Before(limit) && limit.Before(to) {
		from = limit
	}
	return from, to, nil
}
