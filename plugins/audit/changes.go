package audit

import (
	"database/sql"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/picobase/picobase/internal/config"
	"github.com/pocketbase/dbx"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
	"github.com/pocketbase/pocketbase/tools/security"
	"github.com/spf13/cast"
)

const (
	collectionsTable = "_collections"
	paramsTable      = "_params"
	picoPrefix       = "_pico_"

	// picobaseSettings is the row of _params with PicoBase's own settings.
	picobaseSettings = "picobase"
)

// bindChanges catches every change of a model that administers the tenant.
// The hooks run next to the database write, after all that may still alter it.
func (p *Plugin) bindChanges() {
	bind := func(h *hook.TaggedHook[*core.ModelEvent], verb string) {
		h.Bind(&hook.Handler[*core.ModelEvent]{
			Id:   "picoAuditModel",
			Func: func(e *core.ModelEvent) error { return p.change(e, verb) },
		})
	}
	bind(p.app.OnModelCreateExecute(), "created")
	bind(p.app.OnModelUpdateExecute(), "updated")
	bind(p.app.OnModelDeleteExecute(), "deleted")
}

// change lets the write happen and records it, both or neither.
func (p *Plugin) change(e *core.ModelEvent, verb string) error {
	targetType, ok := typeOf(e.App, e.Model.TableName())
	if !ok {
		return e.Next()
	}
	app := e.App
	defer func() { e.App = app }()
	return app.RunInTransaction(func(tx core.App) error {
		e.App = tx
		before, err := snapshot(tx, e.Model)
		if err != nil {
			return fmt.Errorf("audit: read %s before the change: %w", targetType, err)
		}
		if err := e.Next(); err != nil {
			return err
		}
		after, err := snapshot(tx, e.Model)
		if err != nil {
			return fmt.Errorf("audit: read %s after the change: %w", targetType, err)
		}
		id := cast.ToString(e.Model.PK())
		if targetType == "settings" && id == picobaseSettings && before == nil && after != nil {
			// Storing them for the first time changes the defaults.
			verb = "updated"
			if before, err = object(config.Default()); err != nil {
				return err
			}
		}
		request, _ := e.Context.Value(requestKey{}).(*core.RequestEvent)
		return p.Record(tx, request, Entry{
			Action:     targetType + "." + verb,
			TargetType: targetType,
			TargetID:   id,
			TargetName: nameOf(before, after),
			Before:     orNil(before),
			After:      orNil(after),
		})
	})
}

// typeOf says what the rows of a table are in the trail; ok is false when
// they do not belong there.
func typeOf(app core.App, tableName string) (targetType string, ok bool) {
	switch tableName {
	case collectionsTable:
		return "collection", true
	case paramsTable:
		return "settings", true
	case core.CollectionNameSuperusers:
		return "superuser", true
	}
	plural, ok := strings.CutPrefix(tableName, picoPrefix)
	if !ok {
		return "", false
	}
	collection, err := app.FindCachedCollectionByNameOrId(tableName)
	if err != nil || !collection.System {
		return "", false
	}
	return strings.TrimSuffix(plural, "s"), true
}

// snapshot returns the model's row as it is in the database, nil when there is
// none. Unlike the model's own JSON it has the secrets, so that their change shows.
func snapshot(app core.App, model core.Model) (map[string]any, error) {
	id := cast.ToString(model.PK())
	var row map[string]any
	var err error
	switch model.TableName() {
	case collectionsTable:
		row, err = collectionRow(app, id)
	case paramsTable:
		row, err = paramsRow(app, id)
	default:
		row, err = recordRow(app, model.TableName(), id)
	}
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	}
	delete(row, "updated") // says no more than the entry's own time
	return row, err
}

func collectionRow(app core.App, id string) (map[string]any, error) {
	collection := &core.Collection{}
	if err := app.ModelQuery(collection).Model(id, collection); err != nil {
		return nil, err
	}
	exported, err := collection.DBExport(app)
	if err != nil {
		return nil, err
	}
	row, err := object(exported)
	if err != nil {
		return nil, err
	}
	// The API shows the options beside the rest.
	options, _ := row["options"].(map[string]any)
	delete(row, "options")
	for name, option := range options {
		row[name] = option
	}
	return row, nil
}

func recordRow(app core.App, tableName, id string) (map[string]any, error) {
	record, err := app.FindRecordById(tableName, id)
	if err != nil {
		return nil, err
	}
	exported, err := record.DBExport(app)
	if err != nil {
		return nil, err
	}
	return object(exported)
}

func paramsRow(app core.App, id string) (map[string]any, error) {
	var value string
	err := app.DB().Select("value").From(paramsTable).Where(dbx.HashExp{"id": id}).Row(&value)
	if err != nil {
		return nil, err
	}
	decoded, err := decodeJSON([]byte(value))
	if row, ok := decoded.(map[string]any); ok && err == nil {
		return row, nil
	}
	// PocketBase encrypts its settings when it is given a key.
	plain, err := security.Decrypt(value, os.Getenv(app.EncryptionEnv()))
	if err != nil {
		return map[string]any{"secretValue": value}, nil // neither: tell only that it changed
	}
	decoded, err = decodeJSON(plain)
	row, _ := decoded.(map[string]any)
	return row, err
}

func object(v any) (map[string]any, error) {
	decoded, err := toJSON(v)
	row, _ := decoded.(map[string]any)
	return row, err
}

// orNil keeps a nil map from becoming a non-nil interface.
func orNil(row map[string]any) any {
	if row == nil {
		return nil
	}
	return row
}

// nameOf returns what people call the target, after the change or before it.
func nameOf(before, after map[string]any) string {
	for _, row := range []map[string]any{after, before} {
		for _, field := range []string{"name", "label", "email", "url"} {
			if name, _ := row[field].(string); name != "" {
				return cut(name, 200)
			}
		}
	}
	return ""
}
