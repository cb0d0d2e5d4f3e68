package replica

import (
	"bufio"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
	"time"

	"github.com/superfly/ltx"
)

// changes knows when the database last changed. Litestream's own marks, which it
// writes after each checkpoint, are no change of it.
type changes struct {
	last     atomic.Int64 // Unix nanoseconds, 0 for not known
	read     atomic.Int64 // the time of the log when it was read last
	markPage atomic.Uint32
}

// ChangedSince reports whether the database was written to after a moment. What
// is not known counts as a change.
func (r *Replica) ChangedSince(moment time.Time) bool {
	last, at := r.changes.last.Load(), r.logTime()
	// Times of files are coarse: what was written just now may not be read yet.
	recent := at > time.Now().Add(-100*time.Millisecond).UnixNano()
	return last == 0 || last > moment.UnixNano() || r.changes.read.Load() != at || recent
}

// noteRead looks at what the last reading of the log has brought.
func (r *Replica) noteRead(ctx context.Context, isNew bool) {
	at := r.logTime()
	r.changes.read.Store(at)
	if !isNew {
		return
	}
	if isMark, err := r.isMark(ctx); err != nil || !isMark {
		r.changes.last.Store(at)
	}
}

// logTime returns when the log was written to.
func (r *Replica) logTime() int64 {
	info, err := os.Stat(r.cfg.Path + "-wal")
	if err != nil {
		return 0
	}
	return info.ModTime().UnixNano()
}

// isMark reports whether the newest file of level 0 holds a mark and nothing else.
func (r *Replica) isMark(ctx context.Context) (is bool, err error) {
	newest, err := position(r.db)
	if err != nil || newest == 0 {
		return false, err
	}
	file, err := os.Open(r.db.LTXPath(0, newest, newest))
	if err != nil {
		return false, err
	}
	defer func() { _ = file.Close() }() // only read from
	decoder := ltx.NewDecoder(bufio.NewReader(file))
	if err := decoder.DecodeHeader(); err != nil {
		return false, err
	}
	var page, next ltx.PageHeader
	data := make([]byte, decoder.Header().PageSize)
	if err := decoder.DecodePage(&page, data); err != nil {
		return false, err
	}
	mark, err := r.markPage(ctx)
	if err != nil || page.Pgno != mark {
		return false, err
	}
	return errors.Is(decoder.DecodePage(&next, data), io.EOF), nil
}

// markPage returns the page of the table that marks are written to.
func (r *Replica) markPage(ctx context.Context) (uint32, error) {
	if known := r.changes.markPage.Load(); known != 0 {
		return known, nil
	}
	db, err := sql.Open("sqlite", r.cfg.Path+"?_pragma=busy_timeout(10000)&_pragma=query_only(1)")
	if err != nil {
		return 0, err
	}
	var page uint32
	err = db.QueryRowContext(ctx, "SELECT rootpage FROM sqlite_master WHERE name = '_litestream_seq'").Scan(&page)
	if err := errors.Join(err, db.Close()); err != nil {
		return 0, fmt.Errorf("find the page of marks: %w", err)
	}
	r.changes.markPage.Store(page)
	return page, nil
}
