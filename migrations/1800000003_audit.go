package migrations

import (
	"strconv"
	"strings"

	"github.com/picobase/picobase/internal/config"
	"github.com/pocketbase/pocketbase/core"
)

func init() {
	core.SystemMigrations.Register(createAudit, keepAudit, "1800000003_audit.go")
}

// createAudit makes the audit trail a plain table: as it is no collection, no
// records API, import or truncate reaches it. Having no rowid, a row can be
// named by its id alone, so the insert guard is enough to stop INSERT OR
// REPLACE, for which SQLite fires no delete trigger.
func createAudit(tx core.App) error {
	const schema = `
CREATE TABLE IF NOT EXISTS _pico_audit (
	id          TEXT PRIMARY KEY NOT NULL,
	created     TEXT NOT NULL,
	actor_kind  TEXT NOT NULL,
	actor_id    TEXT NOT NULL DEFAULT '',
	actor_name  TEXT NOT NULL DEFAULT '',
	ip          TEXT NOT NULL DEFAULT '',
	user_agent  TEXT NOT NULL DEFAULT '',
	request_id  TEXT NOT NULL DEFAULT '',
	action      TEXT NOT NULL,
	target_type TEXT NOT NULL DEFAULT '',
	target_id   TEXT NOT NULL DEFAULT '',
	target_name TEXT NOT NULL DEFAULT '',
	before      TEXT,
	after       TEXT
) WITHOUT ROWID;

CREATE INDEX IF NOT EXISTS _pico_audit_created ON _pico_audit (created);

CREATE TRIGGER IF NOT EXISTS _pico_audit_no_replace BEFORE INSERT ON _pico_audit
WHEN EXISTS (SELECT 1 FROM _pico_audit WHERE id = NEW.id)
BEGIN SELECT RAISE(ABORT, 'audit log is append-only'); END;

CREATE TRIGGER IF NOT EXISTS _pico_audit_no_update BEFORE UPDATE ON _pico_audit
BEGIN SELECT RAISE(ABORT, 'audit log is append-only'); END;

CREATE TRIGGER IF NOT EXISTS _pico_audit_no_delete BEFORE DELETE ON _pico_audit
WHEN OLD.created >= strftime('%Y-%m-%d %H:%M:%fZ', 'now', '-MIN_DAYS days')
BEGIN SELECT RAISE(ABORT, 'audit log is append-only'); END;`
	_, err := tx.NonconcurrentDB().NewQuery(strings.ReplaceAll(schema, "MIN_DAYS", strconv.Itoa(config.MinAuditDays))).Execute()
	return err
}

// keepAudit leaves the trail where it is: it must outlive the code that wrote it.
func keepAudit(core.App) error { return nil }
