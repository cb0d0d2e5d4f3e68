package tenant

import (
	"database/sql"
	"path/filepath"
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
