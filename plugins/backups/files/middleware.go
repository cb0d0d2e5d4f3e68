package files

import (
	"errors"
	"net/http"
	"time"

	"github.com/picobase/picobase/internal/apierr"
	"github.com/picobase/picobase/internal/httpapi"
	"github.com/picobase/picobase/internal/objectstore"
	"github.com/pocketbase/pocketbase/core"
	"github.com/pocketbase/pocketbase/tools/hook"
)

// ErrUnavailable is the answer when a file exists but cannot be fetched now.
var ErrUnavailable = apierr.New(http.StatusServiceUnavailable, "file_unavailable",
	"The file cannot be fetched from the file store at the moment. Try again later.").WithRetryAfter(5 * time.Second)

// downloadPattern is PocketBase's route; it serves HEAD too.
const downloadPattern = "GET /api/files/{collection}/{recordId}/{filename}"

func (p *Plugin) middleware() *hook.Handler[*core.RequestEvent] {
	return &hook.Handler[*core.RequestEvent]{Id: "picoFiles", Priority: p.cfg.Priority, Func: p.fetchMissing}
}

// fetchMissing fetches the file of a download. It decides nothing about who may
// have it: PocketBase does, afterwards.
func (p *Plugin) fetchMissing(e *core.RequestEvent) error {
	if e.Request.Pattern != downloadPattern || !p.enabled() {
		return e.Next()
	}
	key, field := p.missingFile(e)
	if key == "" {
		return e.Next()
	}
	err := p.fetch(e.Request.Context(), key)
	// Of a protected file not even this may be told to those it is not for.
	if err == nil || errors.Is(err, objectstore.ErrNotFound) || field.Protected {
		return e.Next()
	}
	return httpapi.Error(ErrUnavailable.WithCause(err))
}

// missingFile returns the key of the requested file if a record names it and
// the local folder lacks it, else "". Only then a stranger may make the server
// ask the store.
func (p *Plugin) missingFile(e *core.RequestEvent) (key string, field *core.FileField) {
	collection, err := e.App.FindCachedCollectionByNameOrId(e.Request.PathValue("collection"))
	if err != nil {
		return "", nil
	}
	id, name := e.Request.PathValue("recordId"), e.Request.PathValue("filename")
	if !collection.IsView() {
		k, ok := parseKey(collection.BaseFilesPath() + "/" + id + "/" + name)
		if !ok || p.isLocal(k.String()) {
			return "", nil
		}
	}
	record, err := e.App.FindRecordById(collection, id)
	if err != nil {
		return "", nil
	}
	field = record.FindFileFieldByFile(name)
	if field == nil {
		return "", nil
	}
	if collection.IsView() {
		if record, err = e.App.FindRecordByViewFile(collection.Id, field.Name, name); err != nil {
			return "", nil
		}
	}
	k, ok := parseKey(record.BaseFilesPath() + "/" + name)
	if !ok || p.isLocal(k.String()) {
		return "", nil
	}
	return k.String(), field
}
