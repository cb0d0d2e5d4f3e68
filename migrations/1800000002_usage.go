package migrations

import (
	"fmt"
	"strings"

	"github.com/pocketbase/pocketbase/core"
)

// The usage figures live in auxiliary.db, beside the request log: they are
// written every few seconds and must not compete with the tenant's own data.
func init() {
	core.SystemMigrations.Add(&core.Migration{
		File: "1800000002_usage.go",
		Up: func(txApp core.App) error {
			_, err := txApp.AuxDB().NewQuery(createUsageTable()).Execute()
			return err
		},
		Down: func(txApp core.App) error {
			_, err := txApp.AuxDB().DropTable("_pico_usage").Execute()
			return err
		},
		// Applied migrations are recorded in data.db, while auxiliary.db may
		// have been deleted or replaced. PocketBase does the same for _logs.
		ReapplyCondition: func(txApp core.App, _ *core.MigrationsRunner, _ string) (bool, error) {
			return !txApp.AuxHasTable("_pico_usage"), nil
		},
	})
}

// createUsageTable has one column per latency bucket, so that SQLite itself can
// add and sum them. An empty bucket takes one byte of a row.
func createUsageTable() string {
	const buckets = 38
	var latency strings.Builder
	for i := range buckets {
		fmt.Fprintf(&latency, ", h%02d INTEGER NOT NULL DEFAULT 0", i)
	}
	return `CREATE TABLE IF NOT EXISTS _pico_usage (
		hour         INTEGER NOT NULL, -- Unix time of its start
		key_id       TEXT    NOT NULL, -- empty without a key
		route        TEXT    NOT NULL, -- a route group
		status_class INTEGER NOT NULL, -- 2 to 5
		requests     INTEGER NOT NULL DEFAULT 0,
		bytes_in     INTEGER NOT NULL DEFAULT 0,
		bytes_out    INTEGER NOT NULL DEFAULT 0` + latency.String() + `,
		PRIMARY KEY (hour, key_id, route, status_class)
	) WITHOUT ROWID`
}
