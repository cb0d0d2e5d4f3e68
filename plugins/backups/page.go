package backups

import (
	"context"
	"errors"
	"net/http"

	"github.com/picobase/picobase/internal/config"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/plugins/backups/snapshots"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/types"
)

// pageRoutes are the routes of PocketBase's own backups page that know no other
// place for backups than PocketBase's. Making one is no route of these: it goes
// through PocketBase's event, see bindEvents.
var pageRoutes = map[string]func(*Plugin, *core.RequestEvent) error{
	"GET /api/backups":                (*Plugin).pageList,
	"POST /api/backups/upload":        (*Plugin).pageUpload,
	"GET /api/backups/{key}":          (*Plugin).pageDownload,
	"DELETE /api/backups/{key}":       (*Plugin).pageDelete,
	"POST /api/backups/{key}/restore": (*Plugin).pageRestore,
}

// page serves PocketBase's own backups page from where backups are kept. Whoever
// PocketBase would refuse is left to it.
func (p *Plugin) page(e *core.RequestEvent) error {
	serve, ok := pageRoutes[e.Request.Pattern]
	if !ok || !p.mayUsePage(e) {
		return e.Next()
	}
	return serve(p, e)
}

// mayUsePage asks for what PocketBase asks for: a superuser, or for downloads
// the file token of one.
func (p *Plugin) mayUsePage(e *core.RequestEvent) bool {
	if e.Request.Pattern != "GET /api/backups/{key}" {
		return e.HasSuperuserAuth()
	}
	record, err := e.App.FindAuthRecordByToken(e.Request.URL.Query().Get("token"), core.TokenTypeFile)
	return err == nil && record.IsSuperuser() && superuserAddress(e)
}

// superuserAddress applies PocketBase's list of the addresses of superusers.
func superuserAddress(e *core.RequestEvent) bool {
	allowed := e.App.Settings().SuperuserIPs
	if len(allowed) == 0 {
		return true
	}
	address, err := config.ParsePrefix(e.RealIP())
	if err != nil {
		return false
	}
	for _, entry := range allowed {
		if prefix, err := config.ParsePrefix(entry); err == nil && prefix.Contains(address.Addr()) {
			return true
		}
	}
	return false
}

func (p *Plugin) pageList(e *core.RequestEvent) error {
	all, err := p.vault.List(e.Request.Context())
	if err != nil {
		return storeFailure(err)
	}
	type item struct {
		Modified types.DateTime `json:"modified"`
		Key      string         `json:"key"`
		Size     int64          `json:"size"`
	}
	items := []item{}
	for _, s := range all {
		if s.Status != snapshots.OK {
			continue
		}
		modified, err := types.ParseDateTime(s.Created)
		if err != nil {
			return storeFailure(err)
		}
		items = append(items, item{modified, s.ID, s.Size})
	}
	return e.JSON(http.StatusOK, items)
}

func (p *Plugin) pageUpload(e *core.RequestEvent) error {
	if !httpapi.CallerOf(e).IsOwner() {
		return httpapi.Error(errOwnersOnly)
	}
	uploads, err := e.FindUploadedFiles("file")
	if err != nil || len(uploads) == 0 {
		return e.BadRequestError("Missing file to upload.", err)
	}
	content, err := uploads[0].Reader.Open()
	if err != nil {
		return failure(err)
	}
	_, err = p.vault.Upload(e.Request.Context(), uploads[0].OriginalName, content)
	if err := errors.Join(err, content.Close()); err != nil {
		return failure(err)
	}
	return e.NoContent(http.StatusNoContent)
}

func (p *Plugin) pageDownload(e *core.RequestEvent) error {
	return p.send(e, e.Request.PathValue("key"))
}

func (p *Plugin) pageDelete(e *core.RequestEvent) error {
	if err := p.vault.Delete(e.Request.Context(), e.Request.PathValue("key")); err != nil {
		return storeFailure(err)
	}
	return e.NoContent(http.StatusNoContent)
}

func (p *Plugin) pageRestore(e *core.RequestEvent) error {
	id := e.Request.PathValue("key")
	if _, err := p.vault.Get(e.Request.Context(), id); err != nil {
		return failure(err)
	}
	order, err := p.begin(wish{snapshot: id})
	if err != nil {
		return failure(err)
	}
	if err := p.cfg.Record(e, "backup.restored", id); err != nil {
		return failure(err)
	}
	p.goBack(func(ctx context.Context) { _ = p.run(ctx, order) }) // logged
	return e.NoContent(http.StatusNoContent)
}
