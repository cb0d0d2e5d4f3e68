package migrations

import (
	"github.com/pocketbase/pocketbase/core"
)

// webhookProject is the field that says whose a webhook is.
const webhookProject = "project"

// A webhook knows the project that it was made for: a copy of the data in another
// one must not call it.
func init() {
	core.SystemMigrations.Add(&core.Migration{
		File: "1800000007_webhook_projects.go",
		Up:   addWebhookProject,
		Down: dropWebhookProject,
		// A restore may have put a state from before this field under its record.
		ReapplyCondition: func(tx core.App, _ *core.MigrationsRunner, _ string) (bool, error) {
			c, err := tx.FindCollectionByNameOrId(WebhooksCollection)
			return err == nil && c.Fields.GetByName(webhookProject) == nil, nil //nolint:nilerr // no collection, no field
		},
	})
}

func addWebhookProject(tx core.App) error {
	c, err := tx.FindCollectionByNameOrId(WebhooksCollection)
	if err != nil {
		return err
	}
	c.Fields.Add(&core.TextField{Name: webhookProject, System: true, Hidden: true, Max: 200})
	return tx.Save(c)
}

func dropWebhookProject(tx core.App) error {
	c, err := tx.FindCollectionByNameOrId(WebhooksCollection)
	if err != nil {
		return err
	}
	field := c.Fields.GetByName(webhookProject)
	if field == nil {
		return nil
	}
	field.SetSystem(false)
	c.Fields.RemoveByName(webhookProject)
	return tx.SaveNoValidate(c)
}
