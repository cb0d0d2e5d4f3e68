package migrations

import (
	"github.com/pocketbase/pocketbase/core"
)

// WebhooksCollection is where the endpoints are kept that events are sent to.
const WebhooksCollection = "_pico_webhooks"

// WebhookDeliveriesTable holds what is to be sent and what was.
const WebhookDeliveriesTable = "_pico_webhook_deliveries"

func init() {
	core.SystemMigrations.Add(&core.Migration{
		File: "1800000004_webhooks.go",
		Up:   createWebhooks,
		Down: dropWebhooks,
		// Without one of the tables no sign-up would succeed.
		ReapplyCondition: func(tx core.App, _ *core.MigrationsRunner, _ string) (bool, error) {
			return !tx.HasTable(WebhooksCollection) || !tx.HasTable(WebhookDeliveriesTable), nil
		},
	})
}

// createWebhooks makes the endpoints a system collection, so that their changes
// are audited, and the deliveries a plain table: one row for each event and
// endpoint is written within the transaction of what the event is about, and
// model hooks would cost more than the row. Times are in milliseconds.
//
// What is there already stays: a restore may have brought one table and not the
// other.
func createWebhooks(tx core.App) error {
	if !tx.HasTable(WebhooksCollection) {
		if err := createWebhooksCollection(tx); err != nil {
			return err
		}
	}
	_, err := tx.NonconcurrentDB().NewQuery(`
CREATE TABLE IF NOT EXISTS ` + WebhookDeliveriesTable + ` (
	id            TEXT PRIMARY KEY NOT NULL, -- sorts by time
	endpoint      TEXT NOT NULL,
	event         TEXT NOT NULL,             -- the webhook-id
	type          TEXT NOT NULL,
	subject       TEXT NOT NULL DEFAULT '',
	body          TEXT NOT NULL,
	status        TEXT NOT NULL,             -- pending, delivered or failed
	created       INTEGER NOT NULL,
	due           INTEGER NOT NULL,
	finished      INTEGER NOT NULL DEFAULT 0,
	attempts      INTEGER NOT NULL DEFAULT 0, -- of the present round
	tries         TEXT NOT NULL DEFAULT '[]', -- the log of all attempts
	response      TEXT NOT NULL DEFAULT ''    -- the beginning of the last one
);

CREATE INDEX IF NOT EXISTS _pico_webhook_deliveries_due ON ` + WebhookDeliveriesTable + ` (endpoint, due, id) WHERE status = 'pending';

CREATE INDEX IF NOT EXISTS _pico_webhook_deliveries_order ON ` + WebhookDeliveriesTable + ` (endpoint, subject, id, attempts) WHERE status = 'pending';

CREATE INDEX IF NOT EXISTS _pico_webhook_deliveries_log ON ` + WebhookDeliveriesTable + ` (endpoint, id);

CREATE INDEX IF NOT EXISTS _pico_webhook_deliveries_finished ON ` + WebhookDeliveriesTable + ` (finished) WHERE finished > 0;`).Execute()
	return err
}

func createWebhooksCollection(tx core.App) error {
	c := core.NewBaseCollection(WebhooksCollection)
	c.System = true
	c.Fields.Add(
		&core.TextField{Name: "url", System: true, Required: true, Max: 2000},
		&core.TextField{Name: "description", System: true, Max: 200},
		&core.JSONField{Name: "events", System: true, Required: true},
		&core.BoolField{Name: "blocking", System: true},
		&core.BoolField{Name: "failOpen", System: true},
		&core.TextField{Name: "secret", System: true, Required: true, Hidden: true, Max: 200},
		&core.TextField{Name: "previousSecret", System: true, Hidden: true, Max: 200},
		&core.DateField{Name: "previousSecretUntil", System: true},
		&core.DateField{Name: "disabled", System: true},
		&core.TextField{Name: "disabledReason", System: true, Max: 200},
		&core.TextField{Name: "createdBy", System: true, Max: 200},
		&core.AutodateField{Name: "created", System: true, OnCreate: true},
		&core.AutodateField{Name: "updated", System: true, OnCreate: true, OnUpdate: true},
	)
	return tx.Save(c)
}

func dropWebhooks(tx core.App) error {
	if _, err := tx.NonconcurrentDB().DropTable(WebhookDeliveriesTable).Execute(); err != nil {
		return err
	}
	c, err := tx.FindCollectionByNameOrId(WebhooksCollection)
	if err != nil {
		return err
	}
	c.System = false // a system collection cannot be deleted
	if err := tx.SaveNoValidate(c); err != nil {
		return err
	}
	return tx.Delete(c)
}
