package migrations_test

import (
	"testing"

	"github.com/picobase/picobase/migrations"
	"github.com/pocketbase/pocketbase/core"
	_ "github.com/pocketbase/pocketbase/migrations"
)

// A table that is gone although its migration is recorded is made again, and the
// other one is left alone.
func TestWebhookTablesAreMadeAgain(t *testing.T) {
	t.Parallel()
	for _, lost := range []string{migrations.WebhooksCollection, migrations.WebhookDeliveriesTable} {
		t.Run(lost, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			open := func() core.App {
				app := core.NewBaseApp(core.BaseAppConfig{DataDir: dir})
				if err := app.Bootstrap(); err != nil {
					t.Fatal(err)
				}
				return app
			}
			app := open()
			for _, statement := range []string{
				"INSERT INTO _pico_webhooks (id, url, events, secret) VALUES ('hook00000000001', 'https://example.com/', '[]', 's')",
				"INSERT INTO _pico_webhook_deliveries (id, endpoint, event, type, body, status, created, due) VALUES ('d', 'e', 'v', 't', '{}', 'pending', 1, 1)",
				"DROP TABLE " + lost,
				"DELETE FROM _collections WHERE name = '" + lost + "'",
			} {
				if _, err := app.NonconcurrentDB().NewQuery(statement).Execute(); err != nil {
					t.Fatal(err)
				}
			}
			if err := app.ResetBootstrapState(); err != nil {
				t.Fatal(err)
			}
			app = open()
			defer func() { _ = app.ResetBootstrapState() }()
			for _, table := range []string{migrations.WebhooksCollection, migrations.WebhookDeliveriesTable} {
				want, got := 1, 0
				if table == lost {
					want = 0
				}
				if err := app.DB().NewQuery("SELECT COUNT(*) FROM " + table).Row(&got); err != nil || got != want {
					t.Errorf("%d rows in %s, want %d: %v", got, table, want, err)
				}
			}
		})
	}
}
