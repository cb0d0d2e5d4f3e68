package migrations

import (
	"github.com/pocketbase/pocketbase/core"
)

// JavaScript hooks are data: their versions and secrets are in data.db, and in
// every backup. The tables are plain ones: no records API, no import and no
// record query of a hook reaches them. What hooks log is in auxiliary.db, beside
// the request log.
func init() {
	core.SystemMigrations.Add(&core.Migration{
		File: "1800000006_hooks.go",
		Up:   createHooks,
		Down: dropHooks,
		// Applied migrations are recorded in data.db. A restore may have put a
		// state from before these tables under that record, and auxiliary.db may
		// have been deleted.
		ReapplyCondition: func(tx core.App, _ *core.MigrationsRunner, _ string) (bool, error) {
			return !tx.HasTable("_pico_hooks") || !tx.HasTable("_pico_hook_secrets") || !tx.AuxHasTable("_pico_hook_logs"), nil
		},
	})
}

// createHooks counts versions without ever using a number again, so that "12"
// in a log or a chat means one thing.
func createHooks(tx core.App) error {
	_, err := tx.NonconcurrentDB().NewQuery(`
CREATE TABLE IF NOT EXISTS _pico_hooks (
	id         INTEGER PRIMARY KEY AUTOINCREMENT,
	created    TEXT    NOT NULL,
	created_by TEXT    NOT NULL DEFAULT '',
	label      TEXT    NOT NULL DEFAULT '',
	source     TEXT    NOT NULL, -- upload or folder
	sha256     TEXT    NOT NULL, -- of the files, before compression
	files      INTEGER NOT NULL,
	size       INTEGER NOT NULL, -- of the files, in bytes
	content    BLOB    NOT NULL, -- a JSON object of path and text, gzipped
	active     INTEGER NOT NULL DEFAULT 0,
	activated  TEXT    NOT NULL DEFAULT '' -- the last time
);

CREATE UNIQUE INDEX IF NOT EXISTS _pico_hooks_active ON _pico_hooks (active) WHERE active = 1;

CREATE TABLE IF NOT EXISTS _pico_hook_secrets (
	id         TEXT PRIMARY KEY NOT NULL, -- the name
	value      TEXT NOT NULL,
	created    TEXT NOT NULL,
	updated    TEXT NOT NULL,
	updated_by TEXT NOT NULL DEFAULT ''
) WITHOUT ROWID;`).Execute()
	if err != nil {
		return err
	}
	_, err = tx.AuxDB().NewQuery(`
CREATE TABLE IF NOT EXISTS _pico_hook_logs (
	id         INTEGER PRIMARY KEY,
	at         INTEGER NOT NULL, -- Unix time in milliseconds
	level      INTEGER NOT NULL, -- as in _logs
	message    TEXT    NOT NULL,
	version    TEXT    NOT NULL DEFAULT '',
	hook       TEXT    NOT NULL DEFAULT '',
	file       TEXT    NOT NULL DEFAULT '',
	line       INTEGER NOT NULL DEFAULT 0,
	request_id TEXT    NOT NULL DEFAULT ''
);

CREATE INDEX IF NOT EXISTS _pico_hook_logs_at ON _pico_hook_logs (at);
CREATE INDEX IF NOT EXISTS _pico_hook_logs_request ON _pico_hook_logs (request_id) WHERE request_id <> '';`).Execute()
	return err
}

func dropHooks(tx core.App) error {
	for _, table := range []string{"_pico_hooks", "_pico_hook_secrets"} {
		if _, err := tx.NonconcurrentDB().NewQuery("DROP TABLE IF EXISTS " + table).Execute(); err != nil {
			return err
		}
	}
	_, err := tx.AuxDB().NewQuery("DROP TABLE IF EXISTS _pico_hook_logs").Execute()
	return err
}
