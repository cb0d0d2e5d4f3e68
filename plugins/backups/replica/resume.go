package replica

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/superfly/ltx"
	_ "modernc.org/sqlite" // the driver of PocketBase itself: one SQLite per process
)

// A process that is killed leaves writes in the write-ahead log that no file of
// level 0 has. Whoever opens the database next may move them into data.db and
// begin the log anew, and Litestream cannot tell that from a log that it had
// read to its end: it would go on behind the gap. So the log is read before
// anything else opens the database, and kept from then on.

// resume goes on where the last process on this folder stopped, if any did.
func (r *Replica) resume(ctx context.Context, s state) error {
	last, err := r.localTXID()
	if err != nil || last == 0 {
		return err // Start begins with the whole database
	}
	err = r.tryResume(ctx, last)
	if err == nil || ctx.Err() != nil {
		return err
	}
	r.cfg.Logger.Warn("replication cannot go on where it stopped, and begins with the whole database", "error", err)
	s.Restored = last
	return errors.Join(s.write(r.cfg.MetaDir), os.RemoveAll(r.ltxDir()))
}

func (r *Replica) tryResume(ctx context.Context, last ltx.TXID) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.openDB()
	db := r.db
	r.db = nil // until it is known to be good
	same, err := sameLog(r.cfg.Path+"-wal", db.LTXPath(0, last, last))
	if err != nil {
		return err
	}
	if !same {
		// Without a log to go on with, Litestream begins with the whole database.
		if err := truncateLog(ctx, r.cfg.Path); err != nil {
			return fmt.Errorf("truncate the write-ahead log: %w", err)
		}
	}
	if err := db.Open(); err != nil {
		return err
	}
	// Claim has compared the folder with the replica already, or cannot do so now.
	replica := db.Replica
	db.Replica = nil
	err = db.Sync(ctx)
	db.Replica = replica
	if err != nil {
		return fmt.Errorf("read the write-ahead log: %w", err)
	}
	r.db = db
	return nil
}

// sameLog reports whether the write-ahead log is still the one that the file of
// level 0 was read from. Without a log there is nothing to tell apart.
func sameLog(walPath, ltxPath string) (bool, error) {
	file, err := os.Open(ltxPath)
	if err != nil {
		return false, err
	}
	defer file.Close()
	header, _, err := ltx.PeekHeader(file)
	if err != nil {
		return false, fmt.Errorf("read header of %s: %w", ltxPath, err)
	}
	wal, err := os.Open(walPath)
	if errors.Is(err, fs.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	defer wal.Close()
	var start [32]byte
	if _, err := io.ReadFull(wal, start[:]); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return true, nil
	} else if err != nil {
		return false, err
	}
	salt1, salt2 := binary.BigEndian.Uint32(start[16:]), binary.BigEndian.Uint32(start[20:])
	return salt1 == header.WALSalt1 && salt2 == header.WALSalt2, nil
}

func truncateLog(ctx context.Context, path string) (err error) {
	db, err := sql.Open("sqlite", path+"?_pragma=busy_timeout(10000)")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	var busy, log, moved int
	if err := db.QueryRowContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)").Scan(&busy, &log, &moved); err != nil {
		return err
	}
	if busy != 0 {
		return errors.New("the database is in use")
	}
	return nil
}
