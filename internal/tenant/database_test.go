package tenant

import (
	"database/sql"
	"path/filepath"
	"testing"

	"github.com/pocketbase/pocketbase/core"
)

// A transaction that reads before it writes is not undone by what others write
// meanwhile: they wait for it.
func TestTransactionsReadAndWrite(t *testing.T) {
	t.Parallel()
	built := newTenant(t, Config{})
	other, err := sql.Open("sqlite", filepath.Join(built.App.DataDir(), "data.db")+"?_pragma=busy_timeout(0)")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { other.Close() })
	const write = "INSERT INTO _params (id, value) VALUES (?, '{}')"
	err = built.App.RunInTransaction(func(tx core.App) error {
		var n int
		if err := tx.DB().NewQuery("SELECT COUNT(*) FROM _params").Row(&n); err != nil {
			return err
		}
		if _, err := other.Exec(write, "other"); err == nil {
			t.Error("another connection wrote in between")
		}
		_, err := tx.NonconcurrentDB().NewQuery("INSERT INTO _params (id, value) VALUES ('own', '{}')").Execute()
		return err
	})
	if err != nil {
		t.Error(err)
	}
	if _, err := other.Exec(write, "other"); err != nil {
		t.Errorf("after the transaction: %v", err)
	}
}
