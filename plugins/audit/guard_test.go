package audit

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/types"
)

func TestTableIsAppendOnly(t *testing.T) {
	t.Parallel()
	tt := newTenant(t)
	tt.add(t, "0-young", types.NowDateTime().String(), "kept")
	tt.add(t, "almost", types.NowDateTime().AddDate(0, 0, -29).String(), "kept")
	for _, statement := range []string{
		"UPDATE _pico_audit SET action = 'x'",
		"UPDATE OR REPLACE _pico_audit SET id = 'almost' WHERE id = '0-young'",
		"DELETE FROM _pico_audit",
		"DELETE FROM _pico_audit WHERE id = 'almost'",
		"INSERT OR REPLACE INTO _pico_audit (id, created, actor_kind, action) VALUES ('0-young', '', '', '')",
		"REPLACE INTO _pico_audit (id, created, actor_kind, action) VALUES ('0-young', '', '', '')",
		"INSERT INTO _pico_audit (id, created, actor_kind, action) VALUES ('0-young', '', '', '') ON CONFLICT DO UPDATE SET action = 'x'",
		"INSERT OR REPLACE INTO _pico_audit (rowid, id, created, actor_kind, action) VALUES (1, 'other', '', '', '')",
	} {
		if _, err := tt.NonconcurrentDB().NewQuery(statement).Execute(); err == nil {
			t.Errorf("worked: %s", statement)
		}
	}
	if n := tt.count(t, dbx.HashExp{"action": "kept"}); n != 2 {
		t.Errorf("%d of 2 entries left", n)
	}
}

func TestConsoleCannotChangeTheTrail(t *testing.T) {
	t.Parallel()
	tt := newTenant(t)
	tt.add(t, "0-young", types.NowDateTime().String(), "kept")
	before := schema(t, tt)
	refused := []string{
		"UPDATE _pico_audit SET action = 'x'",
		"DELETE FROM _pico_audit",
		"delete from \"_PICO_Audit\"",
		"DELETE FROM [_pico_audit]",
		"DELETE FROM `_pico_audit`",
		"DELETE FROM {{_pico_audit}}",
		"DELETE/**/FROM/**/main._pico_audit",
		"/* SELECT */ DELETE FROM _pico_audit",
		"-- SELECT\nDELETE FROM _pico_audit",
		"SELECT 1; DELETE FROM _pico_audit",
		"SELECT 1 -- ;\n; DELETE FROM _pico_audit",
		"SELECT ';' ; DELETE FROM _pico_audit",
		"WITH x AS (SELECT 1) DELETE FROM _pico_audit",
		"EXPLAIN SELECT 1; DROP TABLE _pico_audit",
		"SELECTED; DROP TABLE _pico_audit",
		"INSERT INTO _pico_audit (id, created, actor_kind, action) VALUES ('forged', '', '', '')",
		"REPLACE INTO _pico_audit (id, created, actor_kind, action) VALUES ('0-young', '', '', '')",
		"DROP TABLE _pico_audit",
		"DROP TRIGGER _pico_audit_no_delete",
		"DROP TRIGGER IF EXISTS main.\"_pico_audit_no_update\"",
		"ALTER TABLE _pico_audit RENAME TO gone",
		"ALTER TABLE _pico_audit DROP COLUMN actor_id",
		"CREATE TEMP TABLE _pico_audit (id TEXT)",
		"CREATE TEMP TRIGGER t BEFORE INSERT ON main._pico_audit BEGIN SELECT RAISE(IGNORE); END",
		"CREATE TRIGGER t AFTER INSERT ON users BEGIN DELETE FROM _pico_audit; END",
		"CREATE VIEW v AS SELECT * FROM _pico_audit",
		"PRAGMA writable_schema = 1",
		"PRAGMA main.\"Writable_Schema\" = ON; DELETE FROM sqlite_master WHERE name LIKE '_pico%'",
		"SELECT * FROM pragma_writable_schema",
		"UPDATE sqlite_dbpage SET data = zeroblob(4096) WHERE pgno = 2",
		fmt.Sprintf("ATTACH '%s/data.db' AS x; DELETE FROM x._pico_audit", tt.DataDir()),
	}
	for _, statement := range refused {
		had := len(tt.trail(t))
		status, body := tt.sql(t, statement)
		if status != http.StatusForbidden {
			t.Errorf("%d %s: %s", status, body, statement)
		}
		added := tt.since(t, had)
		if actions(added) != "sql.refused" || added[0].Actor.Name != superuserEmail {
			t.Errorf("recorded %q", actions(added))
		}
	}
	// Not one for the guard: the table of schemas is read-only by itself.
	if status, body := tt.sql(t, "DELETE FROM sqlite_master WHERE name LIKE '_pico%'"); status < 400 {
		t.Error(status, body)
	}
	if status, body := tt.sql(t, "UPDATE sqlite_master SET sql = '' WHERE tbl_name LIKE '_pico%'"); status < 400 {
		t.Error(status, body)
	}
	if n := tt.count(t, dbx.HashExp{"action": "kept"}); n != 1 {
		t.Error("the entry is gone")
	}
	if after := schema(t, tt); after != before {
		t.Errorf("the schema changed:\n%s\n%s", before, after)
	}
}

func schema(t *testing.T, tt *tenant) string {
	t.Helper()
	var definitions []string
	if err := tt.DB().NewQuery("SELECT COALESCE(sql, '') FROM sqlite_master WHERE tbl_name LIKE '%pico_audit%' ORDER BY name").Column(&definitions); err != nil {
		t.Fatal(err)
	}
	return strings.Join(definitions, "\n")
}

func TestConsoleStaysUsable(t *testing.T) {
	t.Parallel()
	tt := newTenant(t)
	long := "SELECT '" + strings.Repeat("x", 3000) + "' AS long"
	for _, statement := range []string{
		"SELECT count(*) FROM _pico_audit",
		" select\n* from _pico_audit where action = 'x' ;\n",
		"UPDATE users SET name = 'console' WHERE 0",
		long,
	} {
		had := len(tt.trail(t))
		status, body := tt.sql(t, statement)
		mustSucceed(t, status, body)
		added := tt.since(t, had)
		if actions(added) != "sql.executed" {
			t.Fatalf("%s: recorded %q", statement, actions(added))
		}
		if len(added[0].After) > maxStatement+100 {
			t.Errorf("the entry has %d bytes", len(added[0].After))
		}
	}
	// The way of the request's body makes no difference.
	status, _ := tt.call(t, "POST", "/api/sql", "query=DELETE+FROM+_pico_audit", "Content-Type", "application/x-www-form-urlencoded")
	if status != http.StatusForbidden {
		t.Errorf("as a form: %d", status)
	}
	// Neither does a second document behind the first, out of reach of one read.
	const document = "<b><Query>%s</Query></b>"
	twice := fmt.Sprintf("%-4096s"+document, fmt.Sprintf(document, "SELECT 1"), "DROP TRIGGER _pico_audit_no_delete")
	trail := schema(t, tt)
	tt.call(t, "POST", "/api/sql", twice, "Content-Type", "text/xml")
	if schema(t, tt) != trail {
		t.Error("the second document of a body was executed")
	}
	// Strangers get PocketBase's answer, and no line in the trail.
	had := len(tt.trail(t))
	if status, _ := tt.call(t, "POST", "/api/sql", `{"query":"SELECT 1"}`, "Authorization", ""); status != http.StatusUnauthorized {
		t.Errorf("without a token: %d", status)
	}
	if added := tt.since(t, had); len(added) != 0 {
		t.Errorf("recorded %q", actions(added))
	}
}

func TestCollectionsCannotChangeTheTrail(t *testing.T) {
	t.Parallel()
	tt := newTenant(t)
	before := schema(t, tt)
	for _, request := range []struct{ name, method, path, body string }{
		{"name", "POST", "/api/collections", `{"name":"_pico_audit","type":"base"}`},
		{"name in capitals", "POST", "/api/collections", `{"name":"_PICO_AUDIT","type":"base"}`},
		{"view of the name", "POST", "/api/collections", `{"name":"_pico_audit","type":"view","viewQuery":"select 1 as id"}`},
		{"rename", "PATCH", "/api/collections/demo1", `{"name":"_pico_audit"}`},
		{"import", "PUT", "/api/collections/import", `{"collections":[{"name":"_pico_audit","type":"base","fields":[]}]}`},
		{"index", "POST", "/api/collections", `{"name":"a","type":"base","fields":[{"name":"t","type":"text"}],"indexes":["CREATE INDEX i ON a (t) WHERE 1; DROP TRIGGER _pico_audit_no_update"]}`},
		{"view", "POST", "/api/collections", `{"name":"v","type":"view","viewQuery":"select 1 as id -- '\n); drop trigger _pico_audit_no_update; -- '"}`},
		{"dry run", "POST", "/api/collections/meta/dry-run-view", `{"query":"select 1 as id -- '\n); drop trigger _pico_audit_no_update; -- '"}`},
	} {
		if status, body := tt.call(t, request.method, request.path, request.body); status < 400 {
			t.Errorf("%s: %d %s", request.name, status, body)
		}
	}
	if err := tt.SaveNoValidate(core.NewBaseCollection("_Pico_Audit")); err == nil {
		t.Error("code saved a collection of the name")
	}
	impostor := core.NewBaseCollection(table)
	impostor.MarkAsNotNew()
	if err := tt.TestApp.Delete(impostor); err == nil {
		t.Error("code dropped the table by deleting a collection of the name")
	}
	if after := schema(t, tt); after != before || after == "" {
		t.Errorf("the schema changed:\n%s\n%s", before, after)
	}
	// Reading is fine.
	status, body := tt.call(t, "POST", "/api/collections", `{"name":"trail","type":"view","viewQuery":"select id, action from _pico_audit"}`)
	mustSucceed(t, status, body)
	// The records API knows no such collection.
	if status, _ := tt.call(t, "GET", "/api/collections/_pico_audit/records", ""); status != http.StatusNotFound {
		t.Errorf("records API: %d", status)
	}
}
