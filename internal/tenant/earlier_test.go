package tenant

import (
	"context"
	"database/sql"
	"maps"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/picobase/picobase/plugins/backups/restore"
)

// schemaOf returns what there is of PicoBase in a database, and which of its
// migrations are recorded.
func schemaOf(t *testing.T, path string) map[string]string {
	t.Helper()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query("SELECT type || ' ' || name, COALESCE(sql, '') FROM sqlite_master WHERE name LIKE '%\\_pico\\_%' ESCAPE '\\'" +
		" UNION ALL SELECT 'collection ' || name, type || system FROM _collections WHERE name LIKE '\\_pico\\_%' ESCAPE '\\'" +
		" UNION ALL SELECT 'migration ' || file, '' FROM _migrations WHERE file LIKE '18000000%'")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	found := map[string]string{}
	for rows.Next() {
		var name, statement string
		if err := rows.Scan(&name, &statement); err != nil {
			t.Fatal(err)
		}
		found[name] = statement
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return found
}

// A restore may bring back a state of an earlier PicoBase. The next start makes
// what is missing, and all of it works.
func TestRestoreOfAnEarlierPicoBase(t *testing.T) {
	t.Parallel()
	keys := []string{"_pico_keys"}
	audit := []string{"_pico_audit"}
	webhooks := []string{"_pico_webhooks", "_pico_webhook_deliveries"}
	hooks := []string{"_pico_hooks", "_pico_hook_secrets"}
	cases := map[string]struct{ tables, migrations []string }{
		"before hooks":                {hooks, []string{"1800000006_hooks.go"}},
		"before webhooks and hooks":   {slices.Concat(webhooks, hooks), []string{"1800000004_webhooks.go", "1800000006_hooks.go"}},
		"before all":                  {slices.Concat(keys, audit, webhooks, hooks), []string{"%"}},
		"deliveries lost":             {webhooks[1:], nil},
		"recorded, and without hooks": {hooks, nil},
		"recorded, and without all":   {slices.Concat(webhooks, hooks), nil},
	}
	for name, tt := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "pb_data")
			start := func() *Tenant {
				built, err := New(Config{DataDir: dir})
				if err != nil {
					t.Fatal(err)
				}
				if err := built.Bootstrap(); err != nil {
					t.Fatal(err)
				}
				return built
			}
			built := start()
			made := request(t, built, http.MethodPost, "/api/v1/webhooks", `{"url":"https://example.com/","events":["user.*"]}`)
			if made.status >= 300 {
				t.Fatal(made)
			}
			if secret := request(t, built, http.MethodPut, "/api/v1/hooks/secrets/TOKEN", `{"value":"x"}`); secret.status >= 300 {
				t.Fatal(secret)
			}
			built.Close()
			want := schemaOf(t, filepath.Join(dir, "data.db"))

			area, err := restore.Begin(dir)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.Mkdir(area.New(), 0o700); err != nil {
				t.Fatal(err)
			}
			earlier := filepath.Join(area.New(), "data.db")
			content, err := os.ReadFile(filepath.Join(dir, "data.db"))
			if err == nil {
				err = os.WriteFile(earlier, content, 0o600)
			}
			if err != nil {
				t.Fatal(err)
			}
			db, err := sql.Open("sqlite", earlier)
			if err != nil {
				t.Fatal(err)
			}
			for _, table := range tt.tables {
				for _, statement := range []string{"DROP TABLE " + table, "DELETE FROM _collections WHERE name = '" + table + "'"} {
					if _, err := db.Exec(statement); err != nil {
						t.Fatal(err)
					}
				}
			}
			for _, file := range tt.migrations {
				if _, err := db.Exec("DELETE FROM _migrations WHERE file LIKE '18000000%' AND file LIKE ?", file); err != nil {
					t.Fatal(err)
				}
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			if err := area.Commit(restore.Order{ID: "r"}, false); err != nil {
				t.Fatal(err)
			}
			done, err := restore.Carry(context.Background(), dir)
			if err != nil || done == nil || done.Error != "" {
				t.Fatal(done, err)
			}

			built = start()
			for _, call := range []struct{ method, path, body string }{
				{http.MethodPost, "/api/v1/webhooks", `{"url":"https://example.com/more","events":["user.*"]}`},
				{http.MethodPost, "/api/collections/users/records", `{"email":"ann@example.com","password":"correct horse","passwordConfirm":"correct horse"}`},
				{http.MethodPost, "/api/v1/hooks", `{"files":{"main.pb.js":"onRecordCreate((e) => e.next())"}}`},
				{http.MethodPut, "/api/v1/hooks/secrets/MORE", `{"value":"x"}`},
				{http.MethodPost, "/api/v1/keys", `{"kind":"publishable","label":"after"}`},
				{http.MethodGet, "/api/v1/hooks/logs", ""},
				{http.MethodGet, "/api/v1/audit", ""},
			} {
				if got := request(t, built, call.method, call.path, call.body); got.status >= 300 {
					t.Errorf("%s %s: %d %s", call.method, call.path, got.status, got.body)
				}
			}
			var deliveries, secrets int
			for query, into := range map[string]*int{
				"SELECT COUNT(*) FROM _pico_webhook_deliveries": &deliveries, "SELECT COUNT(*) FROM _pico_hook_secrets": &secrets,
			} {
				if err := built.App.ConcurrentDB().NewQuery(query).Row(into); err != nil {
					t.Fatal(err)
				}
			}
			if deliveries != 2 || secrets != 2 {
				t.Errorf("%d deliveries and %d secrets, want 2 of each: those from before are carried over", deliveries, secrets)
			}
			built.Close()
			if got := schemaOf(t, filepath.Join(dir, "data.db")); !maps.Equal(got, want) {
				t.Errorf("got %v\nwant %v", got, want)
			}
		})
	}
}
