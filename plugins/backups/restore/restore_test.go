package restore

import (
	"context"
	"database/sql"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "github.com/picobase/picobase/migrations" // the tables that are carried over
	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
	_ "github.com/pocketbase/pocketbase/migrations"
)

// folder makes a data folder as PocketBase does, and lets do change it.
func folder(t *testing.T, dir string, do func(app core.App)) {
	t.Helper()
	app := core.NewBaseApp(core.BaseAppConfig{DataDir: dir})
	if err := app.Bootstrap(); err != nil {
		t.Fatal(err)
	}
	if err := app.RunAllMigrations(); err != nil {
		t.Fatal(err)
	}
	do(app)
	if err := app.ResetBootstrapState(); err != nil {
		t.Fatal(err)
	}
}

func user(t *testing.T, app core.App, email string) *core.Record {
	t.Helper()
	record, err := app.FindAuthRecordByEmail("users", email)
	if err != nil {
		c, err := app.FindCollectionByNameOrId("users")
		if err != nil {
			t.Fatal(err)
		}
		record = core.NewRecord(c)
		record.SetEmail(email)
		record.SetPassword("correct horse battery")
		if err := app.Save(record); err != nil {
			t.Fatal(err)
		}
	}
	return record
}

func token(t *testing.T, record *core.Record) string {
	t.Helper()
	signed, err := record.NewAuthToken()
	if err != nil {
		t.Fatal(err)
	}
	return signed
}

func exec(t *testing.T, app core.App, statement string, params ...dbx.Params) {
	t.Helper()
	q := app.NonconcurrentDB().NewQuery(statement)
	if len(params) > 0 {
		q = q.Bind(params[0])
	}
	if _, err := q.Execute(); err != nil {
		t.Fatal(err)
	}
}

const addKey = "INSERT INTO _pico_keys (id, kind, hash, prefix, lastFour, label, revoked) VALUES ({:id}, 'secret', {:id}, 'pbk_sec_', 'abcd', {:id}, {:revoked})"

const addEntry = "INSERT INTO _pico_audit (id, created, actor_kind, action) VALUES ({:id}, strftime('%Y-%m-%d %H:%M:%fZ', 'now'), 'system', {:id})"

const addWebhook = "INSERT INTO _pico_webhooks (id, url, events, secret) VALUES ({:id}, 'https://example.com/', '[]', {:secret})"

const addDelivery = "INSERT INTO _pico_webhook_deliveries (id, endpoint, event, type, body, status, created, due) VALUES ({:id}, 'hook00000000001', {:id}, 'user.created', '{}', {:status}, 1, 1)"

const (
	setSecret = "INSERT INTO _pico_hook_secrets (id, value, created, updated) VALUES ('TOKEN', {:value}, '', '')" +
		" ON CONFLICT (id) DO UPDATE SET value = excluded.value"
	addHooks = "INSERT INTO _pico_hooks (id, created, source, sha256, files, size, content, active) VALUES ({:id}, '', 'upload', '', 0, 0, '', {:active})"
)

// nextVersion adds a version of hooks and returns its number.
func nextVersion(t *testing.T, app core.App) (n int) {
	t.Helper()
	exec(t, app, "INSERT INTO _pico_hooks (created, source, sha256, files, size, content) VALUES ('', 'upload', '', 0, 0, '')")
	if err := app.NonconcurrentDB().NewQuery("SELECT MAX(id) FROM _pico_hooks").Row(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func copyOf(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	to := filepath.Join(t.TempDir(), filepath.Base(path))
	if err := os.WriteFile(to, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return to
}

// order puts an earlier data.db into an area and orders its restore.
func order(t *testing.T, dir, earlier string, whole bool, more ...string) {
	t.Helper()
	area, err := Begin(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(area.New(), 0o700); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(earlier)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(area.New(), "data.db"), content, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range more {
		path := filepath.Join(area.New(), name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("new"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := area.Commit(Order{ID: "one", Status: Restarting, Started: time.Now().UTC()}, whole); err != nil {
		t.Fatal(err)
	}
}

func carry(t *testing.T, dir string) *Order {
	t.Helper()
	done, err := Carry(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	return done
}

func TestWhatARestoreDoesNotUndo(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	tokens := map[string]string{}
	folder(t, dir, func(app core.App) {
		for _, name := range []string{"still", "changed", "deleted"} {
			tokens[name] = token(t, user(t, app, name+"@example.com"))
		}
		exec(t, app, addKey, dbx.Params{"id": "kept00000000001", "revoked": ""})
		exec(t, app, addKey, dbx.Params{"id": "revoked00000001", "revoked": ""})
		exec(t, app, addEntry, dbx.Params{"id": "before"})
		exec(t, app, setSecret, dbx.Params{"value": "old"})
		exec(t, app, addHooks, dbx.Params{"id": 1, "active": 1})
	})
	earlier := copyOf(t, filepath.Join(dir, "data.db"))
	folder(t, dir, func(app core.App) {
		changed := user(t, app, "changed@example.com")
		changed.SetPassword("another horse battery")
		if err := app.Save(changed); err != nil {
			t.Fatal(err)
		}
		if err := app.Delete(user(t, app, "deleted@example.com")); err != nil {
			t.Fatal(err)
		}
		user(t, app, "later@example.com")
		exec(t, app, "UPDATE _pico_keys SET revoked = '2026-01-01 00:00:00.000Z' WHERE id = 'revoked00000001'")
		exec(t, app, addKey, dbx.Params{"id": "made00000000001", "revoked": ""})
		exec(t, app, addEntry, dbx.Params{"id": "after"})
		exec(t, app, setSecret, dbx.Params{"value": "rolled"})
		exec(t, app, "UPDATE _pico_hooks SET active = 0", nil)
		exec(t, app, addHooks, dbx.Params{"id": 2, "active": 1})
	})

	order(t, dir, earlier, false)
	if done := carry(t, dir); done == nil || done.Status != Done || done.Finished == nil || done.Error != "" {
		t.Fatalf("%+v", done)
	}
	folder(t, dir, func(app core.App) {
		if _, err := app.FindAuthRecordByEmail("users", "later@example.com"); err == nil {
			t.Error("the state is not the earlier one")
		}
		for name, valid := range map[string]bool{"still": true, "changed": false, "deleted": false} {
			if !user(t, app, name+"@example.com").ValidatePassword("correct horse battery") {
				t.Errorf("%s does not have the password of the moment", name)
			}
			if _, err := app.FindAuthRecordByToken(tokens[name], core.TokenTypeAuth); (err == nil) != valid {
				t.Errorf("the session of %s: %v", name, err)
			}
		}
		var keys, entries []string
		if err := app.DB().NewQuery("SELECT id || ' ' || revoked FROM _pico_keys ORDER BY id").Column(&keys); err != nil {
			t.Fatal(err)
		}
		if want := []string{"kept00000000001 ", "made00000000001 ", "revoked00000001 2026-01-01 00:00:00.000Z"}; !slices.Equal(keys, want) {
			t.Errorf("keys %q, want %q", keys, want)
		}
		if err := app.DB().NewQuery("SELECT id FROM _pico_audit ORDER BY id").Column(&entries); err != nil {
			t.Fatal(err)
		}
		if want := []string{"after", "before"}; !slices.Equal(entries, want) {
			t.Errorf("audit trail %q, want %q", entries, want)
		}
		var secret, hooks string
		if err := app.DB().NewQuery("SELECT value, (SELECT group_concat(id || '/' || active) FROM _pico_hooks) FROM _pico_hook_secrets").Row(&secret, &hooks); err != nil {
			t.Fatal(err)
		}
		if secret != "rolled" || hooks != "1/1" {
			t.Errorf("secret %q, hooks %q: want the present secret and the hooks of the moment", secret, hooks)
		}
		if n := nextVersion(t, app); n != 3 {
			t.Errorf("the next version of hooks has the number %d, want 3: 2 has been another one", n)
		}
	})
	if again := carry(t, dir); again != nil {
		t.Errorf("carried out twice: %+v", again)
	}
	if last, err := Last(dir); err != nil || last == nil || last.ID != "one" {
		t.Errorf("last %+v, %v", last, err)
	}
}

// An event that was delivered after the moment is not sent again, one that waits
// still is, and a rotated secret stays rotated.
func TestWebhooksAreNotUndone(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	folder(t, dir, func(app core.App) {
		exec(t, app, addWebhook, dbx.Params{"id": "hook00000000001", "secret": "old"})
		for _, id := range []string{"1-delivered-since", "2-forgotten-since", "3-waits-still"} {
			exec(t, app, addDelivery, dbx.Params{"id": id, "status": "pending"})
		}
	})
	earlier := copyOf(t, filepath.Join(dir, "data.db"))
	folder(t, dir, func(app core.App) {
		exec(t, app, "UPDATE _pico_webhooks SET secret = 'new'")
		exec(t, app, "UPDATE _pico_webhook_deliveries SET status = 'delivered' WHERE id = '1-delivered-since'")
		exec(t, app, "DELETE FROM _pico_webhook_deliveries WHERE id = '2-forgotten-since'")
		exec(t, app, addDelivery, dbx.Params{"id": "4-happened-since", "status": "pending"})
	})
	order(t, dir, earlier, false)
	carry(t, dir)
	folder(t, dir, func(app core.App) {
		for query, want := range map[string][]string{
			"SELECT id || ' ' || secret FROM _pico_webhooks":                       {"hook00000000001 new"},
			"SELECT id || ' ' || status FROM _pico_webhook_deliveries ORDER BY id": {"1-delivered-since delivered", "3-waits-still pending", "4-happened-since pending"},
		} {
			var got []string
			if err := app.DB().NewQuery(query).Column(&got); err != nil || !slices.Equal(got, want) {
				t.Errorf("%q, %v, want %q", got, err, want)
			}
		}
	})
}

// All tokens of a collection whose secret was changed since were ended.
func TestChangedSecretEndsAllSessions(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var session string
	folder(t, dir, func(app core.App) { session = token(t, user(t, app, "a@example.com")) })
	earlier := copyOf(t, filepath.Join(dir, "data.db"))
	folder(t, dir, func(app core.App) {
		c, err := app.FindCollectionByNameOrId("users")
		if err != nil {
			t.Fatal(err)
		}
		c.AuthToken.Secret = strings.Repeat("s", 50)
		if err := app.Save(c); err != nil {
			t.Fatal(err)
		}
	})
	order(t, dir, earlier, false)
	carry(t, dir)
	folder(t, dir, func(app core.App) {
		if _, err := app.FindAuthRecordByToken(session, core.TokenTypeAuth); err == nil {
			t.Error("a session that was ended is valid again")
		}
	})
}

// A state from before PicoBase was there gets its tables.
func TestEarlierThanPicoBase(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	folder(t, dir, func(core.App) {})
	earlier := copyOf(t, filepath.Join(dir, "data.db"))
	db, err := sql.Open("sqlite", earlier)
	if err != nil {
		t.Fatal(err)
	}
	for _, statement := range []string{
		"DROP TABLE _pico_keys", "DROP TABLE _pico_audit", "DROP TABLE _pico_webhooks", "DROP TABLE _pico_webhook_deliveries",
		"DROP TABLE _pico_hooks", "DROP TABLE _pico_hook_secrets", "DELETE FROM _collections WHERE name LIKE '_pico_%'",
		"DELETE FROM _migrations WHERE file LIKE '18000000%'",
	} {
		if _, err := db.Exec(statement); err != nil {
			t.Fatal(err)
		}
	}
	db.Close()
	folder(t, dir, func(app core.App) {
		exec(t, app, addKey, dbx.Params{"id": "kept00000000001", "revoked": ""})
		exec(t, app, addEntry, dbx.Params{"id": "after"})
		exec(t, app, addWebhook, dbx.Params{"id": "hook00000000001", "secret": "s"})
		exec(t, app, addDelivery, dbx.Params{"id": "waits", "status": "pending"})
		nextVersion(t, app)
		exec(t, app, "INSERT INTO _migrations (file, applied) VALUES ('1800000099_later.go', 1)")
	})
	order(t, dir, earlier, false)
	carry(t, dir)
	folder(t, dir, func(app core.App) { // also: the migrations run
		var later int
		if err := app.DB().NewQuery("SELECT COUNT(*) FROM _migrations WHERE file = '1800000099_later.go'").Row(&later); err != nil || later != 0 {
			t.Errorf("a migration is recorded that made none of the tables carried over: what it makes would be missing for good; %v", err)
		}
		if n, err := app.CountRecords("_pico_keys"); err != nil || n != 1 {
			t.Errorf("%d keys, %v", n, err)
		}
		if n, err := app.CountRecords("_pico_webhooks"); err != nil || n != 1 {
			t.Errorf("%d webhooks, %v", n, err)
		}
		exec(t, app, "UPDATE _pico_webhook_deliveries SET status = 'delivered'") // it is there
		if _, err := app.NonconcurrentDB().NewQuery("DELETE FROM _pico_audit").Execute(); err == nil {
			t.Error("the audit trail can be deleted")
		}
		if n := nextVersion(t, app); n != 2 {
			t.Errorf("the first version of hooks has the number %d, want 2", n)
		}
		var versions int
		if err := app.DB().NewQuery("SELECT COUNT(*) FROM _pico_hooks").Row(&versions); err != nil || versions != 1 {
			t.Errorf("%d versions, %v: the state had none", versions, err)
		}
	})
}

// A start that is killed anywhere leaves a restore that the next start finishes.
func TestCarryGoesOnWhereItWasKilled(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	folder(t, base, func(app core.App) { user(t, app, "early@example.com") })
	earlier := copyOf(t, filepath.Join(base, "data.db"))
	folder(t, base, func(app core.App) { user(t, app, "late@example.com") })

	// Each point is a renaming of swap that was the last one done.
	for killedAfter := range 6 {
		dir := t.TempDir()
		if err := os.CopyFS(dir, os.DirFS(base)); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"storage/c/r/old.txt", "leftover.txt", "backups/x.zip", "data.db-wal"} {
			path := filepath.Join(dir, name)
			if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		order(t, dir, earlier, true, "storage/c/r/new.txt", "auxiliary.db")
		a := &Area{dir}
		if err := a.keep(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(a.old(), 0o700); err != nil {
			t.Fatal(err)
		}
		steps := [][2]string{
			{filepath.Join(dir, "leftover.txt"), filepath.Join(a.old(), "leftover.txt")},
			{filepath.Join(dir, "data.db"), filepath.Join(a.old(), "data.db")},
			{filepath.Join(a.New(), "data.db"), filepath.Join(dir, "data.db")},
			{filepath.Join(dir, "storage"), filepath.Join(a.old(), "storage")},
			{filepath.Join(a.New(), "storage"), filepath.Join(dir, "storage")},
		}
		if killedAfter > 0 {
			// What was kept is noted before the first renaming.
			var j journal
			if _, err := readJSON(journalPath(dir), &j); err != nil {
				t.Fatal(err)
			}
			j.Kept = true
			if err := writeJSON(journalPath(dir), j); err != nil {
				t.Fatal(err)
			}
		}
		for _, step := range steps[:killedAfter] {
			if err := os.Rename(step[0], step[1]); err != nil {
				t.Fatal(err)
			}
		}
		carry(t, dir)
		for name, want := range map[string]bool{
			"storage/c/r/new.txt": true, "storage/c/r/old.txt": false, "leftover.txt": false, "backups/x.zip": true,
			"data.db-wal": false, Folder + "/restore": false,
		} {
			if _, err := os.Stat(filepath.Join(dir, name)); (err == nil) != want {
				t.Errorf("killed after %d: %s is there: %v, want %v", killedAfter, name, err == nil, want)
			}
		}
		if content, err := os.ReadFile(filepath.Join(dir, "auxiliary.db")); err != nil || string(content) == "new" {
			t.Errorf("killed after %d: the logs were put back (%v)", killedAfter, err)
		}
		folder(t, dir, func(app core.App) {
			if n, err := app.CountRecords("users"); err != nil || n != 1 {
				t.Errorf("killed after %d: %d users, %v", killedAfter, n, err)
			}
		})
	}
}

func TestBegin(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	area, err := Begin(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := area.Commit(Order{}, false); err == nil {
		t.Error("an empty state was taken")
	}
	if err := os.Mkdir(area.New(), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := area.Commit(Order{}, false); err == nil {
		t.Error("a state without a database was taken")
	}
	if _, err := Begin(dir); err != nil {
		t.Errorf("leftovers are in the way: %v", err)
	}
	if pending, err := Pending(dir); err != nil || pending != nil {
		t.Errorf("%+v, %v", pending, err)
	}
	if done, err := Carry(t.Context(), dir); err != nil || done != nil {
		t.Errorf("%+v, %v", done, err)
	}
	folder(t, dir, func(core.App) {})
	order(t, dir, copyOf(t, filepath.Join(dir, "data.db")), false)
	if _, err := Begin(dir); !errors.Is(err, ErrPending) {
		t.Errorf("a second restore: %v", err)
	}
}

// A backup that stock PocketBase made of a folder that PicoBase had served.
func TestOwnFoldersInABackup(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	folder(t, dir, func(core.App) {})
	earlier := copyOf(t, filepath.Join(dir, "data.db"))
	kept := filepath.Join(dir, Folder, "replica", "state.json")
	if err := os.MkdirAll(filepath.Dir(kept), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(kept, []byte("present"), 0o600); err != nil {
		t.Fatal(err)
	}
	order(t, dir, earlier, true, ".pico/replica/state.json", "backups/old.zip", "storage/a")
	if done := carry(t, dir); done == nil || done.Status != Done {
		t.Errorf("the restore is %+v", done)
	}
	if content, err := os.ReadFile(kept); string(content) != "present" {
		t.Errorf("what belongs to the folder became %q (%v)", content, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "storage", "a")); err != nil {
		t.Error(err)
	}
}

// A present that is damaged must not keep anybody from a restore.
func TestDamagedPresent(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	folder(t, dir, func(app core.App) { user(t, app, "early@example.com") })
	earlier := copyOf(t, filepath.Join(dir, "data.db"))
	if err := os.WriteFile(filepath.Join(dir, "data.db"), []byte(strings.Repeat("garbage ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, suffix := range []string{"-wal", "-shm"} {
		if err := os.Remove(filepath.Join(dir, "data.db"+suffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
	}
	order(t, dir, earlier, false)
	if done := carry(t, dir); done.Status != Done || done.Error == "" {
		t.Errorf("%+v, want it done, with a word about what was not kept", done)
	}
	folder(t, dir, func(app core.App) {
		if n, err := app.CountRecords("users"); err != nil || n != 1 {
			t.Errorf("%d users, %v", n, err)
		}
	})
}
