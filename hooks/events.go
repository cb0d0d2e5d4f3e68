package hooks

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/picobase/picobase/internal/event"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
)

// Publisher takes events to those who want them.
type Publisher interface {
	// Wants reports whether anybody wants events of the type about records of the
	// collection. It is asked for every write, so it must be cheap.
	Wants(eventType, collection string) bool

	// Publish hands over an event. Within a transaction of app it counts only
	// once that is committed, and an error undoes it.
	Publish(app core.App, e event.Event) error
}

// innermost is inside of PocketBase's own handlers, whose priority is 99: files
// are uploaded before the transaction begins.
const innermost = 999

// PublishRecords makes an event of every record that is created, changed or
// deleted, and of what a change means for a user: all in the transaction of the
// write, whoever makes it and however. System collections have no events. Call
// it before the app serves.
func PublishRecords(app core.App, publisher Publisher) {
	p := recordEvents{publisher}
	const id = "picoEventRecord"
	app.OnRecordCreateExecute().Bind(&hook.Handler[*core.RecordEvent]{Id: id, Priority: innermost, Func: p.created})
	app.OnRecordUpdateExecute().Bind(&hook.Handler[*core.RecordEvent]{Id: id, Priority: innermost, Func: p.updated})
	app.OnRecordDeleteExecute().Bind(&hook.Handler[*core.RecordEvent]{Id: id, Priority: innermost, Func: p.deleted})
}

type recordEvents struct{ publisher Publisher }

// wanted is what of a record's possible events somebody wants.
type wanted struct {
	publisher Publisher
	name      string
	types     []string
}

// wants returns nil when nobody wants any, which is the usual case.
func (p recordEvents) wants(c *core.Collection, record string, user ...string) *wanted {
	if c.System {
		return nil
	}
	types := []string{record}
	if c.IsAuth() {
		types = append(types, user...)
	}
	var w *wanted
	for _, eventType := range types {
		if p.publisher.Wants(eventType, c.Name) {
			if w == nil {
				w = &wanted{publisher: p.publisher, name: c.Name}
			}
			w.types = append(w.types, eventType)
		}
	}
	return w
}

// publish publishes the event if its type is wanted.
func (w *wanted) publish(tx core.App, eventType, id string, data map[string]any) error {
	for _, t := range w.types {
		if t == eventType {
			return w.publisher.Publish(tx, event.New(eventType, w.name, id, data, time.Now()))
		}
	}
	return nil
}

// within runs the write and what belongs to it in one transaction.
func within(e *core.RecordEvent, fn func(tx core.App) error) error {
	app := e.App
	defer func() { e.App = app }()
	return app.RunInTransaction(func(tx core.App) error {
		e.App = tx
		return fn(tx)
	})
}

func (p recordEvents) created(e *core.RecordEvent) error {
	w := p.wants(e.Record.Collection(), event.RecordCreated, event.UserCreated)
	if w == nil {
		return e.Next()
	}
	return within(e, func(tx core.App) error {
		if err := e.Next(); err != nil {
			return err
		}
		after, err := stored(tx, e.Record)
		if err != nil {
			return err
		}
		data := map[string]any{"record": fields(after)}
		if err := w.publish(tx, event.UserCreated, after.Id, data); err != nil {
			return err
		}
		return w.publish(tx, event.RecordCreated, after.Id, data)
	})
}

func (p recordEvents) deleted(e *core.RecordEvent) error {
	w := p.wants(e.Record.Collection(), event.RecordDeleted, event.UserDeleted)
	if w == nil {
		return e.Next()
	}
	return within(e, func(tx core.App) error {
		before, err := stored(tx, e.Record)
		if errors.Is(err, sql.ErrNoRows) {
			return e.Next() // somebody was faster, and PocketBase is content with that
		}
		if err != nil {
			return err
		}
		if err := e.Next(); err != nil {
			return err
		}
		data := map[string]any{"record": fields(before)}
		if err := w.publish(tx, event.UserDeleted, before.Id, data); err != nil {
			return err
		}
		return w.publish(tx, event.RecordDeleted, before.Id, data)
	})
}

func (p recordEvents) updated(e *core.RecordEvent) error {
	w := p.wants(e.Record.Collection(), event.RecordUpdated,
		event.UserUpdated, event.UserVerified, event.UserEmailChanged, event.UserSignedOut)
	if w == nil {
		return e.Next()
	}
	return within(e, func(tx core.App) error {
		// What the database holds, not what the record was loaded with: of two
		// confirmations at once only one verifies.
		before, err := stored(tx, e.Record)
		if errors.Is(err, sql.ErrNoRows) {
			return e.Next() // deleted meanwhile: nothing changes
		}
		if err != nil {
			return err
		}
		if err := e.Next(); err != nil {
			return err
		}
		after, err := stored(tx, e.Record)
		if err != nil {
			return err
		}
		return w.publishUpdate(tx, before, after)
	})
}

func (w *wanted) publishUpdate(tx core.App, before, after *core.Record) error {
	changed, err := changes(before, after)
	if err != nil {
		return err
	}
	id, record := after.Id, fields(after)
	if after.Collection().IsAuth() {
		if len(changed) > 0 {
			if err := w.publish(tx, event.UserUpdated, id, map[string]any{"record": record, "changed": changed}); err != nil {
				return err
			}
		}
		if !before.Verified() && after.Verified() {
			if err := w.publish(tx, event.UserVerified, id, map[string]any{"record": record}); err != nil {
				return err
			}
		}
		if before.Email() != after.Email() {
			data := map[string]any{"record": record, "previousEmail": before.Email()}
			if err := w.publish(tx, event.UserEmailChanged, id, data); err != nil {
				return err
			}
		}
		// Tokens are signed with it: another one ends all sessions.
		if before.TokenKey() != after.TokenKey() {
			data := map[string]any{"record": record, "reason": reason(before, after)}
			if err := w.publish(tx, event.UserSignedOut, id, data); err != nil {
				return err
			}
		}
	}
	return w.publish(tx, event.RecordUpdated, id, map[string]any{"record": record, "changed": changed})
}

// reason says why all sessions of a user ended.
func reason(before, after *core.Record) string {
	switch {
	case passwordHash(before) != passwordHash(after):
		return "password_changed"
	case before.Email() != after.Email():
		return "email_changed"
	}
	return "sessions_ended"
}

func passwordHash(record *core.Record) string {
	return record.GetString(core.FieldNamePassword + ":hash")
}

// stored returns the record as the database holds it.
func stored(tx core.App, record *core.Record) (*core.Record, error) {
	id, _ := record.LastSavedPK().(string)
	if id == "" {
		id = record.Id
	}
	return tx.FindRecordById(record.Collection(), id)
}

// tells reports whether a field may be told to the outside. What may not is
// named nowhere either.
func tells(collection *core.Collection, field core.Field) bool {
	_, isPassword := field.(*core.PasswordField)
	return !field.GetHidden() && !isPassword && (!collection.IsAuth() || field.GetName() != core.FieldNameTokenKey)
}

// fields returns what of a record may be told.
func fields(record *core.Record) map[string]any {
	told := map[string]any{}
	for _, field := range record.Collection().Fields {
		if !tells(record.Collection(), field) {
			continue
		}
		name := field.GetName()
		if file, ok := field.(*core.FileField); ok { // the names, also of what is not stored yet
			told[name], _ = file.DriverValue(record)
			continue
		}
		told[name] = record.Get(name)
	}
	return told
}

// changes returns the names of the fields that differ, without those that the
// database sets by itself. Of the password it names that it changed.
func changes(before, after *core.Record) (names []string, err error) {
	names = []string{}
	was, is := fields(before), fields(after)
	for _, field := range after.Collection().Fields {
		name := field.GetName()
		if _, automatic := field.(*core.AutodateField); automatic {
			continue
		}
		if after.Collection().IsAuth() && name == core.FieldNamePassword {
			if passwordHash(before) != passwordHash(after) {
				names = append(names, name)
			}
			continue
		}
		a, err := json.Marshal(was[name])
		if err != nil {
			return nil, err
		}
		b, err := json.Marshal(is[name])
		if err != nil {
			return nil, err
		}
		if !bytes.Equal(a, b) {
			names = append(names, name)
		}
	}
	return names, nil
}
