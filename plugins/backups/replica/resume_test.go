package replica

import (
	"database/sql"
	"errors"
	"testing"
	"time"
)

// What a killed process left in the log is replicated, whatever becomes of the
// log before replication goes on.
func TestResumeAfterKill(t *testing.T) {
	t.Parallel()
	// Moves all of the log into the database and begins it anew.
	restartLog := func(t *testing.T, db *sql.DB) {
		for _, query := range []string{`PRAGMA wal_checkpoint(PASSIVE)`, `INSERT INTO rows (at) VALUES (1)`} {
			if _, err := db.Exec(query); err != nil {
				t.Fatal(err)
			}
		}
	}
	const written = 2000
	for name, c := range map[string]struct {
		before func(*testing.T, *tenant, *memory) // of the process that goes on
		start  func(*testing.T, *tenant)
		want   int
	}{
		"nothing else happened": {want: written},
		"the log began anew at the start": {
			start: func(t *testing.T, tn *tenant) { restartLog(t, tn.db) }, want: written + 1,
		},
		"the log began anew before the start": {
			before: func(t *testing.T, tn *tenant, _ *memory) {
				tn.open() // stays open, so that the log is not deleted
				restartLog(t, tn.db)
			}, want: written + 1,
		},
		"a command came between": {
			before: func(t *testing.T, tn *tenant, _ *memory) {
				tn.open()
				restartLog(t, tn.db)
				tn.db.Close()
			}, want: written + 1,
		},
		"the store is away": {
			before: func(_ *testing.T, _ *tenant, store *memory) { store.setFail(errors.New("connection refused")) },
			start:  func(t *testing.T, tn *tenant) { restartLog(t, tn.db) }, want: written + 1,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			store := newMemory()
			never := func(cfg *Config) { cfg.Interval = func() time.Duration { return time.Hour } }
			killed := newTenant(t, store, never).start()
			for i := range written {
				killed.write()
				if i == written/2 {
					killed.sync()
				}
			}
			tn := newTenant(t, store)
			copyDir(t, killed.dir, tn.dir)
			if c.before != nil {
				c.before(t, tn, store)
			}
			tn.start()
			if c.start != nil {
				c.start(t, tn)
			}
			store.setFail(nil)
			until(t, "replication", func() bool { return tn.replica.Sync(t.Context()) == nil })
			if count, _ := rows(t, tn.restored(time.Time{})); count != c.want {
				t.Errorf("%d rows were restored, not %d", count, c.want)
			}
		})
	}
}
