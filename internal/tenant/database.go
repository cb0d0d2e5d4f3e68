package tenant

import (
	"path/filepath"

	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
	_ "modernc.org/sqlite" // the driver of PocketBase itself: one SQLite per process
)

// Sizes of the database pools, by measurement (docs/benchmarks.md). Fewer
// readers than this and a few slow queries starve all quick ones; more cost
// memory and bring nothing on a few cores. As many stay open as may be open:
// opening one is a tenth of the work of reading a record.
const (
	dataConnections = 16
	auxConnections  = 2
)

// pragmas are PocketBase's own, but for a page cache of 2 MB in place of 32 for
// each connection: the operating system caches the file once for all of them.
// busy_timeout comes first: the others may have to wait for a lock.
//
// Transactions take the write lock when they begin: replication writes through a
// connection of its own, and one that has only read until then would fail at once
// at its first write, which no waiting mends.
const pragmas = "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=journal_size_limit(200000000)" +
	"&_pragma=synchronous(NORMAL)&_pragma=foreign_keys(ON)&_pragma=temp_store(MEMORY)&_pragma=cache_size(-2000)" +
	"&_txlock=immediate"

// replicatedPragma leaves the checkpoints of data.db to the replica, which makes
// one when the log has 1,000 pages. SQLite's own limit is the same: each commit
// beyond it would try as well, in vain, since the replica is still reading, and
// that costs a third more CPU per write. Should the replica not go on, this one
// bounds the log to 64 MB or so, as soon as nobody reads it.
const replicatedPragma = "&_pragma=wal_autocheckpoint(16000)"

func dsn(cfg Config, path string) string {
	path = filepath.Clean(path)
	if filepath.Base(path) == "data.db" && !cfg.NoReplication {
		return path + pragmas + replicatedPragma
	}
	return path + pragmas
}

func newApp(cfg Config) core.App {
	return core.NewBaseApp(core.BaseAppConfig{
		DataDir:          cfg.DataDir,
		EncryptionEnv:    cfg.EncryptionEnv,
		QueryTimeout:     cfg.QueryTimeout,
		IsDev:            cfg.Dev,
		DataMaxOpenConns: dataConnections,
		DataMaxIdleConns: dataConnections,
		AuxMaxOpenConns:  auxConnections,
		AuxMaxIdleConns:  auxConnections,
		DBConnect: func(path string) (*dbx.DB, error) {
			return dbx.Open("sqlite", dsn(cfg, path))
		},
	})
}
