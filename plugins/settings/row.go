package settings

import (
	"encoding/json"

	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/types"
)

const (
	tableName = "_params" // PocketBase's own key-value table
	rowID     = "picobase"
)

// row is the settings' line in the key-value table.
type row struct {
	value json.RawMessage
	isNew bool
}

var (
	_ core.Model      = (*row)(nil)
	_ core.DBExporter = (*row)(nil)
)

func (r *row) TableName() string { return tableName }
func (r *row) PK() any           { return rowID }
func (r *row) LastSavedPK() any  { return rowID }
func (r *row) IsNew() bool       { return r.isNew }
func (r *row) MarkAsNew()        { r.isNew = true }
func (r *row) MarkAsNotNew()     { r.isNew = false }

// MarshalJSON returns the settings themselves: what the audit trail compares.
func (r *row) MarshalJSON() ([]byte, error) { return r.value, nil }

// DBExport implements [core.DBExporter].
func (r *row) DBExport(core.App) (map[string]any, error) {
	now := types.NowDateTime()
	columns := map[string]any{"id": rowID, "value": string(r.value), "updated": now}
	if r.isNew {
		columns["created"] = now
	}
	return columns, nil
}
