package tenant

import (
	"database/sql"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pocketbase/pocketbase/core"
)

// Replication writes to the database beside PocketBase. A transaction that has
// read something before must not fail for that.
func TestTransactionsBesideAnotherWriter(t *testing.T) {
	t.Parallel()
	built := newTenant(t, Config{})
	other, err := sql.Open("sqlite", filepath.Join(built.App.DataDir(), "data.db")+"?_pragma=busy_timeout(1)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = other.Close() })
	if _, err := other.Exec(`CREATE TABLE beside (id INTEGER)`); err != nil {
		t.Fatal(err)
	}
	err = built.App.RunInTransaction(func(app core.App) error {
		if _, err := app.FindCollectionByNameOrId("users"); err != nil {
			return err
		}
		if _, err := other.Exec(`INSERT INTO beside VALUES (1)`); err == nil {
			t.Error("another connection wrote during the transaction")
		}
		_, err := app.DB().NewQuery(`INSERT INTO beside VALUES (2)`).Execute()
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// Only a log that something else shortens may grow beyond SQLite's default.
func TestAutomaticCheckpoints(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name string
		cfg  Config
		path string
		left bool // to the replica
	}{
		{"replicated", Config{}, "/srv/data.db", true},
		{"not replicated", Config{NoReplication: true}, "/srv/data.db", false},
		{"logs are never replicated", Config{}, "/srv/auxiliary.db", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			name := dsn(tt.cfg, tt.path)
			if !strings.HasPrefix(name, tt.path+"?") || strings.Contains(name, "wal_autocheckpoint") != tt.left {
				t.Errorf("opened as %s", name)
			}
		})
	}
}
