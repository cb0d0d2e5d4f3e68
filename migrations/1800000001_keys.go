package migrations

import (
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/types"
)

// KeysCollection is where API keys are kept. Only superusers can reach it
// through the records API, and the keys themselves are not in it: only hashes.
const KeysCollection = "_pico_keys"

func init() {
	core.SystemMigrations.Register(createKeys, dropKeys, "1800000001_keys.go")
}

func createKeys(tx core.App) error {
	c := core.NewBaseCollection(KeysCollection)
	c.System = true
	c.Fields.Add(
		&core.SelectField{Name: "kind", System: true, Required: true, MaxSelect: 1, Values: []string{"publishable", "secret"}},
		&core.TextField{Name: "hash", System: true, Required: true, Hidden: true, Max: 64},
		&core.TextField{Name: "prefix", System: true, Required: true, Max: 16},
		&core.TextField{Name: "lastFour", System: true, Required: true, Max: 4},
		&core.TextField{Name: "label", System: true, Max: 100},
		&core.JSONField{Name: "scopes", System: true},
		&core.JSONField{Name: "allowedIPs", System: true},
		&core.JSONField{Name: "rateLimit", System: true},
		&core.DateField{Name: "expires", System: true},
		&core.DateField{Name: "revoked", System: true},
		&core.TextField{Name: "rotatedTo", System: true, Max: 32},
		&core.TextField{Name: "createdBy", System: true, Max: 200},
		&core.DateField{Name: "lastUsed", System: true},
		&core.AutodateField{Name: "created", System: true, OnCreate: true},
		&core.AutodateField{Name: "updated", System: true, OnCreate: true, OnUpdate: true},
	)
	c.Indexes = types.JSONArray[string]{
		"CREATE UNIQUE INDEX `idx_pico_keys_hash` ON `_pico_keys` (`hash`)",
		"CREATE INDEX `idx_pico_keys_updated` ON `_pico_keys` (`updated`)",
	}
	return tx.Save(c)
}

func dropKeys(tx core.App) error {
	c, err := tx.FindCollectionByNameOrId(KeysCollection)
	if err != nil {
		return err
	}
	c.System = false // a system collection cannot be deleted
	if err := tx.SaveNoValidate(c); err != nil {
		return err
	}
	return tx.Delete(c)
}
