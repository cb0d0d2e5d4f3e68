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
// A transaction takes the write lock as it begins. One that reads before it writes,
// as those of the audit trail and of events do, would else fail whenever another
// connection (replication's, a command's on the folder) has written in between:
// SQLite gives up what it has read, and no waiting helps.
const pragmas = "?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=journal_size_limit(200000000)" +
	"&_pragma=synchronous(NORMAL)&_pragma=foreign_keys(ON)&_pragma=temp_store(MEMORY)&_pragma=cache_size(-2000)&_txlock=immediate"

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
			return dbx.Open("sqlite", filepath.Clean(path)+pragmas)
		},
	})
}
