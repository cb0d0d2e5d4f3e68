package audit

import (
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/pocketbase/pocketbase/core"
)

// maxStatement is the length in bytes that SQL statements are cut to.
const maxStatement = 2000

// acts are the requests that administer without changing a model, by their
// route's pattern. Backups that are made and restored are caught by backups.go.
var acts = map[string]func(*Plugin, *core.RequestEvent) error{
	"POST /api/sql": (*Plugin).sql,
	"POST /api/collections/meta/dry-run-view": (*Plugin).dryRun,

	"DELETE /api/backups/{key}": after(func(e *core.RequestEvent) Entry {
		return backupEntry("backup.deleted", e.Request.PathValue("key"))
	}),
	"POST /api/backups/upload": after(func(e *core.RequestEvent) Entry {
		var name string
		if files, _ := e.FindUploadedFiles("file"); len(files) > 0 {
			name = files[0].OriginalName
		}
		return backupEntry("backup.uploaded", name)
	}),
	"DELETE " + httpapi.PathPrefix + "/backups/{id}": after(func(e *core.RequestEvent) Entry {
		return backupEntry("backup.deleted", e.Request.PathValue("id"))
	}),
	"PUT " + httpapi.PathPrefix + "/backups/{id}": after(func(e *core.RequestEvent) Entry {
		return backupEntry("backup.uploaded", e.Request.PathValue("id"))
	}),
	"POST " + httpapi.PathPrefix + "/webhooks/{id}/test": after(func(e *core.RequestEvent) Entry {
		return Entry{Action: "webhook.tested", TargetType: "webhook", TargetID: e.Request.PathValue("id")}
	}),
	"POST " + httpapi.PathPrefix + "/webhooks/deliveries/{id}/retry": after(func(e *core.RequestEvent) Entry {
		return Entry{Action: "delivery.retried", TargetType: "delivery", TargetID: e.Request.PathValue("id")}
	}),
	"POST " + httpapi.PathPrefix + "/webhooks/deliveries/retry": after(func(*core.RequestEvent) Entry {
		return Entry{Action: "delivery.retried", TargetType: "delivery", TargetName: "all failed of a webhook"}
	}),
	"POST /api/crons/{id}": after(func(e *core.RequestEvent) Entry {
		id := e.Request.PathValue("id")
		return Entry{Action: "cron.run", TargetType: "cron", TargetID: id, TargetName: id}
	}),
	"POST /api/collections/{collection}/impersonate/{id}": after(func(e *core.RequestEvent) Entry {
		return Entry{
			Action:     "record.impersonated",
			TargetType: "record",
			TargetID:   e.Request.PathValue("id"),
			TargetName: e.Request.PathValue("collection"),
		}
	}),
	"DELETE /api/collections/{collection}/truncate": after(func(e *core.RequestEvent) Entry {
		entry := Entry{Action: "collection.truncated", TargetType: "collection", TargetName: e.Request.PathValue("collection")}
		if c, err := e.App.FindCachedCollectionByNameOrId(entry.TargetName); err == nil {
			entry.TargetID, entry.TargetName = c.Id, c.Name
		}
		return entry
	}),
}

// after makes a handler that records what a request did once it has succeeded.
func after(entry func(*core.RequestEvent) Entry) func(*Plugin, *core.RequestEvent) error {
	return func(p *Plugin, e *core.RequestEvent) error {
		if err := e.Next(); err != nil {
			return err
		}
		p.recordLate(originOf(e), entry(e))
		return nil
	}
}

// recordLate records what is done already, and answered, so that a failure
// can only be logged.
func (p *Plugin) recordLate(by origin, entry Entry) {
	if err := p.record(p.app, by, entry); err != nil {
		p.app.Logger().Error("audit entry lost", "action", entry.Action, "requestId", by.requestID, "error", err)
	}
}

// sql records every statement of the console, also one that was refused or
// failed: of several statements in one request, the first may have worked.
func (p *Plugin) sql(e *core.RequestEvent) error {
	if !e.HasSuperuserAuth() {
		return e.Next() // to be refused by PocketBase
	}
	query, err := guardQuery(e)
	entry := Entry{Action: "sql.refused", TargetType: "sql"}
	if err == nil {
		entry.Action = "sql.executed"
		err = e.Next()
	}
	outcome := map[string]any{"query": cut(query, maxStatement)}
	if err != nil {
		outcome["error"] = err.Error()
	}
	entry.After = outcome
	p.recordLate(originOf(e), entry)
	return err
}

// dryRun changes nothing by itself, but PocketBase runs the SQL in it.
func (p *Plugin) dryRun(e *core.RequestEvent) error {
	if _, err := guardQuery(e); err != nil {
		return err
	}
	return e.Next()
}
